//! What a scripted server says: the names it knows, and rules on which queries it treats otherwise, and how. Plain values, which
//! a test builds; `answer` makes messages of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

/// All that decides what a server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(super) zone: Zone,
    pub(super) rules: Vec<Rule>,
    pub(super) latency: Duration,
    pub(super) tcp: Tcp,
    pub(super) edns: EdnsManners,
    pub(super) collisions: Collisions,
    /// From when to when a signature of the root's keys holds, in seconds since 1970.
    pub(super) root_signed: Option<(u64, u64)>,
}

/// What becomes of the second of two queries from one socket with one id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Collisions {
    /// It is a query like any other.
    #[default]
    Harmless,
    /// It is taken for a repetition of the first, and dropped.
    Lost,
    /// The same, and the first one's answer is sent again.
    MixedUp,
}

/// The names that there are. A name above one that there is exists too, without addresses; all others do not exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Zone {
    /// By lower-case name without the last dot; `*.domain` stands for all names below `domain`.
    pub(super) addresses: BTreeMap<String, Vec<IpAddr>>,
}

/// How a server treats TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tcp {
    /// As UDP.
    #[default]
    Answers,
    /// Nobody listens.
    Refuses,
    /// Connections are accepted, and nothing ever comes.
    Hangs,
}

/// How a server treats queries with EDNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EdnsManners {
    /// It says EDNS too, and sends up to as many bytes as the client takes.
    #[default]
    Honours,
    /// It answers as if there were none: at most 512 bytes.
    Ignores,
    /// It says FORMERR, as servers from before EDNS do.
    Refuses,
    /// Some middlebox drops such queries.
    Drops,
}

/// Which queries, and what becomes of them. The first rule that takes a query counts.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) when: When,
    pub(super) then: Then,
}

/// Which queries. Built from [`any`].
#[derive(Clone, Debug)]
pub(crate) struct When {
    pub(super) kind: Option<RecordType>,
    pub(super) name: Option<String>,
    pub(super) transport: Option<Transport>,
    pub(super) edns: Option<bool>,
    pub(super) count: Option<Count>,
    pub(super) per: Per,
    pub(super) chance: Option<Chance>,
}

/// What a query came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// Which of the queries that all else fits, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Nth(u32),
    UpTo(u32),
    After(u32),
    /// How many in each second.
    MoreThanASecond(u32),
}

/// What is counted together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Per {
    /// The queries for one name, whatever their type.
    #[default]
    Name,
    /// The queries from one socket.
    Socket,
    /// All.
    Server,
}

/// A share of the queries, which depends on nothing but the seed, the name, the type and how often it was asked for. So the same
/// lookups meet the same luck on each run, whatever their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    pub(super) share: f64,
    pub(super) seed: u64,
}

/// What becomes of a query.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// Nothing.
    Drop,
    /// An answer.
    Say(Reply),
}

/// An answer. Built from [`truth`], [`code`] or [`addresses`].
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(super) says: Says,
    pub(super) after: Duration,
    pub(super) ttl: u32,
    pub(super) cut: Option<Cut>,
    pub(super) wrong_id: bool,
    pub(super) without_edns: bool,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub(super) enum Says {
    /// What the names of the script are.
    Truth,
    /// This code and no record.
    Code(ResponseCode),
    /// These addresses, those of the type that was asked for.
    Addresses(Vec<IpAddr>),
}

/// What is left of an answer that was cut short. A UDP answer that is too large is cut to [`Cut::Full`] of itself anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// No record.
    Empty,
    /// As many records as there is room for.
    Full,
}

// === impl Script ===

impl Script {
    /// A server that knows no name.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A server that never answers.
    pub(crate) fn dead() -> Self {
        Self::new().rule(any(), Then::Drop)
    }

    /// There is this name, with these addresses (none: NODATA). `*.example.com` is every name below `example.com`.
    pub(crate) fn name<const N: usize>(self, name: &str, addresses: [&str; N]) -> Self {
        self.name_with(name, addresses.iter().map(|address| parsed(address)).collect())
    }

    /// The same with addresses that are made, not written.
    pub(crate) fn name_with(mut self, name: &str, addresses: Vec<IpAddr>) -> Self {
        self.zone.addresses.insert(name.to_ascii_lowercase(), addresses);
        self
    }

    /// What becomes of some queries. Rules are asked in the order in which they were given; what none takes is answered with
    /// the [`truth`].
    pub(crate) fn rule(mut self, when: When, then: impl Into<Then>) -> Self {
        self.rules.push(Rule { when, then: then.into() });
        self
    }

    /// Every answer takes so long, besides what its rule says.
    pub(crate) fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Loses a share of all packets, the same ones for the same seed.
    pub(crate) fn loses(self, share: f64, seed: u64) -> Self {
        self.rule(any().chance(share, seed), Then::Drop)
    }

