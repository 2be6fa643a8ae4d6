//! Checks search domains: queries random names below each. Must not know what the answers mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::asker::{Asker, random};
use super::dns_question::DnsQuestion;
use crate::verdicts::DomainCheck;
use crate::verdicts::observations::{QueryOutcome, QueryType, Via};

/// The port of nameservers: resolv.conf has no other.
const PORT: u16 = 53;

/// Time limit of one query. CoreDNS answers SERVFAIL for a silent upstream after 5 s (its `forward` plugin, `defaultTimeout`), when musl has
/// given up as well.
const WAIT: Duration = Duration::from_millis(4500);

/// Number of names below each domain, so that no result rests on one packet.
const NAMES: usize = 3;

/// Limit of the queries of one round. Each name takes two queries, for A and AAAA, which go to the next nameserver if one is silent.
const QUERIES_MAX: u32 = 120;

/// Time limit of one round.
const ROUND_MAX: Duration = Duration::from_secs(60);

/// Checks each domain; `None` if no nameserver has an address for `known`, a name of the cluster: then the nameservers are at fault, and
/// nothing is known of any domain. The first domains are checked first, as the budget may not do for all.
pub async fn check_search_domains(nameservers: &[IpAddr], domains: &[String], known: &str) -> Option<Vec<DomainCheck>> {
    let asker = Asker::new(QUERIES_MAX, Instant::now() + ROUND_MAX);
    let servers: Vec<SocketAddr> = nameservers.iter().map(|address| SocketAddr::new(*address, PORT)).collect();
    check(&asker, &servers, domains, known).await
}

async fn check(asker: &Asker, servers: &[SocketAddr], domains: &[String], known: &str) -> Option<Vec<DomainCheck>> {
    let [a, aaaa] = ask_both(asker, servers, known).await;
    let has_address =
        |outcome: &QueryOutcome| matches!(outcome, QueryOutcome::Answer(answer) if !answer.addresses.is_empty());
    if !has_address(&a) && !has_address(&aaaa) {
        return None;
    }
    let mut checks = Vec::new();
    for domain in domains {
        let name = || format!("muslin-{}.{domain}", random_label());
        let names = (0..NAMES).map(|_| name()).collect::<Vec<_>>();
        let names = join_all(names.iter().map(|name| ask_both(asker, servers, name))).await;
        checks.push(DomainCheck { domain: domain.clone(), names });
    }
    Some(checks)
}

async fn ask_both(asker: &Asker, servers: &[SocketAddr], name: &str) -> [QueryOutcome; 2] {
    let (a, aaaa) = tokio::join!(ask(asker, servers, name, QueryType::A), ask(asker, servers, name, QueryType::Aaaa));
    [a, aaaa]
}

/// Queries one nameserver after the other until one answers.
async fn ask(asker: &Asker, servers: &[SocketAddr], name: &str, kind: QueryType) -> QueryOutcome {
    let question = DnsQuestion::new(name, kind);
    let mut last = QueryOutcome::NotAsked;
    for server in servers {
        (_, last) = asker.ask(*server, Via::Udp, &question, WAIT).await;
        if matches!(last, QueryOutcome::Answer(_)) {
            break;
        }
    }
    last
}

/// Returns a label that does not exist and that no cache holds.
fn random_label() -> String {
    (0..4).map(|_| format!("{:04x}", random::<u16>())).collect()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType, ResponseCode};
    use hickory_proto::rr::{RData, Record, rdata::A};
    use tokio::net::UdpSocket;

    use super::*;
    use crate::policy::DomainFault;
    use crate::verdicts::DomainResult;

    /// Starts a nameserver that knows `kubernetes.`, and answers names below `broken.` by the label before it.
    async fn server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let mut message = Message::from_vec(&buffer[..length]).unwrap();
                let name = message.queries[0].name().clone();
                let text = name.to_ascii();
                message.metadata.message_type = MessageType::Response;
                let has = |word: &str| text.contains(word);
                let is_known = text.starts_with("kubernetes");
                message.metadata.response_code = if has("servfail") {
                    ResponseCode::ServFail
                } else if has("refused") {
                    ResponseCode::Refused
                } else if has("nodata") || has("wildcard") || is_known {
                    ResponseCode::NoError
                } else {
                    ResponseCode::NXDomain
                };
                if has("wildcard") || is_known {
                    message.answers.push(Record::from_rdata(name, 5, RData::A(A::new(192, 0, 2, 1))));
                }
                socket.send_to(&message.to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }

    fn asker(queries: u32) -> Asker {
        Asker::new(queries, Instant::now() + ROUND_MAX)
    }

    #[tokio::test]
    async fn each_domain_is_judged_by_its_answers() {
        let domains = ["cluster.local", "nodata.test", "servfail.test", "refused.test", "wildcard.test"];
        let domains = domains.map(str::to_owned);
        let asker = asker(QUERIES_MAX);
        let checks = check(&asker, &[server().await], &domains, "kubernetes.default").await.unwrap();
        let results: Vec<_> = checks.iter().map(DomainCheck::result).collect();
        let broken = DomainResult::Broken;
        assert_eq!(
            results,
            [
                DomainResult::Healthy,
                broken(DomainFault::NoData),
                broken(DomainFault::ServFail),
                broken(DomainFault::Refused),
                broken(DomainFault::Wildcard)
            ]
        );
        assert_eq!(asker.sent(), 2 + 5 * 6);
    }

    #[tokio::test]
    async fn nothing_is_known_where_the_nameserver_does_not_know_the_cluster() {
        let domains = ["servfail.test".to_owned()];
        assert_eq!(check(&asker(QUERIES_MAX), &[server().await], &domains, "other.default").await, None);
    }

    #[tokio::test]
    async fn a_domain_beyond_the_budget_is_unclear() {
        let domains = ["servfail.test", "nodata.test"].map(str::to_owned);
        let checks = check(&asker(8), &[server().await], &domains, "kubernetes.default").await.unwrap();
        assert_eq!(checks[0].result(), DomainResult::Broken(DomainFault::ServFail));
        assert_eq!(checks[1].result(), DomainResult::Unclear);
    }
}
