//! Commands as images and pods write them, followed to the program that stays.

use super::{ALPINE, APP, DEBIAN, LD_LINUX, LD_MUSL, Layer, What, entrypoint, image, said, told};
use crate::image::contents::{Config, Invocation};

/// The static program of a Debian image of which all else is glibc.
const STATIC: &str = "musl: `/app/server` is static, and musl is part of it";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn on_debian(more: Layer<'_>, command: &[&str]) -> String {
    told(&[DEBIAN, &[APP], more], command)
}

#[test]
fn every_way_to_start_a_program_leads_to_it() {
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
fn scripts_are_followed_to_what_takes_their_place() {
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
        let told = on_debian(&[("run", What::Script(script))], command);
        assert!(told.starts_with("musl: the script `/run` gives way to another program"), "{script}: {told}");
    }
}

#[test]
fn what_is_not_sure_is_not_told() {
    for (script, why) in [
        ("#!/bin/sh\n/app/server", "does not say by `exec`"),
        ("#!/bin/sh\nif [ -n \"$D\" ]; then exec /app/server; fi\npython3 x.py", "does not say by `exec`"),
        ("#!/bin/sh\nexec $APP", "what takes the place"),
        ("#!/bin/sh\nif x; then exec /app/server; else exec python3; fi", "what takes the place"),
        ("#!/bin/sh\nexec su app -c /app/server", "what takes the place"),
        ("#!/bin/sh\nexec supervisord -n", "what takes the place"),
        ("#!/bin/execlineb -S0\n/app/server", "starts others"),
        ("#!/usr/bin/python3\nimport os\nos.execv('/app/server', [])", ""),
    ] {
        let execlineb = ("bin/execlineb", What::Program(None, &["musl libc (x86_64)"]));
        let told = on_debian(&[("run", What::Script(script)), execlineb], &["/run"]);
        // What a Python program starts is its own affair; it is a process of glibc.
        let expected = if why.is_empty() { "glibc 2.41.0: " } else { "unknown: " };
        assert!(told.starts_with(expected) && told.contains(why), "{script}: {told}");
    }
}

#[test]
fn supervisors_and_launchers_say_nothing_of_what_they_start() {
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
        let told = on_debian(&[init, own, uv, supervisord], command);
        let is_python = command[0] == "/usr/bin/python3";
        assert!(told.starts_with(if is_python { "glibc" } else { "unknown: " }), "{command:?}: {told}");
    }
    // Where all programs are alike, it is of no account which of them it is.
    let alike = told(&[ALPINE, &[("usr/bin/supervisord", What::Program(Some(LD_MUSL), &[]))]], &["supervisord"]);
    assert!(alike.starts_with("musl 1.2.5: ") && alike.contains("all programs of the image are alike"), "{alike}");
}

#[test]
fn a_link_to_a_starter_is_a_starter() {
    let tini = ("usr/bin/tini", What::Program(None, &["GLIBC_TUNABLES"]));
    let told = told(
        &[ALPINE, &[tini, ("entry", What::Link("/usr/bin/tini")), ("s", What::Link("/entry"))]],
        &["/s", "--", "ls"],
    );
    assert!(told.starts_with("musl 1.2.5: `/bin/ls`"), "{told}");
}

#[test]
fn the_search_path_is_searched_as_the_runtime_does() {
    let here = |path: &str, dir: &str| {
        let mut config = entrypoint(&["server"]);
        config.env.insert("PATH".to_owned(), path.to_owned());
        config.working_dir = dir.to_owned();
        said(
            &image(&[DEBIAN, &[APP, ("usr/bin/server", What::Program(Some(LD_LINUX), &[]))]], config),
            &Invocation::default(),
        )
    };
    assert!(here("/usr/bin:/app", "").starts_with("glibc"), "the first that has it");
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
fn the_pod_s_folder_and_variables_outrank_the_image_s() {
    let other = ("srv/server", What::Program(Some(LD_LINUX), &[]));
    let config = Config { working_dir: "/app".to_owned(), ..entrypoint(&["./server"]) };
    let facts = image(&[DEBIAN, &[APP, other]], config);
    assert!(said(&facts, &Invocation::default()).starts_with("musl"));
    let moved = Invocation { working_dir: Some("/srv"), ..Invocation::default() };
    assert!(said(&facts, &moved).starts_with("glibc"));
    let command = words(&["server"]);
    let env = |name: &str| (name == "PATH").then_some("/srv");
    let searched = Invocation { command: Some(&command), env: &env, ..Invocation::default() };
    assert!(said(&facts, &searched).starts_with("glibc"));
}

#[test]
fn a_program_that_is_not_there_is_not_guessed() {
    let facts = image(&[DEBIAN, &[APP]], entrypoint(&["/app/server"]));
    for command in [&["/usr/bin/mounted"][..], &["mounted"], &["/bin/mounted.sh"], &["sh", "-c", "exec mounted"]] {
        let command = words(command);
        let said = said(&facts, &Invocation { command: Some(&command), ..Invocation::default() });
        assert!(said.contains("a volume may bring it"), "{command:?}: {said}");
    }
}

#[test]
fn a_program_may_be_given_to_its_loader() {
    for (command, resolver) in [
        (&["/lib64/ld-linux-x86-64.so.2", "/usr/bin/python3", "x.py"][..], "glibc 2.41.0: "),
        (&["/lib64/ld-linux-x86-64.so.2", "--library-path", "/x", "/usr/bin/python3"], "glibc 2.41.0: "),
        (&["/lib64/ld-linux-x86-64.so.2", "/app/server"], "musl: "),
        (&["/lib64/ld-linux-x86-64.so.2", "/bin/sh", "-c", "exec /app/server"], "musl: "),
        (&["/lib64/ld-linux-x86-64.so.2", "/nowhere"], "unknown: "),
        (&["/lib64/ld-linux-x86-64.so.2"], "unknown: "),
    ] {
        let told = on_debian(&[], command);
        assert!(told.starts_with(resolver), "{command:?}: {told}");
    }
}

#[test]
fn commands_made_to_take_long_end_soon() {
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
        said(&facts, &Invocation { command: Some(&command), ..Invocation::default() });
        assert!(started.elapsed().as_secs() < 5, "{:?}", &command[..2]);
    }
    let long = words(&["sh", "-c", &"x".repeat(300 << 10)]);
    assert!(said(&facts, &Invocation { command: Some(&long), ..Invocation::default() }).contains("too long"));
}
