//! The folder of a release, with its archives unpacked once for all tests, and programs that run to their end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

pub(crate) const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An architecture, as archives, images and ELF headers name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Architecture {
    pub(crate) machine: &'static str,
    pub(crate) name: &'static str,
    pub(crate) elf: object::elf::Machine,
}

pub(crate) const ARCHITECTURES: [Architecture; 2] = [
    Architecture { machine: "x86_64", name: "amd64", elf: object::elf::EM_X86_64 },
    Architecture { machine: "aarch64", name: "arm64", elf: object::elf::EM_AARCH64 },
];

/// A release.
pub(crate) struct Release {
    pub(crate) folder: PathBuf,
    /// Both; one if `scripts/release` was called with `--arch`.
    pub(crate) architectures: Vec<Architecture>,
    unpacked: TempDir,
}

/// Returns the release that `MUSLIN_RELEASE` names.
pub(crate) fn release() -> &'static Release {
    static RELEASE: OnceLock<Release> = OnceLock::new();
    RELEASE.get_or_init(|| {
        let folder = std::env::var_os("MUSLIN_RELEASE")
            .unwrap_or_else(|| panic!("set MUSLIN_RELEASE to the folder of scripts/release"));
        let (folder, unpacked) = (PathBuf::from(folder), tempfile::tempdir().unwrap());
        let made = ARCHITECTURES.into_iter().filter(|architecture| folder.join(architecture.archive()).is_file());
        let architectures: Vec<Architecture> = made.collect();
        for architecture in &architectures {
            let archive = folder.join(architecture.archive());
            run("tar", ["--extract".as_ref(), "--file".as_ref(), archive.as_os_str()], Some(unpacked.path()));
        }
        Release { folder, architectures, unpacked }
    })
}

// === impl Architecture ===

impl Architecture {
    /// Returns the name of its archive.
    pub(crate) fn archive(self) -> String {
        format!("muslin-{VERSION}-{}-linux.tar.gz", self.machine)
    }

    /// Returns the name of the archive for krew.
    pub(crate) fn krew_archive(self) -> String {
        format!("kubectl-{}", self.archive())
    }

    /// Returns true if this machine runs its programs.
    pub(crate) fn is_own(self) -> bool {
        self.machine == std::env::consts::ARCH
    }
}

// === impl Release ===

impl Release {
    /// Returns the folder of an unpacked archive.
    pub(crate) fn root(&self, Architecture { machine, .. }: Architecture) -> PathBuf {
        self.unpacked.path().join(format!("muslin-{VERSION}-{machine}-linux"))
    }

    /// Returns the program of an architecture.
    pub(crate) fn program(&self, architecture: Architecture) -> PathBuf {
        self.root(architecture).join("bin/muslin")
    }
}

/// Runs a program, which must succeed, and returns its output.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    folder: Option<&Path>,
) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder.unwrap_or(Path::new(REPOSITORY)));
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}
