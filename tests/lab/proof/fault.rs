//! The faults that the proof is made of: what the servers do, what the network does, and what the model in `resolver/` says of it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;
use hickory_proto::op::ResponseCode;
use muslin::resolver::{Answer, Pairing, Settings, lookup};

use crate::lab::network::Lab;
use crate::lab::server::{Cut, Script, Server, Tcp, Then, aaaa, any, code, truth};

/// The names that are looked up are below this one. With two dots they are fewer than `ndots:5`, as most names in a pod are, so
/// that the whole search list is tried first.
pub(super) const DOMAIN: &str = "example.com";

/// How long every answer takes besides: a packet's way to a server nearby, and longer than the second query of a pair takes to
/// follow the first, which the emulated race must not miss.
const LATENCY: Duration = Duration::from_millis(4);

/// Which packets are lost is the same on each run.
const SEED: u64 = 20_210_804;

/// Something wrong with DNS.
pub(super) struct Fault {
    /// As the table says it.
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    /// What the names have.
    pub(super) names: Names,
    /// How many lookups each resolver makes in the test that always runs, and for the table.
    pub(super) lookups: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Healthy,
    /// A share of all queries is lost.
    Loss(f64),
    /// The first or second query for the name that exists is lost.
    Lost(u32),
    /// Of each two queries that leave a socket together the second is lost.
    Race,
    /// The first of two nameservers never answers.
    FirstDead,
    /// Every answer takes so long.
    Slow(Duration),
    /// AAAA queries are answered with this; `None` never.
    Aaaa(Option<ResponseCode>),
    /// UDP answers say only that they were cut short.
    Truncated,
    /// There are more addresses than a UDP answer holds.
    Many,
    /// The last search domain says this to every name.
    SearchDomain(ResponseCode),
}

/// The addresses of the names that are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Both,
    V4,
    V6,
}

/// What the model says of a lookup under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prediction {
    /// It finds an address so much later than on a healthy network.
    Succeeds(Duration),
    /// It fails.
    Fails,
}

