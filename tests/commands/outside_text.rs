//! Text from outside, in every place that has some: none of it leaves its line, reaches a terminal raw, or is a command for a CI
//! system; and programs get the true text.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::{ALPINE, Folder, Run};

/// A text that tries everything: terminals, lines, the direction of text, GitHub's commands in both forms.
const HOSTILE: &str =
    "x\n::error::a\r\n::warning::b\u{2028}::notice::c\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\u{e0041}\u{7f}##[error]d";

/// The same, for a place where the text has to begin a line to do harm.
const COMMAND: &str = "::error::e";

/// The pieces of random texts.
const PIECES: [&str; 34] = [
    "\n",
    "\r",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\t",
    "\0",
    "\u{8}",
    "\u{b}",
    "\u{1b}[2J",
    "\u{1b}]0;x\u{7}",
    "\u{7f}",
    "\u{9b}31m",
    "\u{61c}",
    "\u{200b}",
    "\u{200e}",
    "\u{200f}",
    "\u{202a}",
    "\u{202e}",
    "\u{2066}",
    "\u{2069}",
    "\u{feff}",
    "\u{fff9}",
    "\u{e0041}",
    "::error::",
    "##[error]",
    "##",
    "%0A",
    "é",
    "日",
    " ",
    "a",
    "/",
];

/// Returns whether a terminal, or a reader, takes a character for something else than it is.
fn is_raw(c: char) -> bool {
    let invisible = ['\u{61c}', '\u{2028}', '\u{2029}', '\u{feff}'];
    c.is_control()
        || invisible.contains(&c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Checks each line of an output, and returns how many are GitHub's commands.
fn commands(output: &str) -> usize {
    let mut commands = 0;
    for line in output.split('\n') {
        assert!(!line.contains(is_raw), "{line:?}");
        assert!(!line.contains("##["), "{line:?}");
        commands += usize::from(line.trim_start().starts_with("::"));
    }
    commands
}

/// Checks that nothing on either stream is raw or a command.
fn is_shown(run: &Run) {
    assert_eq!((commands(&run.stdout), commands(&run.stderr)), (0, 0), "{}{}", run.stdout, run.stderr);
}

/// A pod that has a text in every place where one fits, with findings that name them.
fn pod(texts: &dyn Fn(usize) -> String) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": texts(0),
            "namespace": texts(1),
            "labels": { texts(2): texts(3) },
            "annotations": { "muslin.dev/ignore": texts(4), "muslin.dev/inject": texts(5), "muslin.dev/injected": texts(6) }
        },
        "spec": {
            "dnsPolicy": "ClusterFirst",
            "containers": [
                { "name": texts(7), "image": format!("alpine:3.19{}", texts(8)) },
                { "name": texts(9), "image": "alpine:3.19", "env": [{ "name": "GODEBUG", "value": texts(10) }] },
                { "name": "third", "image": texts(11), "command": [texts(12)] }
            ],
            "dnsConfig": {
                "nameservers": [texts(13)],
                "searches": [texts(14), "."],
                "options": [
                    { "name": texts(15), "value": texts(16) },
                    { "name": "attempts", "value": format!("0{}", texts(17)) },
                    { "name": "ndots", "value": texts(18) }
                ]
            }
        }
    })
}

#[test]
fn a_name_is_escaped_for_people_and_true_for_programs() {
    let name = "a\u{1b}[2J\u{202e}\n::error::b";
    let mut pod = pod(&|_| name.to_owned());
    pod["metadata"]["namespace"] = json!("shop");
    let folder = Folder::new().with("a.json", pod.to_string());
    let check = |format| folder.run(&["check", ".", "-v", "-o", format, "--fail-on", "never"]).ended(0);
    let escaped = "Pod shop/a\\u{1b}[2J\\u{202e}\\n::error::b";
    assert!(check("human").stdout.contains(escaped) && check("github").stdout.contains(escaped));
    is_shown(&check("human"));

    let json = check("json");
    let findings = json.json()["findings"].as_array().unwrap().clone();
    assert_eq!(findings[0]["object"]["name"], name);
    assert!(findings.iter().any(|finding| finding["container"] == name));
    assert_eq!(commands(&check("github").stdout), findings.len());
    let sarif = check("sarif");
    let result = &sarif.json()["runs"][0]["results"][0];
    assert!(result["message"]["text"].as_str().unwrap().starts_with(&format!("Pod shop/{name}")), "{result:#}");
    for run in [json, sarif] {
        is_shown(&run);
    }
}

