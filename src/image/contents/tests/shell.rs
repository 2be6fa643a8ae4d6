//! The commands of a shell text, and those that replace the shell.

use crate::budget::turns_of;
use crate::image::contents::files::script::ScriptScan;
use crate::image::contents::shell::parser::ShellText;

/// Returns the commands of a text in order, those with `exec` after a `!`.
fn commands_of(text: &str) -> Vec<String> {
    let mark = |exec: bool| if exec { "!" } else { "" };
    ShellText::parse(text)
        .commands
        .iter()
        .map(|command| format!("{}{}", mark(command.exec), command.words.join(" ")))
        .collect()
}

/// Returns the commands that may replace a script of this text.
fn replacing(text: &str) -> Vec<String> {
    let mut scan = ScriptScan::default();
    scan.feed(b"#!/bin/sh\n");
    scan.feed(text.as_bytes());
    scan.finish(true).unwrap().starts.iter().map(|words| words.join(" ")).collect()
}

#[test]
fn finds_the_commands_between_separators() {
    for (text, commands) in [
        ("a b; c && d || e | f & g\nh", &["a b", "c", "d", "e", "f", "g", "h"][..]),
        ("A=1 B=\"2 3\" app --x", &["app --x"]),
        ("set -e; cd /; export X=1; echo done; exit 0", &[]),
        ("app 'one word' \"two words\" three\\ words", &["app one word two words three words"]),
        ("app > log 2>&1 < in >>more &>all", &["app"]),
        ("exec app 3>&1 # comment", &["!app"]),
        ("exec > log", &[]),
        ("app <<< word", &["app"]),
        ("app \\\n  --long \\\n  --options", &["app --long --options"]),
        ("app '#' no#comment", &["app # no#comment"]),
        ("if a; then b; else c; fi", &["a", "b", "c"]),
        ("while ! a; do b; done", &["a", "b"]),
        ("for x in a b; do c; done", &["c"]),
        ("case x in a|b) c;; *) d;; esac", &["c", "d"]),
        ("list=(a b 'c)'); d", &["d"]),
        ("(a; b) | { c; }", &["a", "b", "c"]),
        ("command -v a; command b; time c", &["b", "c"]),
        ("exec -a name app; x", &["!app"]),
    ] {
        assert_eq!(commands_of(text), commands, "{text}");
    }
}

#[test]
fn words_that_only_the_shell_knows_are_marked() {
    for (text, commands) in [
        ("exec $APP", &["!$?"][..]),
        ("exec \"${HOME}/bin/app\"", &["!$?/bin/app"]),
        ("exec `which app`", &["!$?"]),
        ("exec $(which app | head -1) x", &["!$? x"]),
        ("exec \"$@\"", &["!$@"]),
        ("exec ${1+\"$@\"}", &["!$@"]),
        ("exec app \"$0\" \"${@:2}\"", &["!app $0 $?"]),
        ("eval app; b", &["eval app", "$?"]),
        ("PATH=/x:$PATH; app; /bin/app", &["$?", "/bin/app"]),
        (". ./env; app; /bin/app", &["$?", "/bin/app"]),
        ("export GODEBUG=netdns=cgo; /bin/app", &["$?"]),
    ] {
        assert_eq!(commands_of(text), commands, "{text}");
    }
}

#[test]
fn a_here_document_starts_nothing() {
    for text in [
        "cat > /x <<EOF\nexec other\nEOF\nexec app",
        "cat <<'END OF' > /x\nexec other\nEND OF\nexec app",
        "cat <<-\"EOF\" | tee x\n\texec other\n\tEOF\nexec app",
        "cat <<A <<B\nexec other\nA\nexec other\nB\nexec app",
    ] {
        let commands = commands_of(text);
        assert!(!commands.iter().any(|command| command.contains("other")), "{text}: {commands:?}");
        assert_eq!(commands.last().map(String::as_str), Some("!app"), "{text}: {commands:?}");
    }
    assert_eq!(commands_of("cat <<EOF\nexec other"), ["cat"]);
}

#[test]
fn follows_the_shell_to_another_folder() {
    for (text, commands) in [
        ("cd /app && exec ./server", &["!/app/./server"][..]),
        ("cd /app; exec bin/server", &["!/app/bin/server"]),
        ("cd app\ncd sub\nexec ./server", &["!app/sub/./server"]),
        ("cd /app || exit 1; ./server", &["/app/./server"]),
        ("mkdir x && cd x && ./server", &["mkdir x", "x/./server"]),
        ("a && cd x; ./server", &["a", "$?"]),
        ("a || cd x; ./server", &["a", "$?"]),
        ("if a; then cd x; fi; ./server", &["a", "$?"]),
        ("(cd x; a); ./server", &["a", "$?"]),
        ("cd $DIR; ./server; /bin/app; app", &["$?", "/bin/app", "app"]),
        ("cd; ./server", &["$?"]),
        ("cd -; ./server", &["$?"]),
        ("pushd /x; ./server", &["$?"]),
    ] {
        assert_eq!(commands_of(text), commands, "{text}");
    }
}

