//! Programs that only start another, which takes their place or is their one child: how each one's arguments are written, so that
//! the other can be found. And programs that start others by what is in files or in a language of their own, so that it cannot.
//! Must not know what any of these is.

use super::lexer::{UNTOLD, is_assignment};

/// How the arguments of one such program are written.
struct Wrapper {
    names: &'static [&'static str],
    /// Options whose value is the next word.
    valued: &'static [&'static str],
    /// Options without a value, or with it in the same word, as what they begin with.
    flags: &'static [&'static str],
    /// How many words stand before the program.
    before: usize,
}

/// What the arguments of a program tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwrapped {
    /// It is none of these.
    NoWrapper,
    /// It starts this, a program with its arguments.
    Starts(Vec<String>),
    /// It is one, and what it starts cannot be told.
    Untold,
}

const fn wrapper(
    names: &'static [&'static str],
    valued: &'static [&'static str],
    flags: &'static [&'static str],
    before: usize,
) -> Wrapper {
    Wrapper { names, valued, flags, before }
}

/// From each one's usage text: tini 0.19, dumb-init 1.2.5, catatonit 0.2, gosu 1.17, su-exec 0.2, coreutils 9.4, util-linux 2.39,
/// sudo 1.9, runit 2.1, numactl 2.0.
const WRAPPERS: &[Wrapper] = &[
    wrapper(&["tini", "tini-static", "docker-init"], &["-p", "-e"], &["-s", "-w", "-g", "-v"], 0),
    wrapper(&["dumb-init"], &["-r", "--rewrite"], &["-c", "--single-child", "-v", "--verbose", "--rewrite="], 0),
    wrapper(&["catatonit"], &[], &["-g"], 0),
    wrapper(&["gosu", "su-exec", "s6-setuidgid", "setuidgid"], &[], &[], 1),
    wrapper(&["nohup", "s6-setsid"], &[], &[], 0),
    wrapper(&["setsid"], &[], &["-c", "-f", "-w"], 0),
    wrapper(&["nice"], &["-n", "--adjustment"], &["-", "--adjustment="], 0),
    wrapper(&["ionice"], &["-c", "-n", "--class", "--classdata"], &["-c", "-n", "-t", "--class=", "--classdata="], 0),
    wrapper(&["stdbuf"], &["-i", "-o", "-e"], &["-i", "-o", "-e", "--input=", "--output=", "--error="], 0),
    wrapper(
        &["timeout"],
        &["-s", "-k", "--signal", "--kill-after"],
        &["-v", "--foreground", "--preserve-status", "--signal=", "--kill-after="],
        1,
    ),
    wrapper(
        &["setpriv"],
        &["--reuid", "--regid", "--groups", "--inh-caps", "--ambient-caps", "--bounding-set", "--securebits"],
        &[
            "--reuid=",
            "--regid=",
            "--groups=",
            "--inh-caps=",
            "--ambient-caps=",
            "--bounding-set=",
            "--securebits=",
            "--clear-groups",
            "--keep-groups",
            "--init-groups",
            "--no-new-privs",
            "--nnp",
            "--reset-env",
            "--pdeathsig=",
        ],
        0,
    ),
    wrapper(&["env"], ENV_VALUED, ENV_FLAGS, 0),
    wrapper(&["chrt"], &[], &["-b", "-f", "-i", "-o", "-r"], 1),
    wrapper(&["taskset"], &[], &["-a"], 1),
    wrapper(&["prlimit"], &[], &["--"], 0),
    wrapper(
        &["numactl"],
        &["-i", "-m", "-N", "-C", "-p"],
        &["--interleave=", "--membind=", "--cpunodebind=", "--physcpubind=", "--preferred=", "--localalloc", "-l"],
        0,
    ),
    wrapper(
        &["sudo"],
        &["-u", "-g", "-p", "-C", "-T", "--user", "--group"],
        &["-E", "-H", "-n", "-k", "-S", "--user=", "--group=", "--preserve-env"],
        0,
    ),
    wrapper(
        &["chpst"],
        &["-u", "-U", "-b", "-e", "-n", "-l", "-L", "-m", "-d", "-o", "-p", "-f", "-c", "-r", "-t"],
        &["-v", "-P", "-0", "-1", "-2"],
        0,
    ),
    wrapper(&["dbus-run-session"], &["--config-file", "--dbus-daemon"], &["--config-file=", "--dbus-daemon="], 0),
];

/// Of `env`, but for what splits a text into words, and for another folder, which is not followed.
const ENV_VALUED: &[&str] = &["-u", "--unset"];
const ENV_FLAGS: &[&str] =
    &["-i", "--ignore-environment", "-0", "--null", "--unset=", "--debug", "--ignore-signal", "--default-signal"];
