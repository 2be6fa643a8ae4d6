//! Image references, and what a reference alone suggests about the resolver inside the image. Pure knowledge of how images are
//! named: it must not know of registries as servers, of image contents (`registry` reads those), of pods or of rules.
//!
//! | to find | look in |
//! |---|---|
//! | the grammar of `host:port/path:tag@digest` | [`Reference`] |
//! | resolver, evidence and reason of one image | [`Fingerprint`], [`Evidence`], [`Reason`] |
//! | the beginning that many references share | [`Prefix`] |
//! | the decision | [`suggest()`] |
//! | what a word such as `alpine3.18` or `bookworm` in a name tells | `conventions.rs` |
//! | which publisher builds on what, and who says so | [`publishers`], one row a repository |

pub mod by_name;
pub mod contents;
mod fingerprint;
mod prefix;
mod reason;
mod reference;

pub use by_name::{assume, publishers, suggest};
pub use fingerprint::{Evidence, Fingerprint};
pub use prefix::{InvalidPrefix, Prefix};
pub use reason::{Part, Reason};
pub use reference::{InvalidReference, Problem, Reference};