#[test]
fn only_a_certain_exec_replaces_a_script() {
    for (text, starts) in [
        ("set -e\nmigrate\nexec app \"$@\"", &["app $@"][..]),
        ("if a; then exec one; fi\nexec two", &["one", "two"]),
        ("if a; then exec one; else exec two; fi", &["one", "two"]),
        ("case $1 in x) exec one;; *) exec \"$@\";; esac", &["one", "$@"]),
        ("case $1 in x) exec one;; *) echo usage; exit 1;; esac", &["one"]),
        ("if [ -n \"$D\" ]; then exec debug; fi\napp", &[]),
        ("if a; then other; else exec app; fi", &[]),
        ("case $1 in x) other;; *) exec app;; esac", &[]),
        ("case $1 in x) exec app;; *) other;; esac", &[]),
        ("app &\nwait", &[]),
        ("while true; do app; sleep 1; done", &[]),
        ("exec app || exit 1", &["app"]),
        ("exec app || { echo failed; exit 1; }", &["app"]),
        ("[ x ] || exec app", &["app"]),
        ("a || exec app", &[]),
        ("main() {\n  prepare\n  exec app \"$@\"\n}\nmain \"$@\"", &["app $@"]),
        ("main() { exec app; }; if ! sourced; then main \"$@\"; fi", &["app"]),
        ("start() { main; }; main() { exec app; }; start", &["app"]),
        ("function main { app; }\nother() { exec x; }\nmain", &[]),
        ("a() { b; }; b() { a; }; a", &[]),
        ("exec app \"$@\"\n' '''\nimport x\nprint(x)", &["app $@"]),
    ] {
        assert_eq!(replacing(text), starts, "{text}");
    }
}

/// Each path must end in `exec`, in an error, or without a program. A table of cases, hence its length.
#[test]
fn every_path_decides() {
    for (text, starts) in [
        // A list that fails does not end the script.
        ("[ -n \"$D\" ] && exec one; exec two", &["one", "two"][..]),
        ("[ -n \"$D\" ] && exec one\napp", &[]),
        ("[ -n \"$D\" ] && exec one", &["one"]),
        ("[ a ] || exec one; exec two", &["one", "two"]),
        ("[ a ] && [ b ] || exec one; exec two", &["one", "two"]),
        ("[ a ] && { [ b ] && exec one; exec two; }; exec three", &["one", "two", "three"]),
        ("[ a ] && { [ b ] && exec one; exec two; }; app", &[]),
        ("mkdir -p /x && exec app", &["app"]),
        ("migrate && exec app", &["app"]),
        ("migrate && exec app; other", &[]),
        ("if [ x ]; then [ y ] && exec one; fi; exec two", &["one", "two"]),
        ("exec one | tee log; app", &["one"]),
        ("exec one & exec two", &["one", "two"]),
        ("exec one & wait", &[]),
        ("(exec one); app", &[]),
        ("(exec one); exec two", &["two"]),
        // `exit` ends the script, and `return` a function.
        ("if [ x ]; then exec one; fi; exit 0; app", &["one"]),
        ("[ x ] && exec one; exit 1\nexec two", &["one"]),
        ("exit 1; exec app", &[]),
        ("[ x ] || exit 1; exec app", &["app"]),
        ("migrate || exit; exec app", &["app"]),
        ("if [ x ]; then migrate; exit 0; fi; exec app", &[]),
        ("if [ x ]; then migrate; exit; fi; exec app", &[]),
        ("if [ x ]; then cat usage; exit 0; fi; exec app", &["app"]),
        ("if [ x ]; then help; exit 64; fi; exec app", &["app"]),
        ("case $1 in x) app; exit $?;; *) exec \"$@\";; esac", &[]),
        ("f() { [ x ] && return; exec one; }; f; exec two", &["one", "two"]),
        ("f() { [ x ] && return; exec one; }; f; app", &[]),
        ("f() { [ x ] && return 1; exec one; }; f && exec two; exec three", &["one", "three"]),
        ("f() { [ x ] && return 1; [ y ] || exec one; }; f && exec two; exec three", &["one", "two", "three"]),
        ("f() { return; exec one; }; f; exec two", &["two"]),
        ("f() { exit 1; }; f; exec one", &[]),
        ("f() { [ x ] && exit 0; [ y ]; }; app; f; exec one", &[]),
        ("f() { app; exit; }; [ x ] && f; exec one", &[]),
        ("if [ x ]; then exec one; fi", &["one"]),
        ("app; if [ x ]; then exec one; fi", &[]),
        ("if test; then :; elif [ x ]; then exec one; else exec two; fi; app", &[]),
        ("if [ y ]; then exec one; elif [ x ]; then exec two; else exec three; fi; app", &["one", "two", "three"]),
        // A `case` without `*)` may take no branch.
        ("case $1 in x) exec one;; esac; exec two", &["one", "two"]),
        ("case $1 in (x) exec one;; (*) exec two;; esac; app", &["one", "two"]),
        ("case $1 in x) exec one;; \"*\") exec two;; esac; app", &[]),
        ("case $1 in x) exec one;& *) app;; esac", &[]),
        ("(case $1 in x) a;; esac); exec one", &["one"]),
        ("if [ x ]; then case $1 in a) exec one;; esac; fi; exec two", &["one", "two"]),
        // A loop may run no time, or be left.
        ("while [ x ]; do exec one; done; exec two", &["one", "two"]),
        ("while [ x ]; do exec one; done; app", &[]),
        ("while :; do app; [ x ] && break; exec one; done", &[]),
        ("for x in a b; do [ $x ] && continue; exec one; done; exec two", &["one", "two"]),
        ("until ready; do sleep 1; done; exec app", &["app"]),
        ("install() { app; }; [ x ] && exec one; install", &[]),
        ("f() ( exec one ); f; exec two", &["two"]),
        ("if [ x ]; then f() { exec one; }; else f() { exec two; }; fi; f; app", &["one", "two"]),
        ("if [ x ]; then f() { exec one; }; fi; app", &[]),
        ("if [ x ]; then exec one", &[]),
    ] {
        assert_eq!(replacing(text), starts, "{text}");
    }
}

