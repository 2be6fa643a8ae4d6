//! Each fault of the matrix, built from observations: its verdicts and no others, and every failed lookup is named.

use std::time::Duration;

use proptest::test_runner::{RngAlgorithm, TestRng};

use super::failures::failed_lookups;
use super::matrix::NETWORK_FAULTS;
use super::observations::{AskedQuery, Code, Half, LookupResult, PairMode, Purpose, QueryOutcome, QueryType, Via};
use super::system_files::Nsswitch;
use super::tests::{NOW, Seen, answer, code, cut_short, lossy};
use super::verdicts;
use crate::policy::Level;

const NAME: &str = "kubernetes.default.svc.cluster.local";
const EXTERNAL: &str = "example.com";
const SECOND_SERVER: &str = "10.0.0.11";

fn is_cluster(name: &str) -> bool {
    name == "cluster.local" || name.ends_with(".cluster.local")
}

/// Returns whether a name is outside the cluster and not of its search list.
fn is_external(asked: &AskedQuery) -> bool {
    matches!(asked.purpose, Purpose::External | Purpose::Invented | Purpose::Upstream)
        || (asked.purpose == Purpose::SearchExpansion && !is_cluster(&asked.name) && asked.name != NAME)
        || asked.name.is_empty()
}

fn is_plain_external(asked: &AskedQuery) -> bool {
    asked.name == EXTERNAL && asked.edns.is_none() && asked.via == Via::Udp && asked.purpose != Purpose::Interception
}

/// Gives an outcome to the queries that fit, to the pairs if they are for a name that fits, and fails the C library's lookups.
fn all(fits: impl Fn(&AskedQuery) -> bool, outcome: &QueryOutcome) -> Seen {
    let pairs = Seen::healthy().asked.iter().any(|asked| asked.purpose == Purpose::Burst && fits(asked));
    let mut seen = Seen::healthy().change(|asked| {
        if asked.purpose != Purpose::Interception && fits(asked) {
            asked.outcome = outcome.clone();
        }
    });
    if pairs {
        let half = match outcome {
            QueryOutcome::Answer(answer) => Half::Answered(4, answer.code),
            _ => Half::Lost,
        };
        seen.pairs.iter_mut().for_each(|pair| (pair.a, pair.aaaa) = (half, half));
    }
    let fails = |name: &str| !seen.asked.iter().any(|asked| asked.name == name && !asked.addresses().is_empty());
    let (cluster, external) = (fails(NAME), fails(EXTERNAL));
    for lookup in &mut seen.lookups {
        let is_external = lookup.name.starts_with(EXTERNAL);
        if if is_external { external } else { cluster } {
            lookup.result = LookupResult::Nothing;
            lookup.error = Some("EAI_AGAIN".to_owned());
        }
    }
    seen
}

fn of_server(ip: &'static str, fits: impl Fn(&AskedQuery) -> bool, outcome: &QueryOutcome) -> Seen {
    Seen::healthy().server(ip).change(|asked| {
        if asked.server.ip().to_string() == ip && fits(asked) {
            asked.outcome = outcome.clone();
        }
    })
}

/// Moves all queries to one server, which answers none.
fn only_dead(ip: &str) -> Seen {
    let mut seen = all(|_| true, &QueryOutcome::Silence);
    let server = std::net::SocketAddr::new(ip.parse().unwrap(), 53);
    seen.targets.servers = vec![server];
    for asked in seen.asked.iter_mut().filter(|asked| asked.purpose != Purpose::Interception) {
        asked.server = server;
    }
    seen.pairs.clear();
    seen.asked.retain(|asked| asked.purpose != Purpose::Burst);
    seen
}

