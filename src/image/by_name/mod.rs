//! What a reference alone suggests about the resolver inside the image. Must not know what images hold (`contents` does).
//!
//! | to find | look in |
//! |---|---|
//! | the decision | `suggest.rs` |
//! | what a word such as `alpine3.18` or `bookworm` in a name tells | `conventions.rs` |
//! | which publisher builds on what, and who says so | [`publishers`], one row a repository |

mod conventions;
pub mod publishers;
mod suggest;
mod tag;
#[cfg(test)]
mod tests;
mod words;

pub use suggest::{assume, suggest};
