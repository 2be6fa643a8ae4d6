//! HTTP to registries: who may be contacted, with which credentials, how often and for how long. Must not know manifests or layers.
//!
//! | to find | look in |
//! |---|---|
//! | settings | `settings.rs` |
//! | one request with its credentials and retries | `client.rs` |
//! | one exchange with its redirects | `transport.rs` |
//! | connections, and which addresses they may go to | `connector.rs`, `address.rs` |
//! | tokens | `challenge.rs`, `tokens.rs` |
//! | hosts that failed | `backoff.rs` |

mod address;
mod backoff;
mod body;
mod challenge;
mod client;
mod connector;
mod credentials;
mod settings;
mod tokens;
mod transport;
mod url;

pub use address::{InvalidNetwork, Network};
pub(crate) use body::{BodyParts, read_body};
pub use client::Client;
pub use credentials::Credentials;
pub use settings::{ClientSettings, Mirror};
