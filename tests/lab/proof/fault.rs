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

/// Number of nameservers that a fault may need.
pub(super) const SERVERS_MAX: usize = 3;

/// The same packets are lost on each run.
const SEED: u64 = 20_210_804;

/// A DNS fault. The model in `tests/model` has the same, by the same titles.
pub(crate) struct Fault {
    /// Title in the table.
    pub(super) title: &'static str,
    pub(super) kind: FaultKind,
    /// Addresses of the names.
    pub(super) names: Names,
    /// The options of the node's file, in pods that inherit it.
    pub(super) node: Option<&'static str>,
    pub(super) lookups: Lookups,
}

/// The number of lookups of each program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lookups {
    /// For the page.
    pub(super) long: usize,
    /// In the test that always runs, of musl, glibc and Go; with zero, the test leaves the fault out.
    pub(super) short: usize,
    /// In the test that always runs, of other programs.
    pub(super) brought: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FaultKind {
    Healthy,
    /// A share of all queries is lost.
    Loss(f64),
    /// The n-th query for the name that exists is lost.
    Lost(u32),
    /// When two queries leave one socket at once, the second is lost.
    Race,
    /// Some nameservers do not do their work.
    Servers(&'static [At]),
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
    /// Each answer has one link of a chain of aliases, of so many.
    Alias(u8),
}

/// A nameserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Alive,
    /// The server never answers.
    Dead,
    /// The server answers every query with this code.
    Fails(ResponseCode),
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

const fn seconds(milliseconds: u64) -> FaultKind {
    FaultKind::Slow(Duration::from_millis(milliseconds))
}

pub(super) const FAULTS: &[Fault] = &[
    Fault::new("none", FaultKind::Healthy).lookups(100, 20, 2),
    Fault::new("query 1 for the name lost", FaultKind::Lost(1)).lookups(100, 100, 5),
    Fault::new("query 2 for the name lost", FaultKind::Lost(2)).lookups(100, 100, 0),
    Fault::new("query 1 lost, of a name with IPv4 alone", FaultKind::Lost(1)).of(Names::V4).lookups(20, 10, 0),
    Fault::new("query 1 lost, of a name with IPv6 alone", FaultKind::Lost(1)).of(Names::V6).lookups(20, 10, 0),
    Fault::new("query 2 lost, of a name with IPv6 alone", FaultKind::Lost(2)).of(Names::V6).lookups(20, 10, 0),
    Fault::new("conntrack race", FaultKind::Race).lookups(50, 20, 0),
    Fault::new("nothing answers", FaultKind::Servers(&[At::Dead])),
    Fault::new("first of two servers dead", FaultKind::Servers(&[At::Dead, At::Alive])).lookups(10, 10, 2),
    Fault::new("second of two servers dead", FaultKind::Servers(&[At::Alive, At::Dead])),
    Fault::new("two of three servers dead", FaultKind::Servers(&[At::Dead, At::Dead, At::Alive])),
    Fault::new("first of two servers fails", FaultKind::Servers(&[FAILS, At::Alive])).lookups(10, 10, 0),
    Fault::new("first of two servers refuses", FaultKind::Servers(&[REFUSES, At::Alive])).lookups(10, 10, 0),
    Fault::new("two of three servers fail", FaultKind::Servers(&[FAILS, FAILS, At::Alive])),
    Fault::new("the server fails", FaultKind::Servers(&[FAILS])).lookups(10, 10, 0),
    Fault::new("the server refuses", FaultKind::Servers(&[REFUSES])),
    Fault::new("answers take 0.5 s", seconds(500)),
    Fault::new("answers take 1.5 s", seconds(1500)).lookups(10, 10, 0),
    Fault::new("answers take 2.5 s", seconds(2500)).lookups(10, 10, 0),
    Fault::new("answers take 4 s", seconds(4000)),
    Fault::new("answers take 4.8 s", seconds(4800)),
    Fault::new("answers take 6 s", seconds(6000)),
    Fault::new("answers take 2.5 s, of a name with IPv6 alone", seconds(2500)).of(Names::V6),
    Fault::new("answers take 6 s, node's file with timeout:10", seconds(6000)).node("timeout:10").lookups(5, 2, 0),
    Fault::new(
        "first of two servers dead, node's file with timeout:2 attempts:5",
        FaultKind::Servers(&[At::Dead, At::Alive]),
    )
    .node("timeout:2 attempts:5"),
    Fault::new("AAAA: NODATA", FaultKind::Aaaa(Some(ResponseCode::NoError))).lookups(10, 10, 0),
    Fault::new("AAAA: NXDOMAIN", FaultKind::Aaaa(Some(ResponseCode::NXDomain))).lookups(10, 10, 0),
    Fault::new("AAAA: SERVFAIL", FaultKind::Aaaa(Some(ResponseCode::ServFail))).lookups(10, 10, 0),
    Fault::new("AAAA: REFUSED", FaultKind::Aaaa(Some(ResponseCode::Refused))),
    Fault::new("AAAA: never answered", FaultKind::Aaaa(None)).lookups(10, 10, 0),
    Fault::new("UDP answers cut to nothing", FaultKind::Truncated).lookups(10, 10, 0),
    Fault::new("40 A and 40 AAAA records", FaultKind::Many).lookups(10, 10, 0),
    Fault::new("a search domain says NODATA", FaultKind::SearchDomain(ResponseCode::NoError)).lookups(10, 10, 0),
    Fault::new("a search domain says SERVFAIL", FaultKind::SearchDomain(ResponseCode::ServFail)).lookups(10, 10, 0),
    Fault::new("a search domain says REFUSED", FaultKind::SearchDomain(ResponseCode::Refused)),
    Fault::new("an alias, 1 links, one in each answer", FaultKind::Alias(1)),
    Fault::new("an alias, 2 links, one in each answer", FaultKind::Alias(2)),
    Fault::new("an alias, 6 links, one in each answer", FaultKind::Alias(6)),
    Fault::new("1 % of packets lost", FaultKind::Loss(0.01)).lookups(500, 200, 0),
    Fault::new("5 % of packets lost", FaultKind::Loss(0.05)).lookups(500, 200, 0),
    Fault::new("20 % of packets lost", FaultKind::Loss(0.2)).lookups(200, 0, 0),
];

const FAILS: At = At::Fails(ResponseCode::ServFail);
const REFUSES: At = At::Fails(ResponseCode::Refused);

// === impl FaultKind ===

impl FaultKind {
    /// Returns the number of nameservers in the pod's resolv.conf.
    pub(super) const fn nameservers(self) -> usize {
        match self {
            Self::Servers(servers) => servers.len(),
            _ => 1,
        }
    }
}

// === impl Fault ===

impl Fault {
    const fn new(title: &'static str, kind: FaultKind) -> Self {
        Self { title, kind, names: Names::Both, node: None, lookups: Lookups { long: 10, short: 0, brought: 0 } }
    }

    const fn of(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    const fn node(mut self, options: &'static str) -> Self {
        self.node = Some(options);
        self
    }

    const fn lookups(mut self, long: usize, short: usize, brought: usize) -> Self {
        self.lookups = Lookups { long, short, brought };
        self
    }

    /// Returns whether chance or one packet decides, and repetitions help.
    pub(super) const fn is_loss(&self) -> bool {
        matches!(self.kind, FaultKind::Lost(_) | FaultKind::Race | FaultKind::Loss(_))
    }

    /// Returns whether one query of a pair is lost, and its repetition is not.
    pub(super) const fn is_loss_of_one_packet(&self) -> bool {
        matches!(self.kind, FaultKind::Lost(_) | FaultKind::Race)
    }

    /// Starts the fault at addresses of its own, and returns the nameservers to use.
    pub(super) fn start(&self, lab: &Lab<'_>, servers: [Ipv4Addr; SERVERS_MAX]) -> Result<Vec<Server>> {
        let [address, ..] = servers;
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
            FaultKind::Servers(kinds) => {
                let script = |kind: &At| match kind {
                    At::Alive => healthy.clone(),
                    At::Dead => Script::dead(),
                    At::Fails(says) => Script::new().rule(any(), code(*says)).latency(LATENCY),
                };
                return kinds.iter().zip(servers).map(|(kind, address)| lab.server(address, script(kind))).collect();
            }
            FaultKind::Slow(latency) => healthy.latency(latency),
            FaultKind::Aaaa(Some(says)) => healthy.rule(aaaa().name(&every), code(says)),
            FaultKind::Aaaa(None) => healthy.rule(aaaa().name(&every), Then::Drop),
            FaultKind::Truncated => healthy.rule(any().name(&every), truth().cut(Cut::Empty)).tcp(Tcp::Answers),
            FaultKind::Many => healthy.name_with(&every, many()),
            FaultKind::Alias(links) => (1..links)
                .fold(healthy.alias(&every, "link1.example.net"), |script, link| {
                    script.alias(&format!("link{link}.example.net"), &format!("link{}.example.net", link + 1))
                })
                .name_with(&format!("link{links}.example.net"), vec![v4, v6]),
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
            FaultKind::Servers([At::Dead, At::Alive]) => {
                Some(Prediction::Succeeds(settings.dead_nameserver_delay(1, 2, names)))
            }
            FaultKind::Servers([At::Dead, At::Dead, At::Alive]) => {
                Some(Prediction::Succeeds(settings.dead_nameserver_delay(2, 3, names)))
            }
            FaultKind::Servers([At::Dead]) => Some(Prediction::Fails),
            FaultKind::Slow(latency) if settings.slowest_answer() > latency => {
                let one_by_one =
                    matches!(settings.pairing, QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial);
                let answers = if one_by_one { names * 2 } else { names };
                Some(Prediction::Succeeds(latency.saturating_mul(answers)))
            }
            FaultKind::Slow(_) => Some(Prediction::Fails),
            FaultKind::SearchDomain(ResponseCode::NoError) => answers(Answer::NoData),
            FaultKind::SearchDomain(ResponseCode::Refused) => answers(Answer::Refused),
            FaultKind::SearchDomain(ResponseCode::ServFail) => answers(Answer::ServFail),
            FaultKind::SearchDomain(_)
            | FaultKind::Servers(_)
            | FaultKind::Loss(_)
            | FaultKind::Aaaa(_)
            | FaultKind::Truncated
            | FaultKind::Many
            | FaultKind::Alias(_) => None,
        }
    }
}

fn many() -> Vec<std::net::IpAddr> {
    let v4 = (1..=40).map(|number| Ipv4Addr::new(203, 0, 113, number).into());
    let v6 = (1..=40).map(|number| Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, number).into());
    v4.chain(v6).collect()
}
