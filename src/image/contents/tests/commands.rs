//! Commands in images and pods, followed to the program that stays.

use super::{ALPINE, APP, DEBIAN, LD_LINUX, LD_MUSL, Layer, What, answer, answer_of, entrypoint, image};
use crate::budget::turns_of;
use crate::image::contents::{Config, Invocation};

/// The answer for the static program in a Debian image with glibc.
const STATIC: &str = "musl: `/app/server` is static and contains musl";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn on_debian(more: Layer<'_>, command: &[&str]) -> String {
    answer_of(&[DEBIAN, &[APP], more], command)
}

#[test]
fn follows_every_way_to_start_a_program() {
    for command in [
        &["/app/server"][..],
        &["/app/../app/./server", "-x"],
        &["/usr/bin/env", "A=1", "/app/server"],
        &["/usr/bin/env", "-S", "A=1 /app/server -x"],
        &["tini", "--", "/app/server"],
        &["/bin/sh", "-c", "/app/server"],
        &["/bin/sh", "-c", "exec /app/server --port=$PORT"],
        &["/bin/sh", "-ec", "mkdir -p /x && exec /app/server"],
        &["bash", "-o", "pipefail", "-c", "exec /app/server"],
        &["bash", "-c", "-e", "exec /app/server"],
        &["/bin/sh", "-c", "cd /app && exec ./server"],
        &["/bin/sh", "-c", "exec \"$0\" \"$@\"", "/app/server", "-x"],
        &["/bin/sh", "-c", "\"$@\"", "sh", "/app/server", "-x"],
        &["/bin/sh", "-c", "exec gosu app env A=1 /app/server"],
        &["busybox", "sh", "-c", "exec /app/server"],
        &["busybox", "env", "A=1", "/app/server"],
        &["sh", "-c", "sh -c 'exec /app/server'"],
    ] {
        assert!(on_debian(&[], command).starts_with(STATIC), "{command:?}: {}", on_debian(&[], command));
    }
}

#[test]
fn follows_scripts_to_the_program_that_replaces_them() {
    for (script, command) in [
        ("#!/bin/sh\nexec /app/server", &["/run"][..]),
        ("#!/bin/sh\nexec \"$@\"", &["/run", "/app/server"]),
        ("#!/bin/sh -e\ncd /app\nexec ./server", &["/run"]),
        (
            "#!/usr/bin/env bash\nif [ \"${1#-}\" != \"$1\" ]; then set -- /app/server \"$@\"; fi\nexec \"$@\"",
            &["/run", "-x"],
        ),
        (
            "#!/bin/sh\nif [ \"$1\" = /app/server ] && [ \"$(id -u)\" = 0 ]; then\n  exec gosu app \"$0\" \"$@\"\nfi\nexec \"$@\"",
            &["/run", "/app/server"],
        ),
        ("#!/bin/sh\n\"/app/server\" &\nexec /app/server", &["sh", "/run"]),
        ("#!/bin/dash\nexec env A=1 tini -- \"$@\"", &["/bin/sh", "/run", "/app/server"]),
    ] {
        let answer = on_debian(&[("run", What::Script(script))], command);
        assert!(answer.starts_with("musl: "), "{script}: {answer}");
        assert!(answer.ends_with("; the script `/run` starts it with `exec`"), "{script}: {answer}");
    }
}

#[test]
fn uncertain_commands_are_unknown() {
    for (script, why) in [
        ("#!/bin/sh\n/app/server", "does not end with `exec`"),
        ("#!/bin/sh\nif [ -n \"$D\" ]; then exec /app/server; fi\npython3 x.py", "does not end with `exec`"),
        ("#!/bin/sh\nexec $APP", "starts with `exec` is unknown"),
        ("#!/bin/sh\nif x; then exec /app/server; else exec python3; fi", "starts with `exec` is unknown"),
        ("#!/bin/sh\nexec su app -c /app/server", "starts with `exec` is unknown"),
        ("#!/bin/sh\nexec supervisord -n", "starts with `exec` is unknown"),
        ("#!/bin/execlineb -S0\n/app/server", "starts other programs"),
        ("#!/bin/sh\n[ -n \"$D\" ] && exec /app/server\nexec python3", "starts with `exec` is unknown"),
        ("#!/bin/sh\nif [ x ]; then python3 x.py; exit; fi\nexec /app/server", "does not end with `exec`"),
        ("#!/usr/bin/python3\nimport os\nos.execv('/app/server', [])", ""),
    ] {
        let execlineb = ("bin/execlineb", What::Program(None, &["musl libc (x86_64)"]));
        let answer = on_debian(&[("run", What::Script(script)), execlineb], &["/run"]);
        // A Python program may start others, but stays a process of glibc.
        let expected = if why.is_empty() { "glibc 2.41: " } else { "unknown: " };
        assert!(answer.starts_with(expected) && answer.contains(why), "{script}: {answer}");
    }
}

