//! Wrappers: programs that only start another one, named in their arguments. Launchers: programs that start others which are named in
//! files, or in arguments that muslin does not parse. Must not know which resolver any of them has.

use std::rc::Rc;

use super::lexer::{UNKNOWN_WORD, is_assignment};

/// The syntax of a wrapper's arguments.
struct Wrapper {
    names: &'static [&'static str],
    /// Options whose value is the next word.
    valued: &'static [&'static str],
    /// Prefixes of options without a value, or with the value in the same word.
    flags: &'static [&'static str],
    /// The number of words before the program.
    before: usize,
}

/// The program that a wrapper starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwrapped {
    /// The program is no wrapper.
    NoWrapper,
    /// The wrapper starts this program with its arguments.
    Starts(Vec<Rc<str>>),
    /// The arguments do not say what the wrapper starts.
    Unclear,
}

const fn wrapper(
    names: &'static [&'static str],
    valued: &'static [&'static str],
    flags: &'static [&'static str],
    before: usize,
) -> Wrapper {
    Wrapper { names, valued, flags, before }
}

/// The wrappers, from their usage texts: tini 0.19, dumb-init 1.2.5, catatonit 0.2, gosu 1.17, su-exec 0.2, coreutils 9.4, util-linux 2.39,
/// sudo 1.9, runit 2.1, numactl 2.0, time 1.9, daemontools 0.76, libeatmydata 131.
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
    wrapper(
        &["time"],
        &["-f", "-o", "--format", "--output"],
        &["-a", "-p", "-q", "-v", "--append", "--portability", "--quiet", "--verbose", "--format=", "--output="],
        0,
    ),
    wrapper(
        &["flock"],
        &["-w", "-E", "--timeout", "--wait", "--conflict-exit-code"],
        &[
            "-s",
            "-x",
            "-e",
            "-n",
            "-u",
            "-F",
            "-o",
            "--shared",
            "--exclusive",
            "--nonblock",
            "--nb",
            "--unlock",
            "--no-fork",
            "--close",
            "--verbose",
            "--timeout=",
            "--wait=",
            "--conflict-exit-code=",
        ],
        1,
    ),
    wrapper(
        &["linux32", "linux64", "i386", "x86_64"],
        &[],
        &["-B", "-F", "-I", "-L", "-R", "-S", "-T", "-X", "-Z", "-v", "--uname-2.6", "--addr-no-randomize"],
        0,
    ),
    wrapper(&["envdir", "envuidgid"], &[], &[], 1),
    wrapper(&["setlock"], &[], &["-n", "-N", "-x", "-X"], 1),
    wrapper(&["pgrphack", "fghack", "eatmydata"], &[], &[], 0),
    wrapper(&["dbus-run-session"], &["--config-file", "--dbus-daemon"], &["--config-file=", "--dbus-daemon="], 0),
];

/// The options of `env` with a value, except `-S`, which [`split_text`] reads, and `-C`, which is not followed.
const ENV_VALUED: &[&str] = &["-u", "--unset"];
/// The most words of a command that are looked at; only the first ones decide what runs.
pub(crate) const WORDS_MAX: usize = 1024;
/// The options of `env` without a value.
const ENV_FLAGS: &[&str] =
    &["-i", "--ignore-environment", "-0", "--null", "--unset=", "--debug", "--ignore-signal", "--default-signal"];
/// The variables that decide which program is found, or how a Go program resolves names.
const DECISIVE: [&str; 2] = ["PATH", "GODEBUG"];

/// The launchers. The program that matters is one that they start.
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
    // Timers, and servers that start a program for each connection.
    "supercronic",
    "cron",
    "crond",
    "dcron",
    "fcron",
    "yacron",
    "anacron",
    "atd",
    "go-cron",
    "go-crond",
    "ofelia",
    "inetd",
    "xinetd",
    "tcpserver",
    "tcpsvd",
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
    "wait-for",
    "wait4x",
    "gomplate",
    "dlv",
    "setarch",
    "softlimit",
    "capsh",
    "authbind",
    "cgexec",
    "systemd-run",
    "bwrap",
    "firejail",
    "proot",
    "xvfb-run",
    "dbus-launch",
    "script",
    "unbuffer",
    "watch",
    "perf",
    "faketime",
    "torsocks",
    "proxychains",
    "proxychains4",
    "pidproxy",
    "with-contenv",
];

/// Returns true if a program of this name starts another one: a wrapper or a launcher.
pub(crate) fn is_starter(name: &str) -> bool {
    is_wrapper(name) || is_launcher(name)
}

/// Returns true for the name of a launcher.
pub(crate) fn is_launcher(name: &str) -> bool {
    // The programs of s6 and s6-overlay that start no other are not the command of a container.
    LAUNCHERS.contains(&name) || (name.starts_with("s6-") && !is_wrapper(name))
}

/// Returns true for the name of a wrapper.
fn is_wrapper(name: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| wrapper.names.contains(&name))
}

/// Finds the program that `argv`, a program with its arguments, starts.
pub(crate) fn unwrap(name: &str, argv: &[Rc<str>]) -> Unwrapped {
    unwrap_split(name, argv, false)
}

fn unwrap_split(name: &str, argv: &[Rc<str>], is_split: bool) -> Unwrapped {
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) else {
        return Unwrapped::NoWrapper;
    };
    let is_env = name == "env";
    let Wrapper { names: _, valued, flags, before } = wrapper;
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        let word = &**word;
        if word == "--" {
            at += 1;
            break;
        } else if is_env && let Some(words) = split_text(&argv[at..]) {
            // `env -S` inside the text of `env -S`: valid, but not followed.
            return if is_split { Unwrapped::Unclear } else { unwrap_split(name, &words, true) };
        } else if valued.contains(&word) {
            at += 2;
        } else if word.starts_with('-') && (word == "-" || flags.iter().any(|flag| word.starts_with(flag))) {
            at += 1;
        } else if word.starts_with('-') {
            return Unwrapped::Unclear;
        } else {
            break;
        }
    }
    at += before;
    while is_env && let Some(word) = argv.get(at).filter(|word| is_assignment(word)) {
        if DECISIVE.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))) {
            return Unwrapped::Unclear;
        }
        at += 1;
    }
    match argv.get(at..) {
        // `flock FILE -c TEXT` is for a shell.
        Some([option, text, ..]) if name == "flock" && matches!(&**option, "-c" | "--command") => {
            Unwrapped::Starts(["sh", "-c", text].map(Rc::from).to_vec())
        }
        Some(starts) if !starts.is_empty() => Unwrapped::Starts(starts.to_vec()),
        _ => Unwrapped::Unclear,
    }
}

/// Returns the arguments of `env -S 'program argument' more` with the text split, if `argv` begins with `-S`. Words with quotes or
/// variables are unknown.
fn split_text(argv: &[Rc<str>]) -> Option<Vec<Rc<str>>> {
    let (first, rest) = argv.split_first()?;
    let (text, rest) = match &**first {
        "-S" | "-vS" | "--split-string" => (&**rest.first()?, rest.get(1..).unwrap_or_default()),
        joined => {
            let text = ["-S", "-vS", "--split-string="].iter().find_map(|option| joined.strip_prefix(option))?;
            (text, rest)
        }
    };
    let word =
        |word: &str| -> Rc<str> { if word.contains(['\'', '"', '\\', '$']) { UNKNOWN_WORD } else { word }.into() };
    let words = text.split_whitespace().map(word);
    Some([Rc::from("env")].into_iter().chain(words).chain(rest.iter().cloned()).take(WORDS_MAX).collect())
}
