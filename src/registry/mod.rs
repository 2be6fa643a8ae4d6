//! Reading images: a registry's or an archive's manifests, configurations and layers, streamed, bounded and checked, down to the
//! facts from which [`crate::image::inspect`] decides. Everything here is read from somebody who is not trusted. Must not know
//! Kubernetes, nor decide which resolver an image has.
//!
//! | to find | look in |
//! |---|---|
//! | how much is believed of anything | [`Limits`] |
//! | what can go wrong | [`Error`] |
//! | one layer, from bytes to facts | `layer.rs`, `tar.rs` |
//! | archives and folders on disk | `archive.rs` |

mod digest;
mod error;
pub mod layer;
mod limits;
mod manifest;
mod platform;
mod tar;

pub use digest::{Digest, InvalidDigest};
pub use error::{Error, Subject};
pub use layer::Layer;
pub use limits::Limits;
pub use manifest::{Descriptor, Document, ImageConfig};
pub use platform::{InvalidPlatform, Platform};