#[test]
fn supervisors_and_launchers_are_known_only_if_all_programs_are_alike() {
    let init = ("init", What::Script("#!/bin/sh -e\nexec s6-overlay-suexec ' /preinit' '' /stage0 \"$@\"\n"));
    let own = ("command/s6-overlay-suexec", What::Program(None, &["musl libc (x86_64)"]));
    let uv = ("usr/bin/uv", What::Program(None, &["musl libc (x86_64)"]));
    let supervisord = ("usr/bin/supervisord", What::Script("#!/usr/bin/python3\n"));
    for command in [
        &["/init"][..],
        &["/init", "python3", "x.py"],
        &["uv", "run", "x.py"],
        &["/usr/bin/supervisord", "-n"],
        &["/usr/bin/python3", "/usr/bin/uv"],
    ] {
        let answer = on_debian(&[init, own, uv, supervisord], command);
        assert!(answer.starts_with("unknown: "), "{command:?}: {answer}");
    }
    // If all programs are alike, any of them gives the same answer.
    let alike = answer_of(&[ALPINE, &[("usr/bin/supervisord", What::Program(Some(LD_MUSL), &[]))]], &["supervisord"]);
    assert!(
        alike.starts_with("musl 1.2.5: ") && alike.contains("all programs in the image are of one kind"),
        "{alike}"
    );
}

/// A program that muslin does not know may start another one, which its arguments name.
#[test]
fn an_argument_that_names_another_program_is_doubt() {
    let run = ("usr/bin/run", What::Program(Some(LD_LINUX), &[]));
    let script = ("usr/bin/with", What::Script("#!/usr/bin/python3\n"));
    let serve = ("usr/bin/serve", What::Script("#!/bin/sh\nexec /app/server\n"));
    for (command, resolver) in [
        (&["run", "/app/server"][..], "unknown: "),
        (&["run", "exec", "/app/server", "--", "-x"], "unknown: "),
        (&["run", "--", "/app/server"], "unknown: "),
        (&["run", "--program=/app/server"], "unknown: "),
        (&["run", "-c", "/app/server -x"], "unknown: "),
        (&["run", "env", "A=1", "/app/server"], "unknown: "),
        (&["run", "/bin/sh", "-c", "exec /app/server"], "unknown: "),
        (&["run", "serve"], "unknown: "),
        (&["with", "/app/server"], "unknown: "),
        (&["/bin/sh", "-c", "exec run -- /app/server"], "unknown: "),
        // A program like the first one, or none.
        (&["run", "python3", "x.py"], "glibc 2.41: "),
        (&["run", "with", "x"], "glibc 2.41: "),
        (&["run", "/etc/passwd", "server"], "glibc 2.41: "),
        (&["run", "run"], "glibc 2.41: "),
        (&["with", "x"], "glibc 2.41: "),
        (&["/usr/bin/python3", "/usr/bin/with"], "glibc 2.41: "),
        (&["/app/server", "/app/server"], "musl: "),
        (&["/app/server", "serve"], "musl: "),
        (&["/app/server", "run"], "unknown: "),
        (&["flock", "/lock", "/app/server"], "musl: "),
        (&["flock", "-n", "/lock", "-c", "exec /app/server"], "musl: "),
        (&["time", "-p", "/app/server"], "musl: "),
        (&["envdir", "/env", "/app/server"], "musl: "),
    ] {
        let answer = on_debian(&[run, script, serve], command);
        assert!(answer.starts_with(resolver), "{command:?}: {answer}");
    }
    for name in ["supercronic", "setarch", "s6-envdir", "dlv", "gomplate", "wait4x", "cron", "with-contenv"] {
        let path = format!("usr/bin/{name}");
        let answer = on_debian(&[(&path, What::Program(Some(LD_LINUX), &[]))], &[name, "/etc/crontab"]);
        assert!(answer.starts_with("unknown: "), "{name}: {answer}");
    }
    // One kind of programs leaves no doubt.
    let alike = answer_of(&[ALPINE, &[("usr/bin/run", What::Program(Some(LD_MUSL), &[]))]], &["run", "ls"]);
    assert!(alike.starts_with("musl 1.2.5: `/usr/bin/run`"), "{alike}");
}

