//! Queries the nameservers and records observations: single queries, pairs, bursts, and lookups through C libraries. Needs no root.
//! Sends only to the given nameservers, except for one optional query to TEST-NET-1, and within a bounded number of queries and a
//! bounded time. [`try_cache`] tries a cache on the node, [`check_search_domains`] search
//! domains, [`send_round`] makes a small round of a watch. Must not know what the observations mean: that is [`crate::verdicts`].

mod asker;
mod cache_trial;
mod dns_question;
mod domain_check;
mod drop_counters;
mod libraries;
mod light_round;
mod lookup;
mod node_files;
mod own_resolvers;
mod program;
mod schedule;
mod session;
mod settings_lookup;
mod system;
#[cfg(test)]
mod watch_simulation;

pub use cache_trial::try_cache;
pub use domain_check::{QUERIES_MAX as SEARCH_QUERIES_MAX, check_search_domains, is_checkable};
pub use drop_counters::{DropCounters, read_drop_counters};
pub use libraries::Libraries;
pub use light_round::{LightRound, send_round};
pub use lookup::{LookupProgram, PrintedLookup};
pub use node_files::read_node_files;
pub use program::ProgramSource;
pub use session::{Probe, ProbeResult, Progress};
pub use settings_lookup::{
    COMPARISON_QUERIES_MAX, Comparison, PodSettings, SettingsPair, WorseLookup, compare as compare_settings,
    names_as_given,
};
pub use system::read_resolv_conf;
