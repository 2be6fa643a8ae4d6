//! The files in which a distribution says what it is: the package database of apk, `os-release`, `alpine-release`. Reads text
//! that somebody else wrote: what makes no sense is passed over. Must not know which of them is trusted more.

use crate::resolver::Version;
use crate::resolver::alpine::Release;

/// Where apk keeps its database; the second since apk-tools 3 and a merged /usr.
pub(crate) const APK_DATABASES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];
/// Where a distribution says what it is; the first outranks the second (os-release(5)).
pub(crate) const OS_RELEASES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// Where Alpine says its release.
pub(crate) const ALPINE_RELEASE: &str = "etc/alpine-release";
/// The most of a small document that is read; `os-release` files have some 400 bytes.
const SMALL_MAX: usize = 16 << 10;
/// The longest line of a database that is read; a longer one is passed over.
const LINE_MAX: usize = 4 << 10;

/// What one such file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// apk's database: the version of its package `musl`, if it has one.
    Apk(Option<Version>),
    /// `os-release`.
    Os {
        /// `ID`.
        id: Box<str>,
        /// The branch, if this is Alpine itself. Not if it is only like it.
        alpine: Option<Release>,
    },
    /// `alpine-release`.
    Alpine(Option<Release>),
}

/// Reads a document as its bytes come.
#[derive(Debug)]
pub(crate) enum DocumentScan {
    Apk { line: Vec<u8>, skipping: bool, in_musl: bool, version: Option<Version> },
    Os(Vec<u8>),
    Alpine(Vec<u8>),
}

// === impl DocumentScan ===

impl DocumentScan {
    /// A scan of the file at `path`, if it is one of these documents.
    pub(crate) fn of(path: &str) -> Option<Self> {
        if APK_DATABASES.contains(&path) {
            Some(Self::Apk { line: Vec::new(), skipping: false, in_musl: false, version: None })
        } else if OS_RELEASES.contains(&path) {
            Some(Self::Os(Vec::new()))
        } else {
            (path == ALPINE_RELEASE).then(|| Self::Alpine(Vec::new()))
        }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        match self {
            Self::Os(text) | Self::Alpine(text) => {
                let room = SMALL_MAX.saturating_sub(text.len());
                text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Self::Apk { line, skipping, in_musl, version } => {
                while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                    keep(line, skipping, &bytes[..end]);
                    if !*skipping {
                        apk_line(line, in_musl, version);
                    }
                    line.clear();
                    *skipping = false;
                    bytes = &bytes[end + 1..];
                }
                keep(line, skipping, bytes);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Document {
        self.feed(b"\n");
        match self {
            Self::Apk { version, .. } => Document::Apk(version),
            Self::Os(text) => os_release(&String::from_utf8_lossy(&text)),
            Self::Alpine(text) => Document::Alpine(alpine_release(String::from_utf8_lossy(&text).trim())),
        }
    }
}

fn keep(line: &mut Vec<u8>, skipping: &mut bool, part: &[u8]) {
    *skipping |= line.len() + part.len() > LINE_MAX;
    if !*skipping {
        line.extend_from_slice(part);
    }
}

/// One line of apk's database: `P:` names a package, `V:` its version, an empty line ends it.
fn apk_line(line: &[u8], in_musl: &mut bool, version: &mut Option<Version>) {
    match line {
        [] => *in_musl = false,
        [b'P', b':', name @ ..] => *in_musl = name == b"musl",
        [b'V', b':', text @ ..] if *in_musl => *version = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()),
        _ => {}
    }
}

fn os_release(text: &str) -> Document {
    let value = |key: &str| {
        text.lines().rev().find_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            (name == key).then(|| value.trim_matches(['"', '\'']))
        })
    };
    let id = value("ID").unwrap_or("linux");
    let alpine = (id == "alpine").then(|| value("VERSION_ID").and_then(alpine_release)).flatten();
    Document::Os { id: id.into(), alpine }
}

/// The branch of `3.19.1`; none of `3.20_alpha20240329`, which is what edge calls itself and may hold any musl.
fn alpine_release(text: &str) -> Option<Release> {
    let mut numbers = text.split('.').map(str::parse::<u16>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
    numbers.all(|number| number.is_ok()).then(|| Release::new(major, minor))
}
