//! The headers of an ELF file, read as its bytes arrive: the loader in the program headers, and the places of the names of the
//! libraries that the file needs. Linkers put the program headers first; tools that add data to a program, as for Node's single
//! executables, put them at the end. Must not know texts.

use object::elf::{
    DT_NEEDED, DT_STRTAB, ET_DYN, ET_EXEC, FileHeader32, FileHeader64, PN_XNUM, PT_DYNAMIC, PT_INTERP, PT_LOAD,
};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, pod};

/// The most bytes that are kept of the start: linkers put the loader's path in the first page.
const HEAD_MAX_BYTES: usize = 64 << 10;
/// The largest table of program headers that the kernel accepts, in bytes (fs/binfmt_elf.c `load_elf_phdrs`).
const TABLE_MAX_BYTES: u64 = 64 << 10;
/// The longest loader path that the kernel accepts, in bytes (`PATH_MAX`).
const LOADER_MAX_BYTES: u64 = 4096;
/// The most bytes that are read of the dynamic section; those of real programs have some hundred.
const DYNAMIC_MAX_BYTES: u64 = 64 << 10;

/// UPX writes this after the program headers and a checksum of four bytes (`struct l_info`, upx `src/stub/src/include/linux.h`).
const UPX_MAGIC: &[u8] = b"UPX!";
const UPX_CHECKSUM_BYTES: u64 = 4;

/// The reason why an ELF file cannot be read as a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadElf {
    #[error("its ELF header is invalid")]
    Header,
    #[error("it is an ELF file, but neither a program nor a library")]
    NoProgram,
    #[error("the path of its loader is outside the file, or is not a path")]
    Loader,
    #[error("its program headers are too far from the path of its loader")]
    LoaderPassed,
    #[error("it is packed by UPX, which hides its contents")]
    Packed,
    #[error("it is static and contains texts of several C libraries")]
    Ambiguous,
}

/// The part of a file's headers that matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers {
    /// The loader that the file asks for.
    pub(crate) loader: Option<Box<str>>,
    /// The offsets, in the file, of the names of the libraries that the file needs (`DT_NEEDED`).
    pub(crate) needed: Vec<u64>,
}

/// A reader of the headers of one file.
#[derive(Debug)]
pub(crate) struct HeaderScan {
    size: u64,
    /// The first bytes.
    head: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The head is not complete.
    Head,
    /// The program headers are not complete.
    Table(Part),
    Segments {
        /// The path of the loader; `None` for a static program.
        loader: Option<Part>,
        dynamic: Option<Part>,
        loaded: Vec<Loaded>,
    },
    Bad(BadElf),
}

/// A part of a file.
#[derive(Debug)]
struct Part {
    start: u64,
    length: usize,
    bytes: Vec<u8>,
}

/// A part of a file that is loaded into memory.
#[derive(Clone, Copy, Debug)]
struct Loaded {
    offset: u64,
    address: u64,
    size: u64,
}

/// The places in a file that its program headers name: offsets and sizes.
#[derive(Debug, Default)]
struct Segments {
    loader: Option<(u64, u64)>,
    dynamic: Option<(u64, u64)>,
    loaded: Vec<Loaded>,
}

type Elf32 = FileHeader32<Endianness>;
type Elf64 = FileHeader64<Endianness>;

// === impl HeaderScan ===

impl HeaderScan {
    /// Creates a reader for a file of `size` bytes.
    pub(crate) const fn new(size: u64) -> Self {
        Self { size, head: Vec::new(), state: State::Head }
    }

    /// Reads the next bytes, which begin at the offset `at`.
    pub(crate) fn feed(&mut self, at: u64, bytes: &[u8]) {
        if matches!(self.state, State::Head) {
            let room = HEAD_MAX_BYTES - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if self.head.len() == HEAD_MAX_BYTES {
                self.read_header();
            }
        }
        if let State::Table(table) = &mut self.state {
            table.feed(at, bytes);
            if table.is_whole() {
                self.read_table();
            }
        }
        if let State::Segments { loader, dynamic, loaded: _ } = &mut self.state {
            loader.iter_mut().chain(dynamic).for_each(|part| part.feed(at, bytes));
        }
    }

    /// Returns the headers, after all bytes of the file.
    pub(crate) fn finish(mut self) -> Result<Headers, BadElf> {
        if matches!(self.state, State::Head) {
            self.read_header();
        }
        let Self { size: _, head, state } = self;
        let (loader, dynamic, loaded) = match state {
            State::Head | State::Table(_) => return Err(BadElf::Header),
            State::Bad(bad) => return Err(bad),
            State::Segments { loader, dynamic, loaded } => (loader, dynamic, loaded),
        };
        let loader = match loader {
            None => None,
            Some(path) if path.is_whole() => Some(loader_path(&path.bytes).ok_or(BadElf::Loader)?),
            Some(_) => return Err(BadElf::LoaderPassed),
        };
        let needed = match dynamic {
            Some(part) if part.is_whole() && is_64(&head) => needed::<Elf64>(&head, &part.bytes, &loaded),
            Some(part) if part.is_whole() => needed::<Elf32>(&head, &part.bytes, &loaded),
            _ => Vec::new(),
        };
        Ok(Headers { loader, needed })
    }

    /// Reads the ELF header in the head, and the program headers if they are in the head, too.
    fn read_header(&mut self) {
        let Self { size, head, state } = self;
        let place = match head.get(4) {
            Some(1) => table_place::<Elf32>(head),
            Some(2) => table_place::<Elf64>(head),
            _ => Err(BadElf::Header),
        };
        *state = match place {
            Ok((start, length)) if start.saturating_add(length) <= *size => {
                State::Table(Part::new(start, length, head))
            }
            Ok(_) => State::Bad(BadElf::Header),
            Err(bad) => State::Bad(bad),
        };
        if matches!(state, State::Table(table) if table.is_whole()) {
            self.read_table();
        }
    }

