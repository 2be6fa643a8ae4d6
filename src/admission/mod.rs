//! The webhook: reviews in, answers out, over HTTPS. Knows plans and the cluster's namespaces; must not know of command lines.
//!
//! A review flows one way: bytes, the borrowed pod, fingerprints, findings, plan, patch, bytes. Nothing on that path waits for
//! the network, except for a namespace that is too new to be known, and, for a little while, for an image that is.

mod body;
mod deadline;
mod decision;
mod imprint;
mod inspection;
mod labels;
mod metrics;
mod pods;
mod preview;
mod profiles;
mod review;
mod server;
mod shutdown;
mod story;
mod tls;
mod webhook;
mod workloads;

pub use inspection::Inspection;
pub use metrics::Metrics;
pub use server::{Limits, Server};
pub use shutdown::Shutdown;
pub use tls::{KeyFiles, Keys, TlsError, server_config};
pub use webhook::{Settings, Webhook};

#[cfg(test)]
mod tests;
