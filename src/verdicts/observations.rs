//! The observations of a probe: single queries, pairs of queries, lookups through a C library, and the files around it. Plain
//! values. Must not know how they were obtained, nor what they mean.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::nameserver_origins::NameserverOrigins;
use super::statistics::Rate;
use super::system_files::{Nsswitch, ResolvConf};
use crate::resolver::Resolver;

/// All observations of one probe.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// Names to query and servers to ask.
    pub targets: Targets,
    /// Single queries, in the order of their answers.
    pub asked: Vec<AskedQuery>,
    /// Queries for A and AAAA of one name, sent as a pair.
    pub pairs: Vec<Pair>,
    /// Lookups by `getaddrinfo`.
    pub lookups: Vec<SystemLookup>,
    /// Files, programs and counters of this machine.
    pub environment: Environment,
}

/// The names to query, and the servers to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// The nameservers, in the order of resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// Names inside the cluster that have an address, without a final dot.
    pub names: Vec<String>,
    /// External names that have an address.
    pub external_names: Vec<String>,
    /// External domains below which names are invented that cannot exist.
    pub invented_below: Vec<String>,
    /// A name with a large answer; the root's keys are queried if unset.
    pub large_name: Option<String>,
    /// The cluster's domain.
    pub cluster_domain: String,
}

/// The files, programs and counters around the probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// resolv.conf.
    pub resolv_conf: ResolvConf,
    /// nsswitch.conf, if it exists.
    pub nsswitch: Option<Nsswitch>,
    /// Queried names that the hosts file contains.
    pub in_hosts_file: Vec<String>,
    /// Programs whose resolver was identified: the libraries used for lookups, and those given by `--pid` and `--binary`.
    pub programs: Vec<Program>,
    /// C libraries through which no name was looked up.
    pub unasked: Vec<UnaskedLibrary>,
    /// The kernel's release, such as `6.1.0-18-amd64`.
    pub kernel: Option<String>,
    /// conntrack's counters while pairs were sent; `None` if they cannot be read.
    pub conntrack: Option<Conntrack>,
    /// Known servers to which the nameservers forward.
    pub upstreams: Vec<Upstream>,
    /// The node's own nameservers, if its file was given.
    pub node_nameservers: Option<Vec<String>>,
    /// The places that name the node's nameservers, if its files were searched.
    pub nameserver_origins: Option<NameserverOrigins>,
    /// This machine's time, in seconds since 1970.
    pub unix_time: u64,
}

/// A program and its resolver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Name in messages: `/lib/ld-musl-x86_64.so.1`, `process 42`.
    pub name: String,
    /// The program's resolver.
    #[serde(serialize_with = "as_text")]
    pub resolver: Resolver,
    /// The reason why the resolver is known, or unknown.
    pub because: String,
    /// `GODEBUG=netdns=` is set and has no effect.
    pub netdns_without_effect: bool,
    /// Lookups were made through this program.
    pub asked_through: bool,
}

/// A C library through which no name was looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnaskedLibrary {
    /// The library's name: `musl`, `glibc 2.36`, `an unknown library`.
    pub library: String,
    /// The reason.
    pub because: String,
}

/// conntrack's counters of packets that it did not track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conntrack {
    /// Entries that could not be inserted: clashes that were not resolved.
    pub insert_failed: u64,
    /// Packets dropped for that.
    pub drop: u64,
    /// Clashes that the kernel resolved.
    pub clash_resolve: u64,
}

/// A server to which a nameserver forwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The server's address, as written where it was found.
    pub address: String,
    /// Where it was found: `--upstream`, `the Corefile of kube-system/coredns`.
    pub from: String,
}

/// The reason for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A name of the cluster, queried one at a time.
    Name,
    /// An external name, queried one at a time.
    External,
    /// An external name that does not exist: an answer with an address is made up, and no cache can have one.
    Invented,
    /// A name that does not exist, below a search domain.
    Searched,
    /// A name that a resolver would try while it applies the search list.
    #[serde(rename = "candidate")]
    SearchExpansion,
    /// A name with a large answer.
    Large,
    /// Signed records, with their signatures.
    Signed,
    /// Like [`Purpose::Signed`], with the request not to check the signatures.
    Unchecked,
    /// Sent to an address that no host has.
    Interception,
    /// Sent to a server behind a nameserver.
    Upstream,
    /// One of many sent at once.
    Burst,
}

