//! What a resolver makes of an options line. Each family's own reading stands in its file; what follows from the
//! settings for time stands in `timing`. Knows nothing of where the options came from.

use std::time::Duration;

use super::stubs::{c_ares, glibc, go, musl, uclibc};
use super::{Family, Resolver};

/// What a resolver does after it has read the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Whose settings these are.
    pub resolver: Resolver,
    /// How many dots a name needs to be asked for as it stands first.
    pub ndots: u32,
    /// How long it waits: for all answers to one name (musl), or for the answer to each query (all others).
    pub timeout: Duration,
    /// How often it sends, to each nameserver.
    pub attempts: u32,
    /// How the queries for A and AAAA leave.
    pub pairing: Pairing,
    /// What they leave by.
    pub transport: Transport,
    /// Whether it begins with another nameserver each time.
    pub rotate: bool,
    /// Whether `single-request` stands beneath `single-request-reopen`, and counts once that is taken back
    /// (`-single-request-reopen`, glibc from 2.41).
    pub(super) single_request: bool,
}

/// How the two queries of one name leave: for A and for AAAA. Two that leave together from one socket can race in
/// conntrack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pairing {
    /// Together, from one socket.
    OneSocket,
    /// One after the other's answer, from one socket.
    OneSocketSerial,
    /// Together, each from a socket of its own.
    TwoSockets,
    /// One after the other's answer, each from a socket of its own.
    TwoSocketsSerial,
}

/// What queries leave by. An answer that was cut short is fetched by TCP whatever this says, by resolvers that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP alone.
    Tcp,
}

/// Whether settings let any name resolve at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// They do.
    Works,
    /// Every lookup fails at once, and no query is sent.
    NeverSends,
    /// Queries are sent, but no answer is waited for, so every lookup fails (uClibc with `timeout:0`).
    NeverWaits,
    /// The program dies at its first lookup.
    Crashes,
}

// === impl Settings ===

impl Settings {
    /// What `resolver` makes of `options`, each one `name[:value]`, in the order in which they stand on the line. A
    /// release that is not known is read as a current one. `None` where the resolver is not known.
    pub fn read(resolver: Resolver, options: &[&str]) -> Option<Self> {
        match resolver.family {
            Family::Musl => Some(musl::read(resolver, options)),
            Family::Glibc => Some(glibc::read(resolver, options)),
            Family::Go => Some(go::read(resolver, options)),
            Family::Uclibc => Some(uclibc::read(resolver, options)),
            Family::CAres => Some(c_ares::read(resolver, options)),
            Family::Static | Family::Unknown => None,
        }
    }

    /// These settings in a process whose environment has `RES_OPTIONS`: glibc reads it after the file, and nobody else
    /// does (glibc 04e750e7 resolv/res_init.c).
    pub fn after_environment(self, res_options: &str) -> Self {
        match self.resolver.family {
            Family::Glibc => glibc::read_after(self, &[res_options]),
            _ => self,
        }
    }

    /// Whether any name can resolve with these settings.
    pub fn fate(&self) -> Fate {
        let Self { resolver, ndots: _, timeout, attempts, pairing: _, transport: _, rotate: _, single_request: _ } =
            self;
        match resolver.family {
            // `retry_interval = timeout / attempts` in integers, before anything else (musl src/network/res_msend.c).
            // SIGFPE was measured on x86-64, Alpine 3.6 to 3.20; where the processor does not trap on it, as on arm64,
            // it is not verified.
            Family::Musl if *attempts == 0 => Fate::Crashes,
            Family::Musl if timeout.is_zero() => Fate::NeverSends,
            Family::Glibc if *attempts == 0 => Fate::NeverSends,
            Family::Uclibc if timeout.is_zero() => Fate::NeverWaits,
            _ => Fate::Works,
        }
    }
}
