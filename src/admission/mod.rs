//! The webhook: reviews in, answers out, over HTTPS. Knows plans and the cluster's namespaces; must not know of command lines.
//!
//! A review flows one way: bytes, the borrowed pod, fingerprints, findings, plan, patch, bytes. Nothing on that path waits for
//! the network, except for a namespace that is too new to be known, and, for a little while, for an image that is.

mod decision;
mod events;
mod hooks;
mod imprint;
mod metrics;
mod review;
mod serving;
mod webhook;

pub use metrics::Metrics;
pub use serving::{KeyFiles, Keys, Limits, Server, Shutdown, TlsError, server_config};
pub use webhook::{Settings, Webhook};

#[cfg(test)]
mod tests;
