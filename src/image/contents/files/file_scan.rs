//! One file, read as its bytes come: what it is, as far as it matters to the resolver. Must not know how it is stored.

use super::elf::{ELF_MAGIC, Elf, ElfScan};
use super::libc::Libc;
use super::release_files::{Document, DocumentScan};
use super::script::{Script, ScriptScan};

/// The largest library whose texts are searched for musl's version: musl's own has 600 to 900 KiB.
const VERSIONED_MAX: u64 = 8 << 20;

/// A file that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A symbolic link, and what it says.
    Symlink(Box<str>),
    /// Another name of a file: a hard link, and the path of the other name.
    Hardlink(Box<str>),
    /// A program in ELF.
    Program(Elf),
    /// A C library, or its loader.
    Libc(Libc),
    /// A program in a language, with its interpreter in its first line.
    Script(Script),
    /// A file that tells what the distribution is.
    Document(Document),
    /// It may be run, and what it is cannot be told; why.
    Unreadable(Box<str>),
}

/// Reads a file as its bytes come.
#[derive(Debug)]
pub struct FileScan {
    executable: bool,
    /// Its name, if that is one of a library.
    library: Option<Box<str>>,
    size: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Too few bytes to tell.
    Start(Vec<u8>),
    Elf(Box<ElfScan>),
    Script(ScriptScan),
    Document(DocumentScan),
    /// Nothing that matters, were it executable or not: the kernel runs nothing that begins otherwise.
    Other,
}

// === impl FileScan ===

impl FileScan {
    /// A scan of the file at `path`, relative to the root, of `size` bytes.
    pub fn new(path: &str, size: u64, executable: bool) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let library = (name.ends_with(".so") || name.contains(".so.")).then(|| name.into());
        let state = DocumentScan::of(path).map_or_else(|| State::Start(Vec::new()), State::Document);
        Self { executable, library, size, state }
    }

    /// The next bytes.
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
            State::Document(scan) => scan.feed(bytes),
            State::Other => {}
        }
    }

    fn begin(&self, start: &[u8]) -> State {
        let Self { executable, library, size, state: _ } = self;
        if start.starts_with(ELF_MAGIC) && (*executable || library.is_some()) {
            State::Elf(Box::new(ElfScan::new(*size, library.is_some() && *size <= VERSIONED_MAX)))
        } else if start.starts_with(b"#!") {
            State::Script(ScriptScan::default())
        } else {
            State::Other
        }
    }

    /// Whether the rest of the file may be passed over.
    pub const fn is_indifferent(&self) -> bool {
        matches!(self.state, State::Other)
    }

    /// What the file is; `None` if it does not matter.
    pub fn finish(self) -> Option<Node> {
        let Self { executable: _, library, size: _, state } = self;
        match state {
            State::Start(_) | State::Other => None,
            State::Document(scan) => Some(Node::Document(scan.finish())),
            State::Script(scan) => scan.finish().map(Node::Script),
            State::Elf(scan) => match (scan.finish(library.as_deref()), library) {
                (Ok(elf), Some(_)) => elf.libc.map(Node::Libc),
                (Ok(elf), None) => Some(Node::Program(elf)),
                (Err(_), Some(_)) => None,
                (Err(bad), None) => Some(Node::Unreadable(bad.to_string().into())),
            },
        }
    }
}
