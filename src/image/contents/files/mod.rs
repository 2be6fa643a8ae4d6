//! One file of an image: what it is, from its path and bytes alone. Must not know of other files.

pub(crate) mod c_ares;
pub(crate) mod elf;
mod elf_headers;
mod elf_marks;
pub(crate) mod file_scan;
pub(crate) mod go_build;
pub(crate) mod libc;
pub(crate) mod release_files;
pub(crate) mod script;
mod texts;
