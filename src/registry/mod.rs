//! Reading images: manifests, configurations and layers from a registry or an archive, streamed, bounded and checked, reduced to the
//! facts from which [`crate::image::contents`] decides. All content is untrusted. Must not know Kubernetes, nor decide which resolver
//! an image has.
//!
//! | to find | look in |
//! |---|---|
//! | limits on everything that is read | [`Limits`] |
//! | errors | [`Error`] |
//! | requests, credentials, retries, allowed addresses | `http/` |
//! | an image in a registry, mirrors | `remote.rs` |
//! | an image on disk | `archive.rs` |
//! | one layer, from bytes to facts | `layer.rs`, `tar.rs` |
//! | platforms, the cache of layers, reading no more layers than needed | `inspector.rs` |
//! | cached lookups and inspections in the background | `images/` |

mod archive;
mod blocking;
mod digest;
mod error;
mod http;
mod images;
mod inspector;
pub mod layer;
mod limits;
mod manifest;
mod platform;
mod remote;
mod tar;

pub use archive::Archive;
pub use digest::{Digest, InvalidDigest};
pub use error::{Error, ErrorSubject};
pub use http::{Client, ClientSettings, Credentials, InvalidNetwork, Mirror, Network};
pub use images::{CredentialSource, Image, ImageUse, Images, InspectionCounts, InspectionLimits, Lookup, Requester};
pub use inspector::{Depth, ImageSource, Inspection, Inspector};
pub use layer::Layer;
pub use limits::Limits;
pub use manifest::{Descriptor, ImageConfig, IndexOrManifest};
pub use platform::{InvalidPlatform, Platform};
pub use remote::Remote;
