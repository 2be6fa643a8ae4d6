//! Large images of distributions: nothing that matters is lost, and the facts stay small.

use super::{APP, DEBIAN, LD_LINUX, LD_MUSL, Layer, What, answer, entrypoint, image};
use crate::budget::turns_of;
use crate::image::contents::{Config, ImageFacts, Invocation};

/// The largest facts, stored as JSON, in bytes.
const STORED_MAX_BYTES: usize = 10 << 10;

/// The entries of a large image, with paths of their own.
#[derive(Default)]
struct Files(Vec<(String, What<'static>)>);

impl Files {
    fn add(&mut self, path: impl Into<String>, what: What<'static>) {
        self.0.push((path.into(), what));
    }

    /// Adds programs `NAME0`, `NAME1` and so on.
    fn many(&mut self, prefix: &str, count: usize, what: What<'static>) {
        (0..count).for_each(|number| self.add(format!("{prefix}{number}"), what));
    }

    fn facts(&self, base: Layer<'_>, config: Config) -> ImageFacts {
        let Self(files) = self;
        let layer: Vec<(&str, What<'_>)> = files.iter().map(|(path, what)| (path.as_str(), *what)).collect();
        image(&[base, &layer], config)
    }
}

const GLIBC: What<'static> = What::Program(Some(LD_LINUX), &[]);
/// The files of a Debian image with this many packages.
fn debian(packages: usize) -> Files {
    let mut files = Files::default();
    files.many("usr/bin/x86_64-linux-gnu-tool-", packages * 3 / 2, GLIBC);
    files.many("usr/sbin/tool-", packages / 2, GLIBC);
    files.many("usr/bin/perl-script-", packages / 5, What::Script("#!/usr/bin/perl -w\n"));
    files.many("usr/lib/git-core/git-", packages / 2, GLIBC);
    for number in 0..packages {
        for name in ["postinst", "prerm"] {
            files.add(format!("var/lib/dpkg/info/package{number}.{name}"), What::Script("#!/bin/sh\nset -e\n"));
        }
        files.add(format!("usr/share/doc/package{number}/examples/run"), What::Script("#!/bin/sh\nexec thing\n"));
        files.add(format!("usr/share/doc/package{number}/examples/show"), What::Text("#!/bin/sh\nexec thing\n"));
        files.add(format!("usr/lib/package{number}/bin/run"), GLIBC);
        files.add(format!("usr/lib/python3/dist-packages/p{number}/main.py"), What::Text("#!/usr/bin/python3\n"));
    }
    for name in ["perl", "bash", "sleep", "curl"] {
        files.add(format!("usr/bin/{name}"), GLIBC);
    }
    files
}

fn command_of(facts: &ImageFacts, command: &[&str]) -> String {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    answer(facts, &Invocation { command: Some(&command), ..Invocation::default() })
}

fn check(facts: &ImageFacts, answers: &[(&[&str], &str)]) {
    for (command, resolver) in answers {
        let answer = match command {
            [] => answer(facts, &Invocation::default()),
            command => command_of(facts, command),
        };
        assert!(answer.starts_with(&format!("{resolver}: ")), "{command:?}: {answer}");
    }
    let stored = serde_json::to_vec(facts).unwrap().len();
    assert!(stored < STORED_MAX_BYTES && facts.bytes() < STORED_MAX_BYTES, "{stored} {}", facts.bytes());
}

const ENTRYPOINT: What<'static> = What::Script(
    "#!/bin/sh\nset -e\nif [ \"${1#-}\" != \"${1}\" ] || [ -z \"$(command -v \"${1}\")\" ]; then\n  set -- node \"$@\"\nfi\n\
     exec \"$@\"\n",
);

#[test]
fn debian_with_node_and_314_packages() {
    let mut files = debian(314);
    files.add("usr/local/bin/node", GLIBC);
    files.add("usr/local/bin/docker-entrypoint.sh", ENTRYPOINT);
    for number in 0..300 {
        files.add(format!("usr/local/lib/node_modules/p{number}/bin/cli.js"), What::Script("#!/usr/bin/env node\n"));
    }
    let own = Config { cmd: vec!["node".to_owned()], ..entrypoint(&["docker-entrypoint.sh"]) };
    let facts = files.facts(DEBIAN, own.clone());
    let answers: &[(&[&str], &str)] = &[
        (&[], "glibc 2.41"),
        (&["sh"], "glibc 2.41"),
        (&["/bin/sh", "-c", "exec node server.js"], "glibc 2.41"),
        (&["sh", "-c", "migrate & node"], "glibc 2.41"),
        (&["python3"], "glibc 2.41"),
        (&["x86_64-linux-gnu-tool-400"], "glibc 2.41"),
        (&["/usr/bin/perl-script-7"], "glibc 2.41"),
        (&["/volume/program"], "unknown"),
        (&["no-such-program"], "unknown"),
    ];
    check(&facts, answers);
    // A program in Go beside them: the others are still known.
    files.add("app/node_modules/esbuild/bin/esbuild", What::Program(None, &["musl libc (x86_64)"]));
    let facts = files.facts(DEBIAN, own);
    let answers: &[(&[&str], &str)] = &[
        (&[], "glibc 2.41"),
        (&["sh"], "glibc 2.41"),
        (&["/bin/sh", "-c", "exec node server.js"], "glibc 2.41"),
        (&["x86_64-linux-gnu-tool-400"], "glibc 2.41"),
        (&["node", "server.js"], "glibc 2.41"),
        (&["/app/node_modules/esbuild/bin/esbuild"], "musl"),
        (&["sh", "-c", "migrate & node"], "unknown"),
        (&["no-such-program"], "unknown"),
    ];
    check(&facts, answers);
}

#[test]
fn alpine_with_59_folders_of_example_scripts() {
    let mut files = Files::default();
    for (folder, script) in (0..59).flat_map(|folder| (0..8).map(move |script| (folder, script))) {
        let path = format!("usr/share/package{folder}/examples/script{script}");
        files.add(
            path,
            if script % 2 == 0 { What::Script("#!/bin/sh\nexec thing\n") } else { What::Text("#!/bin/sh\n") },
        );
    }
    files.many("usr/bin/tool-", 150, What::Program(Some(LD_MUSL), &[]));
    files.add("usr/local/bin/agent", What::Program(None, &["GLIBC_TUNABLES"]));
    let facts = files.facts(super::ALPINE, entrypoint(&["tool-7"]));
    check(
        &facts,
        &[
            (&[], "musl 1.2.5"),
            (&["sh"], "musl 1.2.5"),
            (&["ls"], "musl 1.2.5"),
            (&["agent"], "glibc"),
            (&["/usr/share/package7/examples/script0"], "unknown"),
            (&["sh", "/usr/share/package7/examples/script0"], "unknown"),
            (&["no-such-program"], "unknown"),
        ],
    );
}

#[test]
fn debian_with_nginx_redis_php_and_a_jre() {
    let mut files = debian(280);
    for path in ["usr/sbin/nginx", "usr/local/bin/redis-server", "usr/local/bin/php", "opt/java/openjdk/bin/java"] {
        files.add(path, GLIBC);
    }
    files.many("opt/java/openjdk/bin/j", 30, GLIBC);
    files.add("etc/alternatives/java", What::Link("/opt/java/openjdk/bin/java"));
    files.add("usr/bin/java", What::Link("/etc/alternatives/java"));
    files.add("usr/local/bin/gosu", What::Program(None, &["No error information"]));
    files.add("usr/local/bin/exporter", What::Program(None, &["No error information"]));
    files.add(
        "start.sh",
        What::Script("#!/bin/bash\n[ \"$1\" = web ] && exec nginx\nexec gosu app redis-server \"$@\"\n"),
    );
    for number in 0..200 {
        let script = format!("#!/bin/sh\nexec /usr/lib/package{number}/bin/run {}\n", "argument ".repeat(8));
        files.add(format!("usr/bin/wrapper-{number}"), What::Script(script.leak()));
    }
    let facts = files.facts(DEBIAN, entrypoint(&["/start.sh"]));
    check(
        &facts,
        &[
            (&[], "glibc 2.41"),
            (&["sh"], "glibc 2.41"),
            (&["nginx"], "glibc 2.41"),
            (&["php", "-S", "0.0.0.0:80"], "glibc 2.41"),
            (&["java", "-jar", "app.jar"], "glibc 2.41"),
            (&["/opt/java/openjdk/bin/java"], "glibc 2.41"),
            (&["exporter"], "musl"),
            (&["no-such-program"], "unknown"),
            (&["/start.sh", "web"], "glibc 2.41"),
        ],
    );
    assert!(facts.fingerprint(&Invocation::default()).holds_java);
}

#[test]
fn an_image_beyond_the_limit_keeps_its_own_command_and_short_names() {
    let mut files = Files::default();
    files.many("usr/bin/a-program-with-a-long-name-", 6000, GLIBC);
    files.many("opt/", 3000, GLIBC);
    for number in 0..2000 {
        files.add(format!("srv/{number}/program"), GLIBC);
    }
    let own = entrypoint(&["a-program-with-a-long-name-5999", "/srv/1999/program"]);
    let facts = files.facts(DEBIAN, own.clone());
    let answers: &[(&[&str], &str)] = &[
        (&[], "glibc 2.41"),
        (&["/srv/1999/program"], "glibc 2.41"),
        (&["/bin/sh"], "glibc 2.41"),
        (&["sh"], "glibc 2.41"),
        // The image has more programs there than are kept, and all are alike.
        (&["a-program-with-a-long-name-4000"], "glibc 2.41"),
        // A volume may be there.
        (&["/volume/program"], "unknown"),
    ];
    check(&facts, answers);
    assert!(facts.truncated);
    files.add(APP.0, APP.1);
    files.add("usr/local/bin/sh", APP.1);
    let facts = files.facts(DEBIAN, own);
    let answers: &[(&[&str], &str)] = &[
        (&[], "glibc 2.41"),
        (&["/bin/sh"], "glibc 2.41"),
        (&["sh"], "musl"),
        (&["a-program-with-a-long-name-4000"], "unknown"),
    ];
    check(&facts, answers);
}

#[test]
fn the_work_is_in_proportion_to_the_programs() {
    let turns = |count: usize| {
        let mut files = Files::default();
        for number in 0..count {
            files.add(format!("usr/lib/package{number}/bin/run"), GLIBC);
            files.add(format!("usr/bin/run{number}"), What::Link("/usr/bin/dash"));
        }
        turns_of(|| files.facts(DEBIAN, entrypoint(&["run1"]))).1
    };
    let (few, many) = (turns(200), turns(2000));
    assert!(many < 11 * few, "{few} and {many} turns");
}

/// Files without the exec bit are no programs: only a shell that is given their path reads them.
#[test]
fn a_file_without_the_exec_bit_is_skipped_on_the_search_path() {
    let server: Layer<'_> = &[
        ("usr/local/bin/server", What::Text("#!/bin/sh\nexec /app/server\n")),
        ("usr/bin/server", GLIBC),
        APP,
        ("run.sh", What::Text("#!/bin/sh\nexec /app/server\n")),
    ];
    let facts = image(&[DEBIAN, server], entrypoint(&["server"]));
    check(
        &facts,
        &[
            (&[], "glibc 2.41"),
            (&["/usr/local/bin/server"], "unknown"),
            (&["/run.sh"], "unknown"),
            (&["sh", "/run.sh"], "musl"),
            (&["sh", "-c", "exec server"], "glibc 2.41"),
        ],
    );
    assert!(command_of(&facts, &["/run.sh"]).contains("no exec bit"));
}