/// Returns the fault of the nameserver's answers.
fn of_answers(title: &str) -> Option<Seen> {
    let cluster = |asked: &AskedQuery| is_cluster(&asked.name);
    Some(match title {
        "none" => Seen::healthy(),
        "one lost query" => Seen::healthy().silent_once("10.0.0.10"),
        "NXDOMAIN for every name of the cluster" => all(cluster, &code(Code::NxDomain)),
        "REFUSED for every name of the cluster" => all(cluster, &code(Code::Refused)),
        "SERVFAIL for every name of the cluster" => all(cluster, &code(Code::ServFail)),
        "NXDOMAIN for every name" => all(|_| true, &code(Code::NxDomain)),
        "REFUSED for every name" => all(|_| true, &code(Code::Refused)),
        "SERVFAIL for every name" => all(|_| true, &code(Code::ServFail)),
        "an empty answer for every name" => all(|_| true, &code(Code::NoError)),
        "NXDOMAIN for every external name" => all(is_external, &code(Code::NxDomain)),
        "REFUSED for every external name" => all(is_external, &code(Code::Refused)),
        "SERVFAIL for every external name" => all(is_external, &code(Code::ServFail)),
        "no answer for any external name" => all(is_external, &QueryOutcome::Silence),
        "NXDOMAIN for one external name" => all(|asked| asked.name == EXTERNAL, &code(Code::NxDomain)),
        "no answer for one external name" => all(|asked| asked.name == EXTERNAL, &QueryOutcome::Silence),
        "SERVFAIL for one name without EDNS" => {
            all(|asked| asked.name == EXTERNAL && asked.edns.is_none(), &code(Code::ServFail))
        }
        "SERVFAIL in a third of the answers for one name" => {
            let mut count = 0;
            Seen::healthy().change(|asked| {
                if is_plain_external(asked) {
                    count += 1;
                    if count % 3 == 0 {
                        asked.outcome = code(Code::ServFail);
                    }
                }
            })
        }
        "SERVFAIL for AAAA of a name" => of_aaaa(|asked| asked.name == EXTERNAL, &code(Code::ServFail)),
        "no answer for AAAA of a name" => of_aaaa(|asked| asked.name == EXTERNAL, &QueryOutcome::Silence),
        "no answer for any AAAA" => {
            let seen = of_aaaa(|_| true, &QueryOutcome::Silence);
            let modes = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId];
            modes.iter().fold(seen, |seen, mode| seen.lose(*mode, 50, Half::Answered(4, Code::NoError), Half::Lost))
        }
        "addresses of 198.18.0.0/15 for external names" => Seen::healthy().change(|asked| {
            if asked.name == EXTERNAL && asked.kind == QueryType::A && asked.purpose != Purpose::Interception {
                asked.outcome = answer(&["198.18.0.4"], 1);
            }
        }),
        "an address for every name that does not exist" => {
            all(|asked| asked.purpose == Purpose::Invented, &answer(&["203.0.114.7"], 60))
        }
        "external answers take 1.5 s" => Seen::healthy().change(|asked| {
            if is_external(asked) {
                asked.took = Duration::from_millis(1500);
            }
        }),
        "every answer takes 1.2 s" => Seen::healthy().change(|asked| asked.took = Duration::from_millis(1200)),
        "a search domain answers REFUSED" => search_domain(&code(Code::Refused)),
        "a search domain has an address for every name" => search_domain(&answer(&["203.0.113.80"], 30)),
        _ => return None,
    })
}

fn of_aaaa(fits: impl Fn(&AskedQuery) -> bool, outcome: &QueryOutcome) -> Seen {
    Seen::healthy().change(|asked| {
        if asked.kind == QueryType::Aaaa && asked.purpose != Purpose::Interception && fits(asked) {
            asked.outcome = outcome.clone();
        }
    })
}

fn search_domain(outcome: &QueryOutcome) -> Seen {
    const DOMAIN: &str = "corp.example.net";
    let mut seen = Seen::healthy();
    seen.environment.resolv_conf.search.push(DOMAIN.to_owned());
    let mut below: Vec<AskedQuery> = Vec::new();
    for asked in &seen.asked {
        let first = asked.name.strip_suffix(".default.svc.cluster.local");
        if let (Purpose::Searched | Purpose::SearchExpansion, Some(first)) = (asked.purpose, first) {
            let name = format!("{first}.{DOMAIN}");
            below.push(AskedQuery { name, outcome: outcome.clone(), ..asked.clone() });
        }
    }
    seen.asked.extend(below);
    seen
}

