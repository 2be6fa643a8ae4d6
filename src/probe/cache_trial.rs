//! Tries a DNS cache on the node: queries the name of the cluster's API server by UDP and by TCP. Must not know what the outcome means.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use super::asker::Asker;
use super::dns_question::DnsQuestion;
use crate::verdicts::CacheTrial;
use crate::verdicts::observations::{QueryOutcome, QueryType, Via};

/// The port of nameservers: resolv.conf has no other.
const PORT: u16 = 53;

/// Time limit of one query. A cache on the node answers within milliseconds.
const WAIT: Duration = Duration::from_secs(1);

/// The times that a query is sent by each transport, so that no trial rests on one packet.
const TRIES: u32 = 3;

/// Limit of the queries of one trial: each try by each transport asks for A, and for AAAA if there is no A.
const QUERIES_MAX: u32 = TRIES * 2 * 2;

/// Time limit of one trial.
const TRIAL_MAX: Duration = Duration::from_secs(5);

/// Tries a cache, which takes at most five seconds and twelve queries. The API server's Service has a name in each cluster.
pub async fn try_cache(address: IpAddr, cluster_domain: &str) -> CacheTrial {
    let asker = Asker::new(QUERIES_MAX, Instant::now() + TRIAL_MAX);
    let server = SocketAddr::new(address, PORT);
    let name = format!("kubernetes.default.svc.{cluster_domain}");
    let (udp, tcp) = tokio::join!(ask(&asker, server, Via::Udp, &name), ask(&asker, server, Via::Tcp, &name));
    CacheTrial { udp, tcp }
}

/// Queries until there is an address, and returns the last outcome.
async fn ask(asker: &Asker, server: SocketAddr, via: Via, name: &str) -> QueryOutcome {
    let mut last = QueryOutcome::NotAsked;
    for _ in 0..TRIES {
        // A cluster of IPv6 alone has no A.
        for kind in [QueryType::A, QueryType::Aaaa] {
            let (_, outcome) = asker.ask(server, via, &DnsQuestion::new(name, kind), WAIT).await;
            // The end of the trial says nothing of the server.
            if outcome != QueryOutcome::NotAsked {
                last = outcome;
            }
            match &last {
                QueryOutcome::Answer(answer) if !answer.addresses.is_empty() => return last,
                QueryOutcome::Answer(_) => {}
                _ => break,
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::CacheFault;

    /// No test binds port 53 here: `tests/cluster/node_cache.rs` has servers that answer.
    #[tokio::test]
    async fn a_loopback_address_where_nothing_listens_has_a_closed_port() {
        let began = Instant::now();
        let trial = try_cache([127, 53, 53, 53].into(), "cluster.local").await;
        assert_eq!(trial.fault(), Some(CacheFault::PortClosed("UDP")));
        assert!(began.elapsed() < TRIAL_MAX, "{:?}", began.elapsed());
    }
}
