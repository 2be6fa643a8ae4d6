//! The files that state a distribution's release: apk's package database, `os-release`, `alpine-release`. The text is from outside:
//! lines that make no sense are skipped. Must not know which file is trusted more.

use crate::budget::count_turns;
use crate::resolver::Version;
use crate::resolver::alpine::Release;

/// The paths of apk's database; the second is that of apk-tools 3 with a merged /usr.
pub(crate) const APK_DATABASES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];
/// The paths of `os-release`; the first outranks the second (os-release(5)).
pub(crate) const OS_RELEASES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// The path of `alpine-release`.
pub(crate) const ALPINE_RELEASE: &str = "etc/alpine-release";
/// The most bytes that are read of a small file; `os-release` files have some 400.
const SMALL_MAX_BYTES: usize = 16 << 10;
/// The longest line of a database that is read, in bytes; longer ones are skipped.
const LINE_MAX_BYTES: usize = 4 << 10;

/// The statement of one such file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseFile {
    /// apk's database.
    Apk(Packages),
    /// `os-release`.
    Os {
        /// `ID`.
        id: Box<str>,
        /// The branch of Alpine; `None` for other distributions, also those like Alpine.
        alpine: Option<Release>,
    },
    /// The branch of Alpine in `alpine-release`.
    Alpine(Option<Release>),
}

/// The versions of packages that resolve names, as far as a database has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// The package `musl`.
    pub musl: Option<Version>,
    /// The package `c-ares`.
    pub c_ares: Option<Version>,
}

/// A package that resolves names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    Musl,
    CAres,
}

/// A reader of one such file.
#[derive(Debug)]
pub(crate) enum ReleaseFileScan {
    Apk { line: Vec<u8>, skipping: bool, package: Option<Package>, found: Packages },
    Os(Vec<u8>),
    Alpine(Vec<u8>),
}

// === impl ReleaseFileScan ===

impl ReleaseFileScan {
    /// Returns a reader for the file at `path`, if that is one of these files.
    pub(crate) fn at(path: &str) -> Option<Self> {
        if APK_DATABASES.contains(&path) {
            Some(Self::Apk { line: Vec::new(), skipping: false, package: None, found: Packages::default() })
        } else if OS_RELEASES.contains(&path) {
            Some(Self::Os(Vec::new()))
        } else {
            (path == ALPINE_RELEASE).then(|| Self::Alpine(Vec::new()))
        }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        match self {
            Self::Os(text) | Self::Alpine(text) => {
                let room = SMALL_MAX_BYTES.saturating_sub(text.len());
                text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Self::Apk { line, skipping, package, found } => {
                while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                    keep_part(line, skipping, &bytes[..end]);
                    count_turns(1);
                    if !*skipping {
                        apk_line(line, package, found);
                    }
                    line.clear();
                    *skipping = false;
                    bytes = &bytes[end + 1..];
                }
                keep_part(line, skipping, bytes);
            }
        }
    }

    pub(crate) fn finish(mut self) -> ReleaseFile {
        self.feed(b"\n");
        match self {
            Self::Apk { found, .. } => ReleaseFile::Apk(found),
            Self::Os(text) => os_release(&String::from_utf8_lossy(&text)),
            Self::Alpine(text) => ReleaseFile::Alpine(alpine_release(String::from_utf8_lossy(&text).trim())),
        }
    }
}

fn keep_part(line: &mut Vec<u8>, skipping: &mut bool, part: &[u8]) {
    *skipping |= line.len() + part.len() > LINE_MAX_BYTES;
    if !*skipping {
        line.extend_from_slice(part);
    }
}

/// Reads one line of apk's database: `P:` is the name of a package, `V:` its version, and an empty line ends a package. `package` is the
/// one that the line is about.
fn apk_line(line: &[u8], package: &mut Option<Package>, found: &mut Packages) {
    match line {
        [] => *package = None,
        [b'P', b':', name @ ..] => {
            *package = match name {
                b"musl" => Some(Package::Musl),
                b"c-ares" => Some(Package::CAres),
                _ => None,
            };
        }
        [b'V', b':', text @ ..] => {
            let version = || std::str::from_utf8(text).ok()?.parse().ok();
            match package {
                Some(Package::Musl) => found.musl = version(),
                Some(Package::CAres) => found.c_ares = version(),
                None => {}
            }
        }
        _ => {}
    }
}

fn os_release(text: &str) -> ReleaseFile {
    let value = |key: &str| {
        text.lines().rev().find_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            (name == key).then(|| value.trim_matches(['"', '\'']))
        })
    };
    let id = value("ID").unwrap_or("linux");
    let alpine = (id == "alpine").then(|| value("VERSION_ID").and_then(alpine_release)).flatten();
    ReleaseFile::Os { id: id.into(), alpine }
}

/// Returns the branch in `3.19.1`; `None` for `3.20_alpha20240329`, the name of edge, which may have any musl.
fn alpine_release(text: &str) -> Option<Release> {
    let mut numbers = text.split('.').map(str::parse::<u16>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
    numbers.all(|number| number.is_ok()).then(|| Release::new(major, minor))
}
