//! The packages of a release: Debian's, the krew manifest and the Homebrew formula. Their linters check those of a whole release.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use muslin::registry::Digest;
use serde_json::Value;

use crate::release::release_folder::{ARCHITECTURES, Architecture, REPOSITORY, VERSION, release, run};

/// The program that runs a formula as Homebrew does.
const RUN_FORMULA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/release/formula.rb");

/// The address of the repository, which is the default of `scripts/release`.
const ADDRESS: &str = env!("CARGO_PKG_REPOSITORY");

fn package(arguments: &[&OsStr]) -> String {
    run(&format!("{REPOSITORY}/scripts/package"), arguments, None)
}

/// Returns the programs of `tests/release/tools`.
fn tools() -> PathBuf {
    PathBuf::from(run(&format!("{REPOSITORY}/tests/release/tools"), [""; 0], None).trim_end())
}

/// A manifest names each archive once, for its platform, with its digest.
fn check_krew_manifest(text: &str, folder: &Path, architectures: &[Architecture]) {
    let manifest: Value = serde_saphyr::from_str(text).unwrap();
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), architectures.len());
    for architecture in architectures {
        let is_own = |platform: &&Value| platform["selector"]["matchLabels"]["arch"] == architecture.name;
        let platform = platforms.iter().find(is_own).unwrap();
        assert_eq!(platform["selector"]["matchLabels"]["os"], "linux");
        let archive = architecture.krew_archive();
        assert_eq!(platform["uri"], format!("{ADDRESS}/releases/download/v{VERSION}/{archive}"));
        let digest = Digest::sha256(&fs::read(folder.join(archive)).unwrap()).to_string();
        assert_eq!(format!("sha256:{}", platform["sha256"].as_str().unwrap()), digest);
    }
}

#[test]
fn manifests_name_the_archives_by_their_digests() {
    let folder = tempfile::tempdir().unwrap();
    for architecture in ARCHITECTURES {
        for archive in [architecture.archive(), architecture.krew_archive()] {
            fs::write(folder.path().join(archive), architecture.name).unwrap();
        }
    }
    let krew = package(&["krew".as_ref(), folder.path().as_os_str(), ADDRESS.as_ref()]);
    check_krew_manifest(&krew, folder.path(), &ARCHITECTURES);
    let formula = package(&["homebrew".as_ref(), folder.path().as_os_str(), ADDRESS.as_ref()]);
    for architecture in ARCHITECTURES {
        let digest = Digest::sha256(architecture.name.as_bytes()).to_string().replace("sha256:", "");
        let expected = format!(
            "    url \"{ADDRESS}/releases/download/v{VERSION}/{}\"\n    sha256 \"{digest}\"\n",
            architecture.archive()
        );
        assert!(formula.contains(&expected), "{formula}");
    }
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE, and Ruby"]
fn the_formula_installs_what_the_archive_has() {
    tools();
    let formula = release().folder.join("muslin.rb");
    run("ruby", ["-wc".as_ref(), formula.as_os_str()], None);
    for &architecture in &release().architectures {
        let root = release().root(architecture);
        let printed = run("ruby", [RUN_FORMULA.as_ref(), formula.as_os_str()], Some(&root));
        let digest = Digest::sha256(&fs::read(release().folder.join(architecture.archive())).unwrap()).to_string();
        let expected = format!("{}\nsha256 {}\n", architecture.archive(), digest.replace("sha256:", ""));
        assert!(printed.contains(&expected), "{printed}");
    }
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE, and krew"]
fn krew_accepts_the_manifest_and_installs_the_archive() {
    let tools = tools();
    let manifest = release().folder.join("muslin.yaml");
    check_krew_manifest(&fs::read_to_string(&manifest).unwrap(), &release().folder, &release().architectures);
    let validator = tools.join("validate-krew-manifest").display().to_string();
    run(&validator, ["-skip-install".as_ref(), "-manifest".as_ref(), manifest.as_os_str()], None);
    for &architecture in &release().architectures {
        let home = tempfile::tempdir().unwrap();
        let root = format!("KREW_ROOT={}", home.path().display());
        let (os, arch) = ("KREW_OS=linux", format!("KREW_ARCH={}", architecture.name));
        let manifest = format!("--manifest={}", manifest.display());
        let archive = format!("--archive={}", release().folder.join(architecture.krew_archive()).display());
        let krew = tools.join("krew").display().to_string();
        run("env", [&root, os, &arch, &krew, "install", &manifest, &archive], None);
        let plugin = home.path().join("bin/kubectl-muslin");
        assert_eq!(fs::read(&plugin).unwrap(), fs::read(release().program(architecture)).unwrap());
        if architecture.is_own() {
            assert!(run(plugin.to_str().unwrap(), ["--help"], None).contains("kubectl muslin"));
        }
    }
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE, lintian, and root"]
fn debian_packages_install_and_lintian_accepts_them() {
    tools();
    for &architecture in &release().architectures {
        let package = release().folder.join(format!("muslin_{VERSION}-1_{}.deb", architecture.name));
        run("lintian", ["--fail-on=error,warning".as_ref(), package.as_os_str()], None);
        let control = run("dpkg-deb", ["--info".as_ref(), package.as_os_str()], None);
        assert!(!["postinst", "preinst", "postrm", "prerm"].iter().any(|script| control.contains(script)), "{control}");

        // A root without Debian: the package needs no other one, and runs no script.
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        let (at, package) = (format!("--root={}", root.display()), package.display().to_string());
        run("dpkg", [&at, "--force-architecture", "--install", &package], None);
        for program in ["muslin", "kubectl-muslin", "kubectl_complete-muslin"] {
            let installed = fs::read(root.join("usr/bin").join(program)).unwrap();
            assert_eq!(installed, fs::read(release().program(architecture)).unwrap());
            let page = root.join(format!("usr/share/man/man1/{program}.1.gz"));
            assert!(
                run("gzip", ["--decompress".as_ref(), "--stdout".as_ref(), page.as_os_str()], None)
                    .contains(".TH MUSLIN ")
            );
        }
        if architecture.is_own() {
            assert!(run("chroot", [root.to_str().unwrap(), "/usr/bin/muslin", "--version"], None).contains(VERSION));
        }
        for file in [
            "bash-completion/completions/muslin",
            "zsh/vendor-completions/_muslin",
            "fish/vendor_completions.d/muslin.fish",
        ] {
            assert!(root.join("usr/share").join(file).metadata().unwrap().len() > 100, "{file}");
        }
        assert!(root.join("usr/share/muslin/manifests/kustomization.yaml").is_file());
        assert!(root.join("usr/share/muslin/charts/muslin/Chart.yaml").is_file());
        run("dpkg", [&at, "--purge", "muslin"], None);
        assert!(!root.join("usr/bin/muslin").exists());
    }
}
