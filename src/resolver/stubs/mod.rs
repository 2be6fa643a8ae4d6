//! The stub resolvers that muslin models, one file each.

pub(super) mod c_ares;
pub mod glibc;
pub mod go;
pub mod musl;
pub mod uclibc;
