//! The script of a server: the names it knows, and rules for queries that it treats differently. Plain values that tests build;
//! `answer` turns them into messages.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

/// The behaviour of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(super) zone: Zone,
    pub(super) rules: Vec<Rule>,
    pub(super) latency: Duration,
    pub(super) tcp: Tcp,
    pub(super) edns: EdnsManners,
    pub(super) collisions: Collisions,
    pub(super) capacity: Option<Capacity>,
    /// Start and end of the validity of the root keys' signature, in seconds since 1970.
    pub(super) root_signed: Option<(u64, u64)>,
}

/// A server that answers one query after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Capacity {
    pub(super) queries_a_second: f64,
    /// Number of queries that may wait; more are dropped.
    pub(super) room: usize,
}

/// The treatment of the second of two queries from one socket with one id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Collisions {
    /// The query is answered like any other.
    #[default]
    Harmless,
    /// The query is taken for a repetition of the first, and dropped.
    Lost,
    /// The query is taken for a repetition of the first, whose answer is sent again.
    Swapped,
}

/// The names that exist. Parents of a name exist too, without addresses; all others do not exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Zone {
    /// Addresses by lower-case name without the final dot; `*.domain` matches all names below `domain`.
    pub(super) addresses: BTreeMap<String, Vec<IpAddr>>,
    /// The canonical name that the answer gives without its addresses, by name or pattern.
    pub(super) aliases: BTreeMap<String, String>,
}

/// The treatment of TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tcp {
    /// TCP is answered like UDP.
    #[default]
    Answers,
    /// The port is closed.
    Refuses,
    /// Connections are accepted, but never answered.
    Hangs,
}

/// The treatment of queries with EDNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EdnsManners {
    /// The server uses EDNS too, and sends as many bytes as the client accepts.
    #[default]
    Honours,
    /// The server answers without EDNS: at most 512 bytes.
    Ignores,
    /// The server answers FORMERR, as servers from before EDNS do.
    Refuses,
    /// A middlebox drops such queries.
    Drops,
}

/// A condition on queries, and the reaction to them. The first rule that matches applies.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) when: When,
    pub(super) then: Then,
}

/// A condition on queries, built from [`any`].
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

/// The transport of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A condition on the number of matching queries, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Nth(u32),
    UpTo(u32),
    After(u32),
    /// More than this number in one second.
    MoreThanASecond(u32),
}

/// The scope of a count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Per {
    /// Queries for one name, of any type.
    #[default]
    Name,
    /// Queries from one socket.
    Socket,
    /// All queries.
    Server,
}

/// A share of the queries, determined by the seed, the name, the type and the number of earlier queries for it. So the same lookups
/// lose the same packets on each run, in any order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    pub(super) share: f64,
    pub(super) seed: u64,
}

/// The reaction to a query.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// No answer.
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
    /// The owner of the records, if it is not the queried name.
    pub(super) owner: Option<String>,
    /// Ignores the size that the client accepts by UDP.
    pub(super) oversized: bool,
}

/// The content of an answer.
#[derive(Clone, Debug)]
pub(super) enum Says {
    /// The names of the script.
    Truth,
    /// A response code without a record.
    Code(ResponseCode),
    /// These addresses, filtered by the queried type.
    Addresses(Vec<IpAddr>),
}

/// The records left in a truncated answer. A UDP answer that is too large is always truncated as [`Cut::Full`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// No record.
    Empty,
    /// As many records as fit.
    Full,
}

// === impl Script ===

impl Script {
    /// Returns the script of a server that knows no name.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns the script of a server that never answers.
    pub(crate) fn dead() -> Self {
        Self::new().rule(any(), Then::Drop)
    }

    /// Adds a name with these addresses (none: NODATA). `*.example.com` is every name below `example.com`.
    pub(crate) fn name<const N: usize>(self, name: &str, addresses: [&str; N]) -> Self {
        self.name_with(name, addresses.iter().map(|address| parsed(address)).collect())
    }

    /// Adds a name with computed addresses.
    pub(crate) fn name_with(mut self, name: &str, addresses: Vec<IpAddr>) -> Self {
        self.zone.addresses.insert(name.to_ascii_lowercase(), addresses);
        self
    }

    /// Makes a name, or a pattern as in [`Self::name`], an alias. An answer has the canonical name alone, as of a server that does not
    /// look further.
    pub(crate) fn alias(mut self, name: &str, canonical: &str) -> Self {
        self.zone.aliases.insert(name.to_ascii_lowercase(), canonical.to_owned());
        self
    }

    /// Adds a rule. The first rule that matches applies; a query without one is answered with the [`truth`].
    pub(crate) fn rule(mut self, when: When, then: impl Into<Then>) -> Self {
        self.rules.push(Rule { when, then: then.into() });
        self
    }

    /// Delays every answer, in addition to the delay of its rule.
    pub(crate) fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Drops a share of all queries, the same ones for the same seed.
    pub(crate) fn loses(self, share: f64, seed: u64) -> Self {
        self.rule(any().chance(share, seed), Then::Drop)
    }

