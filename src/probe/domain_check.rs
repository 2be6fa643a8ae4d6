//! Checks search domains: queries random names below each. Must not know what the answers mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use super::asker::{Asker, random};
use super::dns_question::DnsQuestion;
use crate::verdicts::observations::{QueryOutcome, QueryType, Via};
use crate::verdicts::{DomainCheck, DomainResult};

/// The port of nameservers: resolv.conf has no other.
const PORT: u16 = 53;

/// Time limit of one query. CoreDNS answers SERVFAIL for a silent upstream after 5 s (its `forward` plugin, `defaultTimeout`), when musl has
/// given up as well.
const WAIT: Duration = Duration::from_millis(4500);

/// Number of names below each domain, so that no result rests on one packet.
const NAMES: usize = 3;

/// Number of domains checked at once.
const AT_ONCE: usize = 4;

/// Limit of the queries of one round. Each name takes two queries, for A and AAAA, which go to the next nameserver if one is silent. A
/// healthy domain takes one name.
pub const QUERIES_MAX: u32 = 120;

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
    let checks: Vec<_> = domains.iter().map(|domain| check_domain(asker, servers, domain)).collect();
    Some(stream::iter(checks).buffered(AT_ONCE).collect().await)
}

/// Returns whether names below the domain fit a DNS message. Resolvers skip a domain below which none does.
pub fn is_checkable(domain: &str) -> bool {
    DnsQuestion::new(&random_name(domain), QueryType::A).encode(0).is_some()
}

/// Checks a domain with one name, and with more of them unless the first shows that it is healthy.
async fn check_domain(asker: &Asker, servers: &[SocketAddr], domain: &str) -> DomainCheck {
    let names = vec![ask_both(asker, servers, &random_name(domain)).await];
    let mut check = DomainCheck { domain: domain.to_owned(), names };
    if check.result() != DomainResult::Healthy {
        let names = [(); NAMES - 1].map(|()| random_name(domain));
        check.names.extend(join_all(names.iter().map(|name| ask_both(asker, servers, name))).await);
    }
    check
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

/// Returns a name below the domain that does not exist and that no cache holds.
fn random_name(domain: &str) -> String {
    let label: String = (0..4).map(|_| format!("{:04x}", random::<u16>())).collect();
    format!("muslin-{label}.{domain}")
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
        // The cluster's own name, one name below the healthy domain, and three below each of the others.
        assert_eq!(asker.sent(), 2 + 2 + 4 * 6);
    }

    #[tokio::test]
    async fn a_round_stays_within_its_budget_whatever_the_search_list() {
        let domains: Vec<String> = (0..32).map(|number| format!("servfail{number}.test")).collect();
        let asker = asker(QUERIES_MAX);
        let checks = check(&asker, &[server().await], &domains, "kubernetes.default").await.unwrap();
        assert_eq!(asker.sent(), QUERIES_MAX);
        let judged = checks.iter().filter(|check| check.result() != DomainResult::Unclear).count();
        assert!((18..=20).contains(&judged), "{judged}");
        assert_eq!(checks.iter().map(|check| &check.domain).collect::<Vec<_>>(), domains.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_domain_below_which_no_name_fits_is_not_checked() {
        assert!(is_checkable("corp.example.com") && is_checkable("_dns.example") && is_checkable("local"));
        let long = |labels: usize| vec!["a".repeat(49); labels].join(".");
        assert!(is_checkable(&long(4)) && !is_checkable(&long(5)));
        assert!(!is_checkable(&"a".repeat(64)) && !is_checkable("a..b") && !is_checkable(""));
    }

    #[tokio::test]
    async fn a_silent_nameserver_is_not_the_domain_s_fault_where_the_next_answers() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        tokio::time::pause();
        let servers = [silent.local_addr().unwrap(), server().await];
        let domains = ["healthy.test".to_owned()];
        let checks = check(&asker(QUERIES_MAX), &servers, &domains, "kubernetes.default").await.unwrap();
        assert_eq!(checks[0].result(), DomainResult::Healthy);
        assert_eq!(check(&asker(QUERIES_MAX), &servers[..1], &domains, "kubernetes.default").await, None);
    }

    #[tokio::test]
    async fn a_nameserver_with_an_address_of_ipv6_is_asked() {
        let Ok(socket) = UdpSocket::bind("[::1]:0").await else { return };
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                // The query, with the bit of a response and REFUSED.
                buffer[2] |= 0x80;
                buffer[3] = 5;
                socket.send_to(&buffer[..length], from).await.unwrap();
            }
        });
        let [a, aaaa] = ask_both(&asker(2), &[address], "www.example.org").await;
        assert!(matches!((a, aaaa), (QueryOutcome::Answer(_), QueryOutcome::Answer(_))));
    }

    #[tokio::test]
    async fn nothing_is_known_where_the_nameserver_does_not_know_the_cluster() {
        let domains = ["servfail.test".to_owned()];
        assert_eq!(check(&asker(QUERIES_MAX), &[server().await], &domains, "other.default").await, None);
    }

    #[tokio::test]
    async fn a_domain_beyond_the_budget_is_unclear() {
        let domains = ["servfail.test".to_owned()];
        for (queries, expected) in [(8, DomainResult::Broken(DomainFault::ServFail)), (7, DomainResult::Unclear)] {
            let checks = check(&asker(queries), &[server().await], &domains, "kubernetes.default").await.unwrap();
            assert_eq!(checks[0].result(), expected, "{queries} queries");
        }
    }
}
