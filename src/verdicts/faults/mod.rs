//! The list of diagnoses, one file each. A new one is a file and a line here.

use super::failures::FailedLookup;
use super::observations::Observations;
use super::verdict::{Diagnosis, Verdict};

pub use fake_ip::TEST_NET_1;
pub(crate) use fake_ip::{is_benchmark, is_made_up};

macro_rules! diagnoses {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// All diagnoses; among verdicts of one level, the most useful to read comes first.
        pub static DIAGNOSES: &[&Diagnosis] = &[$(&$module::DIAGNOSIS),*];
    };
}

diagnoses! {
    stale_nameserver,
    loopback_nameserver,
    link_local_nameserver,
    udp53_blocked_tcp_open,
    nothing_resolves,
    no_cluster_zone,
    name_fails,
    fake_ip,
    nxdomain_hijack,
    aaaa_broken,
    renamed_answer,
    truncation,
    oversized_answer,
    conntrack_race,
    id_collision,
    rate_limited,
    lossy_path,
    slow_server,
    search_expansion,
    libc_disagrees,
    no_ipv6_route,
    clock,
}

/// Returns the verdict about the failed lookups that no other verdict accounts for.
pub(super) fn name_fails(seen: &Observations, rest: &[FailedLookup]) -> Option<Verdict> {
    name_fails::unexplained(seen, rest)
}
