//! The webhook: reviews in, answers out, over HTTPS. Knows plans and the cluster's namespaces; must not know of command lines.
//!
//! A review takes this path, and enters each file once:
//!
//! 1. `serving` accepts the connection and reads the body within its bounds;
//! 2. `webhook.rs` finds the hook, and counts and times the review;
//! 3. `review.rs` reads the pod from the bytes, borrowed;
//! 4. `hooks/` asks `state.rs` for the namespace's policy, the images and the profile, and makes the plan;
//! 5. `answer.rs` writes the response.
//!
//! Nothing on that path waits for the network, except for a namespace that the watch has not seen yet and, within a small budget, for
//! an unknown image. No cache keeps reviews or decisions: the path itself is cheap.

mod answer;
mod events;
mod hooks;
mod large_reviews;
pub(crate) mod memory;
mod metrics;
mod missed;
mod namespace_findings;
#[cfg(target_os = "linux")]
mod process_metrics;
mod report_metrics;
mod reports;
mod review;
mod rollout_metrics;
mod rollouts;
mod serving;
mod state;
mod webhook;

pub use metrics::Metrics;
pub use serving::{
    BODY_BYTES_MAX, BUFFER_MAX, CONNECTIONS_MAX, KeyFiles, Keys, Limits, PROBE_CONNECTIONS_MAX, Server, Shutdown,
    TlsError, listen, listen_everywhere, server_config,
};
pub use state::Settings;
pub use webhook::Webhook;

#[cfg(test)]
mod tests;