#[test]
fn a_script_may_change_its_arguments() {
    for (text, starts) in [
        ("if [ \"${1#-}\" != \"$1\" ]; then\n  set -- app \"$@\"\nfi\nexec \"$@\"", &["$@", "app $@"][..]),
        ("set -- app \"$@\"\nexec \"$@\"", &["app $@"]),
        ("set -- app \"$@\"; set -- tini -- \"$@\"; exec \"$@\"", &["tini -- app $@"]),
        ("set app -x; exec \"$@\"", &["app -x"]),
        ("[ x ] && set -- app \"$@\"; exec gosu u \"$@\"", &["gosu u $@", "gosu u app $@"]),
        ("shift; exec \"$@\"", &["$?"]),
        ("shift; exec app \"$@\"", &["app $?"]),
        ("f() { shift; }; exec \"$@\"", &["$@"]),
        ("set -e; set -o pipefail; exec \"$@\"", &["$@"]),
    ] {
        assert_eq!(replacing(text), starts, "{text}");
    }
}

#[test]
fn hostile_texts_end() {
    let doubled = "set -- \"$@\" \"$@\"\n".repeat(3000);
    assert_eq!(replacing(&format!("{doubled}exec \"$@\"")).len(), 1);
    let variants = "[ x ] && set -- a \"$@\"\n".repeat(2000);
    assert_eq!(replacing(&format!("{variants}exec \"$@\"")), ["$?"]);
    let nested = "if a; then ".repeat(20_000);
    commands_of(&nested);
    commands_of(&"(".repeat(60_000));
    commands_of(&"a|".repeat(30_000));
    commands_of(&format!("case x in {}", "a|b)".repeat(15_000)));
    let functions: String = (0..2000).map(|n| format!("f{n}() {{ f{}; }}\n", n + 1)).collect();
    assert!(replacing(&format!("{functions}f0")).is_empty());
}

#[test]
fn a_script_that_is_too_long_has_no_known_commands() {
    let padding = "# padding\n".repeat(7000);
    assert!(replacing(&format!("exec early\n{padding}")).is_empty());
}

/// Returns the branches of a `case`, each with this body.
fn branches(count: usize, body: &str) -> String {
    let branches: String = (0..count).map(|number| format!("{number}) {body};; ")).collect();
    format!("case $x in {branches}*) {body};; esac")
}

#[test]
fn functions_with_many_branches_are_read_once_each() {
    let mut text: String =
        (0..200).map(|n| format!("f{n}() {{\n{}\n}}\n", branches(16, &format!("f{}", n + 1)))).collect();
    text.push_str("f200() { exec app; }\nf0");
    assert!(text.len() < 64 << 10);
    let (starts, turns) = turns_of(|| replacing(&text));
    assert_eq!(starts, ["app"]);
    assert!(turns < 2 * text.len() as u64, "{turns} turns for {} bytes", text.len());
}

#[test]
fn a_function_that_calls_itself_in_a_branch_replaces_nothing() {
    assert!(replacing("retry() { if a; then exec app; else retry; fi; }\nretry").is_empty());
    assert_eq!(replacing("run() { exec app; }\nif a; then run; else run; fi"), ["app"]);
}

#[test]
fn many_texts_take_little_memory() {
    let long = "w".repeat(30_000);
    let many = [
        format!("set -- {long}; {}", "[ x ] && exec \"$@\"\n".repeat(1500)),
        format!("{}{}", "cd aaaaaaaa\n".repeat(3000), "./x;".repeat(6000)),
        "a;".repeat(32_000),
        "exec -c -l ".repeat(5000),
        format!("{}{}", "{ ".repeat(15_000), "a;".repeat(15_000)),
    ];
    for text in many {
        let parsed = ShellText::parse(&text);
        let words: usize = parsed.commands.iter().flat_map(|command| &command.words).map(|word| word.len()).sum();
        assert!(words < 1 << 20 && parsed.commands.len() < 12_000, "{} commands, {words} bytes", parsed.commands.len());
    }
}
