//! What a probe saw: each question with what came of it, each pair of questions, each lookup through a C library, and what the
//! files around it say. Plain values. Must not know how they were come by, nor what they mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::statistics::Rate;
use super::system_files::{Nsswitch, ResolvConf};
use crate::resolver::Resolver;

/// All that a probe saw.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// What it was told to ask for, and whom.
    pub targets: Targets,
    /// Single questions, in the order of their answers.
    pub asked: Vec<Asked>,
    /// Questions for A and AAAA of one name, together.
    pub pairs: Vec<Pair>,
    /// Lookups by `getaddrinfo`.
    pub lookups: Vec<SystemLookup>,
    /// What files say.
    pub surroundings: Surroundings,
}

/// What is asked for, and whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// The nameservers, in the order of resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// Names inside the cluster that have an address, without a dot at their end.
    pub names: Vec<String>,
    /// Names outside that have an address.
    pub external_names: Vec<String>,
    /// Domains outside of which names are invented that cannot exist.
    pub invented_below: Vec<String>,
    /// A name whose answer is large; the root's keys where there is none.
    pub large_name: Option<String>,
    /// The cluster's domain.
    pub cluster_domain: String,
}

/// What the files around the probe say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Surroundings {
    /// resolv.conf.
    pub resolv_conf: ResolvConf,
    /// nsswitch.conf, where there is one.
    pub nsswitch: Option<Nsswitch>,
    /// Which of the names asked for stand in the hosts file.
    pub in_hosts_file: Vec<String>,
    /// The programs of which the resolver was looked up: the one asked through, and those named by `--pid` and `--binary`.
    pub programs: Vec<Program>,
    /// The kernel's release, `6.1.0-18-amd64`.
    pub kernel: Option<String>,
    /// What conntrack counted while pairs were asked; `None` where it cannot be read.
    pub conntrack: Option<Conntrack>,
    /// What is known of the servers to which the nameservers forward.
    pub upstreams: Vec<Upstream>,
    /// The node's own nameservers, where its file was named.
    pub node_nameservers: Option<Vec<String>>,
    /// The time by this machine's clock, in seconds since 1970.
    pub unix_time: u64,
}

/// A program and the resolver it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// What it is called in messages: `/usr/bin/getent`, `process 42`.
    pub name: String,
    /// Its resolver.
    #[serde(serialize_with = "as_text")]
    pub resolver: Resolver,
    /// How that is known, or why not.
    pub because: String,
    /// What it asks for by `GODEBUG=netdns=`, and has no effect.
    pub netdns_without_effect: bool,
    /// Whether lookups were made through it.
    pub asked_through: bool,
}

/// How often conntrack failed to take a packet in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conntrack {
    /// Entries that could not be inserted: a clash that was not resolved.
    pub insert_failed: u64,
    /// Packets dropped for that.
    pub drop: u64,
    /// Clashes that the kernel resolved.
    pub clash_resolve: u64,
}

/// A server behind a nameserver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// Its address, as it stands there.
    pub address: String,
    /// Where it stands: `--upstream`, `the Corefile of kube-system/coredns`.
    pub from: String,
}

/// Why a question was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A name of the cluster, one question after the other.
    Name,
    /// A name outside, one question after the other.
    External,
    /// A name that nobody has: what answers it invents too, and no cache can.
    Invented,
    /// A name that nobody has, below a search domain.
    Searched,
    /// A name that a resolver would try on the way to another.
    Candidate,
    /// A name with a large answer.
    Large,
    /// Signed records, with their signatures.
    Signed,
    /// The same as [`Purpose::Signed`], with the request not to check the signatures.
    Unchecked,
    /// Asked of an address where nobody can be.
    Interception,
    /// Asked of a server behind a nameserver.
    Upstream,
    /// One of many at once.
    Burst,
}

/// What carries a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Keys; those of the root are large and signed.
    Dnskey,
}

/// One question, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Why.
    pub purpose: Purpose,
    /// Whom.
    pub server: SocketAddr,
    /// By what.
    pub via: Via,
    /// The name, without a dot at its end; the root is empty.
    pub name: String,
    /// The type.
    pub kind: Kind,
    /// How large an answer EDNS allows, in bytes; `None` without EDNS.
    pub edns: Option<u16>,
    /// How long it took, to the answer or until it was given up.
    #[serde(serialize_with = "as_milliseconds", rename = "took_ms")]
    pub took: Duration,
    /// What came.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An answer to it.
    Answer(Answer),
    /// Nothing.
    Silence,
    /// The port is closed.
    PortClosed,
    /// There is no way there; the system's words.
    Unreachable(String),
    /// Something that is no answer to it; what.
    Nonsense(String),
    /// It was not asked, or not long enough: a bound of the probe was reached.
    NotAsked,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its response code.
    pub code: Code,
    /// Whether it was cut short (TC).
    pub truncated: bool,
    /// Whether the server says that it checked signatures (AD).
    pub authentic: bool,
    /// The addresses of the kind asked for.
    pub addresses: Vec<IpAddr>,
    /// The lowest time to live of its records, in seconds.
    pub ttl: Option<u32>,
    /// How many records answer.
    pub records: usize,
    /// Its size in bytes.
    pub bytes: usize,
    /// Whether the server speaks EDNS.
    pub edns: bool,
    /// When its signature holds, in seconds since 1970.
    pub signed: Option<Validity>,
}

/// When a signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Validity {
    /// From.
    pub inception: u64,
    /// Until.
    pub expiration: u64,
}

