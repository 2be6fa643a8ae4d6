//! An ELF file, read as its bytes arrive, so that a file of any size needs little memory: the loader from the program headers, Go's
//! build information, and the texts that a C library leaves in every file that contains it. Must not know of other files, such as the
//! loader.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use object::Endianness;
use object::elf::{ET_DYN, ET_EXEC, FileHeader32, FileHeader64, PN_XNUM, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use super::go_build::{self, GoBuild, Parsed};
use super::libc::{Libc, LibcKind};
use crate::budget::count_turns;
use crate::resolver::Version;

/// The first bytes of an ELF file.
pub(crate) const ELF_MAGIC: &[u8; 4] = b"\x7fELF";
/// The most bytes that are kept of the start: linkers put the program headers, and the loader's path after them, in the first page.
const HEAD_MAX_BYTES: usize = 64 << 10;
/// The longest loader path that the kernel accepts, in bytes (`PATH_MAX`).
const LOADER_MAX_BYTES: u64 = 4096;
/// The most places with Go's magic that are read at once: most programs have one; a Go tool that reads build information also has the
/// magic as a text.
const CAPTURES_MAX: usize = 4;
/// The bytes at the end of one part that are searched again with the next: the longest mark, and a version after it.
const OVERLAP_BYTES: usize = 96;
/// The most texts like a version that are kept of a library; musl has one.
const VERSIONS_MAX: usize = 4;
/// The longest text like a version, in bytes: `1.2.4-git-123-g0123456789`.
const VERSION_MAX_BYTES: usize = 32;

/// The start of every release of glibc, and the end of the texts that precede one.
const GLIBC_MAJOR: &str = "2.";

/// The texts to search for.
const MARKS: [(&[u8], Mark); 13] = [
    (go_build::MAGIC, Mark::GoBuild),
    (b"musl libc (", Mark::Musl),
    (b"\0No error information\0", Mark::Musl),
    (b"GLIBC_TUNABLES", Mark::Glibc),
    (b"glibc-ld.so.cache", Mark::Glibc),
    (b"GNU C Library (", Mark::Glibc),
    (b"GLIBC 2.", Mark::GlibcRelease),
    (b"release version 2.", Mark::GlibcRelease),
    (b"\0getaddrinfo\0", Mark::Getaddrinfo),
    (b"\0/etc/config/resolv.conf\0", Mark::Uclibc),
    (b"\0ld-uClibc.so.", Mark::UclibcLoader),
    (b"\0ld64-uClibc.so.", Mark::UclibcLoader),
    (b"libgcompat.so.", Mark::Gcompat),
];

/// UPX writes this after the program headers and a checksum of four bytes (`struct l_info`, upx `src/stub/src/include/linux.h`).
const UPX_MAGIC: &[u8] = b"UPX!";
const UPX_CHECKSUM_BYTES: u64 = 4;

static SEARCH: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(MARKS.iter().map(|(text, _)| text)).ok());

/// The meaning of a text in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Go's build information, if it is aligned.
    GoBuild,
    /// musl: its loader prints the first text (ldso/dynlink.c), its `strerror` contains the second (src/errno/__strerror.h).
    Musl,
    /// glibc: its start code reads the first text since 2.26 (elf/dl-tunables.c), its loader the second (sysdeps/generic/dl-cache.h).
    Glibc,
    /// The banner of glibc's `libc.so.6` (csu/version.c) and, since 2.33, of its loader (elf/dl-usage.c).
    GlibcRelease,
    /// uClibc: the second place where it looks for resolv.conf (libc/inet/resolv.c).
    Uclibc,
    /// uClibc's loader: its own name, also in all programs that ask for it.
    UclibcLoader,
    /// gcompat: its loader, in the place of glibc's, preloads this library and runs musl's loader (loader/loader.c).
    Gcompat,
    /// The symbol in the list that a dynamic program needs from its libraries.
    Getaddrinfo,
}

