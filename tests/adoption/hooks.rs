//! The pre-commit hooks, run by pre-commit itself in a scratch repository.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::DENIED;
use super::programs::{REPOSITORY, path_with_muslin, program, text};

/// A repository of a user, and a copy of muslin's that has nothing but the hooks.
struct Scratch {
    folder: tempfile::TempDir,
    revision: String,
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

// === impl Scratch ===

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hooks = folder.path().join("hooks");
        fs::create_dir_all(&hooks).unwrap();
        fs::copy(Path::new(REPOSITORY).join(".pre-commit-hooks.yaml"), hooks.join(".pre-commit-hooks.yaml")).unwrap();
        git(&hooks, &["init", "--quiet"]);
        git(&hooks, &["add", "."]);
        git(&hooks, &["commit", "--quiet", "-m", "hooks"]);
        let revision = git(&hooks, &["rev-parse", "HEAD"]);
        fs::create_dir_all(folder.path().join("user")).unwrap();
        git(&folder.path().join("user"), &["init", "--quiet"]);
        Self { folder, revision }
    }

    fn with(self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join("user").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("user").join(name)).unwrap()
    }

    /// Runs a hook on all files.
    fn run(&self, hook: &str, repository: &Path, revision: &str) -> Output {
        let config = format!(
            "repos: [{{repo: 'file://{}', rev: '{revision}', hooks: [{{id: {hook}}}]}}]\n",
            repository.display()
        );
        let user = self.folder.path().join("user");
        fs::write(user.join(".pre-commit-config.yaml"), config).unwrap();
        git(&user, &["add", "--all"]);
        program("pre-commit")
            .args(["run", "--all-files", "--color", "never"])
            .current_dir(user)
            .env("PRE_COMMIT_HOME", self.folder.path().join("home"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("PATH", path_with_muslin())
            .output()
            .unwrap()
    }

    fn run_system(&self, hook: &str) -> Output {
        self.run(hook, &self.folder.path().join("hooks"), &self.revision)
    }
}

#[test]
fn pre_commit_takes_the_hooks() {
    let file = Path::new(REPOSITORY).join(".pre-commit-hooks.yaml");
    let output = program("pre-commit").arg("validate-manifest").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_hook_fails_for_a_finding_and_names_its_line() {
    let output = Scratch::new().with("deploy/web.yaml", DENIED).run_system("muslin-system");
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("deny[attempts-zero]") && shown.contains("deploy/web.yaml:"), "{shown}");
    let harmless = DENIED.replace("attempts", "timeout").replace("\"0\"", "\"5\"");
    let output = Scratch::new().with("deploy/web.yaml", &harmless).run_system("muslin-system");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_hook_passes_over_templates_and_what_is_excluded() {
    let output = Scratch::new()
        .with(
            "deploy/web.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: busybox}]}\n",
        )
        .with("charts/web/Chart.yaml", "name: web\n")
        .with("charts/web/templates/web.yaml", "{{- if .Values.on }}\nkind: Deployment\n{{- end }}\n")
        .with("muslin.toml", "exclude = [\"vendor/\"]\n")
        .with("vendor/web.yaml", DENIED)
        .run_system("muslin-system");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_fixing_hook_fails_once_and_then_passes() {
    let scratch = Scratch::new().with("web.yaml", DENIED);
    let output = scratch.run_system("muslin-fix-system");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("files were modified by this hook"), "{}", text(&output));
    assert!(scratch.read("web.yaml").contains("value: \"2\""), "{}", scratch.read("web.yaml"));
    let output = scratch.run_system("muslin-fix-system");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
#[ignore = "builds muslin by cargo install, which takes minutes"]
fn pre_commit_builds_muslin_itself() {
    let scratch = Scratch::new().with("web.yaml", DENIED);
    let repository = scratch.folder.path().join("muslin");
    git(Path::new(REPOSITORY), &["clone", "--quiet", ".", repository.to_str().unwrap()]);
    for file in git(Path::new(REPOSITORY), &["ls-files", "--modified", "--others", "--exclude-standard"]).lines() {
        fs::create_dir_all(repository.join(file).parent().unwrap()).unwrap();
        fs::copy(Path::new(REPOSITORY).join(file), repository.join(file)).unwrap();
    }
    git(&repository, &["add", "--all"]);
    git(&repository, &["commit", "--quiet", "--allow-empty", "-m", "all"]);
    let output = scratch.run("muslin", &repository, &git(&repository, &["rev-parse", "HEAD"]));
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("deny[attempts-zero]"), "{shown}");
}
