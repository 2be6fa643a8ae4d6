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
//! | the files that say so, for people | `evidence.rs` |
//! | which resolver a container's process uses | `process.rs` |

mod entrypoint;
mod evidence;
mod facts;
mod files;
mod layers;
mod path_filter;
mod shell;
#[cfg(test)]
mod tests;

pub use entrypoint::{Invocation, Process, Unknown};
pub use evidence::EvidenceFile;
pub use facts::{Config, ImageFacts};
pub use files::elf::{Elf, ElfScan};
pub use files::file_scan::{FileScan, Node};
pub use files::go_build::GoBuild;
pub use files::libc::{Libc, LibcKind};
pub use files::release_files::Document;
pub use files::script::Script;
pub use layers::filesystem::Tree;
pub use layers::layer::{Entry, LayerBuilder, LayerFacts, LayerTooLarge, normalise};