    /// Reads the program headers, which are complete.
    fn read_table(&mut self) {
        let Self { size, head, state } = self;
        let State::Table(table) = state else { return };
        let segments =
            if is_64(head) { segments::<Elf64>(head, &table.bytes) } else { segments::<Elf32>(head, &table.bytes) };
        let end = |(start, length): (u64, u64)| start.saturating_add(length);
        *state = match segments {
            Err(bad) => State::Bad(bad),
            Ok(Segments { loader: Some(place), .. })
                if place.1 == 0 || place.1 > LOADER_MAX_BYTES || end(place) > *size =>
            {
                State::Bad(BadElf::Loader)
            }
            Ok(Segments { loader, dynamic, loaded }) => State::Segments {
                loader: loader.map(|(start, length)| Part::new(start, length, head)),
                dynamic: dynamic
                    .filter(|place| place.1 <= DYNAMIC_MAX_BYTES && end(*place) <= *size)
                    .map(|(start, length)| Part::new(start, length, head)),
                loaded,
            },
        };
    }
}

// === impl Part ===

impl Part {
    /// Creates a part, with the bytes of it that are in the head of the file.
    fn new(start: u64, length: u64, head: &[u8]) -> Self {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let in_head = usize::try_from(start).ok().and_then(|start| head.get(start..)).unwrap_or_default();
        Self { start, length, bytes: in_head[..in_head.len().min(length)].to_vec() }
    }

    const fn is_whole(&self) -> bool {
        self.bytes.len() == self.length
    }

    /// Adds the bytes that come next, if `bytes`, which begin at the offset `at`, have them.
    fn feed(&mut self, at: u64, bytes: &[u8]) {
        let next = (self.start + self.bytes.len() as u64).checked_sub(at);
        if let Some(rest) = next.and_then(|next| usize::try_from(next).ok()).and_then(|next| bytes.get(next..)) {
            self.bytes.extend_from_slice(&rest[..rest.len().min(self.length - self.bytes.len())]);
        }
    }
}

/// Returns true if the ELF header is one of 64 bits.
fn is_64(head: &[u8]) -> bool {
    head.get(4) == Some(&2)
}

/// Returns the offset and the size of the program headers.
fn table_place<H: FileHeader<Endian = Endianness>>(head: &[u8]) -> Result<(u64, u64), BadElf> {
    let header = H::parse(head).map_err(|_| BadElf::Header)?;
    let endian = header.endian().map_err(|_| BadElf::Header)?;
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Err(BadElf::NoProgram);
    }
    // The kernel rejects a program without program headers, with larger ones, or with a count that is stored elsewhere.
    let count = header.e_phnum(endian);
    let is_right_size = usize::from(header.e_phentsize(endian)) == size_of::<H::ProgramHeader>();
    let size = u64::from(count) * size_of::<H::ProgramHeader>() as u64;
    if matches!(count, 0 | PN_XNUM) || !is_right_size || size > TABLE_MAX_BYTES {
        return Err(BadElf::Header);
    }
    let start: u64 = header.e_phoff(endian).into();
    let behind = start.saturating_add(size).saturating_add(UPX_CHECKSUM_BYTES);
    let behind = usize::try_from(behind).ok().and_then(|behind| head.get(behind..));
    if behind.is_some_and(|rest| rest.starts_with(UPX_MAGIC)) { Err(BadElf::Packed) } else { Ok((start, size)) }
}

/// Reads the program headers.
fn segments<H: FileHeader<Endian = Endianness>>(head: &[u8], table: &[u8]) -> Result<Segments, BadElf> {
    let endian = H::parse(head).and_then(H::endian).map_err(|_| BadElf::Header)?;
    let headers = pod::slice_from_all_bytes::<H::ProgramHeader>(table).map_err(|()| BadElf::Header)?;
    let mut segments = Segments::default();
    for header in headers {
        let place = (header.p_offset(endian).into(), header.p_filesz(endian).into());
        match header.p_type(endian) {
            // The kernel takes the first.
            PT_INTERP => segments.loader = segments.loader.or(Some(place)),
            PT_DYNAMIC => segments.dynamic = segments.dynamic.or(Some(place)),
            PT_LOAD => {
                let address = header.p_vaddr(endian).into();
                segments.loaded.push(Loaded { offset: place.0, address, size: place.1 });
            }
            _ => {}
        }
    }
    Ok(segments)
}

/// Returns the offsets of the names of the libraries that a file needs, by its dynamic section.
fn needed<H: FileHeader<Endian = Endianness>>(head: &[u8], dynamic: &[u8], loaded: &[Loaded]) -> Vec<u64> {
    let Ok(endian) = H::parse(head).and_then(H::endian) else { return Vec::new() };
    let whole = dynamic.len() - dynamic.len() % size_of::<H::Dyn>();
    let Ok(entries) = pod::slice_from_all_bytes::<H::Dyn>(&dynamic[..whole]) else { return Vec::new() };
    let values = |tag| entries.iter().filter(move |entry| entry.tag(endian) == tag).map(move |entry| entry.val(endian));
    let names = values(DT_STRTAB).next().and_then(|address| {
        loaded.iter().find_map(|part| {
            let inside = address.checked_sub(part.address).filter(|inside| *inside < part.size)?;
            part.offset.checked_add(inside)
        })
    });
    names.map_or_else(Vec::new, |names| values(DT_NEEDED).filter_map(|name| names.checked_add(name)).collect())
}

fn loader_path(bytes: &[u8]) -> Option<Box<str>> {
    let path = bytes.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(path).ok().filter(|path| !path.is_empty()).map(Into::into)
}
