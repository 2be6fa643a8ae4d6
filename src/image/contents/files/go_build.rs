//! Go's build information, as `go version -m` shows it. The format is that of go1.26.8 `src/debug/buildinfo/buildinfo.go`: a
//! header of 32 bytes, then, since Go 1.18, two strings, each after its length. Must not know where in a file they are.

use serde::{Deserialize, Serialize};

use super::libc::version;
use crate::resolver::Version;

/// The first bytes of the header.
pub(crate) const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
/// The alignment of the header, in bytes (`buildInfoAlign`).
pub(crate) const ALIGN: u64 = 16;
/// The alignment of the table of functions, in bytes.
const FUNCTIONS_ALIGN: u64 = 32;
/// The size of the header (`buildInfoHeaderSize`).
const HEADER_BYTES: usize = 32;
/// The flag in the second byte after the magic that says that the strings follow the header (`flagsVersionInl`).
const INLINE: u8 = 2;
/// The size of the marks before and after the module text (`src/cmd/go/internal/modload/build.go` `infoStart`, `infoEnd`).
const FRAME_BYTES: usize = 16;
/// The longest version, in bytes: those of Go itself have up to 40, with experiments (`X:…`) a few hundred.
const VERSION_MAX_BYTES: usize = 4096;
/// The longest module text, in bytes: Kubernetes' own binaries have some 30 KiB, with the settings at the end.
const MODULES_MAX_BYTES: usize = 1 << 20;

/// The build information of a Go program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GoBuild {
    /// The Go release; `None` for a development build.
    #[serde(default, with = "version", skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// `CGO_ENABLED`; Go writes it since 1.18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgo: Option<bool>,
    /// The build tag `netgo`: the resolver is Go's own, regardless of `CGO_ENABLED`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub netgo: bool,
    /// The build tag `netcgo`: the resolver is the C library's if the program has cgo.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub netcgo: bool,
    /// The `netdns` of `//go:debug` lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netdns: Option<Box<str>>,
}

/// The result of reading the bytes from a magic on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The build information.
    Build(GoBuild),
    /// Not build information: the magic is a coincidence, or a length is too large.
    No,
    /// This many bytes are needed.
    More(usize),
}

/// Returns true if Go's table of functions (`.gopclntab`) begins with these bytes, at this offset of a file of `size` bytes. All Go
/// programs have one, also those without build information: those of Go before 1.13, and those from which a build removed it. After the
/// magic come two zeros, the size of the smallest instruction, the size of a pointer, and the number of functions as a pointer-sized
/// number (go1.26.8 `src/cmd/link/internal/ld/pcln.go` `writePCHeader`; go1.12 `src/cmd/link/internal/ld/pcln.go` `pclntab`).
pub(crate) fn is_function_table(bytes: &[u8], offset: u64, size: u64) -> bool {
    let [first, .., 0, 0, 1 | 2 | 4, pointer @ (4 | 8)] = *bytes.get(..8).unwrap_or_default() else { return false };
    let Some(number) = bytes.get(8..8 + usize::from(pointer)) else { return false };
    let digits = number.iter().map(|byte| u64::from(*byte));
    let append = |number: u64, byte: u64| number << 8 | byte;
    let is_big_endian = first == 0xff;
    let functions = if is_big_endian { digits.fold(0, append) } else { digits.rev().fold(0, append) };
    offset.is_multiple_of(FUNCTIONS_ALIGN) && (1..size).contains(&functions)
}

/// Reads build information, which begins with the magic.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    if bytes.len() < HEADER_BYTES {
        return Parsed::More(HEADER_BYTES);
    }
    let (pointer_size, flags) = (bytes[14], bytes[15]);
    if flags & INLINE == 0 {
        // Before Go 1.18 the strings are elsewhere, behind pointers, and do not mention cgo.
        return if matches!(pointer_size, 4 | 8) && flags <= 1 {
            Parsed::Build(GoBuild::default())
        } else {
            Parsed::No
        };
    }
    let (version, next) = match string_at(bytes, HEADER_BYTES, VERSION_MAX_BYTES) {
        Ok(found) => found,
        Err(other) => return other,
    };
    let Some(version) = std::str::from_utf8(version).ok().filter(|version| is_version(version)) else {
        return Parsed::No;
    };
    let modules = match string_at(bytes, next, MODULES_MAX_BYTES) {
        Ok((modules, _)) => modules,
        Err(other) => return other,
    };
    let settings = modules.get(FRAME_BYTES..modules.len().saturating_sub(FRAME_BYTES)).unwrap_or_default();
    Parsed::Build(GoBuild::new(version, &String::from_utf8_lossy(settings)))
}

/// Returns the string at `at`, which follows its length as a varint, and the index of its end.
fn string_at(bytes: &[u8], at: usize, max: usize) -> Result<(&[u8], usize), Parsed> {
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
    /// Reads a version such as `go1.24.4 X:boringcrypto`, and the module text with tabs between the words of a line.
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

    /// Returns the approximate memory use besides the size of the type, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.netdns.as_ref().map_or(0, |netdns| netdns.len())
    }

    /// Returns true if this program can only use Go's own resolver; `None` if the build does not say.
    pub(crate) fn is_pure(&self) -> Option<bool> {
        let Self { version: _, cgo, netgo, netcgo: _, netdns: _ } = self;
        if *netgo { Some(true) } else { cgo.map(|cgo| !cgo) }
    }
}

/// Returns `1.22` for `go1.22rc1`, and `1.24.4` for `go1.24.4 X:boringcrypto` and `go1.24.4-fips`.
fn go_version(text: &str) -> Option<Version> {
    let numbers = text.strip_prefix("go")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(numbers.len());
    numbers[..end].trim_end_matches('.').parse().ok()
}

/// Returns the `netdns` of a `GODEBUG` value; the last one wins (go1.26.8 `src/internal/godebug/godebug.go` `parse`, from the end on).
fn netdns(godebug: &str) -> Option<&str> {
    godebug.rsplit(',').find_map(|setting| setting.strip_prefix("netdns="))
}