    /// Answers this many queries a second and drops the rest.
    pub(crate) fn at_most_a_second(self, queries: u32) -> Self {
        let mut when = any();
        when.count = Some(Count::MoreThanASecond(queries));
        when.per = Per::Server;
        self.rule(when, Then::Drop)
    }

    /// Answers one query after another, so many a second, and drops those for which there is no room to wait.
    pub(crate) fn capacity(mut self, queries_a_second: f64, room: usize) -> Self {
        self.capacity = Some(Capacity { queries_a_second, room });
        self
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

    /// Gives the root keys and a signature that is valid between these times, in seconds since 1970.
    pub(crate) fn root_signed(mut self, inception: u64, expiration: u64) -> Self {
        self.root_signed = Some((inception, expiration));
        self
    }
}

// === impl When ===

/// Matches every query.
pub(crate) const fn any() -> When {
    When { kind: None, name: None, transport: None, edns: None, count: None, per: Per::Name, chance: None }
}

/// Matches every query for IPv4 addresses.
pub(crate) const fn a() -> When {
    any().kind(RecordType::A)
}

/// Matches every query for IPv6 addresses.
pub(crate) const fn aaaa() -> When {
    any().kind(RecordType::AAAA)
}

impl When {
    pub(crate) const fn kind(mut self, kind: RecordType) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Matches this name; `*.example.com` is every name below `example.com`.
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_ascii_lowercase());
        self
    }

    pub(crate) const fn over(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Matches queries with EDNS, or without.
    pub(crate) const fn edns(mut self, edns: bool) -> Self {
        self.edns = Some(edns);
        self
    }

    /// Matches the n-th such query for each name, from 1: `any().nth(2)` is the second of a pair.
    pub(crate) const fn nth(mut self, nth: u32) -> Self {
        self.count = Some(Count::Nth(nth));
        self
    }

    /// Matches the first queries for each name, up to this number.
    pub(crate) const fn up_to(mut self, most: u32) -> Self {
        self.count = Some(Count::UpTo(most));
        self
    }

    /// Matches all but the first queries for each name.
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

    /// Matches a share of them, the same for the same seed.
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
        Self {
            says,
            after: Duration::ZERO,
            ttl: 30,
            cut: None,
            wrong_id: false,
            without_edns: false,
            owner: None,
            oversized: false,
        }
    }

    /// Delays the answer.
    pub(crate) const fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// Sets the time to live, in seconds.
    pub(crate) const fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// Truncates the answer, however small; over UDP only.
    pub(crate) const fn cut(mut self, cut: Cut) -> Self {
        self.cut = Some(cut);
        self
    }

    /// Uses an id that no query has.
    pub(crate) const fn wrong_id(mut self) -> Self {
        self.wrong_id = true;
        self
    }

    /// Gives the records to another name.
    pub(crate) fn owner(mut self, name: &str) -> Self {
        self.owner = Some(name.to_owned());
        self
    }

    /// Sends the whole answer, whatever the client accepts.
    pub(crate) const fn oversized(mut self) -> Self {
        self.oversized = true;
        self
    }

    /// Omits EDNS from the answer.
    pub(crate) const fn without_edns(mut self) -> Self {
        self.without_edns = true;
        self
    }
}

/// Answers with the names of the script.
pub(crate) const fn truth() -> Reply {
    Reply::saying(Says::Truth)
}

/// Answers with this code and no record: `code(ServFail)`. NODATA is `code(NoError)`.
pub(crate) const fn code(code: ResponseCode) -> Reply {
    Reply::saying(Says::Code(code))
}

/// Answers with these addresses for any name.
pub(crate) fn addresses<const N: usize>(addresses: [&str; N]) -> Reply {
    Reply::saying(Says::Addresses(addresses.iter().map(|address| parsed(address)).collect()))
}

// === impl Zone ===

impl Zone {
    /// Returns the canonical name of an alias.
    pub(super) fn canonical(&self, name: &str) -> Option<&str> {
        let alias = self.aliases.iter().find(|(pattern, _)| fits(pattern, name));
        alias.map(|(_, canonical)| canonical.as_str())
    }

    /// Returns the addresses of a name; `None` if it does not exist.
    pub(super) fn find(&self, name: &str) -> Option<&[IpAddr]> {
        let above = |key: &str| key.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let exact = self.addresses.get(name);
        let wild = || self.addresses.iter().filter(|(key, _)| fits(key, name)).max_by_key(|(key, _)| key.len());
        let found = exact.or_else(|| wild().map(|(_, addresses)| addresses)).map(Vec::as_slice);
        found.or_else(|| self.addresses.keys().any(|key| above(key)).then_some(&[]))
    }
}

/// Returns whether a pattern matches a name, both in lower case.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == name || pattern == "*",
    }
}

fn parsed(address: &str) -> IpAddr {
    address.parse().unwrap_or_else(|_| unreachable!("{address} is not an address"))
}
