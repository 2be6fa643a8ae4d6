//! Servers that answer nothing, for the verdicts about them. Must not know which verdict is reached.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::list::list;
use super::observations::{AskedQuery, Observations, QueryOutcome, Via};
use super::statistics::Rate;

/// This many unanswered queries are not chance: a path that loses a tenth of all packets loses six in a row once in a million.
const SILENT_MIN: u64 = 6;

/// Returns the servers that answered nothing, by UDP or TCP.
pub(super) fn dead_servers(seen: &Observations) -> impl Iterator<Item = SocketAddr> {
    seen.targets.servers.iter().copied().filter(|server| is_dead(seen, *server))
}

/// Returns whether a server answered nothing, by UDP or TCP.
fn is_dead(seen: &Observations, server: SocketAddr) -> bool {
    let udp = Rate::count(seen.plain_queries(server, Via::Udp), |asked| asked.is_answered());
    udp.total >= SILENT_MIN && udp.hits == 0 && !seen.plain_queries(server, Via::Tcp).any(AskedQuery::is_answered)
}

/// Returns whether some C library found a name all the same.
pub(super) fn is_found_elsewhere(seen: &Observations) -> bool {
    seen.lookups.iter().any(|lookup| lookup.result.is_found())
}

/// Returns what was asked of a server, and what came instead of answers.
pub(super) fn silence(seen: &Observations, server: SocketAddr) -> String {
    let count = |via| seen.plain_queries(server, via).count();
    let mut words = BTreeSet::new();
    for asked in seen.plain_queries(server, Via::Udp).chain(seen.plain_queries(server, Via::Tcp)) {
        words.insert(match &asked.outcome {
            QueryOutcome::PortClosed => "the port is closed".to_owned(),
            QueryOutcome::Unreachable(words) => words.clone(),
            _ => "nothing came".to_owned(),
        });
    }
    format!(
        "{} answers 0 of {} by UDP and 0 of {} by TCP: {}",
        server.ip(),
        count(Via::Udp),
        count(Via::Tcp),
        list(words)
    )
}

/// Returns the places that name an address on the node, and what to change.
pub(super) fn origins(seen: &Observations, address: IpAddr) -> Vec<String> {
    seen.environment.nameserver_origins.iter().flat_map(|origins| origins.advice(address)).collect()
}
