//! The faults of the proof: the behaviour of servers and network, and the prediction of the model in `resolver/`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;
use hickory_proto::op::ResponseCode;
use muslin::resolver::{Answer, QueryPairing, Settings, lookup};

use crate::lab::network::Lab;
use crate::lab::server::{Cut, Script, Server, Tcp, Then, aaaa, any, code, truth};

/// The domain of the names that are looked up. With two dots they have fewer than `ndots:5`, as most names in a pod do, so the
/// whole search list is tried first.
pub(super) const DOMAIN: &str = "example.com";

/// The delay of every answer: a packet's time to a server nearby. The second query of a pair must leave within this time, or the
/// emulated race would miss it.
const LATENCY: Duration = Duration::from_millis(4);

/// The same packets are lost on each run.
const SEED: u64 = 20_210_804;

/// A DNS fault.
pub(super) struct Fault {
    /// Title in the table.
    pub(super) title: &'static str,
    pub(super) kind: FaultKind,
    /// Addresses of the names.
    pub(super) names: Names,
    /// Number of lookups of each resolver: in the test that always runs, and for the table.
    pub(super) lookups: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FaultKind {
    Healthy,
    /// A share of all queries is lost.
    Loss(f64),
    /// The first or second query for the name that exists is lost.
    Lost(u32),
    /// When two queries leave one socket at once, the second is lost.
    Race,
    /// The first of two nameservers never answers.
    FirstDead,
    /// Every answer takes this long.
    Slow(Duration),
    /// AAAA queries get this code; with `None`, no answer.
    Aaaa(Option<ResponseCode>),
    /// UDP answers are truncated and have no record.
    Truncated,
    /// The names have more addresses than fit a UDP answer.
    Many,
    /// The last search domain answers every name with this code.
    SearchDomain(ResponseCode),
}

/// The addresses of the names that are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Both,
    V4,
    V6,
}

/// The model's prediction for a lookup under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prediction {
    /// The lookup succeeds, with this delay compared to a healthy network.
    Succeeds(Duration),
    /// The lookup fails.
    Fails,
}

