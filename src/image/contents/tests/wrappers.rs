//! The programs that wrappers start.

use std::rc::Rc;

use crate::image::contents::shell::wrappers::{Unwrapped, unwrap};

fn starts(command: &str) -> Unwrapped {
    let words: Vec<Rc<str>> = command.split(' ').map(Rc::from).collect();
    let name = words[0].rsplit('/').next().unwrap().to_owned();
    unwrap(&name, &words)
}

#[test]
fn finds_the_program_after_the_options() {
    for command in [
        "tini app -x",
        "/sbin/tini -- app -x",
        "tini -g -vvv -p SIGTERM -e 143 -- app -x",
        "docker-init -s -- app -x",
        "dumb-init app -x",
        "dumb-init -c --rewrite 15:3 -r 2:3 -- app -x",
        "catatonit -g -- app -x",
        "gosu user:group app -x",
        "su-exec 1000 app -x",
        "s6-setuidgid user app -x",
        "env app -x",
        "env -i A=1 B=two app -x",
        "env -u HOME --unset=X -- A=1 app -x",
        "env -S app -x",
        "env -Sapp -x",
        "env --split-string=app -x",
        "nohup app -x",
        "nice -n 5 app -x",
        "nice -10 app -x",
        "nice app -x",
        "ionice -c2 -n 7 app -x",
        "stdbuf -oL -e 0 app -x",
        "timeout -k 5 --signal=TERM 30 app -x",
        "setsid -w app -x",
        "setpriv --reuid=1000 --regid 1000 --clear-groups --inh-caps=-all -- app -x",
        "chpst -u user -o 1024 app -x",
        "sudo -E -u user app -x",
        "taskset -a 0x3 app -x",
        "chrt -f 99 app -x",
        "prlimit --nofile=1024 app -x",
        "numactl --interleave=all app -x",
        "dbus-run-session -- app -x",
        "time -f %e -o log app -x",
        "flock -n -w 5 /lock app -x",
        "linux32 -R app -x",
        "envdir /env app -x",
        "setlock -nx /lock app -x",
    ] {
        assert_eq!(starts(command), Unwrapped::Starts(vec!["app".into(), "-x".into()]), "{command}");
    }
}

#[test]
fn splits_the_text_of_env() {
    let words = |words: &[&str]| words.iter().map(|word| Rc::from(*word)).collect::<Vec<Rc<str>>>();
    let env = |argv: &[&str]| unwrap("env", &words(argv));
    for argv in [
        &["env", "-S", "A=1 app -x", "more"][..],
        &["env", "-SA=1 app -x", "more"],
        &["env", "-i", "-S", "-u HOME app -x", "more"],
        &["env", "-vS", "app -x", "more"],
        &["env", "--split-string", " app  -x ", "more"],
    ] {
        assert_eq!(env(argv), Unwrapped::Starts(words(&["app", "-x", "more"])), "{argv:?}");
    }
    assert_eq!(env(&["env", "-S", "'an app' x"]), Unwrapped::Starts(words(&["$?", "$?", "x"])));
    assert_eq!(env(&["env", "-S", "-S x", "y"]), Unwrapped::Unclear);
    assert_eq!(env(&vec!["env"; 1].into_iter().chain(vec!["-S"; 100_000]).collect::<Vec<_>>()), Unwrapped::Unclear);
}

#[test]
fn arguments_without_a_program_are_unclear() {
    for command in [
        "tini",
        "tini --",
        "tini --unheard-of app",
        "gosu user",
        "env",
        "env A=1",
        "env -C /app ./server",
        "env PATH=/other app",
        "env GODEBUG=netdns=cgo app",
        "timeout 5",
        "sudo -i",
    ] {
        assert_eq!(starts(command), Unwrapped::Unclear, "{command}");
    }
}

#[test]
fn other_programs_are_no_wrappers() {
    for command in ["app -x", "tiny app", "/env/app x", "python3 env app"] {
        assert_eq!(starts(command), Unwrapped::NoWrapper, "{command}");
    }
}
