//! The queries of a small round. Must not know how they are sent.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::verdicts::observations::{Purpose, QueryType, Targets, Via};

/// Names that are invented outside the cluster, for each nameserver. No cache can answer for them.
const INVENTED: usize = 4;

/// The most search domains of one round; more are asked in turn. A pod has at most 32, so each is asked in every second round.
const DOMAINS: usize = 16;

/// One round in this many asks by TCP too.
const TCP_EVERY: usize = 4;

/// A query of a small round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightQuery {
    /// The reason for it.
    pub purpose: Purpose,
    /// The server.
    pub server: SocketAddr,
    /// The transport.
    pub via: Via,
    /// The name, without a final dot.
    pub name: String,
    /// The record type.
    pub kind: QueryType,
}

/// Results of earlier rounds, by which a round chooses its queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    /// Search domains that every round asks.
    pub suspects: BTreeSet<String>,
    /// Nameservers that did not answer, which get one query to find out if they answer again.
    pub silent: BTreeSet<SocketAddr>,
    /// Nameservers that did not answer by TCP, which every round asks by TCP.
    pub without_tcp: BTreeSet<SocketAddr>,
}

/// The names and servers of all rounds.
#[derive(Clone, Debug)]
pub struct RoundPlan {
    targets: Targets,
    search: Vec<String>,
}

// === impl RoundPlan ===

impl RoundPlan {
    /// Returns a plan for these names and servers, and this search list.
    pub fn new(targets: Targets, search: &[String]) -> Self {
        let domains = search.iter().map(|domain| domain.trim_end_matches('.').to_ascii_lowercase());
        let mut search: Vec<String> = Vec::new();
        for domain in domains.filter(|domain| !domain.is_empty()) {
            if !search.contains(&domain) {
                search.push(domain);
            }
        }
        Self { targets, search }
    }

    /// Returns the search domains, each once.
    pub fn search(&self) -> &[String] {
        &self.search
    }

    /// Returns the queries of a round by its number, the most important first. `invent` returns labels that no name has.
    pub fn queries(&self, round: usize, focus: &Focus, mut invent: impl FnMut() -> String) -> Vec<LightQuery> {
        let Focus { suspects, silent, without_tcp } = focus;
        let Targets { servers, invented_below, .. } = &self.targets;
        let mut queries = Vec::new();
        let query = |server: SocketAddr, purpose, via, name: &str| LightQuery {
            purpose,
            server,
            via,
            name: name.to_owned(),
            // Clusters of IPv6 alone have nameservers of that family.
            kind: if server.ip().to_canonical().is_ipv4() { QueryType::A } else { QueryType::Aaaa },
        };
        for server in servers {
            let names = if silent.contains(server) { 1 } else { usize::MAX };
            queries.extend(self.known().take(names).map(|(purpose, name)| query(*server, purpose, Via::Udp, name)));
        }
        // The search list goes to the first nameserver that answers, as in full probes.
        if let Some(first) = servers.iter().find(|server| !silent.contains(*server)).or(servers.first()) {
            for domain in self.domains(round, suspects) {
                let name = format!("{}.{domain}", invent());
                queries.push(LightQuery { kind: QueryType::A, ..query(*first, Purpose::Searched, Via::Udp, &name) });
            }
        }
        for server in servers {
            let invented = if invented_below.is_empty() || silent.contains(server) { 0 } else { INVENTED };
            for below in invented_below.iter().cycle().skip(round).take(invented) {
                let name = format!("{}.{below}", invent());
                queries.push(LightQuery { kind: QueryType::A, ..query(*server, Purpose::Invented, Via::Udp, &name) });
            }
            if round.is_multiple_of(TCP_EVERY) || without_tcp.contains(server) {
                queries.extend(self.known().take(1).map(|(purpose, name)| query(*server, purpose, Via::Tcp, name)));
            }
        }
        queries
    }

    /// Returns the search domains of a round: the suspects, and the others in turn.
    fn domains(&self, round: usize, suspects: &BTreeSet<String>) -> impl Iterator<Item = &String> {
        let (suspects, others): (Vec<&String>, Vec<&String>) =
            self.search.iter().partition(|domain| suspects.contains(*domain));
        let from = (round * DOMAINS) % others.len().max(1);
        let in_turn = others.len();
        suspects.into_iter().chain(others.into_iter().cycle().skip(from).take(in_turn)).take(DOMAINS)
    }

    /// Returns the first name of the cluster, and the first name outside.
    fn known(&self) -> impl Iterator<Item = (Purpose, &str)> {
        let inside = self.targets.names.first().map(|name| (Purpose::Name, name.as_str()));
        inside.into_iter().chain(self.targets.external_names.first().map(|name| (Purpose::External, name.as_str())))
    }
}
