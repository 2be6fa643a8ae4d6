//! One file, read as its bytes arrive: what it is, as far as this matters to the resolver. Must not know how it is stored.

use super::c_ares::CAres;
use super::elf::{ELF_MAGIC, Elf, ElfScan};
use super::go_build::GoBuild;
use super::libc::Libc;
use super::release_files::{ReleaseFile, ReleaseFileScan};
use super::script::{Script, ScriptScan};

/// The largest library that is searched for musl's version, in bytes: musl's own has 600 to 900 KiB.
const VERSIONED_MAX_BYTES: u64 = 8 << 20;

/// A file that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A symbolic link, with its target as written.
    Symlink(Box<str>),
    /// A hard link, with the path of the other name.
    Hardlink(Box<str>),
    /// An ELF program.
    Program(Elf),
    /// A C library, or its loader.
    Libc(Libc),
    /// Another library, which has or needs c-ares.
    Library(CAres),
    /// A script, with its interpreter in the first line.
    Script(Script),
    /// A file that states the distribution's release.
    ReleaseFile(ReleaseFile),
    /// A program that cannot be read, with the reason.
    Unreadable(Box<str>),
}

/// A reader of one file.
#[derive(Debug)]
pub struct FileScan {
    executable: bool,
    /// The file's name, if that is the name of a library.
    library: Option<Box<str>>,
    size: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Too few bytes to know the format.
    Start(Vec<u8>),
    Elf(Box<ElfScan>),
    Script(ScriptScan),
    ReleaseFile(ReleaseFileScan),
    /// Not a file format that the kernel executes.
    Other,
}

// === impl FileScan ===

impl FileScan {
    /// Creates a reader for the file at `path`, relative to the root, of `size` bytes.
    pub fn new(path: &str, size: u64, executable: bool) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let library = (name.ends_with(".so") || name.contains(".so.")).then(|| name.into());
        let state = ReleaseFileScan::at(path).map_or_else(|| State::Start(Vec::new()), State::ReleaseFile);
        Self { executable, library, size, state }
    }

    /// Reads the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Start(start) => {
                start.extend_from_slice(bytes);
                if start.len() >= ELF_MAGIC.len() {
                    let start = std::mem::take(start);
                    self.state = self.begin(&start);
                    if !self.is_indifferent() {
                        self.feed(&start);
                    }
                }
            }
            State::Elf(scan) => scan.feed(bytes),
            State::Script(scan) => scan.feed(bytes),
            State::ReleaseFile(scan) => scan.feed(bytes),
            State::Other => {}
        }
    }

    fn begin(&self, start: &[u8]) -> State {
        let Self { executable, library, size, state: _ } = self;
        if start.starts_with(ELF_MAGIC) && (*executable || library.is_some()) {
            State::Elf(Box::new(ElfScan::new(*size, library.is_some() && *size <= VERSIONED_MAX_BYTES)))
        } else if start.starts_with(b"#!") {
            State::Script(ScriptScan::default())
        } else {
            State::Other
        }
    }

    /// Returns true if the rest of the file may be skipped.
    pub const fn is_indifferent(&self) -> bool {
        matches!(self.state, State::Other)
    }

    /// Returns what the file is; `None` if it does not matter.
    pub fn finish(self) -> Option<Node> {
        let Self { executable, library, size: _, state } = self;
        match state {
            State::Start(_) | State::Other => None,
            State::ReleaseFile(scan) => Some(Node::ReleaseFile(scan.finish())),
            State::Script(scan) => scan.finish(executable).map(Node::Script),
            State::Elf(scan) => match (scan.finish(library.as_deref()), library) {
                (Ok(elf), Some(_)) => elf.libc.map(Node::Libc).or(elf.c_ares.map(Node::Library)),
                (Ok(elf), None) => Some(Node::Program(elf)),
                (Err(_), Some(_)) => None,
                (Err(bad), None) => Some(Node::Unreadable(bad.to_string().into())),
            },
        }
    }
}

// === impl Node ===

impl Node {
    /// Returns the approximate memory use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Symlink(target) | Self::Hardlink(target) => target.len(),
                Self::Program(elf) => {
                    let names = elf.loader.iter().chain(&elf.carriers).map(|name| name.len() + size_of::<Box<str>>());
                    names.sum::<usize>() + elf.go.as_ref().map_or(0, GoBuild::bytes)
                }
                Self::Script(script) => script.bytes(),
                Self::Unreadable(reason) => reason.len(),
                Self::Libc(_) | Self::Library(_) | Self::ReleaseFile(_) => 0,
            }
    }
}
