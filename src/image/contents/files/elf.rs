//! An ELF file, read as its bytes arrive, so that a file of any size needs little memory: its headers, Go's build information, and the
//! texts that a C library leaves in every file that contains it. Must not know of other files, such as the loader.

use super::c_ares::CAres;
use super::elf_headers::{BadElf, HeaderScan};
use super::elf_marks::{Found, MarkScan};
use super::go_build::{self, GoBuild, Parsed};
use super::libc::{Libc, LibcKind};
use super::texts::Texts;
use crate::budget::count_turns;

/// The first bytes of an ELF file.
pub(crate) const ELF_MAGIC: &[u8; 4] = b"\x7fELF";
/// The most places with Go's magic that are read at once: most programs have one; a Go tool that reads build information also has the
/// magic as a text.
const CAPTURES_MAX: usize = 4;

/// The parts of an ELF file that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// The loader that the file asks for; `None` for static programs and most libraries.
    pub loader: Option<Box<str>>,
    /// Go's build information, for a Go program.
    pub go: Option<GoBuild>,
    /// The C library inside a static program, or the one that the file is.
    pub libc: Option<Libc>,
    /// The file is a Go program that can call `getaddrinfo`, or needs a symbol of that name from a library.
    pub getaddrinfo: bool,
    /// The c-ares that the file has or needs.
    pub c_ares: Option<CAres>,
    /// The libraries that the file needs and that may need c-ares themselves, such as `libcurl.so.4`.
    pub carriers: Vec<Box<str>>,
}

/// A reader of one ELF file.
#[derive(Debug)]
pub(crate) struct ElfScan {
    /// The number of bytes that were read.
    at: u64,
    headers: HeaderScan,
    marks: MarkScan,
    captures: Vec<Vec<u8>>,
    go: Option<GoBuild>,
    texts: Option<Texts>,
}

// === impl ElfScan ===

impl ElfScan {
    /// Creates a reader for a file of `size` bytes. With `versions`, texts like a version are kept to find the release of musl.
    pub(crate) fn new(size: u64, versions: bool) -> Self {
        Self {
            at: 0,
            headers: HeaderScan::new(size),
            marks: MarkScan::new(size),
            captures: Vec::new(),
            go: None,
            texts: versions.then(Texts::default),
        }
    }

    /// Reads the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.headers.feed(self.at, bytes);
        self.feed_captures(bytes);
        if let Some(texts) = &mut self.texts {
            texts.feed(bytes);
        }
        let Self { at, marks, .. } = self;
        for build_info in marks.feed(*at, bytes) {
            if self.captures.len() < CAPTURES_MAX {
                self.add_capture(build_info);
            }
        }
        self.at += bytes.len() as u64;
    }

    /// Returns what the file is, after all its bytes. `library` is the file name of a library.
    pub(crate) fn finish(self, library: Option<&str>) -> Result<Elf, BadElf> {
        let Self { at: _, headers, marks, captures: _, go, texts } = self;
        let headers = headers.finish()?;
        let found = marks.finish();
        // A program without build information has Go's table of functions, which no linker and no `strip` leaves out.
        let go = go.or_else(|| found.go_functions.then(GoBuild::default));
        let libc = libc_of(&found, texts, library, headers.loader.is_none() && go.is_none())?;
        let needed: Vec<&str> =
            found.names.iter().filter(|(offset, _)| headers.needed.contains(offset)).map(|(_, name)| &**name).collect();
        let c_ares = match go {
            // Go programs that mention c-ares configure others by its name, as Istio's agent does with Envoy.
            Some(_) => None,
            None => CAres::of(&needed, library, &found),
        };
        let carriers = needed.iter().filter(|name| CAres::may_carry(name)).map(|name| (*name).into()).collect();
        Ok(Elf { loader: headers.loader, go, libc, getaddrinfo: found.getaddrinfo, c_ares, carriers })
    }

    /// Passes to each place with the magic as much of `bytes` as it needs.
    fn feed_captures(&mut self, bytes: &[u8]) {
        let Self { captures, go, .. } = self;
        captures.retain_mut(|capture| feed_capture(capture, go, bytes));
    }

    /// Adds a place with the magic: all bytes from there on.
    fn add_capture(&mut self, mut rest: Vec<u8>) {
        let mut capture = rest.drain(..go_build::MAGIC.len()).collect();
        if feed_capture(&mut capture, &mut self.go, &rest) {
            self.captures.push(capture);
        }
    }
}

/// Passes to a place with the magic as much of `bytes` as it needs; returns false if it needs no more.
fn feed_capture(capture: &mut Vec<u8>, go: &mut Option<GoBuild>, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        count_turns(1);
        match go_build::parse(capture) {
            Parsed::Build(found) => {
                go.get_or_insert(found);
                return false;
            }
            Parsed::No => return false,
            Parsed::More(_) if rest.is_empty() => return true,
            Parsed::More(needed) => {
                let (part, after) = rest.split_at(rest.len().min(needed - capture.len()));
                capture.extend_from_slice(part);
                rest = after;
            }
        }
    }
}

/// Returns the C library whose texts the file has. `library` is the file name of a library; `is_static` says that the file is a static
/// program, which is not one of Go's.
fn libc_of(
    found: &Found,
    texts: Option<Texts>,
    library: Option<&str>,
    is_static: bool,
) -> Result<Option<Libc>, BadElf> {
    let Found { musl, glibc, glibc_release, uclibc, uclibc_loader, gcompat, .. } = found;
    // Programs contain the name of their loader, too.
    let is_uclibc_file = |name: &str| name.contains("-uClibc") || name.starts_with("libuClibc");
    let uclibc = *uclibc || (*uclibc_loader && library.is_some_and(is_uclibc_file));
    Ok(match (*musl, *glibc, uclibc) {
        // gcompat's loader contains the texts of glibc's loader, which it replaces, and of musl's.
        _ if *gcompat && library.is_some_and(|name| LibcKind::of_loader_name(name).is_some()) => {
            Some(LibcKind::Musl.unversioned())
        }
        (true, false, false) => Some(Libc { kind: LibcKind::Musl, version: texts.and_then(Texts::only) }),
        (false, true, false) => Some(Libc { kind: LibcKind::Glibc, version: *glibc_release }),
        (false, false, true) => Some(LibcKind::Uclibc.unversioned()),
        (false, false, false) => None,
        // A tool that reads other files may contain the texts of several libraries.
        _ if library.is_none() && is_static => return Err(BadElf::Ambiguous),
        _ => None,
    })
}
