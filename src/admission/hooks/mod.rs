//! One file for each hook of the API server, each with a function from a request to its answer, and the preview that two of them
//! show. Must not know of HTTP.

pub(super) mod namespaces;
pub(super) mod pods;
mod preview;
pub(super) mod profiles;
pub(super) mod workloads;