#[test]
fn errors_about_hostile_input_stay_on_their_lines() {
    let mut wrong_type = pod(&|_| HOSTILE.to_owned());
    wrong_type["spec"]["dnsConfig"]["options"][0]["value"] = json!(7);
    let bad_key = format!("kind: Pod\nspec: {{containers: [{{name: a, {}: 1}}], dnsConfig: 7}}\n", json!(HOSTILE));
    let folder = Folder::new()
        .with("type.json", wrong_type.to_string())
        .with("key.yaml", bad_key)
        .with("syntax.yaml", format!("a: [\u{202e}{COMMAND}\u{1b}[2J\n"))
        .with("helm.yaml", "{{ .x }}\u{202e}: [\n")
        .with("kind.json", json!({ "kind": HOSTILE, "metadata": { "name": HOSTILE } }).to_string())
        .with("muslin2.toml", format!("[levels]\n{} = \"off\"\n", json!("\u{202e}::error::x")))
        .with("resolv.conf", format!("nameserver {HOSTILE}\nsearch {HOSTILE}\noptions {HOSTILE}\n"))
        .with("policy.json", format!("{{\"auths\": {{{}: {{\"auth\": \"x\"}}}}}}", json!(HOSTILE)));
    let missing = format!("no/{HOSTILE}");
    for arguments in [
        &["check", ".", "-v", "--fail-on", "never"][..],
        &["check", &missing, COMMAND],
        &["check", ".", "--config", &missing],
        &["check", ".", "--config", "muslin2.toml"],
        &["inject", "type.json"],
        &["inject", &missing],
        &["inspect", "--offline", HOSTILE, COMMAND],
        &["inspect", &missing, "oci:no\u{1b}[2J", "docker-archive:no\u{202e}:x\u{1b}", "oci-archive:a.yaml:\u{202e}"],
        &["inspect", "--auth-file", "policy.json", "alpine"],
        &["inspect", "--ca-file", &missing, "alpine"],
        &["explain", HOSTILE],
        &["explain", "profile\u{1b}[2J", COMMAND],
        &["scan", "--kubeconfig", &missing],
        &["scan", "--kubeconfig", "type.json", "--context", HOSTILE],
        &["probe", "--resolv-conf", &missing],
        &["probe", "--resolv-conf", "resolv.conf", "--inside-only", "--no-interception-query", "--max-queries", "0"],
        &["probe", "--server", "127.0.0.9:9", "--corefile", &missing],
        &["man", &format!("/dev/null/{HOSTILE}")],
        &["docs", &missing],
        &["serve", "--standalone", "--profile", HOSTILE],
        &["serve", "--kubeconfig", &missing],
    ] {
        let run = folder.run(arguments);
        assert!(run.code < 100, "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.is_empty(), "{arguments:?}");
        is_shown(&run);
    }
    let github = folder.run(&["check", ".", "-v", "-o", "github"]);
    let entries = entries(&folder.run(&["check", ".", "-o", "json"]).json());
    assert!(entries > 0);
    assert_eq!((commands(&github.stdout), commands(&github.stderr)), (entries, 0));
}

/// Returns the number of findings, warnings and errors, of which GitHub gets a command each.
fn entries(json: &Value) -> usize {
    let told = json["unread"].as_array().unwrap().iter().filter(|unread| unread["level"] != "note").count();
    json["findings"].as_array().unwrap().len() + told
}

#[test]
fn file_names_stay_on_their_lines() {
    let folder = Folder::new();
    let names = [HOSTILE.as_bytes(), COMMAND.as_bytes(), b"\xff\xfe\x1b[2J", " ##[error]x\u{202e}".as_bytes()];
    for (index, name) in names.into_iter().enumerate() {
        let mut name = name.to_vec();
        name.extend(b".yaml");
        let text = if index % 2 == 0 { ALPINE } else { "a: [" };
        fs::write(folder.0.path().join(OsString::from_vec(name)), text).unwrap();
    }
    let chart = folder.path(&format!("{HOSTILE}/templates"));
    fs::create_dir_all(&chart).unwrap();
    fs::write(chart.join("a.yaml"), "{{ .x }}").unwrap();
    fs::write(chart.join("../Chart.yaml"), "name: x\n").unwrap();
    is_shown(&folder.run(&["check", ".", "-v"]));
    is_shown(&folder.run(&["check", ".", "-o", "sarif"]));
    let github = folder.run(&["check", ".", "-o", "github"]);
    let json = folder.run(&["check", ".", "-o", "json"]).json();
    assert_eq!((commands(&github.stdout), commands(&github.stderr), entries(&json)), (2, 0, 2));
    for format in ["concise", "junit", "gitlab"] {
        is_shown(&folder.run(&["check", ".", "-o", format]));
    }
    is_shown(&folder.run(&["check", ".", "--strict"]));
    is_shown(&folder.run(&["check", ".", "--fix"]));
}

#[test]
fn names_in_an_image_stay_on_their_lines() {
    let program = format!("opt/{HOSTILE}");
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, &program, &elf("/lib/ld-musl-x86_64.so.1"));
    append(
        &mut layer,
        "etc/os-release",
        format!("ID=alpine\nVERSION_ID={HOSTILE}\nPRETTY_NAME=\"{HOSTILE}\"\n").as_bytes(),
    );
    append(&mut layer, "lib/apk/db/installed", format!("P:musl\nV:1.2.4{}\n\n", HOSTILE.replace('\n', "")).as_bytes());
    let layer = layer.into_inner().unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &layer);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let config = |os: &str, entrypoint: &[&str]| {
        json!({
            "architecture": "amd64",
            "os": os,
            "config": { "Entrypoint": entrypoint },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] }
        })
    };
    let archive = |config: Value, tag: &str| {
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, "config.json", config.to_string().as_bytes());
        append(&mut archive, "layer.tar", &layer);
        let manifest = json!([{ "Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"] }]);
        append(&mut archive, "manifest.json", manifest.to_string().as_bytes());
        archive.into_inner().unwrap()
    };
    let folder = Folder::new()
        .with("found.tar", archive(config("linux", &[&format!("/{program}")]), "a:1"))
        .with("missing.tar", archive(config("linux", &[HOSTILE]), HOSTILE))
        .with("shell.tar", archive(config("linux", &["/bin/sh", "-c", HOSTILE]), "a:1"))
        .with("platform.tar", archive(config(HOSTILE, &[]), "a:1"));
    let (mut shown, mut errors) = (String::new(), String::new());
    for archive in ["found", "missing", "shell", "platform"] {
        for format in ["human", "json"] {
            let run = folder.run(&[
                "inspect",
                "--platform",
                "linux/amd64",
                &format!("docker-archive:{archive}.tar"),
                "-o",
                format,
            ]);
            is_shown(&run);
            shown.push_str(&run.stdout);
            errors.push_str(&run.stderr);
        }
        is_shown(&folder.run(&["inspect", &format!("docker-archive:{archive}.tar:{HOSTILE}")]));
    }
    assert!(shown.contains("x\\n::error::a\\r\\n"), "no file name was shown: {shown}{errors}");
}