/// The transport of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// The type of record a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QueryType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Keys; those of the root are large and signed.
    Dnskey,
}

/// One query and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskedQuery {
    /// The reason for it.
    pub purpose: Purpose,
    /// The server.
    pub server: SocketAddr,
    /// The transport.
    pub via: Via,
    /// The name, without a final dot; the root is empty.
    pub name: String,
    /// The record type.
    pub kind: QueryType,
    /// The answer size that EDNS allows, in bytes; `None` without EDNS.
    pub edns: Option<u16>,
    /// Time until the answer, or until the probe gave up.
    #[serde(serialize_with = "as_milliseconds", rename = "took_ms")]
    pub took: Duration,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: QueryOutcome,
}

/// The outcome of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryOutcome {
    /// An answer to it.
    Answer(Answer),
    /// No answer.
    Silence,
    /// The port is closed.
    PortClosed,
    /// The server cannot be reached; the system's error message.
    Unreachable(String),
    /// A message that is not a valid answer; the reason.
    #[serde(rename = "nonsense")]
    Malformed(String),
    /// The query was not sent, or not waited for long enough: a limit of the probe was reached.
    NotAsked,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Response code.
    pub code: Code,
    /// The answer was truncated (TC).
    pub truncated: bool,
    /// The server states that it checked signatures (AD).
    pub authentic: bool,
    /// Addresses of the queried type.
    pub addresses: Vec<IpAddr>,
    /// The lowest time to live of its records, in seconds.
    pub ttl: Option<u32>,
    /// Number of records of the queried type.
    pub records: usize,
    /// Size in bytes.
    pub bytes: usize,
    /// The server supports EDNS.
    pub edns: bool,
    /// Validity of its signature.
    pub signed: Option<Validity>,
}

/// The time in which a signature is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Validity {
    /// Start.
    pub inception: u64,
    /// End.
    pub expiration: u64,
}

/// A response code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Code {
    /// No error.
    #[default]
    NoError,
    /// The server could not parse the query.
    FormErr,
    /// The server failed.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not support this kind of query.
    NotImp,
    /// The server refused.
    Refused,
    /// Any other code.
    Other(u16),
}

/// The way a pair of queries is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairMode {
    /// At once from one socket, as musl and glibc do.
    OneSocket,
    /// At once, each from its own socket, as Go does.
    TwoSockets,
    /// One after the other's answer, from one socket.
    Serial,
    /// At once from one socket with one id, as musl before 1.2.4 can.
    SameId,
}

/// Queries for A and AAAA of one name, sent as a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The way they were sent.
    pub mode: PairMode,
    /// Outcome of A.
    pub a: Half,
    /// Outcome of AAAA.
    pub aaaa: Half,
}

/// The outcome of one query of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The answer came after this many milliseconds.
    Answered(u64),
    /// No answer.
    Lost,
    /// The answer to the other query came in its place.
    SwappedAnswer,
}

/// A lookup through a C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SystemLookup {
    /// The program that made it, as in [`Program::name`].
    pub program: String,
    /// The C library.
    #[serde(serialize_with = "as_text")]
    pub resolver: Resolver,
    /// The name, as given to the program.
    pub name: String,
    /// Duration.
    #[serde(serialize_with = "as_milliseconds", rename = "took_ms")]
    pub took: Duration,
    /// The result.
    #[serde(flatten)]
    pub result: LookupResult,
    /// The library's error: `EAI_AGAIN` and the like.
    pub error: Option<String>,
}

/// The result of a lookup through a C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookupResult {
    /// Addresses.
    Addresses(Vec<IpAddr>),
    /// The library found no address.
    Nothing,
    /// The probe ended the program because it took too long.
    GivenUp,
}

// === impl Observations ===

impl Observations {
    /// Returns the single queries that were sent and waited for.
    pub fn single_queries(&self) -> impl Iterator<Item = &AskedQuery> {
        self.asked.iter().filter(|asked| asked.outcome != QueryOutcome::NotAsked)
    }

