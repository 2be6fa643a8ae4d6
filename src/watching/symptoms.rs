//! The signs in a small round that something may be wrong. Must not know what is wrong: that is for the verdicts about a full probe.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::policy::DomainFault;
use crate::verdicts::observations::{AskedQuery, Code, Purpose, QueryOutcome, Via};
use crate::verdicts::statistics::Rate;
use crate::verdicts::{is_benchmark, is_made_up};

/// A slower answer came on a second try of a forwarder: CoreDNS's `forward` gives a server up to 2 s.
const SLOW: Duration = Duration::from_secs(1);

/// Fewer lost packets than this are chance.
const LOST_MIN: u64 = 3;
/// The lower end of the interval from which on a loss is a sign. Sound networks lose a tenth of that.
const LOST_SHARE: f64 = 0.01;

/// A sign that something may be wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symptom {
    /// A nameserver left all queries for a known name unanswered.
    Unanswered(SocketAddr),
    /// A nameserver has no address for a known name of the cluster.
    NoAddressInside(SocketAddr),
    /// A nameserver has no address for a known name outside the cluster.
    NoAddressOutside(SocketAddr),
    /// A nameserver takes over a second for a known name.
    Slow(SocketAddr),
    /// A name that does not exist outside the cluster gets an error, or an answer after more than a second.
    Outside(SocketAddr),
    /// A name has an address that it cannot have.
    MadeUp(SocketAddr),
    /// A nameserver does not answer by TCP.
    Tcp(SocketAddr),
    /// A search domain answers names that do not exist with something else than NXDOMAIN.
    SearchDomain(String, DomainFault),
    /// Some packets are lost.
    Lossy,
}

// === impl Symptom ===

impl Symptom {
    /// Returns whether its fault may have ended if two rounds in a row do not show it, which ask `silent` nameservers for one name alone.
    /// Losses count over many rounds.
    pub(super) fn fades(&self, silent: &BTreeSet<SocketAddr>) -> bool {
        match self {
            Self::NoAddressInside(server)
            | Self::NoAddressOutside(server)
            | Self::Slow(server)
            | Self::Outside(server)
            | Self::MadeUp(server) => !silent.contains(server),
            Self::Unanswered(_) | Self::SearchDomain(..) | Self::Tcp(_) => true,
            Self::Lossy => false,
        }
    }

    /// Returns whether its verdict is one that only whole probes find: of large answers, or of pairs of queries.
    pub(super) fn needs_whole_probe(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Lossy)
    }
}

/// Returns the symptoms of one round. A question that was sent again counts as unanswered only if no try was answered.
pub fn symptoms(asked: &[AskedQuery]) -> BTreeSet<Symptom> {
    questions(asked).flat_map(|tries| of_question(&tries)).collect()
}

/// Returns the queries by UDP that got no answer among those of questions that got one: a nameserver that is silent is no loss.
pub(super) fn losses(asked: &[AskedQuery]) -> Rate {
    let answered =
        questions(asked).filter(|tries| tries[0].via == Via::Udp && tries.iter().any(|query| query.is_answered()));
    Rate::count(answered.flatten(), |query| !query.is_answered())
}

/// Returns the tries of each question.
fn questions(asked: &[AskedQuery]) -> impl Iterator<Item = Vec<&AskedQuery>> {
    let mut questions: BTreeMap<(SocketAddr, bool, &str), Vec<&AskedQuery>> = BTreeMap::new();
    for query in asked.iter().filter(|query| query.outcome != QueryOutcome::NotAsked) {
        questions.entry((query.server, query.via == Via::Tcp, &query.name)).or_default().push(query);
    }
    questions.into_values()
}

/// Returns the symptom of packets that are lost now and then, as `lost` counts them over many rounds.
pub(super) fn lossy(lost: Rate) -> Option<Symptom> {
    (lost.hits >= LOST_MIN && lost.interval().0 >= LOST_SHARE).then_some(Symptom::Lossy)
}

/// Returns the symptoms of the tries of one question, if there are enough of them.
fn of_question(tries: &[&AskedQuery]) -> Vec<Symptom> {
    let last = tries.iter().find(|query| query.is_answered()).or(tries.last());
    let Some(AskedQuery { server, purpose, via, name, took, outcome, .. }) = last else { return Vec::new() };
    let QueryOutcome::Answer(answer) = outcome else {
        return if tries.len() < 2 { Vec::new() } else { vec![of_silence(*server, *via, *purpose, name)] };
    };
    let is_slow = *took >= SLOW;
    let has_made_up = match purpose {
        Purpose::Searched => false,
        Purpose::Invented => !answer.addresses.is_empty(),
        Purpose::External => is_made_up(answer),
        _ => answer.addresses.iter().any(|ip| is_benchmark(*ip)),
    };
    let mut found = Vec::new();
    match purpose {
        _ if *via == Via::Tcp => {}
        Purpose::Searched => {
            let fault = match answer.code {
                Code::NxDomain => None,
                Code::NoError if answer.addresses.is_empty() => Some(DomainFault::NoData),
                Code::NoError => Some(DomainFault::Wildcard),
                Code::ServFail => Some(DomainFault::ServFail),
                _ => Some(DomainFault::Refused),
            };
            found.extend(fault.map(|fault| Symptom::SearchDomain(domain_of(name), fault)));
        }
        Purpose::Invented => {
            if is_slow || !matches!(answer.code, Code::NoError | Code::NxDomain) {
                found.push(Symptom::Outside(*server));
            }
        }
        _ => {
            let is_inside = *purpose == Purpose::Name;
            let no_address = if is_inside { Symptom::NoAddressInside } else { Symptom::NoAddressOutside };
            found.extend(answer.addresses.is_empty().then(|| no_address(*server)));
            found.extend(is_slow.then_some(Symptom::Slow(*server)));
        }
    }
    if *via == Via::Udp && has_made_up {
        found.push(Symptom::MadeUp(*server));
    }
    found
}

fn of_silence(server: SocketAddr, via: Via, purpose: Purpose, name: &str) -> Symptom {
    match (via, purpose) {
        (Via::Tcp, _) => Symptom::Tcp(server),
        (Via::Udp, Purpose::Searched) => Symptom::SearchDomain(domain_of(name), DomainFault::Silence),
        (Via::Udp, Purpose::Invented) => Symptom::Outside(server),
        (Via::Udp, _) => Symptom::Unanswered(server),
    }
}

fn domain_of(name: &str) -> String {
    name.split_once('.').map_or_else(String::new, |(_, domain)| domain.to_owned())
}
