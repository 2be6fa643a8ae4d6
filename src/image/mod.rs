//! Image references, and what a reference alone suggests about the resolver inside the image. Pure knowledge of how images are
//! named: it must not know of registries as servers, of image contents (`registry` reads those), of pods or of rules.
//!
//! | to find | look in |
//! |---|---|
//! | the grammar of `host:port/path:tag@digest` | [`Reference`] |
//! | resolver, evidence and reason of one image | [`Fingerprint`], [`Evidence`], [`Because`] |
//! | the beginning that many references share | [`Prefix`] |
//! | the decision | [`suggest()`] |
//! | what a word such as `alpine3.18` or `bookworm` in a name tells | `conventions.rs` |
//! | which publisher builds on what, and who says so | [`publishers`], one row a repository |

mod because;
mod conventions;
mod fingerprint;
pub mod inspect;
mod prefix;
pub mod publishers;
mod reference;
mod suggest;
mod tag;
#[cfg(test)]
mod tests;

pub use because::{Because, Part};
pub use fingerprint::{Evidence, Fingerprint};
pub use prefix::{InvalidPrefix, Prefix};
pub use reference::{InvalidReference, Problem, Reference};
pub use suggest::suggest;

/// What an image reference, as a pod has it, suggests. What is no reference suggests nothing.
pub fn assume(image: &str) -> Fingerprint {
    match Reference::parse(image) {
        Ok(reference) => suggest(&reference),
        Err(_) => Fingerprint::unknown(Because::Fixed("it is not an image reference")),
    }
}