#[test]
fn an_unread_layer_may_have_the_program_that_an_argument_names() {
    let mut tree = crate::image::contents::Tree::default();
    tree.add_layer(&super::layer(&[APP]));
    for (command, is_known) in [
        (&["/app/server"][..], true),
        (&["/app/server", "--config", "/etc/server.yaml", "A=b", "-x", "0.0.0.0:80"], true),
        (&["/app/server", "node"], false),
        (&["/app/server", "--", "/usr/bin/node", "x.js"], false),
    ] {
        let facts = crate::image::contents::ImageFacts::new(&tree, entrypoint(command), true);
        assert_eq!(answer(&facts, &Invocation::default()).starts_with("musl: "), is_known, "{command:?}");
    }
}

/// `#!/usr/bin/dumb-init /bin/sh` is a shell script.
#[test]
fn a_shell_behind_a_starter_reads_the_script() {
    for first in
        ["/usr/bin/dumb-init /bin/sh", "/sbin/tini /bin/bash", "/command/with-contenv sh", "/usr/bin/env -S bash -e"]
    {
        let script = format!("#!{first}\nexec /app/server\n");
        let answer = on_debian(&[("run", What::Script(&script))], &["/run"]);
        assert!(answer.ends_with("; the script `/run` starts it with `exec`"), "{first}: {answer}");
    }
}

#[test]
fn a_link_to_a_starter_is_a_starter() {
    let tini = ("usr/bin/tini", What::Program(None, &["GLIBC_TUNABLES"]));
    let answer = answer_of(
        &[ALPINE, &[tini, ("entry", What::Link("/usr/bin/tini")), ("s", What::Link("/entry"))]],
        &["/s", "--", "ls"],
    );
    assert!(answer.starts_with("musl 1.2.5: `/bin/ls`"), "{answer}");
}

#[test]
fn a_link_to_a_shell_is_a_shell() {
    let answer = on_debian(&[("usr/bin/rbash", What::Link("dash"))], &["rbash", "-c", "exec /app/server"]);
    assert!(answer.starts_with(STATIC), "{answer}");
}

/// Programs with several releases of one library are not all of one release.
#[test]
fn the_release_is_unknown_if_programs_have_several() {
    let old = ("opt/app", What::Program(None, &["No error information"]));
    let answer = answer_of(&[ALPINE, &[old]], &["sh", "-c", "a; b"]);
    assert!(answer.starts_with("musl: ") && answer.contains("in several releases"), "{answer}");
}

#[test]
fn searches_the_path_as_the_container_runtime_does() {
    let here = |path: &str, dir: &str| {
        let mut config = entrypoint(&["server"]);
        config.env.insert("PATH".to_owned(), path.to_owned());
        config.working_dir = dir.to_owned();
        answer(
            &image(&[DEBIAN, &[APP, ("usr/bin/server", What::Program(Some(LD_LINUX), &[]))]], config),
            &Invocation::default(),
        )
    };
    assert!(here("/usr/bin:/app", "").starts_with("glibc"), "the first folder with the program");
    assert!(here("/app:/usr/bin", "").starts_with("musl"));
    assert!(here("/nowhere:/app", "").starts_with("musl"));
    assert!(here("app:/usr/bin", "/").starts_with("musl"), "{}", here("app:/usr/bin", "/"));
    assert!(here(":/usr/bin", "/app").starts_with("musl"), "an empty part is the working directory");
    assert!(here("../app", "/usr").starts_with("musl"));
    assert!(here("app:/usr/bin", "/srv").starts_with("glibc"));
    assert!(here("/nowhere", "").starts_with("unknown"));
    assert!(here("$EXTRA:/app", "").starts_with("unknown"));
}

#[test]
fn the_folder_and_variables_of_the_pod_outrank_those_of_the_image() {
    let other = ("srv/server", What::Program(Some(LD_LINUX), &[]));
    let config = Config { working_dir: "/app".to_owned(), ..entrypoint(&["./server"]) };
    let facts = image(&[DEBIAN, &[APP, other]], config);
    assert!(answer(&facts, &Invocation::default()).starts_with("musl"));
    let moved = Invocation { working_dir: Some("/srv"), ..Invocation::default() };
    assert!(answer(&facts, &moved).starts_with("glibc"));
    let command = words(&["server"]);
    let env = |name: &str| (name == "PATH").then_some("/srv");
    let searched = Invocation { command: Some(&command), env: &env, ..Invocation::default() };
    assert!(answer(&facts, &searched).starts_with("glibc"));
}

