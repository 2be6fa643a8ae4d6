//! The behaviour of each stub resolver with each option, by release: the ground floor. Every fact about a resolver
//! stands here once, with its source. Must not know of pods, images, rules or Kubernetes.
//!
//! A resolver is one file in `stubs/` that implements the trait in `stub.rs`; the other files ask questions over all of
//! them.

pub mod alpine;
mod answer;
mod change;
mod family;
mod lookup;
mod option_fact;
mod options;
mod options_line;
pub mod resolv_conf_crate;
mod settings;
mod stub;
mod stubs;
mod timing;
mod version;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use change::Change;
pub use family::{Cgo, Family, InvalidResolver, Resolver};
pub use lookup::{Lookup, lookup, query_names, resolves, search_domains_read};
pub use option_fact::{Effect, OptionFact, Support, takes_number};
pub use options::{known_option, known_options, option_facts};
pub use options_line::zero_digits;
pub use settings::{QueryPairing, Settings, Transport, Viability};
pub use stub::NAMESERVERS_MAX;
pub use stubs::{changes, glibc, go, musl, uclibc};
pub use version::{InvalidVersion, Version};