/// Appends a file to an archive, whatever its name is.
fn append(archive: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    archive.append_data(&mut header, name, content).unwrap();
}

/// Returns the least program that names a loader.
fn elf(loader: &str) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for word in [0_u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"\0\0\0\0\x40\0\x38\0\x01\0\x40\0\0\0\0\0\x03\0\0\0\x04\0\0\0");
    let length = loader.len() as u64 + 1;
    for word in [120_u64, 120, 120, length, length, 1] {
        file.extend(word.to_le_bytes());
    }
    file.extend(loader.as_bytes());
    file.push(0);
    file
}

fn any_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..6).prop_map(|pieces| pieces.concat())
}

/// Returns a manifest with random texts, now and then of another type, or with a text between its parts.
fn any_manifest() -> impl Strategy<Value = String> {
    (proptest::collection::vec(any_text(), 19), 0..12_usize, any_text()).prop_map(|(texts, kind, other)| {
        let mut pod = pod(&|index| texts[index].clone());
        match kind {
            0 => pod["spec"]["dnsConfig"]["options"][0]["value"] = json!(7),
            1 => pod["metadata"]["annotations"][&other] = json!({ &other: 1 }),
            2 => pod["spec"]["containers"][0][&other] = json!([&other]),
            3 => pod["spec"]["containers"][0]["name"] = json!({ &other: &other }),
            4 => pod["kind"] = json!(other),
            5 => return format!("{pod}\n{other}"),
            6 => {
                return format!(
                    "# {other}\nkind: Pod\nspec: {{containers: [{{name: a, image: alpine:3.19}}]}} # {other}"
                );
            }
            _ => pod["metadata"]["namespace"] = json!("shop"),
        }
        pod.to_string()
    })
}

#[test]
fn no_manifest_and_no_file_name_writes_a_line_of_its_own() {
    let files = proptest::collection::vec((any_text(), any_manifest()), 40);
    let config = Config { cases: 4, failure_persistence: None, ..Config::default() };
    let found = TestRunner::new(config).run(&files, |files| {
        let folder = Folder::new();
        for (index, (name, manifest)) in files.iter().enumerate() {
            // A name cannot hold a separator or a zero.
            let name: String = name.chars().filter(|c| !matches!(c, '/' | '\0')).collect();
            fs::write(folder.path(&format!("{name}{index}.yaml")), manifest).unwrap();
        }
        let json = folder.run(&["check", ".", "-o", "json"]);
        let findings = entries(&json.json());
        prop_assert!(findings > 0);
        let github = folder.run(&["check", ".", "-v", "-o", "github"]);
        prop_assert_eq!((commands(&github.stdout), commands(&github.stderr)), (findings, 0));
        for run in [json, folder.run(&["check", ".", "-v"]), folder.run(&["check", ".", "-o", "sarif"])] {
            is_shown(&run);
        }
        let junit = folder.run(&["check", ".", "-o", "junit", "--level", "info"]);
        is_shown(&junit);
        let report = quick_junit::Report::deserialize_from_str(&junit.stdout);
        prop_assert!(report.is_ok(), "{:?} in {}", report, junit.stdout);
        for (index, (_, manifest)) in files.iter().enumerate().step_by(8) {
            let run = folder.run_with(manifest, &["inject", "-"]);
            prop_assert_eq!(commands(&run.stderr), 0, "{}", index);
        }
        is_shown(&folder.run(&["check", ".", "--fix"]));
        Ok(())
    });
    found.unwrap();
}