#[test]
fn a_missing_program_is_unknown() {
    let facts = image(&[DEBIAN, &[APP]], entrypoint(&["/app/server"]));
    for command in [&["/usr/bin/mounted"][..], &["mounted"], &["/bin/mounted.sh"], &["sh", "-c", "exec mounted"]] {
        let command = words(command);
        let answer = answer(&facts, &Invocation { command: Some(&command), ..Invocation::default() });
        assert!(answer.contains("a volume may provide it"), "{command:?}: {answer}");
    }
}

#[test]
fn follows_a_loader_to_its_program() {
    for (command, resolver) in [
        (&["/lib64/ld-linux-x86-64.so.2", "/usr/bin/python3", "x.py"][..], "glibc 2.41: "),
        (&["/lib64/ld-linux-x86-64.so.2", "--library-path", "/x", "/usr/bin/python3"], "glibc 2.41: "),
        (&["/lib64/ld-linux-x86-64.so.2", "/app/server"], "musl: "),
        (&["/lib64/ld-linux-x86-64.so.2", "/bin/sh", "-c", "exec /app/server"], "musl: "),
        (&["/lib64/ld-linux-x86-64.so.2", "/nowhere"], "unknown: "),
        (&["/lib64/ld-linux-x86-64.so.2"], "unknown: "),
    ] {
        let answer = on_debian(&[], command);
        assert!(answer.starts_with(resolver), "{command:?}: {answer}");
    }
}

#[test]
fn hostile_commands_end_soon() {
    let facts = image(&[DEBIAN, &[APP]], entrypoint(&["/app/server"]));
    let many = vec!["x"; 50_000];
    let all = "\"$@\" ".repeat(5000);
    let nested =
        (0..14).fold("exec /app/server".to_owned(), |text, _| format!("sh -c '{}'", text.replace('\'', "'\\''")));
    for command in [
        [&["sh", "-c", all.as_str()], many.as_slice()].concat(),
        [&["env"; 50_000][..], &["/app/server"]].concat(),
        vec!["sh", "-c", &nested],
        vec!["sh", "-c", "(((((((((((((((((((((((((((((((((("],
        vec!["busybox"; 50_000],
    ] {
        let command = words(&command);
        let started = std::time::Instant::now();
        answer(&facts, &Invocation { command: Some(&command), ..Invocation::default() });
        assert!(started.elapsed().as_secs() < 5, "{:?}", &command[..2]);
    }
    let long = words(&["sh", "-c", &"x".repeat(300 << 10)]);
    assert!(answer(&facts, &Invocation { command: Some(&long), ..Invocation::default() }).contains("too long"));
}

/// `command: [sh, -c, '"$@";…' × 100, x, sh, -c, TEXT of 63 KB]`, in 40 containers, took more than 115 s.
#[test]
fn a_shell_text_that_is_named_again_and_again_is_read_once() {
    let facts = image(&[DEBIAN], Config::default());
    let text = "a;".repeat(31_000);
    let arguments = ["x", "sh", "-c", &text];
    for again in ["\"$@\";".repeat(100), "\"$@\" || ".repeat(100), "sh -c \"$0\" \"$@\";".repeat(100)] {
        let command: Vec<String> = ["sh", "-c", &again].into_iter().chain(arguments).map(str::to_owned).collect();
        let invocation = Invocation { command: Some(&command), ..Invocation::default() };
        let bytes: usize = command.iter().map(String::len).sum();
        let ((), turns) = turns_of(|| drop(facts.fingerprint(&invocation)));
        assert!(turns < 3 * bytes as u64, "{turns} turns for {bytes} bytes");
    }
}

#[test]
fn a_command_beyond_the_budget_is_unknown() {
    let facts = image(&[DEBIAN], Config::default());
    let command: Vec<String> = ["sh", "-c", "python3 a; python3 b"].map(str::to_owned).to_vec();
    let invocation = Invocation { command: Some(&command), ..Invocation::default() };
    let mut budget = crate::budget::Budget::new(1000);
    let within = budget.run(|| answer(&facts, &invocation));
    assert!(within.starts_with("glibc 2.41: ") && budget.check().is_ok(), "{within}");
    let beyond = crate::budget::Budget::new(30).run(|| answer(&facts, &invocation));
    assert!(beyond.starts_with("unknown: the command needs more work"), "{beyond}");
}

#[test]
fn chains_of_starters_end() {
    let facts = image(&[DEBIAN], Config::default());
    for starter in ["env", "nice", "sh -c", "env -S", "busybox"] {
        let chain = format!("{starter} ").repeat(20_000);
        let command: Vec<String> = chain.split_whitespace().chain(["python3"]).map(str::to_owned).collect();
        let invocation = Invocation { command: Some(&command), ..Invocation::default() };
        let answer = answer(&facts, &invocation);
        assert!(answer.len() < 2048, "{answer}");
    }
}