/// Returns the fault of the path, of packets' sizes, and of the machine. One arm for each fault, hence its length.
fn of_path(title: &str) -> Option<Seen> {
    let one = Half::Answered(4, Code::NoError);
    Some(match title {
        "a dead second nameserver" => Seen::healthy().server(SECOND_SERVER).silent(SECOND_SERVER),
        "a second nameserver that knows no name" => of_server(SECOND_SERVER, |_| true, &code(Code::Refused)),
        "a second nameserver without the cluster's zone" => {
            of_server(SECOND_SERVER, |asked| is_cluster(&asked.name), &code(Code::NxDomain))
        }
        "a dead only nameserver" => only_dead("10.0.0.10"),
        "a loopback nameserver without a server" => only_dead("127.0.0.53"),
        "a link-local nameserver that is cut off" => only_dead("169.254.20.10"),
        "UDP is dropped, TCP is not" => {
            let mut seen = all(|asked| asked.via == Via::Udp, &QueryOutcome::Silence);
            seen.pairs.clear();
            for lookup in &mut seen.lookups {
                lookup.result = LookupResult::Nothing;
            }
            seen
        }
        "the addresses belong to another name" => {
            let mut seen = Seen::healthy().change(|asked| {
                let has_address = asked.name == EXTERNAL && !asked.addresses().is_empty();
                if let QueryOutcome::Answer(answer) = &mut asked.outcome
                    && has_address
                {
                    answer.renamed = Some("web.shop.svc.cluster.local".to_owned());
                }
            });
            for lookup in seen.lookups.iter_mut().filter(|lookup| lookup.name.starts_with(EXTERNAL)) {
                lookup.result = LookupResult::Nothing;
            }
            seen
        }
        "a truncated answer, TCP has the rest" => truncated(),
        "a truncated answer, TCP is closed" => truncated().change(|asked| {
            if asked.via == Via::Tcp {
                asked.outcome = QueryOutcome::PortClosed;
            }
        }),
        "queries with EDNS are dropped" => all(|asked| asked.edns.is_some(), &QueryOutcome::Silence),
        "UDP answers over 512 bytes without EDNS" => Seen::healthy().change(|asked| {
            let is_it = is_plain_external(asked);
            if let QueryOutcome::Answer(answer) = &mut asked.outcome
                && is_it
            {
                answer.bytes = 900;
            }
        }),
        "IPv6 addresses without an IPv6 route" => {
            let mut seen = Seen::healthy();
            seen.environment.unroutable = vec!["2606:2800::1".parse().unwrap()];
            seen
        }
        "the second packet of a pair from one socket is lost" => {
            Seen::healthy().lose(PairMode::OneSocket, 50, one, Half::Lost).lose(PairMode::SameId, 50, one, Half::Lost)
        }
        "pairs with one id lose a query" => Seen::healthy().lose(PairMode::SameId, 50, one, Half::Lost),
        "queries over a limit are dropped" => {
            let mut count = 0;
            Seen::healthy().change(|asked| {
                count += usize::from(asked.purpose == Purpose::Burst);
                if asked.purpose == Purpose::Burst && count % 2 == 0 {
                    asked.outcome = QueryOutcome::Silence;
                }
            })
        }
        "a tenth of all packets is lost" => {
            lossy(Seen::healthy(), 10, &mut TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        }
        "nsswitch.conf without dns" => {
            let mut seen = Seen::healthy();
            seen.environment.nsswitch = Nsswitch::parse("hosts: files\n");
            for lookup in &mut seen.lookups {
                (lookup.result, lookup.error) = (LookupResult::Nothing, Some("EAI_NONAME".to_owned()));
            }
            seen
        }
        "no search list" => {
            let mut seen = Seen::healthy().without(Purpose::Searched);
            seen.environment.resolv_conf.search.clear();
            for lookup in
                seen.lookups.iter_mut().filter(|lookup| lookup.name.len() < 24 && lookup.name.starts_with('k'))
            {
                lookup.result = LookupResult::Nothing;
            }
            seen
        }
        "signatures of the future" => {
            let mut seen = Seen::healthy();
            seen.environment.unix_time = NOW - 30 * 86_400;
            seen
        }
        _ => return None,
    })
}

fn truncated() -> Seen {
    Seen::healthy().change(|asked| {
        if is_plain_external(asked) {
            cut_short(asked, 0);
        }
    })
}

#[test]
fn each_fault_gets_its_verdicts_and_no_others() {
    let mut wrong = Vec::new();
    for fault in NETWORK_FAULTS {
        let seen = of_answers(fault.title).or_else(|| of_path(fault.title));
        let seen = seen.unwrap_or_else(|| panic!("{}: no observations", fault.title));
        let given = verdicts(&seen);
        let mut slugs: Vec<&str> = given.iter().map(|verdict| verdict.diagnosis.slug).collect();
        let mut expected = fault.verdicts.to_vec();
        slugs.sort_unstable();
        expected.sort_unstable();
        if slugs != expected {
            let texts: Vec<(&str, &str, &[String])> =
                given.iter().map(|it| (it.diagnosis.slug, &*it.what, &it.evidence[..])).collect();
            wrong.push(format!("{}: {slugs:?} instead of {expected:?}: {texts:#?}", fault.title));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_failed_lookup_is_named_by_a_verdict() {
    let mut failing = 0;
    for fault in NETWORK_FAULTS {
        let Some(seen) = of_answers(fault.title).or_else(|| of_path(fault.title)) else { continue };
        let given = verdicts(&seen);
        for failed in failed_lookups(&seen) {
            failing += 1;
            let is_named = given.iter().any(|verdict| {
                verdict.level >= Level::Warn
                    && verdict.failing_names.contains(&failed.name)
                    && verdict.evidence.iter().any(|text| text.contains(&failed.name))
            });
            assert!(is_named, "{}: {failed:?}", fault.title);
        }
        let fails = seen.lookups.iter().any(|lookup| !lookup.result.is_found());
        assert!(!fails || !failed_lookups(&seen).is_empty(), "{}: a failed lookup was overlooked", fault.title);
    }
    assert!(failing > 100, "{failing}");
}