/// A response code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Code {
    /// Done.
    #[default]
    NoError,
    /// The server does not understand the query.
    FormErr,
    /// The server failed.
    ServFail,
    /// There is no such name.
    NxDomain,
    /// The server does not know this kind of query.
    NotImp,
    /// The server does not want to.
    Refused,
    /// Any other.
    Other(u16),
}

/// How a pair of questions leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairMode {
    /// Together, from one socket: as musl and glibc do.
    OneSocket,
    /// Together, each from its own socket: as Go does.
    TwoSockets,
    /// One after the other's answer, from one socket.
    Serial,
    /// Together, from one socket, with one id: as musl before 1.2.4 can.
    SameId,
}

/// A and AAAA of one name, asked for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// How.
    pub mode: PairMode,
    /// What came for A.
    pub a: Half,
    /// What came for AAAA.
    pub aaaa: Half,
}

/// What came for one half of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// Its answer, and how long that took in milliseconds.
    Answered(u64),
    /// Nothing.
    Lost,
    /// An answer that holds what the other half asked for.
    Mixed,
}

/// A lookup through a C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SystemLookup {
    /// Which program made it.
    pub program: String,
    /// The C library.
    #[serde(serialize_with = "as_text")]
    pub resolver: Resolver,
    /// The name, as it was given.
    pub name: String,
    /// How long it took.
    #[serde(serialize_with = "as_milliseconds", rename = "took_ms")]
    pub took: Duration,
    /// What came.
    #[serde(flatten)]
    pub found: Found,
}

/// What came of a lookup through a C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Addresses.
    Addresses(Vec<IpAddr>),
    /// It says that there are none.
    Nothing,
    /// It was ended: it took too long.
    GivenUp,
}

// === impl Observations ===

impl Observations {
    /// What was asked, but for what came too late to be.
    pub fn single(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| asked.outcome != Outcome::NotAsked)
    }

    /// What was asked for this reason.
    pub fn asked_for(&self, purpose: Purpose) -> impl Iterator<Item = &Asked> {
        self.single().filter(move |asked| asked.purpose == purpose)
    }

    /// What was asked of one server for names that have an address, by UDP or TCP, without EDNS.
    pub fn plain(&self, server: SocketAddr, via: Via) -> impl Iterator<Item = &Asked> {
        let named = self.asked_for(Purpose::Name).chain(self.asked_for(Purpose::External));
        named.filter(move |asked| asked.server == server && asked.via == via && asked.edns.is_none())
    }

    /// The servers that answer by UDP.
    pub fn answering(&self) -> impl Iterator<Item = SocketAddr> {
        self.targets.servers.iter().copied().filter(|server| self.plain(*server, Via::Udp).any(Asked::is_answered))
    }

    /// Whether these got no answer more often than by chance on the way to their server, as questions for A of names that have one
    /// go there: alone, and in pairs, which are asked of the first server to answer, but for pairs that come to harm by themselves.
    pub fn are_ignored<'a>(&self, server: SocketAddr, asked: impl IntoIterator<Item = &'a Asked>) -> bool {
        let is_ignored = |asked: &&Asked| !asked.is_answered();
        let alone = self.plain(server, Via::Udp).filter(|asked| asked.kind == Kind::A);
        let paired = [PairMode::TwoSockets, PairMode::Serial].into_iter().flat_map(|mode| self.pairs_of(mode));
        let paired = paired.filter(|_| self.answering().next() == Some(server));
        let path = Rate::of(alone, is_ignored).and(Rate::of(paired, |pair| pair.a == Half::Lost));
        Rate::of(asked, is_ignored).exceeds(path)
    }

    /// The pairs that left so.
    pub fn pairs_of(&self, mode: PairMode) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.mode == mode)
    }

    /// The programs of a family, in a release that is known or not.
    pub fn resolvers(&self) -> impl Iterator<Item = &Program> {
        self.surroundings.programs.iter()
    }
}

// === impl Asked ===

impl Asked {
    /// The answer, if there is one.
    pub const fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// Whether an answer came, whatever it says.
    pub const fn is_answered(&self) -> bool {
        self.answer().is_some()
    }

    /// The response code of its answer.
    pub fn code(&self) -> Option<Code> {
        self.answer().map(|answer| answer.code)
    }

    /// The addresses that came.
    pub fn addresses(&self) -> &[IpAddr] {
        self.answer().map_or(&[], |answer| &answer.addresses)
    }

    /// Whether an answer came that says whether there is such a name.
    pub fn is_told(&self) -> bool {
        matches!(self.code(), Some(Code::NoError | Code::NxDomain))
    }
}

// === impl Pair ===

impl Pair {
    /// Whether both were answered.
    pub const fn is_whole(&self) -> bool {
        matches!((self.a, self.aaaa), (Half::Answered(_), Half::Answered(_)))
    }

    /// Whether exactly one was answered.
    pub const fn is_half(&self) -> bool {
        matches!((self.a, self.aaaa), (Half::Answered(_), Half::Lost) | (Half::Lost, Half::Answered(_)))
    }

    /// The halves.
    pub const fn halves(&self) -> [Half; 2] {
        [self.a, self.aaaa]
    }
}

// === impl Found ===

impl Found {
    /// Whether it has addresses.
    pub const fn is_found(&self) -> bool {
        matches!(self, Self::Addresses(_))
    }
}

// === impl Code, Kind, Via ===

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

impl Kind {
    /// As it is written in zone files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Dnskey => "DNSKEY",
        }
    }
}

impl Via {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

fn as_text<S: serde::Serializer>(resolver: &Resolver, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(resolver)
}

fn as_milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e5).round() / 100.0)
}