pub(super) const FAULTS: &[Fault] = &[
    Fault { title: "none", kind: FaultKind::Healthy, names: Names::Both, lookups: (20, 200) },
    Fault { title: "1 % of packets lost", kind: FaultKind::Loss(0.01), names: Names::Both, lookups: (200, 1000) },
    Fault { title: "5 % of packets lost", kind: FaultKind::Loss(0.05), names: Names::Both, lookups: (200, 1000) },
    Fault {
        title: "one packet lost: the first of a pair",
        kind: FaultKind::Lost(1),
        names: Names::Both,
        lookups: (100, 200),
    },
    Fault {
        title: "one packet lost: the second of a pair",
        kind: FaultKind::Lost(2),
        names: Names::Both,
        lookups: (100, 200),
    },
    Fault {
        title: "one packet lost: the first of a pair, of names with IPv4 alone",
        kind: FaultKind::Lost(1),
        names: Names::V4,
        lookups: (10, 100),
    },
    Fault {
        title: "one packet lost: the first of a pair, of names with IPv6 alone",
        kind: FaultKind::Lost(1),
        names: Names::V6,
        lookups: (10, 100),
    },
    Fault {
        title: "one packet lost: the second of a pair, of names with IPv6 alone",
        kind: FaultKind::Lost(2),
        names: Names::V6,
        lookups: (10, 100),
    },
    Fault { title: "conntrack race, emulated", kind: FaultKind::Race, names: Names::Both, lookups: (20, 200) },
    Fault { title: "first of two servers dead", kind: FaultKind::FirstDead, names: Names::Both, lookups: (10, 100) },
    Fault {
        title: "answers take 1.5 s",
        kind: FaultKind::Slow(Duration::from_millis(1500)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "answers take 2.5 s",
        kind: FaultKind::Slow(Duration::from_millis(2500)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "answers take 2.5 s, of names with IPv6 alone",
        kind: FaultKind::Slow(Duration::from_millis(2500)),
        names: Names::V6,
        lookups: (10, 100),
    },
    Fault {
        title: "AAAA: NODATA",
        kind: FaultKind::Aaaa(Some(ResponseCode::NoError)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "AAAA: NXDOMAIN",
        kind: FaultKind::Aaaa(Some(ResponseCode::NXDomain)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "AAAA: SERVFAIL",
        kind: FaultKind::Aaaa(Some(ResponseCode::ServFail)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault { title: "AAAA: never answered", kind: FaultKind::Aaaa(None), names: Names::Both, lookups: (10, 100) },
    Fault { title: "UDP answers cut to nothing", kind: FaultKind::Truncated, names: Names::Both, lookups: (10, 100) },
    Fault { title: "40 A and 40 AAAA records", kind: FaultKind::Many, names: Names::Both, lookups: (10, 100) },
    Fault {
        title: "a search domain says NODATA",
        kind: FaultKind::SearchDomain(ResponseCode::NoError),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "a search domain says SERVFAIL",
        kind: FaultKind::SearchDomain(ResponseCode::ServFail),
        names: Names::Both,
        lookups: (10, 100),
    },
];

// === impl Fault ===

impl Fault {
    /// Returns whether one query of a pair is lost, and its repetition is not.
    pub(super) fn is_loss_of_one_packet(&self) -> bool {
        matches!(self.kind, FaultKind::Lost(_) | FaultKind::Race)
    }

    /// Starts the fault at an address of its own, and returns the nameservers to use: the last of them knows the names.
    pub(super) fn start(&self, lab: &Lab<'_>, addresses: [Ipv4Addr; 2]) -> Result<Vec<Server>> {
        let [address, other] = addresses;
        let (v4, v6) = (Ipv4Addr::new(203, 0, 113, 7).into(), Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 7).into());
        let addresses = match self.names {
            Names::Both => vec![v4, v6],
            Names::V4 => vec![v4],
            Names::V6 => vec![v6],
        };
        let every = format!("*.{DOMAIN}");
        let literal = |nth| any().name(&every).nth(nth);
        // The cluster's own names exist beside those that the search list tries in vain.
        let healthy = Script::new()
            .name_with(&every, addresses)
            .name("kubernetes.default.svc.cluster.local", ["10.96.0.1"])
            .latency(LATENCY);
        let script = match self.kind {
            FaultKind::Healthy => healthy,
            FaultKind::Loss(share) => healthy.loses(share, SEED),
            FaultKind::Lost(nth) => healthy.rule(literal(nth), Then::Drop),
            FaultKind::Race => {
                lab.race(address)?;
                healthy
            }
            FaultKind::FirstDead => {
                return Ok(vec![lab.server(address, Script::dead())?, lab.server(other, healthy)?]);
            }
            FaultKind::Slow(latency) => healthy.latency(latency),
            FaultKind::Aaaa(Some(says)) => healthy.rule(aaaa().name(&every), code(says)),
            FaultKind::Aaaa(None) => healthy.rule(aaaa().name(&every), Then::Drop),
            FaultKind::Truncated => healthy.rule(any().name(&every), truth().cut(Cut::Empty)).tcp(Tcp::Answers),
            FaultKind::Many => healthy.name_with(&every, many()),
            FaultKind::SearchDomain(says) => healthy
                .rule(any().name("*.default.svc.cluster.local"), truth())
                .rule(any().name("*.svc.cluster.local"), truth())
                .rule(any().name("*.cluster.local"), code(says)),
        };
        Ok(vec![lab.server(address, script)?])
    }

    /// Returns the model's prediction; `None` for faults it does not cover: chance, AAAA alone, and sizes.
    pub(super) fn predict(&self, settings: &Settings, name: &str, search: &[&str]) -> Option<Prediction> {
        let names = u32::try_from(search.len()).ok()? + 1;
        let after = |time: Option<Duration>| time.map_or(Prediction::Fails, Prediction::Succeeds);
        let answers = |says: Answer| {
            let to = |asked: &str| match asked {
                _ if asked == name => Answer::Address,
                _ if search.last().is_some_and(|last| asked == format!("{name}.{last}")) => says,
                _ => Answer::NxDomain,
            };
            let found = lookup(settings.resolver, name, settings.ndots, search, to)?.found;
            Some(found.map_or(Prediction::Fails, |_| Prediction::Succeeds(Duration::ZERO)))
        };
        match self.kind {
            FaultKind::Healthy => answers(Answer::NxDomain),
            FaultKind::Lost(_) => Some(after(settings.one_loss_delay())),
            FaultKind::Race => Some(after(settings.conntrack_race_delay(names))),
            FaultKind::FirstDead => Some(Prediction::Succeeds(settings.dead_nameserver_delay(1, 2, names))),
            FaultKind::Slow(latency) if settings.slowest_answer() > latency => {
                let one_by_one =
                    matches!(settings.pairing, QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial);
                let answers = if one_by_one { names * 2 } else { names };
                Some(Prediction::Succeeds(latency.saturating_mul(answers)))
            }
            FaultKind::Slow(_) => Some(Prediction::Fails),
            FaultKind::SearchDomain(ResponseCode::NoError) => answers(Answer::NoData),
            FaultKind::SearchDomain(_) => answers(Answer::ServFail),
            FaultKind::Loss(_) | FaultKind::Aaaa(_) | FaultKind::Truncated | FaultKind::Many => None,
        }
    }
}

fn many() -> Vec<std::net::IpAddr> {
    let v4 = (1..=40).map(|number| Ipv4Addr::new(203, 0, 113, number).into());
    let v6 = (1..=40).map(|number| Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, number).into());
    v4.chain(v6).collect()
}
