//! The resolver inside an image, from its files. Does no I/O and knows no formats of layers: `registry` reads the files, and this
//! folder gets paths and bytes.
//!
//! One way through: the bytes of a file → [`FileScan`] → a [`Node`] → [`LayerFacts`] → [`Tree`], the image's
//! file system → [`ImageFacts`], small enough to store → [`ImageFacts::fingerprint`], for the command and environment of one
//! container.
//!
//! | to find | look in |
//! |---|---|
//! | what one file is: ELF and Go programs, scripts, package databases | `files/` |
//! | whiteouts, links, which layer wins | `layers/` |
//! | what a shell's text starts, and programs that only start another (`tini`, `env`, `gosu`) | `shell/` |
//! | which facts of an image are kept | `program_list.rs`, `program_kind.rs`, `loader.rs`, `own_command.rs`, `summary.rs` |
//! | which program a command ends in | `entrypoint.rs`, `program_search.rs` |
//! | which resolver a program uses | `program_resolver.rs` |
//! | which libraries and programs have c-ares | `c_ares.rs`, `second_resolver.rs` |
//! | the files that an answer follows from | `evidence.rs` |

mod c_ares;
mod entrypoint;
mod evidence;
mod facts;
mod files;
mod layers;
mod loader;
mod own_command;
mod program_kind;
mod program_list;
mod program_resolver;
mod program_search;
mod second_resolver;
mod shell;
mod summary;
#[cfg(test)]
mod tests;

pub use entrypoint::Invocation;
pub use evidence::EvidenceFile;
pub use facts::{Config, ImageFacts};
pub use files::c_ares::CAres;
pub use files::elf::Elf;
pub use files::file_scan::{FileScan, Node};
pub use files::go_build::GoBuild;
pub use files::libc::{Libc, LibcKind};
pub use files::release_files::{Packages, ReleaseFile};
pub use files::script::Script;
pub use layers::filesystem::Tree;
pub use layers::layer::{Entry, LayerBuilder, LayerFacts, LayerTooLarge};
pub use layers::path::normalise_path;
pub use program_resolver::{Process, Unknown};
