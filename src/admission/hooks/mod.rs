//! One file for each hook of the API server, and the preview that two of them show. Must not know of HTTP.

mod namespaces;
mod pods;
mod preview;
mod profiles;
mod workloads;
