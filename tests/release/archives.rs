//! The archives of a release.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use object::Endianness;
use object::elf::{FileHeader64, PT_DYNAMIC, PT_GNU_STACK, PT_INTERP};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

use crate::release::release_folder::{ARCHITECTURES, Architecture, REPOSITORY, VERSION, release, run};

/// Returns the paths of all files below a folder, and of all links.
fn files(folder: &Path) -> BTreeSet<String> {
    let listed = run("find", [".", "-not", "-type", "d"], Some(folder));
    listed.lines().map(|line| line.trim_start_matches("./").to_owned()).collect()
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE"]
fn archives_differ_in_the_program_and_the_bill_of_materials_alone() {
    assert_eq!(release().architectures.len(), ARCHITECTURES.len(), "an architecture is missing");
    let [one, other] = ARCHITECTURES.map(|architecture| release().root(architecture));
    assert_eq!(files(&one), files(&other));
    let differ: Vec<String> = files(&one)
        .into_iter()
        .filter(|file| fs::read(one.join(file)).unwrap() != fs::read(other.join(file)).unwrap())
        .collect();
    // The links are to the program.
    let expected = ["bill-of-materials.cdx.json", "bin/kubectl-muslin", "bin/kubectl_complete-muslin", "bin/muslin"];
    assert_eq!(differ, expected);
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE"]
fn archives_have_what_the_documentation_lists() {
    for &architecture in &release().architectures {
        let root = release().root(architecture);
        for link in ["kubectl-muslin", "kubectl_complete-muslin"] {
            assert_eq!(fs::read_link(root.join("bin").join(link)).unwrap(), Path::new("muslin"));
        }
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            assert!(root.join("completions").join(format!("muslin.{shell}")).metadata().unwrap().len() > 100);
        }
        for file in ["man/man1/muslin.1", "man/man1/muslin-probe.1", "README.md", "CHANGELOG.md", "LICENSE"] {
            assert!(root.join(file).is_file(), "{file}");
        }
        for folder in ["manifests", "charts", "certs", "docs"] {
            let copied = files(&root.join(folder));
            let tracked = run("git", ["ls-files", folder], None);
            let tracked: BTreeSet<String> = tracked.lines().map(|file| file[folder.len() + 1..].to_owned()).collect();
            assert!(copied.len() > 1 && copied == tracked, "{folder}: {:?}", copied.symmetric_difference(&tracked));
        }
        let bill: serde_json::Value =
            serde_json::from_slice(&fs::read(root.join("bill-of-materials.cdx.json")).unwrap()).unwrap();
        let parts = bill["components"].as_array().unwrap();
        for part in ["aws-lc-sys", "tikv-jemalloc-sys", "kube"] {
            assert!(parts.iter().any(|of| of["name"] == part && of["version"].is_string()), "{part} is missing");
        }
        assert_eq!(bill["metadata"]["component"]["version"], VERSION);
        let beside = release().folder.join(format!("muslin-{VERSION}-{}-linux.cdx.json", architecture.machine));
        assert_eq!(fs::read(beside).unwrap(), fs::read(root.join("bill-of-materials.cdx.json")).unwrap());
    }
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE"]
fn checksums_cover_all_files() {
    run("sha256sum", ["--check", "--strict", "SHA256SUMS"], Some(&release().folder));
    let listed = fs::read_to_string(release().folder.join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<&str> = listed.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    let mut there = files(&release().folder);
    assert!(there.remove("SHA256SUMS"));
    assert_eq!(there.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
    for Architecture { machine, .. } in &release().architectures {
        run(
            "sha256sum",
            ["--check", &format!("muslin-{VERSION}-{machine}-linux.tar.gz.sha256")],
            Some(&release().folder),
        );
    }
}

/// A program without an interpreter and without needed libraries runs without any other file.
#[test]
#[ignore = "needs a release: MUSLIN_RELEASE"]
fn programs_are_static_and_position_independent() {
    for &architecture in &release().architectures {
        let bytes = fs::read(release().program(architecture)).unwrap();
        let header = FileHeader64::<Endianness>::parse(&*bytes).unwrap();
        let endian = header.endian().unwrap();
        assert_eq!(header.e_machine(endian), architecture.elf);
        assert_eq!(header.e_type(endian), object::elf::ET_DYN, "addresses are not random");
        let segments = header.program_headers(endian, &*bytes).unwrap();
        assert!(segments.iter().all(|segment| segment.p_type(endian) != PT_INTERP));
        let stack = segments.iter().find(|segment| segment.p_type(endian) == PT_GNU_STACK).unwrap();
        assert_eq!(stack.p_flags(endian) & object::elf::PF_X, object::elf::ProgramFlags(0), "the stack is executable");
        let dynamic = segments.iter().find(|segment| segment.p_type(endian) == PT_DYNAMIC).unwrap();
        let entries = dynamic.dynamic(endian, &*bytes).unwrap().unwrap();
        assert!(entries.iter().all(|entry| entry.d_tag(endian) != object::elf::DT_NEEDED));
    }
}

/// No path of the machine that built it is in a program: neither that of the sources, nor that of a home folder.
#[test]
#[ignore = "needs a release: MUSLIN_RELEASE"]
fn programs_hold_no_path_of_this_machine() {
    let cargo = std::env::home_dir().unwrap().join(".cargo").display().to_string();
    for &architecture in &release().architectures {
        let bytes = fs::read(release().program(architecture)).unwrap();
        for path in [REPOSITORY, &cargo, "/rustlib/"] {
            let at = aho_corasick::AhoCorasick::new([path]).unwrap().find(&bytes).map(|found| found.start());
            let around = at.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at + 120]).into_owned());
            assert_eq!(around, None, "{path}");
        }
    }
}
