//! Tests of `muslin explain`, `inspect`, `completions` and `man`, run as programs.

#![expect(clippy::unwrap_used, reason = "a program that cannot be started fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn muslin() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn run(arguments: &[&str]) -> Output {
    muslin().args(arguments).output().unwrap()
}

/// Returns the output of a command that succeeds and writes nothing to standard error.
fn prints(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(arguments);
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success() && stderr.is_empty(), "{arguments:?}: {status}: {stderr}");
    String::from_utf8(stdout).unwrap()
}

/// Returns the standard error of a command that exits with 2.
fn refuses(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = run(arguments);
    assert_eq!(status.code(), Some(2), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

/// A page up to its part about rules, which changes with every new rule.
fn before_rules(page: &str) -> &str {
    let headings = ["\nRules about it\n", "\nFindings on a pod"];
    headings.iter().find_map(|heading| page.split_once(heading)).map_or(page, |(before, _)| before)
}

#[test]
fn explains_a_rule() {
    insta::assert_snapshot!(prints(&["explain", "attempts-zero"]));
}

#[test]
fn explains_an_option() {
    insta::assert_snapshot!(before_rules(&prints(&["explain", "single-request-reopen"])));
}

#[test]
fn explains_the_value_of_an_option() {
    insta::assert_snapshot!(before_rules(&prints(&["explain", "ndots:1"])));
}

#[test]
fn explains_a_resolver_of_one_release() {
    insta::assert_snapshot!(before_rules(&prints(&["explain", "musl-1.2.3"])));
    assert_eq!(prints(&["explain", "musl", "1.2.3"]), prints(&["explain", "musl-1.2.3"]));
}

#[test]
fn explains_every_resolver() {
    for resolver in ["musl", "glibc", "go", "uclibc", "c-ares", "static", "unknown"] {
        assert!(prints(&["explain", resolver]).starts_with(&format!("{resolver}\n")), "{resolver}");
    }
}

#[test]
fn explains_an_image() {
    let page = prints(&["explain", "alpine:3.17"]);
    assert!(page.contains("resolver: musl 1.2.3 (assumed)"), "{page}");
    assert!(page.contains("warn, `musl-slow-retry`"), "{page}");
}

#[test]
fn lists_all_topics() {
    let list = prints(&["explain"]);
    for word in ["attempts-zero", "single-request-reopen", "c-ares", "alpine:3.17"] {
        assert!(list.contains(word), "{word} is missing: {list}");
    }
}

#[test]
fn a_typo_gets_the_word_that_was_meant() {
    insta::assert_snapshot!(refuses(&["explain", "atempts-zero"]), @r"
    error: `atempts-zero` is not a rule, verdict, option, resolver, profile, mode, Event reason, alert, key or image that muslin knows; did you mean `attempts-zero`?
    hint: `muslin explain` lists all topics; an image name needs a tag, as in `app:1.2`
    ");
}

#[test]
fn colour_is_for_terminals_and_on_request() {
    let coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = muslin().args(arguments).envs(environment.iter().copied()).output().unwrap();
        output.stdout.contains(&b'\x1b')
    };
    assert!(!coloured(&["explain", "ndots"], &[]), "into a pipe");
    assert!(coloured(&["--color", "always", "explain", "ndots"], &[]));
    assert!(!coloured(&["--color", "never", "explain", "ndots"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["explain", "ndots"], &[("NO_COLOR", "1")]));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    for arguments in [&["explain"][..], &["completions", "zsh"], &["inspect", "--offline", "-o", "json", "nginx"]] {
        let mut child = muslin().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Closed before the program writes, or while it does; neither may be an error.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn inspect_says_what_references_suggest() {
    insta::assert_snapshot!(prints(&["inspect", "--offline", "alpine:3.17", "nginx", "nats", "example.com/app:1"]));
}

#[test]
fn inspect_writes_json_for_programs() {
    let output =
        prints(&["inspect", "--offline", "-o", "json", "alpine:3.17", "debian:12", "nats", "example.com/app:1"]);
    let images: Vec<Value> = serde_json::from_str(&output).unwrap();
    assert_eq!(
        images[0],
        json!({
            "schemaVersion": 1,
            "image": "alpine:3.17",
            "libc": "musl",
            "resolver": "musl",
            "version": "1.2.3",
            "evidence": "assumed",
            "because": "official `alpine` images are Alpine 3.17, which has musl 1.2.3",
            "beside": null,
        })
    );
    let short = |image: &Value| ["libc", "resolver", "evidence"].map(|field| image[field].as_str().unwrap().to_owned());
    assert_eq!(short(&images[1]), ["glibc", "glibc", "assumed"]);
    assert_eq!(images[1]["version"], Value::Null);
    assert_eq!(short(&images[2]), ["other", "go", "assumed"]);
    assert_eq!(short(&images[3]), ["unknown", "unknown", "none"]);
}

#[test]
fn inspect_names_invalid_references_and_writes_the_others() {
    let arguments = ["inspect", "--offline", "-o", "json", "team/App", "alpine:3.17", "a:b:c"];
    let Output { status, stdout, stderr } = run(&arguments);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&stdout).unwrap().len(), 1);
    for part in ["`team/App` is not an image reference", "`a:b:c` is not an image reference"] {
        assert!(stderr.contains(part), "{stderr}");
    }
}

#[test]
fn completions_are_generated_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = prints(&["completions", shell]);
        // The script asks muslin itself for each word.
        assert!(script.contains("MUSLIN_COMPLETE"), "{shell}");
    }
}

#[test]
fn a_manual_page_is_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("man/man1");
    assert!(prints(&["man", target.to_str().unwrap()]).is_empty());
    let commands: Vec<String> = {
        let help = prints(&["help"]);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands.iter().filter(|command| *command != "help") {
        let page = fs::read_to_string(target.join(format!("muslin-{command}.1"))).unwrap();
        for section in [".TH", ".SH EXIT STATUS", ".SH SEE ALSO"] {
            assert!(page.contains(section), "{command}: {section}");
        }
    }
    let main = fs::File::open(target.join("muslin.1")).unwrap();
    assert!(BufReader::new(main).lines().any(|line| line.unwrap().contains("muslin\\-explain(1)")));
    assert!(!target.join("muslin-docs.1").exists(), "a hidden command has no page");
}

#[test]
fn manual_pages_have_a_date_and_short_lines() {
    let folder = tempfile::tempdir().unwrap();
    let status =
        muslin().args(["man", folder.path().to_str().unwrap()]).env("SOURCE_DATE_EPOCH", "0").status().unwrap();
    assert!(status.success());
    for entry in fs::read_dir(folder.path()).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(page.lines().any(|line| line.starts_with(".TH MUSLIN") && line.contains("1970-01-01")), "{page}");
        let mut lines = page.lines();
        assert!(lines.all(|line| line.trim_end() == line && !line.is_empty()), "{page}");
    }
}

#[test]
fn an_error_names_the_folder_that_cannot_be_created() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("man");
    assert!(refuses(&["man", path.to_str().unwrap()]).contains(path.to_str().unwrap()));
}
