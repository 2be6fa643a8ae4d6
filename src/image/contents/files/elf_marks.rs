//! The texts that tell what an ELF file contains, found as its bytes arrive: of C libraries, of Go, of c-ares. Must not know headers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::go_build;
use crate::budget::count_turns;
use crate::resolver::Version;

/// The bytes at the end of one part that are searched again with the next: the longest mark, and what is read before and after it.
const OVERLAP_BYTES: usize = 128;
/// The longest name of a library that is read, in bytes.
const NAME_MAX_BYTES: usize = 48;
/// The most names of libraries that are kept.
const NAMES_MAX: usize = 16;

/// The start of every release of glibc, and the end of the texts that precede one.
const GLIBC_MAJOR: &str = "2.";
/// The ends of the names, which cgo makes, of the functions through which Go's `net` calls `getaddrinfo` (go1.19 `src/net/cgo_unix.go`).
/// Linkers let the symbol `getaddrinfo` share their last bytes, so that no NUL precedes it.
const CGO_CALLS: [&[u8]; 2] = [b"_C2func_", b"_Cfunc_"];

/// The texts to search for, inverted: otherwise muslin would find them in itself.
const MARKS: [(&[u8], Mark); 29] = [
    (&inverted(go_build::MAGIC), Mark::GoBuild),
    (&inverted(b"\xfb\xff\xff\xff\0\0"), Mark::GoFunctions),
    (&inverted(b"\xfa\xff\xff\xff\0\0"), Mark::GoFunctions),
    (&inverted(b"\xf0\xff\xff\xff\0\0"), Mark::GoFunctions),
    (&inverted(b"\xf1\xff\xff\xff\0\0"), Mark::GoFunctions),
    (&inverted(b"\xff\xff\xff\xfb\0\0"), Mark::GoFunctions),
    (&inverted(b"\xff\xff\xff\xfa\0\0"), Mark::GoFunctions),
    (&inverted(b"\xff\xff\xff\xf0\0\0"), Mark::GoFunctions),
    (&inverted(b"\xff\xff\xff\xf1\0\0"), Mark::GoFunctions),
    (&inverted(b"musl libc ("), Mark::Musl),
    (&inverted(b"\0No error information\0"), Mark::Musl),
    (&inverted(b"No error information\0Illegal byte sequence\0"), Mark::Musl),
    (&inverted(b"GLIBC_TUNABLES"), Mark::Glibc),
    (&inverted(b"glibc-ld.so.cache"), Mark::Glibc),
    (&inverted(b"GNU C Library ("), Mark::Glibc),
    (&inverted(b"GLIBC 2."), Mark::GlibcRelease),
    (&inverted(b"release version 2."), Mark::GlibcRelease),
    (&inverted(b"getaddrinfo\0"), Mark::Getaddrinfo),
    (&inverted(b"\0/etc/config/resolv.conf\0"), Mark::Uclibc),
    (&inverted(b"npxXoudifFeEgGaACScs"), Mark::Uclibc),
    (&inverted(b"\0ld-uClibc.so."), Mark::UclibcLoader),
    (&inverted(b"\0ld64-uClibc.so."), Mark::UclibcLoader),
    (&inverted(b"libgcompat.so."), Mark::Gcompat),
    (&inverted(b"c-ares library initialization not yet performed"), Mark::CAres),
    (&inverted(b"envoy.network.dns_resolver.cares"), Mark::EnvoyCAres),
    (&inverted(b"\0libcares.so."), Mark::LibraryName),
    (&inverted(b"\0libcurl"), Mark::LibraryName),
    (&inverted(b"\0libnode.so."), Mark::LibraryName),
    (&inverted(b"\0libgrpc.so."), Mark::LibraryName),
];

static SEARCH: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::new(MARKS.iter().map(|(text, _)| text.iter().map(|byte| !byte).collect::<Vec<u8>>())).ok()
});

const fn inverted<const N: usize>(text: &[u8; N]) -> [u8; N] {
    let (mut bytes, mut at) = (*text, 0);
    while at < N {
        bytes[at] = !bytes[at];
        at += 1;
    }
    bytes
}

/// The meaning of a text in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Go's build information, if it is aligned.
    GoBuild,
    /// Go's table of functions, in Go 1.2 to 1.15, 1.16, 1.18, and from 1.20 on, of either byte order, if it is aligned (go1.26.8
    /// `src/internal/abi/symtab.go` `PCLnTabMagic`).
    GoFunctions,
    /// musl: its loader prints the first text (ldso/dynlink.c). Its list of error messages (src/errno/__strerror.h) ends with the second
    /// text in old releases, and begins with the third in new ones; only some machines put a NUL before the list, to align it.
    Musl,
    /// glibc: its start code reads the first text since 2.26 (elf/dl-tunables.c), its loader the second (sysdeps/generic/dl-cache.h).
    Glibc,
    /// The banner of glibc's `libc.so.6` (csu/version.c) and, since 2.33, of its loader (elf/dl-usage.c).
    GlibcRelease,
    /// uClibc: the second place where it may look for resolv.conf (libc/inet/resolv.c), and the conversions of its `printf` in its own
    /// order (libc/stdio/_vfprintf.c `SPEC_CHARS`).
    Uclibc,
    /// uClibc's loader: its own name, also in all programs that ask for it.
    UclibcLoader,
    /// gcompat: its loader, in the place of glibc's, preloads this library and runs musl's loader (loader/loader.c).
    Gcompat,
    /// The symbol in the list that a dynamic program needs from its libraries, and functions of Go's that call it.
    Getaddrinfo,
    /// c-ares: one of the messages of its errors (src/lib/ares_strerror.c).
    CAres,
    /// Envoy with the extension that resolves names by c-ares (source/extensions/network/dns_resolver/cares/dns_impl.cc).
    EnvoyCAres,
    /// The name of c-ares' library, or of one that may need it.
    LibraryName,
}