/// The parts of an ELF file that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// The loader that the file asks for; `None` for static programs and most libraries.
    pub loader: Option<Box<str>>,
    /// Go's build information, for a Go program.
    pub go: Option<GoBuild>,
    /// The C library inside a static program, or the one that the file is.
    pub libc: Option<Libc>,
    /// The file needs `getaddrinfo` from a library, or has a symbol of that name.
    pub getaddrinfo: bool,
}

/// The reason why an ELF file cannot be read as a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadElf {
    #[error("its ELF header is invalid")]
    Header,
    #[error("it is an ELF file, but neither a program nor a library")]
    NoProgram,
    #[error("the path of its loader is outside the file, or is not a path")]
    Loader,
    #[error("it is packed by UPX, which hides its contents")]
    Packed,
    #[error("it is static and contains texts of several C libraries")]
    Ambiguous,
}

/// A reader of one ELF file.
#[derive(Debug)]
pub(crate) struct ElfScan {
    size: u64,
    /// The number of bytes that were read.
    at: u64,
    head: Vec<u8>,
    loader: LoaderScan,
    /// The last bytes, which are searched again with the next.
    overlap: Vec<u8>,
    captures: Vec<Vec<u8>>,
    elf: Elf,
    musl: bool,
    glibc: bool,
    uclibc: bool,
    uclibc_loader: bool,
    gcompat: bool,
    glibc_release: Option<Version>,
    texts: Option<Texts>,
}

/// The state of reading the loader's path.
#[derive(Debug)]
enum LoaderScan {
    /// The headers are not complete.
    Headers,
    /// The path is after the head, as `patchelf` puts it.
    Behind {
        start: u64,
        length: usize,
        path: Vec<u8>,
    },
    Done(Result<(), BadElf>),
}

/// Texts between two NULs that look like a version.
#[derive(Debug, Default)]
struct Texts {
    current: Vec<u8>,
    found: Vec<Version>,
}

// === impl ElfScan ===

impl ElfScan {
    /// Creates a reader for a file of `size` bytes. With `versions`, texts like a version are kept to find the release of musl.
    pub(crate) fn new(size: u64, versions: bool) -> Self {
        Self {
            size,
            at: 0,
            head: Vec::new(),
            loader: LoaderScan::Headers,
            overlap: Vec::new(),
            captures: Vec::new(),
            elf: Elf::default(),
            musl: false,
            glibc: false,
            uclibc: false,
            uclibc_loader: false,
            gcompat: false,
            glibc_release: None,
            texts: versions.then(Texts::default),
        }
    }

