//! The lookups behind a nameserver's query log, and the lowest `ndots` that each workload needs. Must not know of the command line, of
//! files, or of the Kubernetes API.
//!
//! A log shows queries, not lookups. A resolver that searches asks for `NAME.DOMAIN` with each domain of its search list, in order,
//! until one exists; [`resolver`](crate::resolver) has the order of each resolver. So a query that failed below the first domain shows
//! the name that a program gave, and a later answer below another domain shows that the search found it. `tried.rs` keeps which
//! candidates of a name failed, and not when, because the queries of one lookup go to different replicas of CoreDNS, whose logs come in
//! any order.

mod analysis;
mod client;
mod dnstap;
mod evidence;
mod frame_stream;
mod log_line;
mod node_domains;
mod pods;
mod query;
mod search_list;
mod traffic;
mod tried;

#[cfg(test)]
mod tests;

pub use analysis::{Analysis, HiddenClient, Limits, Settings, Summary};
pub use dnstap::{DNSTAP_CONTENT_TYPE, Frame, read_frame as read_dnstap_frame};
pub use evidence::{Evidence, NdotsResult, ResolverEvidence, SearchedName};
pub use frame_stream::{FrameError, FrameReader};
pub use log_line::{LogLine, read_log_line};
pub use pods::{Pods, WorkloadName, top_level};
pub use query::{Outcome, Query};
pub use traffic::Certainty;
