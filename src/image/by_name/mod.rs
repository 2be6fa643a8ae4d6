//! The resolver that an image name suggests. Must not know the contents of images (`contents` does).
//!
//! | to find | look in |
//! |---|---|
//! | the decision | `suggest.rs` |
//! | the meaning of words such as `alpine3.18` or `bookworm` in a name | `conventions.rs` |
//! | the bases and programs of publishers' images, with sources | [`publishers`], one row for each repository |

mod conventions;
pub mod publishers;
mod suggest;
mod tag;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use suggest::ALPINE_PROGRAMS_WITH_C_ARES;
pub use suggest::{assume, assume_started, suggest};