/// The facts that the texts of a file show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) musl: bool,
    pub(crate) glibc: bool,
    pub(crate) glibc_release: Option<Version>,
    pub(crate) uclibc: bool,
    pub(crate) uclibc_loader: bool,
    pub(crate) gcompat: bool,
    /// The file has Go's table of functions.
    pub(crate) go_functions: bool,
    pub(crate) getaddrinfo: bool,
    pub(crate) c_ares: bool,
    pub(crate) envoy_c_ares: bool,
    /// Texts like the name of a library, by their offsets in the file.
    pub(crate) names: BTreeMap<u64, Box<str>>,
}

/// A reader of the texts of one file.
#[derive(Debug)]
pub(crate) struct MarkScan {
    size: u64,
    /// The last bytes, which are searched again with the next.
    overlap: Vec<u8>,
    found: Found,
}

// === impl MarkScan ===

impl MarkScan {
    /// Creates a reader for a file of `size` bytes.
    pub(crate) fn new(size: u64) -> Self {
        Self { size, overlap: Vec::new(), found: Found::default() }
    }

    /// Reads the next bytes, which begin at the offset `at`. Returns these bytes from each place on that has Go's magic.
    pub(crate) fn feed(&mut self, at: u64, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut build_infos = Vec::new();
        let Some(search) = SEARCH.as_ref() else { return build_infos };
        let start = at - self.overlap.len() as u64;
        let mut window = std::mem::take(&mut self.overlap);
        let seen = window.len();
        window.extend_from_slice(bytes);
        for found in search.find_overlapping_iter(&window) {
            count_turns(1);
            let offset = start + found.start() as u64;
            let (before, rest) = window.split_at(found.start());
            match MARKS[found.pattern().as_usize()].1 {
                // A match that ends in the overlap was already found in the previous part.
                Mark::GoBuild => {
                    if offset.is_multiple_of(go_build::ALIGN) && found.end() > seen {
                        build_infos.push(rest.to_vec());
                    }
                }
                mark => self.found.add(mark, before, rest, found.len(), offset, self.size),
            }
        }
        window.drain(..window.len().saturating_sub(OVERLAP_BYTES));
        self.overlap = window;
        build_infos
    }

    /// Returns the facts, after all bytes of the file.
    pub(crate) fn finish(self) -> Found {
        self.found
    }
}

// === impl Found ===

impl Found {
    /// Adds the text of `length` bytes at the start of `rest`, which follows `before`. A text at the end of one part is added again with
    /// what follows it.
    fn add(&mut self, mark: Mark, before: &[u8], rest: &[u8], length: usize, offset: u64, size: u64) {
        match mark {
            Mark::GoBuild => {}
            Mark::GoFunctions => self.go_functions |= go_build::is_function_table(rest, offset, size),
            Mark::Musl => self.musl = true,
            Mark::Glibc => self.glibc = true,
            Mark::GlibcRelease => {
                let release = version_at(&rest[length - GLIBC_MAJOR.len()..]);
                self.glibc_release = release.or(self.glibc_release);
            }
            Mark::Getaddrinfo => {
                let is_symbol = before.last() == Some(&0) || CGO_CALLS.iter().any(|call| before.ends_with(call));
                self.getaddrinfo |= is_symbol;
            }
            Mark::Uclibc => self.uclibc = true,
            Mark::UclibcLoader => self.uclibc_loader = true,
            Mark::Gcompat => self.gcompat = true,
            Mark::CAres => self.c_ares = true,
            Mark::EnvoyCAres => self.envoy_c_ares = true,
            Mark::LibraryName => {
                // The NUL before the name is not part of it.
                let name = rest[1..].split(|byte| *byte == 0).next().unwrap_or_default();
                if let Ok(name) = std::str::from_utf8(&name[..name.len().min(NAME_MAX_BYTES)])
                    && name.contains(".so.")
                    && (self.names.len() < NAMES_MAX || self.names.contains_key(&(offset + 1)))
                {
                    self.names.insert(offset + 1, name.into());
                }
            }
        }
    }
}

/// Returns the version at the start of `bytes`: `2.36` for `2.36-9+deb12u14)` and for `2.36.`.
fn version_at(bytes: &[u8]) -> Option<Version> {
    let length = bytes.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..length]).ok()?.trim_end_matches('.').parse().ok()
}