    /// Reads the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.feed_loader(bytes);
        self.feed_captures(bytes);
        if let Some(texts) = &mut self.texts {
            texts.feed(bytes);
        }
        self.search(bytes);
        self.at += bytes.len() as u64;
    }

    /// Returns what the file is, after all its bytes. `library` is the file name of a library.
    pub(crate) fn finish(mut self, library: Option<&str>) -> Result<Elf, BadElf> {
        if matches!(self.loader, LoaderScan::Headers) {
            self.read_headers();
        }
        let Self { loader, mut elf, musl, glibc, mut uclibc, uclibc_loader, gcompat, glibc_release, texts, .. } = self;
        match loader {
            LoaderScan::Done(result) => result?,
            LoaderScan::Headers | LoaderScan::Behind { .. } => return Err(BadElf::Loader),
        }
        // Programs contain the name of their loader, too.
        uclibc |=
            uclibc_loader && library.is_some_and(|name| name.contains("-uClibc") || name.starts_with("libuClibc"));
        elf.libc = match (musl, glibc, uclibc) {
            // gcompat's loader contains the texts of glibc's loader, which it replaces, and of musl's.
            _ if gcompat && library.is_some_and(|name| LibcKind::of_loader_name(name).is_some()) => {
                Some(LibcKind::Musl.unversioned())
            }
            (true, false, false) => Some(Libc { kind: LibcKind::Musl, version: texts.and_then(Texts::only) }),
            (false, true, false) => Some(Libc { kind: LibcKind::Glibc, version: glibc_release }),
            (false, false, true) => Some(LibcKind::Uclibc.unversioned()),
            (false, false, false) => None,
            // A tool that reads other files may contain the texts of several libraries.
            _ if library.is_none() && elf.loader.is_none() && elf.go.is_none() => return Err(BadElf::Ambiguous),
            _ => None,
        };
        Ok(elf)
    }

    fn feed_loader(&mut self, bytes: &[u8]) {
        if matches!(self.loader, LoaderScan::Headers) {
            let room = HEAD_MAX_BYTES - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if self.head.len() == HEAD_MAX_BYTES {
                self.read_headers();
            }
        }
        if let LoaderScan::Behind { start, length, path } = &mut self.loader {
            let from = (*start + path.len() as u64).saturating_sub(self.at);
            if let Some(part) = usize::try_from(from).ok().and_then(|from| bytes.get(from..)) {
                path.extend_from_slice(&part[..part.len().min(*length - path.len())]);
            }
            if path.len() == *length {
                let loader = loader_path(path);
                self.loader =
                    LoaderScan::Done(loader.map(|loader| self.elf.loader = Some(loader)).ok_or(BadElf::Loader));
            }
        }
    }

    /// Reads the headers in the head, and the loader's path if it is in the head.
    fn read_headers(&mut self) {
        let head = std::mem::take(&mut self.head);
        let segment = match head.get(4) {
            Some(1) => loader_segment::<FileHeader32<Endianness>>(&head),
            Some(2) => loader_segment::<FileHeader64<Endianness>>(&head),
            _ => Err(BadElf::Header),
        };
        self.loader = match segment {
            Err(bad) => LoaderScan::Done(Err(bad)),
            Ok(None) => LoaderScan::Done(Ok(())),
            Ok(Some((start, length))) => self.locate(&head, start, length),
        };
    }

    fn locate(&mut self, head: &[u8], start: u64, length: u64) -> LoaderScan {
        let end = start.saturating_add(length);
        if length == 0 || length > LOADER_MAX_BYTES || end > self.size {
            return LoaderScan::Done(Err(BadElf::Loader));
        }
        let inside = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        if let Some(path) = inside.and_then(|(start, end)| head.get(start..end)) {
            self.elf.loader = loader_path(path);
            return LoaderScan::Done(self.elf.loader.is_some().then_some(()).ok_or(BadElf::Loader));
        }
        // The head may have the first part of the path; `feed` adds the rest.
        let path = usize::try_from(start).ok().and_then(|start| head.get(start..)).unwrap_or_default().to_vec();
        LoaderScan::Behind { start, length: usize::try_from(length).unwrap_or(0), path }
    }

    /// Passes to each place with the magic as much of `bytes` as it needs.
    fn feed_captures(&mut self, bytes: &[u8]) {
        let build = &mut self.elf.go;
        self.captures.retain_mut(|capture| {
            let mut rest = bytes;
            loop {
                count_turns(1);
                match go_build::parse(capture) {
                    Parsed::Build(found) => {
                        build.get_or_insert(found);
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
        });
    }

    fn search(&mut self, bytes: &[u8]) {
        let Some(search) = SEARCH.as_ref() else { return };
        let start = self.at - self.overlap.len() as u64;
        let mut window = std::mem::take(&mut self.overlap);
        let seen = window.len();
        window.extend_from_slice(bytes);
        for found in search.find_overlapping_iter(&window) {
            count_turns(1);
            let (_, mark) = MARKS[found.pattern().as_usize()];
            match mark {
                // A match that ends in the overlap was already found in the previous part.
                Mark::GoBuild => {
                    let aligned = (start + found.start() as u64).is_multiple_of(go_build::ALIGN);
                    if aligned && found.end() > seen && self.captures.len() < CAPTURES_MAX {
                        self.captures.push(window[found.start()..found.end()].to_vec());
                        self.feed_captures_from(&window[found.end()..]);
                    }
                }
                Mark::Musl => self.musl = true,
                Mark::Glibc => self.glibc = true,
                Mark::GlibcRelease => {
                    let release = version_at(&window[found.end() - GLIBC_MAJOR.len()..]);
                    self.glibc_release = release.or(self.glibc_release);
                }
                Mark::Getaddrinfo => self.elf.getaddrinfo = true,
                Mark::Uclibc => self.uclibc = true,
                Mark::UclibcLoader => self.uclibc_loader = true,
                Mark::Gcompat => self.gcompat = true,
            }
        }
        window.drain(..window.len().saturating_sub(OVERLAP_BYTES));
        self.overlap = window;
    }

    /// Passes bytes to the newest capture only.
    fn feed_captures_from(&mut self, bytes: &[u8]) {
        let others = self.captures.len() - 1;
        let mut others: Vec<_> = self.captures.drain(..others).collect();
        self.feed_captures(bytes);
        others.append(&mut self.captures);
        self.captures = others;
    }
}

// === impl Texts ===

impl Texts {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == 0 {
                let version = std::str::from_utf8(&self.current).ok().filter(|text| text.matches('.').count() >= 2);
                if let Some(version) = version.and_then(|text| text.parse::<Version>().ok())
                    && self.found.len() < VERSIONS_MAX
                    && !self.found.contains(&version)
                {
                    self.found.push(version);
                }
                self.current.clear();
            } else if self.current.len() <= VERSION_MAX_BYTES {
                self.current.push(*byte);
            }
        }
    }

    /// Returns the version, if exactly one text is a possible release of musl (0.5.0 to 1.2.6 by 2026).
    fn only(self) -> Option<Version> {
        let mut plausible = self.found.into_iter().filter(|version| version.major <= 1);
        let first = plausible.next();
        first.filter(|_| plausible.next().is_none())
    }
}

