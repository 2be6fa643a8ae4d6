//! Files that git tracks although `.gitignore` names them. The repositories are made by git itself.

use std::process::Command;

use crate::{ALPINE, Folder, rules};

fn git(folder: &Folder, at: &str, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always"])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(arguments)
        .current_dir(folder.path(at))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns the files with findings, in the order of the output.
fn files(folder: &Folder, path: &str) -> Vec<String> {
    let run = folder.run(&["check", "-o", "json", "--fail-on", "never", path]).ended(0);
    let findings = run.json()["findings"].as_array().unwrap().clone();
    findings.iter().map(|finding| finding["file"].as_str().unwrap().to_owned()).collect()
}

fn ignoring() -> Folder {
    Folder::new()
        .with(".gitignore", "build/\n*.local.yaml\n/gone.local.yaml\n")
        .with("a.yaml", ALPINE)
        .with("b.local.yaml", ALPINE)
        .with("build/c.yaml", ALPINE)
        .with("build/untracked.yaml", ALPINE)
        .with("build/.hidden.yaml", ALPINE)
        .with("d.yaml", ALPINE)
        .with("gone.local.yaml", ALPINE)
        .with("untracked.local.yaml", ALPINE)
}

#[test]
fn a_tracked_file_is_read_although_it_is_ignored() {
    for arguments in [&["init", "-q"][..], &["init", "-q", "--object-format=sha256"]] {
        for version in ["2", "4"] {
            let folder = ignoring();
            git(&folder, ".", arguments);
            git(&folder, ".", &["config", "index.version", version]);
            git(
                &folder,
                ".",
                &["add", "-f", "a.yaml", "b.local.yaml", "build/c.yaml", "build/.hidden.yaml", "gone.local.yaml"],
            );
            std::fs::remove_file(folder.path("gone.local.yaml")).unwrap();
            assert_eq!(
                files(&folder, "."),
                ["a.yaml", "b.local.yaml", "build/c.yaml", "d.yaml"],
                "{arguments:?} {version}"
            );
            // An ignored folder that is named is read.
            assert_eq!(files(&folder, "build"), ["build/c.yaml", "build/untracked.yaml"]);
            let working = folder.with("muslin.toml", "exclude = [\"build/\"]\n");
            assert_eq!(files(&working, "."), ["a.yaml", "b.local.yaml", "d.yaml"]);
        }
    }
}

#[test]
fn worktrees_submodules_and_repositories_inside_are_known() {
    let folder = Folder::new()
        .with("library/.gitignore", "*.local.yaml\n")
        .with("library/x.local.yaml", ALPINE)
        .with("main/.gitignore", "*.local.yaml\nvendor/\n")
        .with("main/m.local.yaml", ALPINE)
        .with("main/nested/n.local.yaml", ALPINE)
        .with("main/nested/untracked.local.yaml", ALPINE);
    git(&folder, "library", &["init", "-q"]);
    git(&folder, "library", &["add", "-f", "."]);
    git(&folder, "library", &["commit", "-q", "-m", "x"]);
    git(&folder, "main/nested", &["init", "-q"]);
    git(&folder, "main/nested", &["add", "-f", "n.local.yaml"]);
    git(&folder, "main", &["init", "-q"]);
    git(&folder, "main", &["submodule", "--quiet", "add", "-f", "../library", "vendor/library"]);
    git(&folder, "main", &["add", "-f", "m.local.yaml", ".gitignore"]);
    git(&folder, "main", &["commit", "-q", "-m", "x"]);
    git(&folder, "main", &["worktree", "add", "-q", "../tree"]);
    assert_eq!(
        files(&folder, "main"),
        ["main/m.local.yaml", "main/nested/n.local.yaml", "main/vendor/library/x.local.yaml"]
    );
    assert_eq!(files(&folder, "tree"), ["tree/m.local.yaml"]);
}

#[test]
fn a_repository_runs_no_program_and_leads_to_no_other_files() {
    let folder = ignoring().with("outside/o.local.yaml", ALPINE).with("repository/.gitignore", "*.local.yaml\nlink/\n");
    git(&folder, "repository", &["init", "-q"]);
    std::fs::create_dir(folder.path("repository/link")).unwrap();
    let folder = folder.with("repository/link/o.local.yaml", ALPINE);
    git(&folder, "repository", &["add", "-f", "."]);
    // The folder of a tracked file became a link out of the repository.
    std::fs::remove_dir_all(folder.path("repository/link")).unwrap();
    std::os::unix::fs::symlink("../outside", folder.path("repository/link")).unwrap();
    let config = format!("[core]\n\tfsmonitor = touch {}\n\tsshCommand = false\n", folder.path("ran").display());
    let folder = folder.with("repository/.git/config", config);
    assert_eq!(files(&folder, "repository"), [""; 0]);
    assert!(!folder.path("ran").exists());
}

#[test]
fn a_damaged_index_hides_nothing_else() {
    let folder = ignoring();
    git(&folder, ".", &["init", "-q"]);
    git(&folder, ".", &["add", "-f", "b.local.yaml"]);
    let index = std::fs::read(folder.path(".git/index")).unwrap();
    for damaged in [&index[..index.len() / 2], &[][..], &[0xff; 4096][..]] {
        std::fs::write(folder.path(".git/index"), damaged).unwrap();
        assert_eq!(rules(&folder, &["."]).len(), 2);
    }
    std::fs::remove_file(folder.path(".git/index")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path(".git/index")).status().unwrap().success());
    assert_eq!(rules(&folder, &["."]).len(), 2);
}
