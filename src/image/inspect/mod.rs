//! What the files of an image tell about its resolver: takes what was found, and decides. Must not know how files are come by
//! (`registry` reads them): no I/O, no layers' formats, only paths and bytes.
//!
//! One way through: the bytes of a file → [`FileScan`] → a [`Node`] → [`LayerFacts`], what one layer says → [`Tree`], the image's
//! file system as far as it matters → [`ImageFacts`], small enough to store → [`ImageFacts::fingerprint`], for the command and
//! environment of one container.
//!
//! | to find | look in |
//! |---|---|
//! | what an ELF file says of itself | `elf.rs`, `go.rs` |
//! | what a script starts | `script.rs`, `shell.rs`, `pieces.rs` |
//! | programs that only start another (`tini`, `env`, `gosu`), supervisors | `wrappers.rs` |
//! | package database, `os-release`, `alpine-release` | `documents.rs` |
//! | whiteouts, links, which layer wins | `layer.rs`, `tree.rs` |
//! | the files that say so, for people | `witness.rs` |
//! | which resolver a container's process uses | `process.rs` |

mod documents;
mod elf;
mod facts;
mod go;
mod layer;
mod libc;
mod names;
mod pieces;
mod process;
mod scan;
mod script;
mod shell;
mod tree;
mod witness;
mod wrappers;

pub use documents::Document;
pub use elf::{Elf, ElfScan};
pub use facts::{Config, ImageFacts};
pub use go::GoBuild;
pub use layer::{Entry, LayerBuilder, LayerFacts, TooMuch, normalise};
pub use libc::{Libc, LibcKind};
pub use process::{Invocation, Process};
pub use scan::{FileScan, Node};
pub use script::Script;
pub use tree::Tree;
pub use witness::Witness;

#[cfg(test)]
mod tests;
