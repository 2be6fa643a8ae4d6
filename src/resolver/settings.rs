//! The settings that a resolver has after it read its options. Each stub reads options in its own way; `timing` has what
//! follows from the settings. Knows nothing of where the options came from.

use std::time::Duration;

use super::family::Resolver;

/// The settings of a resolver after it read its options. Only a stub makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The resolver.
    pub resolver: Resolver,
    /// The number of dots from which a name is first queried as is.
    pub ndots: u32,
    /// The wait for all answers to one name (musl), or for the answer to each query (all others).
    pub timeout: Duration,
    /// The number of sends to each nameserver.
    pub attempts: u32,
    /// The order and the sockets of the queries for A and AAAA.
    pub pairing: QueryPairing,
    /// The transport of the queries.
    pub transport: Transport,
    /// True if each lookup starts with another nameserver.
    pub rotate: bool,
    /// True if the line has `single-request` too, which counts once `single-request-reopen` is taken back
    /// (`-single-request-reopen`, glibc from 2.41).
    pub(super) single_request: bool,
}

/// The order and the sockets of the two queries for one name, A and AAAA. Two that leave together from one socket can
/// race in conntrack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryPairing {
    /// Together, from one socket.
    OneSocket,
    /// One after the other's answer, from one socket.
    OneSocketSerial,
    /// Together, each from a socket of its own.
    TwoSockets,
    /// One after the other's answer, each from a socket of its own.
    TwoSocketsSerial,
}

/// The transport of queries. A truncated answer is fetched by TCP whatever this says, by resolvers that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP alone.
    Tcp,
}

/// The chance of names to resolve with some settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Viability {
    /// Names can resolve.
    Works,
    /// Every lookup fails at once, and no query is sent.
    NeverSends,
    /// Queries are sent, but the resolver waits for no answer, so every lookup fails (uClibc with `timeout:0`).
    NeverWaits,
    /// The program dies at its first lookup on x86-64; on arm64 it sends packets without end (musl with `attempts:0`).
    Crashes,
}
