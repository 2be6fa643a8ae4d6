//! `muslin check --fix`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::{ALPINE, COPIED, DEBIAN, DENIED, Folder, SERVICE};

/// Fixes a text, checks that a second run changes nothing and reports the same, and returns the fixed text.
fn fixed(text: &str) -> String {
    let folder = Folder::new().with("a.yaml", text);
    folder.run(&["check", "--fix", "--fail-on", "never", "a.yaml"]).ended(0);
    let once = folder.read("a.yaml");
    let again = folder.run(&["check", "--fix", "--fail-on", "never", "a.yaml"]).ended(0);
    assert_eq!(folder.read("a.yaml"), once);
    let checked = folder.run(&["check", "--fail-on", "never", "a.yaml"]).ended(0);
    assert_eq!((checked.stdout, checked.stderr), (again.stdout, again.stderr));
    once
}

#[test]
fn writes_only_options_and_keeps_comments() {
    insta::assert_snapshot!(fixed(&format!("{SERVICE}---\n{ALPINE}# the end\n")), @r#"
    apiVersion: v1
    kind: Service
    metadata: {name: web}   # odd   spacing
    ---
    # The first line.
    apiVersion: v1
    kind: Pod
    metadata:
      name: web
    spec:
      containers:
        - {name: app, image: alpine:3.19} # the base
      dnsConfig:
        options:
          - name: timeout
            value: "3"
          - name: attempts
            value: "6"
    # the end
    "#);
}

#[test]
fn replaces_a_zero_in_place() {
    // The author's own timeout stays, so the profile adds none of its timing.
    assert_eq!(fixed(DENIED), DENIED.replace("\"0\"", "\"2\""));
}

#[test]
fn keeps_an_option_the_user_set() {
    let text = DENIED.replace("value: \"0\"", "value: \"3\" # ours");
    let fixed = fixed(&text);
    assert!(fixed.contains("value: \"3\" # ours"), "{fixed}");
}

#[test]
fn does_not_change_a_file_without_fixable_findings() {
    for text in [DEBIAN, SERVICE, "a: 1\n", ""] {
        assert_eq!(fixed(text), text);
    }
}

#[test]
fn fixes_json_and_keeps_its_layout() {
    let json = "{\n  \"apiVersion\": \"v1\", \"kind\": \"Pod\",\n  \"metadata\": {\"name\": \"a\"},\n  \"spec\": {\"containers\": [{\"name\": \"app\", \"image\": \"alpine:3.19\"}]}\n}\n";
    let fixed = fixed(json);
    assert!(fixed.starts_with(json.split("]}\n}").next().unwrap()), "{fixed}");
    assert!(fixed.contains("\"dnsConfig\""), "{fixed}");
}

#[test]
fn does_not_fix_an_ignored_finding() {
    let text = ALPINE.replace("name: web", "name: web\n  annotations: {muslin.dev/ignore: musl-slow-retry}");
    assert_eq!(fixed(&text), text);
}

#[test]
fn does_not_change_what_others_share_and_does_not_offer_it() {
    let folder = Folder::new().with("a.yaml", COPIED);
    let run = folder.run(&["check", "a.yaml"]).ended(0);
    assert!(run.stdout.contains("musl-slow-retry") && !run.stderr.contains("`--fix`"), "{}", run.stderr);
    let run = folder.run(&["check", "--fix", "a.yaml"]).ended(0);
    assert_eq!(folder.read("a.yaml"), COPIED);
    assert!(
        run.stderr.contains("note: a.yaml:1: did not change this document: other places share the value"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("musl-slow-retry"), "{}", run.stdout);
}

#[test]
fn edits_a_list_in_the_column_of_its_key() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: a, image: alpine:3.17}\n  dnsConfig:\n    options:\n    # why\n    - {name: attempts, value: \"0\"} # zero\n";
    let timeout = "    - name: timeout\n      value: \"3\"\n";
    assert_eq!(fixed(text), text.replace("\"0\"", "\"6\"") + timeout);
}