/// Environment variables that decide which program is found, or how a Go program resolves.
const DECISIVE: [&str; 2] = ["PATH", "GODEBUG"];

/// Programs that start others and stay beside them, by what is in files, or by arguments that are written in too many ways. The one
/// that matters is not the one that is named.
const LAUNCHERS: &[&str] = &[
    // Supervisors.
    "init",
    "systemd",
    "openrc-init",
    "runit",
    "runit-init",
    "runsvdir",
    "runsv",
    "runsvinit",
    "my_init",
    "s6-svscan",
    "s6-supervise",
    "s6-overlay-suexec",
    "s6-linux-init",
    "s6-rc-init",
    "execlineb",
    "supervisord",
    "circusd",
    "monit",
    "horust",
    "multirun",
    "hivemind",
    "overmind",
    "goreman",
    "honcho",
    "foreman",
    "process-compose",
    "perpd",
    "svscan",
    "svscanboot",
    "nitro",
    "dinit",
    // Starters that stay, and change the user, the root or the environment.
    "su",
    "runuser",
    "doas",
    "chroot",
    "unshare",
    "nsenter",
    "start-stop-daemon",
    "xargs",
    "parallel",
    "watchexec",
    "entr",
    "strace",
    "ltrace",
    "gdbserver",
    "valgrind",
    "fakeroot",
    "dockerize",
    "confd",
    "containerpilot",
    "consul-template",
    "envconsul",
    "chamber",
    "aws-vault",
    "vault-env",
    "aws-env",
    "doppler",
    "infisical",
    "ssm-env",
    "sops",
    "berglas",
    "op",
    "teller",
    "direnv",
    "mise",
    "asdf",
    "uv",
    "uvx",
    "pixi",
    "micromamba",
    "mamba",
    "conda",
    "nix",
    "nix-shell",
    "waitforit",
    "wait-for-it",
];

/// Whether a program of this name is there only for the sake of another.
pub(crate) fn is_starter(name: &str) -> bool {
    is_wrapper(name) || is_launcher(name)
}

/// Whether a program of this name starts others, which its arguments do not tell.
pub(crate) fn is_launcher(name: &str) -> bool {
    LAUNCHERS.contains(&name)
}

/// Whether a program of this name only starts another.
pub(crate) fn is_wrapper(name: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| wrapper.names.contains(&name))
}

/// Finds what `argv`, a program with its arguments, starts.
pub(crate) fn unwrap(name: &str, argv: &[String]) -> Unwrapped {
    unwrap_split(name, argv, false)
}

fn unwrap_split(name: &str, argv: &[String], is_split: bool) -> Unwrapped {
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) else {
        return Unwrapped::NoWrapper;
    };
    let is_env = name == "env";
    let Wrapper { names: _, valued, flags, before } = wrapper;
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        if word == "--" {
            at += 1;
            break;
        } else if is_env && let Some(words) = split_text(&argv[at..]) {
            // `env` itself splits a text in a text; nobody writes that.
            return if is_split { Unwrapped::Untold } else { unwrap_split(name, &words, true) };
        } else if valued.contains(&word.as_str()) {
            at += 2;
        } else if word.starts_with('-') && (word == "-" || flags.iter().any(|flag| word.starts_with(flag))) {
            at += 1;
        } else if word.starts_with('-') {
            return Unwrapped::Untold;
        } else {
            break;
        }
    }
    at += before;
    while is_env && let Some(word) = argv.get(at).filter(|word| is_assignment(word)) {
        if DECISIVE.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))) {
            return Unwrapped::Untold;
        }
        at += 1;
    }
    match argv.get(at..) {
        Some(starts) if !starts.is_empty() => Unwrapped::Starts(starts.to_vec()),
        _ => Unwrapped::Untold,
    }
}

/// `env -S 'program argument' more`: the arguments as they are once the text is split, if this is what begins `argv`. What is quoted
/// in the text, or a variable, is not told.
fn split_text(argv: &[String]) -> Option<Vec<String>> {
    let (first, rest) = argv.split_first()?;
    let (text, rest) = match first.as_str() {
        "-S" | "-vS" | "--split-string" => (rest.first()?.as_str(), rest.get(1..).unwrap_or_default()),
        joined => {
            let text = ["-S", "-vS", "--split-string="].iter().find_map(|option| joined.strip_prefix(option))?;
            (text, rest)
        }
    };
    let word = |word: &str| if word.contains(['\'', '"', '\\', '$']) { UNTOLD.to_owned() } else { word.to_owned() };
    let words = text.split_whitespace().map(word);
    Some(["env".to_owned()].into_iter().chain(words).chain(rest.iter().cloned()).collect())
}
