//! Programs that only start another, which takes their place or is their one child: how each one's arguments are written, so that
//! the other can be found. Must not know what that is.

use super::shell::is_assignment;

/// How the arguments of one such program are written.
struct Wrapper {
    names: &'static [&'static str],
    /// Options whose value is the next word.
    valued: &'static [&'static str],
    /// Options without a value, or with it in the same word, as what they begin with.
    flags: &'static [&'static str],
    /// How many words stand before the program.
    before: usize,
    /// `NAME=value` words may stand before the program.
    assigns: bool,
}

/// What the arguments of a program tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unwrapped {
    /// It is none of these.
    NoWrapper,
    /// The program that it starts is the word at this place, and its arguments follow.
    Starts(usize),
    /// It is one, and what it starts cannot be told.
    Untold,
}

const fn wrapper(
    names: &'static [&'static str],
    valued: &'static [&'static str],
    flags: &'static [&'static str],
    before: usize,
) -> Wrapper {
    Wrapper { names, valued, flags, before, assigns: false }
}

/// From each one's usage text: tini 0.19, dumb-init 1.2.5, catatonit 0.2, gosu 1.17, su-exec 0.2, coreutils 9.4, util-linux 2.39.
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
    Wrapper {
        names: &["env"],
        valued: &["-u", "--unset", "-C", "--chdir"],
        flags: &["-i", "--ignore-environment", "-0", "--null", "--unset=", "--chdir=", "-v", "--debug"],
        before: 0,
        assigns: true,
    },
];

/// Whether a program of this name only starts another.
pub(super) fn is_wrapper(name: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| wrapper.names.contains(&name))
}

/// Finds what `argv`, a program with its arguments, starts.
pub(super) fn unwrap(name: &str, argv: &[String]) -> Unwrapped {
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) else {
        return Unwrapped::NoWrapper;
    };
    let Wrapper { names: _, valued, flags, before, assigns } = wrapper;
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        if word == "--" {
            at += 1;
            break;
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
    while *assigns && argv.get(at).is_some_and(|word| is_assignment(word)) {
        at += 1;
    }
    if at < argv.len() { Unwrapped::Starts(at) } else { Unwrapped::Untold }
}