#[test]
fn reports_remaining_findings_at_their_new_lines() {
    let text = DENIED.replace(
        "          - name: attempts\n",
        "          - name: ndots\n            value: \"1\"\n          - name: attempts\n",
    );
    let folder = Folder::new().with("a.yaml", text);
    let run = folder.run(&["check", "--fix", "a.yaml"]).ended(0);
    assert!(
        run.stdout.starts_with("warn[ndots-breaks-musl]") && run.stdout.contains("--> a.yaml:15:20"),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr.ends_with("findings: 0 deny, 2 warn, 0 info\nfixed 1 other finding in 1 file\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn keeps_permissions_and_links_and_leaves_no_temporary_file() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new().with("real.yaml", ALPINE);
    fs::set_permissions(folder.path("real.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.yaml", folder.path("link.yaml")).unwrap();
    folder.run(&["check", "--fix", "link.yaml"]).ended(0);
    assert!(fs::symlink_metadata(folder.path("link.yaml")).unwrap().is_symlink());
    assert!(folder.read("real.yaml").contains("dnsConfig"));
    assert_eq!(fs::metadata(folder.path("real.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    // The file, the link and muslin.toml.
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 3);
}

#[test]
fn reports_a_read_only_file_and_fixes_the_others() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b.yaml", ALPINE);
    fs::set_permissions(folder.path("a.yaml"), fs::Permissions::from_mode(0o444)).unwrap();
    let run = folder.run(&["check", "--fix", "."]).ended(3);
    assert!(run.stderr.contains("error: cannot write a.yaml: the file is read-only"), "{}", run.stderr);
    assert_eq!(folder.read("a.yaml"), ALPINE);
    assert!(folder.read("b.yaml").contains("dnsConfig"));
}

#[test]
fn fixes_the_other_documents_of_a_file_with_a_bad_one() {
    let folder = Folder::new().with("a.yaml", format!("a: [1,\n---\n{ALPINE}"));
    folder.run(&["check", "--fix", "a.yaml"]).ended(2);
    assert!(folder.read("a.yaml").starts_with("a: [1,\n---\n") && folder.read("a.yaml").contains("dnsConfig"));
}

#[test]
fn only_the_webhook_sets_the_nameserver_of_node_local_dnscache() {
    let folder = Folder::new().with("a.yaml", DENIED);
    folder.run(&["check", "--fix", "a.yaml", "--profile", "node-local", "--fail-on", "never"]).ended(0);
    let text = folder.read("a.yaml");
    assert!(text.contains("value: \"2\""), "the zero is fixed: {text}");
    assert!(!text.contains("nameservers") && !text.contains("dnsPolicy"), "{text}");
}

#[test]
fn keeps_owner_mode_attributes_and_access_control_lists() {
    use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
    use std::os::unix::fs::{MetadataExt as _, chown};
    let folder = Folder::new().with("a.yaml", ALPINE);
    let path = folder.path("a.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let is_root = fs::metadata(&path).unwrap().uid() == 0;
    if is_root {
        chown(&path, Some(1234), Some(4321)).unwrap();
    }
    // User 7 may read and write (acl(5), in the kernel's form: version 2, then tag, permissions and id of each entry).
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 6, 7), (4, 6, u32::MAX), (0x10, 6, u32::MAX), (0x20, 4, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend([&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    let mut expected: Vec<(&str, Vec<u8>)> = vec![("user.note", b"kept".to_vec())];
    let file = fs::File::open(&path).unwrap();
    fsetxattr(&file, "user.note", b"kept", XattrFlags::empty()).unwrap();
    // Not every file system has access control lists.
    if fsetxattr(&file, "system.posix_acl_access", &acl, XattrFlags::empty()).is_ok() {
        expected.push(("system.posix_acl_access", acl));
    }
    let before = fs::metadata(&path).unwrap();
    folder.run(&["check", "--fix", "a.yaml"]).ended(0);
    let after = fs::metadata(&path).unwrap();
    assert_ne!(after.ino(), before.ino(), "the file was replaced, not overwritten");
    assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
    assert!(!is_root || (after.uid(), after.gid()) == (1234, 4321));
    let file = fs::File::open(&path).unwrap();
    for (name, value) in expected {
        let mut buffer = [0; 256];
        let length = fgetxattr(&file, name, &mut buffer[..]).unwrap();
        assert_eq!(&buffer[..length], value, "{name}");
    }
}

#[expect(clippy::disallowed_methods, reason = "this thread runs no runtime")]
#[test]
fn an_interrupt_leaves_whole_files_and_no_temporary_one() {
    use std::process::{Command, Stdio};
    use std::time::Duration;
    let many = format!("{ALPINE}{}", "# padding\n".repeat(2000));
    let mut killed = 0;
    for (signal, round) in
        ["INT", "TERM", "KILL"].into_iter().flat_map(|signal| (0..3).map(move |round| (signal, round)))
    {
        let mut folder = Folder::new();
        for index in 0..60 {
            folder = folder.with(&format!("{index}.yaml"), &many);
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_muslin"))
            .args(["check", "--fix", "."])
            .current_dir(folder.0.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(15 + round * 20));
        let pid = child.id().to_string();
        Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        let status = child.wait().unwrap();
        let code = match signal {
            "INT" => Some(130),
            "TERM" => Some(143),
            _ => None,
        };
        if status.code() != Some(0) {
            // A signal before the program listens ends it as well.
            assert!(status.code() == code || status.code().is_none(), "{signal}: {status}");
            killed += 1;
        }
        let names = |folder: &Folder| -> Vec<String> {
            let entries = fs::read_dir(folder.0.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let leftovers: Vec<String> =
            names(&folder).into_iter().filter(|name| !name.ends_with(".yaml") && name != "muslin.toml").collect();
        if signal == "KILL" {
            assert!(leftovers.iter().all(|name| name.starts_with(".muslin-fix-")), "{leftovers:?}");
            folder.run(&["check", "--fix", "."]).ended(0);
            assert_eq!(names(&folder).len(), 61, "the next run removes them");
        } else {
            assert_eq!(leftovers, [""; 0], "{signal}");
        }
        for index in 0..60 {
            let text = folder.read(&format!("{index}.yaml"));
            assert!(
                text == many || (text.contains("dnsConfig") && text.len() > many.len()),
                "{index}.yaml: {}",
                text.len()
            );
        }
    }
    assert!(killed > 0, "no run was interrupted");
}

#[test]
fn the_next_run_removes_what_a_killed_one_left() {
    use std::hash::Hasher as _;
    // The name is a contract between two runs.
    let mut hasher = fnv::FnvHasher::default();
    hasher.write(b"a.yaml");
    let leftover = format!(".muslin-fix-{:016x}", hasher.finish());
    for text in [ALPINE, SERVICE] {
        let folder = Folder::new().with("a.yaml", text).with(&leftover, "half a fi");
        folder.run(&["check", "--fix", "."]).ended(0);
        assert!(!folder.path(&leftover).exists());
        assert_eq!(folder.read("a.yaml").contains("dnsConfig"), text == ALPINE);
    }
    // A link in its place leads nowhere.
    let folder = Folder::new().with("a.yaml", ALPINE).with("other", "kept");
    std::os::unix::fs::symlink("other", folder.path(&leftover)).unwrap();
    folder.run(&["check", "--fix", "a.yaml"]).ended(0);
    assert_eq!(folder.read("other"), "kept");
    assert!(folder.read("a.yaml").contains("dnsConfig"));
}

#[test]
fn a_link_out_of_the_folder_is_not_followed_to_write() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new().with("outside.yaml", ALPINE).with("repository/b.yaml", DEBIAN);
    symlink("../outside.yaml", folder.path("repository/a.yaml")).unwrap();
    let run = folder.run(&["check", "--fix", "repository"]).ended(0);
    assert_eq!(folder.read("outside.yaml"), ALPINE);
    assert!(
        run.stderr.contains("note: repository/a.yaml: not fixed: it is a link to a file outside"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("musl-slow-retry"), "{}", run.stdout);
    // A link that was named is the user's own.
    folder.run(&["check", "--fix", "repository/a.yaml"]).ended(0);
    assert!(folder.read("outside.yaml").contains("dnsConfig"));
}

#[test]
fn names_the_changed_files() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b.yaml", DEBIAN).with("c.yaml", DENIED);
    let run = folder.run(&["check", "--fix", ".", "-o", "json"]).ended(0);
    assert_eq!(run.json()["changedFiles"], serde_json::json!(["a.yaml", "c.yaml"]));
    assert!(run.stderr.contains("\nfixed c.yaml\n") && run.stderr.starts_with("fixed a.yaml\n"), "{}", run.stderr);
    assert!(run.stderr.ends_with("fixed 2 other findings in 2 files\n"), "{}", run.stderr);
}

#[test]
fn a_diff_changes_nothing_and_applies() {
    let crlf = ALPINE.replace('\n', "\r\n");
    let folder = Folder::new()
        .with("a.yaml", ALPINE)
        .with("dir b/c.yaml", DENIED.trim_end())
        .with("crlf.yaml", &crlf)
        .with("none.yaml", DEBIAN);
    let run = folder.run(&["check", ".", "--diff", "--fail-on", "never", "-o", "json=out.json"]).ended(0);
    assert_eq!((folder.read("a.yaml"), folder.read("crlf.yaml")), (ALPINE.to_owned(), crlf));
    let first = run.stdout.split_inclusive('\n').take(13).collect::<String>();
    insta::assert_snapshot!(first, @r#"
    --- a/a.yaml
    +++ b/a.yaml
    @@ -6,3 +6,9 @@
     spec:
       containers:
         - {name: app, image: alpine:3.19} # the base
    +  dnsConfig:
    +    options:
    +      - name: timeout
    +        value: "3"
    +      - name: attempts
    +        value: "6"
    --- a/crlf.yaml
    "#);
    assert!(run.stderr.contains("would fix a.yaml\nwould fix crlf.yaml\nwould fix dir b/c.yaml\n"), "{}", run.stderr);
    assert!(run.stderr.ends_with("`--fix` would fix 3 of them in 3 files\n"), "{}", run.stderr);
    // The findings are those of the unchanged files.
    let json: serde_json::Value = serde_json::from_str(&folder.read("out.json")).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 3);
    folder.run(&["check", ".", "--fix", "--diff"]).ended(1);
    fs::write(folder.path("changes.diff"), &run.stdout).unwrap();
    let applied = std::process::Command::new("git")
        .args(["apply", "changes.diff"])
        .current_dir(folder.0.path())
        .output()
        .unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let by_diff = ["a.yaml", "dir b/c.yaml", "crlf.yaml"].map(|name| folder.read(name));
    let fixed = Folder::new()
        .with("a.yaml", ALPINE)
        .with("dir b/c.yaml", DENIED.trim_end())
        .with("crlf.yaml", ALPINE.replace('\n', "\r\n"));
    fixed.run(&["check", ".", "--fix", "--fail-on", "never"]).ended(0);
    assert_eq!(by_diff, ["a.yaml", "dir b/c.yaml", "crlf.yaml"].map(|name| fixed.read(name)));
    assert_eq!(folder.run(&["check", ".", "--diff", "--fail-on", "never"]).ended(0).stdout, "");
}

#[test]
fn a_file_with_many_links_is_fixed_once() {
    use std::os::unix::fs::symlink;
    for _ in 0..5 {
        let folder = Folder::new().with("m.yaml", ALPINE);
        for link in 0..20 {
            symlink("m.yaml", folder.path(&format!("{link}.yaml"))).unwrap();
        }
        let run = folder.run(&["check", "--fix", "."]).ended(0);
        assert!(
            run.stderr.ends_with(
                "21 files, 21 objects, 21 pods; findings: 0 deny, 0 warn, 0 info\nfixed 1 other finding in 1 file\n"
            ),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_pipe_is_not_fixed_and_does_not_block() {
    let folder = Folder::new().with("a.yaml", ALPINE);
    let script = format!("exec timeout 20 {} check --fix <(cat a.yaml)", env!("CARGO_BIN_EXE_muslin"));
    let output =
        std::process::Command::new("bash").args(["-c", &script]).current_dir(folder.0.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("not fixed: it is a stream; `muslin inject` fixes one"), "{stderr}");
}