    /// Returns the single queries of this purpose.
    pub(crate) fn asked_for(&self, purpose: Purpose) -> impl Iterator<Item = &AskedQuery> {
        self.single_queries().filter(move |asked| asked.purpose == purpose)
    }

    /// Returns the queries to one server for names that have an address, without EDNS.
    pub(super) fn plain_queries(&self, server: SocketAddr, via: Via) -> impl Iterator<Item = &AskedQuery> {
        let named = self.asked_for(Purpose::Name).chain(self.asked_for(Purpose::External));
        named.filter(move |asked| asked.server == server && asked.via == via && asked.edns.is_none())
    }

    /// Returns the servers that answer by UDP.
    pub(super) fn answering_servers(&self) -> impl Iterator<Item = SocketAddr> {
        let servers = self.targets.servers.iter().copied();
        servers.filter(|server| self.plain_queries(*server, Via::Udp).any(AskedQuery::is_answered))
    }

    /// Returns whether a server leaves these queries unanswered more often than the path to it explains.
    ///
    /// The path's loss is that of A queries for existing names: single ones, and those of pairs, which go to the first server that
    /// answers. Pairs that fail for reasons of their own (one socket, one id) do not count.
    pub(super) fn ignores<'a>(&self, server: SocketAddr, queries: impl IntoIterator<Item = &'a AskedQuery>) -> bool {
        let is_ignored = |asked: &&AskedQuery| !asked.is_answered();
        let single = self.plain_queries(server, Via::Udp).filter(|asked| asked.kind == QueryType::A);
        let paired = [PairMode::TwoSockets, PairMode::Serial].into_iter().flat_map(|mode| self.pairs_of(mode));
        let paired = paired.filter(|_| self.answering_servers().next() == Some(server));
        let path = Rate::count(single, is_ignored).plus(Rate::count(paired, |pair| pair.a == Half::Lost));
        Rate::count(queries, is_ignored).exceeds(path)
    }

    /// Returns the pairs that were sent this way.
    pub(super) fn pairs_of(&self, mode: PairMode) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.mode == mode)
    }

    /// Returns whether the first nameserver has a link-local address, as a cache on the node has.
    pub(super) fn asks_a_node_cache(&self) -> bool {
        self.targets.servers.first().is_some_and(|server| match server.ip().to_canonical() {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        })
    }

    /// Returns the programs whose resolver was identified.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.environment.programs.iter()
    }
}

// === impl AskedQuery ===

impl AskedQuery {
    /// Returns the answer, if there is one.
    pub const fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            QueryOutcome::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// Returns whether any answer came.
    pub const fn is_answered(&self) -> bool {
        self.answer().is_some()
    }

    /// Returns the response code of the answer.
    pub(super) fn code(&self) -> Option<Code> {
        self.answer().map(|answer| answer.code)
    }

    /// Returns the addresses in the answer.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        self.answer().map_or(&[], |answer| &answer.addresses)
    }

    /// Returns whether the answer states if the name exists.
    pub(super) fn is_conclusive(&self) -> bool {
        matches!(self.code(), Some(Code::NoError | Code::NxDomain))
    }
}

// === impl Pair ===

impl Pair {
    /// Returns whether both queries were answered.
    pub const fn is_whole(&self) -> bool {
        matches!((self.a, self.aaaa), (Half::Answered(_), Half::Answered(_)))
    }

    /// Returns whether exactly one query was answered, and the other lost.
    pub const fn is_half(&self) -> bool {
        matches!((self.a, self.aaaa), (Half::Answered(_), Half::Lost) | (Half::Lost, Half::Answered(_)))
    }

    /// Returns both outcomes.
    pub(super) const fn halves(&self) -> [Half; 2] {
        [self.a, self.aaaa]
    }
}

// === impl LookupResult ===

impl LookupResult {
    /// Returns whether the library found an address.
    pub const fn is_found(&self) -> bool {
        matches!(self, Self::Addresses(_))
    }
}

// === impl Code, QueryType ===

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::Other(code) => return write!(f, "code {code}"),
        })
    }
}

impl QueryType {
    /// Returns the name used in zone files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Dnskey => "DNSKEY",
        }
    }
}

fn as_text<S: Serializer>(resolver: &Resolver, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(resolver)
}

fn as_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e5).round() / 100.0)
}