/// Returns the offset of the loader's path, and its length with the NUL.
fn loader_segment<H: FileHeader<Endian = Endianness>>(head: &[u8]) -> Result<Option<(u64, u64)>, BadElf> {
    let header = H::parse(head).map_err(|_| BadElf::Header)?;
    let endian = header.endian().map_err(|_| BadElf::Header)?;
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Err(BadElf::NoProgram);
    }
    // The kernel rejects a program without program headers, and more than 64 KiB of them, which includes every count that is stored
    // elsewhere (fs/binfmt_elf.c `load_elf_phdrs`). Linkers put them first.
    if matches!(header.e_phnum(endian), 0 | PN_XNUM) {
        return Err(BadElf::Header);
    }
    let segments = header.program_headers(endian, head).map_err(|_| BadElf::Header)?;
    let size = u64::from(header.e_phentsize(endian)) * u64::from(header.e_phnum(endian));
    let behind = header.e_phoff(endian).into().saturating_add(size).saturating_add(UPX_CHECKSUM_BYTES);
    if usize::try_from(behind)
        .ok()
        .and_then(|behind| head.get(behind..))
        .is_some_and(|rest| rest.starts_with(UPX_MAGIC))
    {
        return Err(BadElf::Packed);
    }
    let loader = segments.iter().find(|segment| segment.p_type(endian) == PT_INTERP);
    Ok(loader.map(|segment| (segment.p_offset(endian).into(), segment.p_filesz(endian).into())))
}

fn loader_path(bytes: &[u8]) -> Option<Box<str>> {
    let path = bytes.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(path).ok().filter(|path| !path.is_empty()).map(Into::into)
}

/// Returns the version at the start of `bytes`: `2.36` for `2.36-9+deb12u14)` and for `2.36.`.
fn version_at(bytes: &[u8]) -> Option<Version> {
    let length = bytes.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..length]).ok()?.trim_end_matches('.').parse().ok()
}