pub(super) const FAULTS: &[Fault] = &[
    Fault { title: "none", kind: Kind::Healthy, names: Names::Both, lookups: (20, 200) },
    Fault { title: "1 % of packets lost", kind: Kind::Loss(0.01), names: Names::Both, lookups: (200, 1000) },
    Fault { title: "5 % of packets lost", kind: Kind::Loss(0.05), names: Names::Both, lookups: (200, 1000) },
    Fault {
        title: "one packet lost: the first of a pair",
        kind: Kind::Lost(1),
        names: Names::Both,
        lookups: (100, 200),
    },
    Fault {
        title: "one packet lost: the second of a pair",
        kind: Kind::Lost(2),
        names: Names::Both,
        lookups: (100, 200),
    },
    Fault {
        title: "one packet lost: the first of a pair, of names with IPv4 alone",
        kind: Kind::Lost(1),
        names: Names::V4,
        lookups: (10, 100),
    },
    Fault {
        title: "one packet lost: the first of a pair, of names with IPv6 alone",
        kind: Kind::Lost(1),
        names: Names::V6,
        lookups: (10, 100),
    },
    Fault {
        title: "one packet lost: the second of a pair, of names with IPv6 alone",
        kind: Kind::Lost(2),
        names: Names::V6,
        lookups: (10, 100),
    },
    Fault { title: "conntrack race, emulated", kind: Kind::Race, names: Names::Both, lookups: (20, 200) },
    Fault { title: "first of two servers dead", kind: Kind::FirstDead, names: Names::Both, lookups: (10, 100) },
    Fault {
        title: "answers take 1.5 s",
        kind: Kind::Slow(Duration::from_millis(1500)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "answers take 2.5 s",
        kind: Kind::Slow(Duration::from_millis(2500)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "answers take 2.5 s, of names with IPv6 alone",
        kind: Kind::Slow(Duration::from_millis(2500)),
        names: Names::V6,
        lookups: (10, 100),
    },
    Fault {
        title: "AAAA: NODATA",
        kind: Kind::Aaaa(Some(ResponseCode::NoError)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "AAAA: NXDOMAIN",
        kind: Kind::Aaaa(Some(ResponseCode::NXDomain)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "AAAA: SERVFAIL",
        kind: Kind::Aaaa(Some(ResponseCode::ServFail)),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault { title: "AAAA: never answered", kind: Kind::Aaaa(None), names: Names::Both, lookups: (10, 100) },
    Fault { title: "UDP answers cut to nothing", kind: Kind::Truncated, names: Names::Both, lookups: (10, 100) },
    Fault { title: "40 A and 40 AAAA records", kind: Kind::Many, names: Names::Both, lookups: (10, 100) },
    Fault {
        title: "a search domain says NODATA",
        kind: Kind::SearchDomain(ResponseCode::NoError),
        names: Names::Both,
        lookups: (10, 100),
    },
    Fault {
        title: "a search domain says SERVFAIL",
        kind: Kind::SearchDomain(ResponseCode::ServFail),
        names: Names::Both,
        lookups: (10, 100),
    },
];

// === impl Fault ===

impl Fault {
    /// Whether of the queries of a pair one is lost, and its repetition is not.
    pub(super) fn is_loss_of_one_packet(&self) -> bool {
        matches!(self.kind, Kind::Lost(_) | Kind::Race)
    }

    /// Brings the fault about at an address of its own, and returns the nameservers to ask: the last of them knows the names.
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
        // The cluster's own names exist beside those that are asked for in vain.
        let healthy = Script::new()
            .name_with(&every, addresses)
            .name("kubernetes.default.svc.cluster.local", ["10.96.0.1"])
            .latency(LATENCY);
        let script = match self.kind {
            Kind::Healthy => healthy,
            Kind::Loss(share) => healthy.loses(share, SEED),
            Kind::Lost(nth) => healthy.rule(literal(nth), Then::Drop),
            Kind::Race => {
                lab.race(address)?;
                healthy
            }
            Kind::FirstDead => {
                return Ok(vec![lab.server(address, Script::dead())?, lab.server(other, healthy)?]);
            }
            Kind::Slow(latency) => healthy.latency(latency),
            Kind::Aaaa(Some(says)) => healthy.rule(aaaa().name(&every), code(says)),
            Kind::Aaaa(None) => healthy.rule(aaaa().name(&every), Then::Drop),
            Kind::Truncated => healthy.rule(any().name(&every), truth().cut(Cut::Empty)).tcp(Tcp::Answers),
            Kind::Many => healthy.name_with(&every, many()),
            Kind::SearchDomain(says) => healthy
                .rule(any().name("*.default.svc.cluster.local"), truth())
                .rule(any().name("*.svc.cluster.local"), truth())
                .rule(any().name("*.cluster.local"), code(says)),
        };
        Ok(vec![lab.server(address, script)?])
    }

    /// What the model says; `None` where it says nothing: of chance, of what AAAA alone does, and of sizes.
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
            Kind::Healthy => answers(Answer::NxDomain),
            Kind::Lost(_) => Some(after(settings.recovers_from_one_loss())),
            Kind::Race => Some(after(settings.recovers_from_raced_pairs(names))),
            Kind::FirstDead => Some(Prediction::Succeeds(settings.passes_dead_nameservers_after(1, 2, names))),
            Kind::Slow(latency) if settings.slowest_answer() > latency => {
                let one_by_one = matches!(settings.pairing, Pairing::OneSocketSerial | Pairing::TwoSocketsSerial);
                let answers = if one_by_one { names * 2 } else { names };
                Some(Prediction::Succeeds(latency.saturating_mul(answers)))
            }
            Kind::Slow(_) => Some(Prediction::Fails),
            Kind::SearchDomain(ResponseCode::NoError) => answers(Answer::NoData),
            Kind::SearchDomain(_) => answers(Answer::ServFail),
            Kind::Loss(_) | Kind::Aaaa(_) | Kind::Truncated | Kind::Many => None,
        }
    }
}

fn many() -> Vec<std::net::IpAddr> {
    let v4 = (1..=40).map(|number| Ipv4Addr::new(203, 0, 113, number).into());
    let v6 = (1..=40).map(|number| Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, number).into());
    v4.chain(v6).collect()
}
