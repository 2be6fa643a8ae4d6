//! The commands that decide nothing: those of the shell itself, and small programs that end soon and look up no name. Must not know the
//! grammar.

/// Commands of the shell itself, which start no program.
const BUILTINS: &[&str] = &[
    ":",
    "[",
    "[[",
    "alias",
    "bg",
    "break",
    "cd",
    "continue",
    "declare",
    "disown",
    "echo",
    "enable",
    "exit",
    "export",
    "false",
    "fg",
    "getopts",
    "hash",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    ".",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];

/// Programs of coreutils, findutils, grep, sed, awk and gettext that read and write files and look up no host name.
const FILE_TOOLS: &[&str] = &[
    "awk", "basename", "cat", "chgrp", "chmod", "chown", "cp", "cut", "date", "dirname", "egrep", "envsubst", "expr",
    "fgrep", "find", "grep", "head", "id", "install", "ln", "ls", "mkdir", "mktemp", "mv", "nproc", "printenv",
    "readlink", "realpath", "rm", "rmdir", "sed", "seq", "sleep", "sort", "stat", "tail", "tee", "touch", "tr",
    "uname", "uniq", "wc", "which", "whoami",
];

/// Returns true for a command of the shell itself.
pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTINS.contains(&name)
}

/// Returns true for a program that works on files alone: the answer does not depend on it.
pub(crate) fn is_file_tool(name: &str) -> bool {
    FILE_TOOLS.contains(&name.rsplit('/').next().unwrap_or(name))
}
