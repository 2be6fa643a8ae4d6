//! Reading images: a registry's or an archive's manifests, configurations and layers, streamed, bounded and checked, down to the
//! facts from which [`crate::image::contents`] decides. Everything here is read from somebody who is not trusted. Must not know
//! Kubernetes, nor decide which resolver an image has.
//!
//! | to find | look in |
//! |---|---|
//! | how much is believed of anything | [`Limits`] |
//! | what can go wrong | [`Error`] |
//! | one layer, from bytes to facts | `layer.rs`, `tar.rs` |
//! | images on disk | `archive.rs` |
//! | images of a registry, mirrors | `remote.rs` |
//! | connections, redirects, tokens, retries | `client.rs`, `credentials.rs` |
//! | which addresses may be reached | `address.rs` |
//! | what is known of images, for those who cannot wait | [`Images`] |
//! | platforms, the cache of layers, how early reading ends | `inspector.rs` |

mod address;
mod archive;
mod client;
mod credentials;
mod digest;
mod error;
mod images;
mod inspector;
pub mod layer;
mod limits;
mod manifest;
mod platform;
mod remote;
mod tar;

pub use address::{InvalidNetwork, Network};
pub use archive::Archive;
pub use client::{Client, Mirror, Settings};
pub use credentials::{Credential, Credentials};
pub use digest::{Digest, InvalidDigest};
pub use error::{Error, Subject};
pub use images::{Image, Images, Keyring, Known, Pace, Tally, Used};
pub use inspector::{Depth, Inspection, Inspector, Source};
pub use layer::Layer;
pub use limits::Limits;
pub use manifest::{Descriptor, Document, ImageConfig};
pub use platform::{InvalidPlatform, Platform};
pub use remote::Remote;
