//! The observations of a probe: single queries, pairs of queries, lookups through a C library, and the files around it. Plain
//! values. Must not know how they were obtained, nor what they mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::nameserver_origins::NameserverOrigins;
use super::query::{as_milliseconds, flattened_words};
use super::statistics::Rate;
use super::system_files::{Nsswitch, ResolvConf};
use crate::resolver::Resolver;

pub use super::pairs::{Half, Pair, PairMode};
pub use super::query::{Answer, AskedQuery, Code, Purpose, QueryOutcome, QueryType, Validity, Via};
pub use super::targets::Targets;

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

/// The files, programs and counters around the probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Addresses in answers to which this machine has no route.
    pub unroutable: Vec<IpAddr>,
    /// The probe runs in a pod.
    pub in_pod: bool,
    /// This machine's time, in seconds since 1970.
    pub unix_time: u64,
}

/// A program and its resolver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Program {
    /// Name in messages: `/lib/ld-musl-x86_64.so.1`, `process 42`.
    pub name: String,
    /// The program's resolver.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub resolver: Resolver,
    /// The reason why the resolver is known, or unknown.
    pub because: String,
    /// `GODEBUG=netdns=` is set and has no effect.
    pub netdns_without_effect: bool,
    /// Lookups were made through this program.
    pub asked_through: bool,
    /// Resolvers that the program holds besides that of its C library.
    pub own_resolvers: Vec<OwnResolver>,
}

/// A resolver that a program holds besides that of its C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OwnResolver {
    /// The resolver's name: `c-ares`.
    pub name: &'static str,
    /// Where it was seen.
    pub evidence: String,
}

/// A C library through which no name was looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnaskedLibrary {
    /// The library's name: `musl`, `glibc 2.36`, `an unknown library`.
    pub library: String,
    /// The reason.
    pub because: String,
}

/// conntrack's counters of packets that it did not track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conntrack {
    /// Entries that could not be inserted: clashes that were not resolved.
    pub insert_failed: u64,
    /// Packets dropped for that.
    pub drop: u64,
    /// Clashes that the kernel resolved.
    pub clash_resolve: u64,
}

/// A server to which a nameserver forwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Upstream {
    /// The server's address, as written where it was found.
    pub address: String,
    /// Where it was found: `--upstream`, `the Corefile of kube-system/coredns`.
    pub from: String,
}

/// A lookup through a C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SystemLookup {
    /// The program that made it, as in [`Program::name`].
    pub program: String,
    /// The C library.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub resolver: Resolver,
    /// The name, as given to the program.
    pub name: String,
    /// Duration.
    #[serde(serialize_with = "as_milliseconds", rename = "took_ms")]
    #[schemars(with = "f64")]
    pub took: Duration,
    /// The result.
    #[serde(flatten)]
    pub result: LookupResult,
    /// The library's error: `EAI_AGAIN` and the like.
    pub error: Option<String>,
}

/// The result of a lookup through a C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = flattened_words)]
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

    /// Returns the single queries for one of the requested names to one server, without EDNS.
    pub(super) fn queries_for(&self, server: SocketAddr, name: &str, via: Via) -> impl Iterator<Item = &AskedQuery> {
        self.plain_queries(server, via).filter(move |asked| asked.name.eq_ignore_ascii_case(name))
    }

    /// Returns how often the queries for A that were sent one at a time meet `is_hit`, of the name that pairs and bursts ask for:
    /// single ones, and those of pairs, which go to the first server that answers. Only these are like those of a burst.
    pub(super) fn first_name_rate(
        &self,
        server: SocketAddr,
        is_hit: impl Fn(&AskedQuery) -> bool,
        is_hit_half: impl Fn(Half) -> bool,
    ) -> Rate {
        let Some((_, name)) = self.targets.first_name() else { return Rate::default() };
        let purposes = [Purpose::Name, Purpose::External, Purpose::SearchExpansion];
        let single = purposes.into_iter().flat_map(|purpose| self.asked_for(purpose)).filter(|asked| {
            asked.server == server
                && asked.via == Via::Udp
                && asked.edns.is_none()
                && asked.kind == QueryType::A
                && asked.name.eq_ignore_ascii_case(name)
        });
        let paired = [PairMode::TwoSockets, PairMode::Serial].into_iter().flat_map(|mode| self.pairs_of(mode));
        let paired = paired.filter(|_| self.answering_servers().next() == Some(server));
        Rate::count(single, |asked| is_hit(asked)).plus(Rate::count(paired, |pair| is_hit_half(pair.a)))
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
        self.targets.servers.first().copied().is_some_and(Self::is_link_local)
    }

    /// Returns whether a nameserver has a link-local address.
    pub(super) fn is_link_local(server: SocketAddr) -> bool {
        match server.ip().to_canonical() {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }

    /// Returns the programs whose resolver was identified.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.environment.programs.iter()
    }
}

// === impl LookupResult ===

impl LookupResult {
    /// Returns whether the library found an address.
    pub const fn is_found(&self) -> bool {
        matches!(self, Self::Addresses(_))
    }
}

fn as_text<S: Serializer>(resolver: &Resolver, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(resolver)
}