    /// Answers so many queries a second and drops the rest.
    pub(crate) fn at_most_a_second(self, queries: u32) -> Self {
        let mut when = any();
        when.count = Some(Count::MoreThanASecond(queries));
        when.per = Per::Server;
        self.rule(when, Then::Drop)
    }

    pub(crate) fn tcp(mut self, tcp: Tcp) -> Self {
        self.tcp = tcp;
        self
    }

    pub(crate) fn edns(mut self, edns: EdnsManners) -> Self {
        self.edns = edns;
        self
    }

    pub(crate) fn collisions(mut self, collisions: Collisions) -> Self {
        self.collisions = collisions;
        self
    }

    /// The root has keys, with a signature that holds between these times, in seconds since 1970.
    pub(crate) fn root_signed(mut self, inception: u64, expiration: u64) -> Self {
        self.root_signed = Some((inception, expiration));
        self
    }
}

// === impl When ===

/// Every query.
pub(crate) const fn any() -> When {
    When { kind: None, name: None, transport: None, edns: None, count: None, per: Per::Name, chance: None }
}

/// Every query for IPv4 addresses.
pub(crate) const fn a() -> When {
    any().kind(RecordType::A)
}

/// Every query for IPv6 addresses.
pub(crate) const fn aaaa() -> When {
    any().kind(RecordType::AAAA)
}

impl When {
    pub(crate) const fn kind(mut self, kind: RecordType) -> Self {
        self.kind = Some(kind);
        self
    }

    /// For this name; `*.example.com` is every name below `example.com`.
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_ascii_lowercase());
        self
    }

    pub(crate) const fn over(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// With EDNS, or without.
    pub(crate) const fn edns(mut self, edns: bool) -> Self {
        self.edns = Some(edns);
        self
    }

    /// The n-th such query for each name, from 1: `any().nth(2)` is the second of a pair.
    pub(crate) const fn nth(mut self, nth: u32) -> Self {
        self.count = Some(Count::Nth(nth));
        self
    }

    /// The first so many for each name.
    pub(crate) const fn up_to(mut self, most: u32) -> Self {
        self.count = Some(Count::UpTo(most));
        self
    }

    /// All but the first so many for each name.
    pub(crate) const fn after(mut self, some: u32) -> Self {
        self.count = Some(Count::After(some));
        self
    }

    /// Counts the queries from one socket together, instead of those for one name.
    pub(crate) const fn per_socket(mut self) -> Self {
        self.per = Per::Socket;
        self
    }

    /// Counts all queries together.
    pub(crate) const fn in_all(mut self) -> Self {
        self.per = Per::Server;
        self
    }

    /// A share of them, the same for the same seed.
    pub(crate) const fn chance(mut self, share: f64, seed: u64) -> Self {
        self.chance = Some(Chance { share, seed });
        self
    }
}

// === impl Then ===

impl From<Reply> for Then {
    fn from(reply: Reply) -> Self {
        Self::Say(reply)
    }
}

// === impl Reply ===

impl Reply {
    const fn saying(says: Says) -> Self {
        Self { says, after: Duration::ZERO, ttl: 30, cut: None, wrong_id: false, without_edns: false }
    }

    /// So much later.
    pub(crate) const fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// With this time to live, in seconds.
    pub(crate) const fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// Cut short, however small; over UDP only.
    pub(crate) const fn cut(mut self, cut: Cut) -> Self {
        self.cut = Some(cut);
        self
    }

    /// With an id that nobody asked with.
    pub(crate) const fn wrong_id(mut self) -> Self {
        self.wrong_id = true;
        self
    }

    /// Without EDNS, whatever the query had.
    pub(crate) const fn without_edns(mut self) -> Self {
        self.without_edns = true;
        self
    }
}

/// What the names of the script are.
pub(crate) const fn truth() -> Reply {
    Reply::saying(Says::Truth)
}

/// This code and no record: `code(ServFail)`. NODATA is `code(NoError)`.
pub(crate) const fn code(code: ResponseCode) -> Reply {
    Reply::saying(Says::Code(code))
}

/// These addresses, whatever the name.
pub(crate) fn addresses<const N: usize>(addresses: [&str; N]) -> Reply {
    Reply::saying(Says::Addresses(addresses.iter().map(|address| parsed(address)).collect()))
}

// === impl Zone ===

impl Zone {
    /// The addresses of a name; `None` where there is no such name.
    pub(super) fn find(&self, name: &str) -> Option<&[IpAddr]> {
        let above = |key: &str| key.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let exact = self.addresses.get(name);
        let wild = || self.addresses.iter().filter(|(key, _)| fits(key, name)).max_by_key(|(key, _)| key.len());
        let found = exact.or_else(|| wild().map(|(_, addresses)| addresses)).map(Vec::as_slice);
        found.or_else(|| self.addresses.keys().any(|key| above(key)).then_some(&[]))
    }
}

/// Whether a name is meant by a pattern, both in lower case.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == name || pattern == "*",
    }
}

fn parsed(address: &str) -> IpAddr {
    address.parse().unwrap_or_else(|_| unreachable!("{address} is no address"))
}
