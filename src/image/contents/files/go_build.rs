//! Go's build information, as `go version -m` shows it. The format is that of go1.26.8 `src/debug/buildinfo/buildinfo.go`: a
//! header of 32 bytes, then, since Go 1.18, two strings, each after its length. Must not know where in a file it was found.

use serde::{Deserialize, Serialize};

use super::libc::version;
use crate::resolver::Version;

/// What the header begins with.
pub(crate) const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
/// The linker aligns the header so (`buildInfoAlign`).
pub(crate) const ALIGN: u64 = 16;
/// The size of the header (`buildInfoHeaderSize`).
const HEADER: usize = 32;
/// Set in the header's second byte after the magic when the strings follow it (`flagsVersionInl`).
const INLINE: u8 = 2;
/// The module text is framed by two marks of 16 bytes each (`src/cmd/go/internal/modload/build.go` `infoStart`, `infoEnd`).
const FRAME: usize = 16;
/// The longest version: those of Go itself have up to 40 characters, with experiments (`X:…`) a few hundred.
const VERSION_MAX: usize = 4096;
/// The longest module text: Kubernetes' own binaries have some 30 KiB, of which the settings stand at the end.
pub(crate) const MODULES_MAX: usize = 1 << 20;

/// How a Go program was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GoBuild {
    /// The Go release; `None` for a development build.
    #[serde(default, with = "version", skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// `CGO_ENABLED`, written since Go 1.18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgo: Option<bool>,
    /// The build tag `netgo`: the resolver is Go's own, whatever `CGO_ENABLED` says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub netgo: bool,
    /// The build tag `netcgo`: the resolver is the C library's wherever cgo is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub netcgo: bool,
    /// The `netdns` of `//go:debug` lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netdns: Option<Box<str>>,
}

/// What the bytes from a magic on are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Build information.
    Build(GoBuild),
    /// No build information: the magic stood there by chance, or the lengths are absurd.
    No,
    /// As many bytes are needed.
    More(usize),
}

/// Reads what begins with the magic.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    if bytes.len() < HEADER {
        return Parsed::More(HEADER);
    }
    let (pointer_size, flags) = (bytes[14], bytes[15]);
    if flags & INLINE == 0 {
        // Before Go 1.18 the strings are elsewhere, behind pointers, and say nothing of cgo.
        return if matches!(pointer_size, 4 | 8) && flags <= 1 {
            Parsed::Build(GoBuild::default())
        } else {
            Parsed::No
        };
    }
    let (version, next) = match string(bytes, HEADER, VERSION_MAX) {
        Ok(found) => found,
        Err(other) => return other,
    };
    let Some(version) = std::str::from_utf8(version).ok().filter(|version| is_version(version)) else {
        return Parsed::No;
    };
    let modules = match string(bytes, next, MODULES_MAX) {
        Ok((modules, _)) => modules,
        Err(other) => return other,
    };
    let settings = modules.get(FRAME..modules.len().saturating_sub(FRAME)).unwrap_or_default();
    Parsed::Build(GoBuild::new(version, &String::from_utf8_lossy(settings)))
}

/// The string at `at`, behind its length as a varint, and where it ends.
fn string(bytes: &[u8], at: usize, max: usize) -> Result<(&[u8], usize), Parsed> {
    let mut length = 0_usize;
    for (index, shift) in (0..28).step_by(7).enumerate() {
        let Some(byte) = bytes.get(at + index) else { return Err(Parsed::More(at + index + 1)) };
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if length > max {
                return Err(Parsed::No);
            }
            let start = at + index + 1;
            let end = start + length;
            return bytes.get(start..end).map(|text| (text, end)).ok_or(Parsed::More(end));
        }
    }
    Err(Parsed::No)
}

fn is_version(text: &str) -> bool {
    text.starts_with("go1") || text.starts_with("devel ")
}

// === impl GoBuild ===

impl GoBuild {
    /// Reads a version such as `go1.24.4 X:boringcrypto` and the module text, whose lines are words between tabs.
    fn new(version: &str, modules: &str) -> Self {
        let mut build = Self { version: go_version(version), ..Self::default() };
        for setting in modules.lines().filter_map(|line| line.strip_prefix("build\t")) {
            let Some((key, value)) = setting.split_once('=') else { continue };
            let value = value.trim_matches('"');
            match key {
                "CGO_ENABLED" => build.cgo = Some(value == "1"),
                "-tags" => {
                    build.netgo |= value.split([',', ' ']).any(|tag| tag == "netgo");
                    build.netcgo |= value.split([',', ' ']).any(|tag| tag == "netcgo");
                }
                "DefaultGODEBUG" => build.netdns = netdns(value).map(Into::into),
                _ => {}
            }
        }
        build
    }

    /// How many bytes it takes to keep it, besides its own size.
    pub(crate) fn bytes(&self) -> usize {
        self.netdns.as_ref().map_or(0, |netdns| netdns.len())
    }

    /// Whether Go's own resolver is the only one that this program can use; `None` where the build does not say.
    pub fn is_pure(&self) -> Option<bool> {
        let Self { version: _, cgo, netgo, netcgo: _, netdns: _ } = self;
        if *netgo { Some(true) } else { cgo.map(|cgo| !cgo) }
    }
}

/// `1.22` of `go1.22rc1`, `1.24.4` of `go1.24.4 X:boringcrypto` or of `go1.24.4-fips`.
fn go_version(text: &str) -> Option<Version> {
    let numbers = text.strip_prefix("go")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(numbers.len());
    numbers[..end].trim_end_matches('.').parse().ok()
}

/// The `netdns` of a `GODEBUG` value: the last wins (go1.26.8 `src/internal/godebug/godebug.go` `parse`, from the end on).
pub(crate) fn netdns(godebug: &str) -> Option<&str> {
    godebug.rsplit(',').find_map(|setting| setting.strip_prefix("netdns="))
}
