//! Which resolver an image has: from its name (`by_name/`) or from its files (`contents/`). Does no I/O: `registry` reads images. Must
//! not know pods or rules.
//!
//! | to find | look in |
//! |---|---|
//! | the grammar of `host:port/path:tag@digest` | [`Reference`] |
//! | resolver, evidence and reason of one image | [`Fingerprint`], [`Evidence`], [`Reason`] |
//! | the start of references that stands for many images | [`Prefix`] |
//! | what a reference suggests | `by_name/` |
//! | what the files of an image show | `contents/` |

mod by_name;
pub mod contents;
mod fingerprint;
mod prefix;
mod reason;
mod reference;

pub(crate) use by_name::ALPINE_PROGRAMS_WITH_C_ARES;
pub use by_name::{assume, assume_started, publishers, suggest};
pub use fingerprint::{Evidence, Fingerprint, SecondResolver};
pub use prefix::{InvalidPrefix, Prefix};
pub use reason::{Part, Reason};
pub use reference::{InvalidReference, Problem, Reference};
