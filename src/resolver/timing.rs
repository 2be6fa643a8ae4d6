//! How long a resolver takes when packets are lost, servers are dead, or nothing answers: what follows from its
//! settings. The figures are checked against the measured tables in `tests/lab.rs`. Round trips on a healthy network
//! count as no time.

use std::time::Duration;

use super::Family;
use super::settings::{Fate, Pairing, Settings, Transport};

/// The nameservers that musl, glibc and Go take from resolv.conf; they pass over more (`MAXNS`; Go:
/// src/net/dnsconfig_unix.go).
pub const NAMESERVERS_MAX: u32 = 3;

// === impl Settings ===

// `Settings::read` gives none for a static or unknown resolver, so those two families share whatever arm is plainest.
impl Settings {
    /// How long after a query the next one leaves, where no answer came.
    pub fn resend_after(&self) -> Duration {
        let Self { resolver, timeout, attempts, .. } = self;
        match resolver.family {
            // In whole milliseconds: `retry_interval = timeout / attempts` (musl src/network/res_msend.c).
            Family::Musl => timeout.checked_div(*attempts).map_or(*timeout, |interval| {
                Duration::from_millis(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX))
            }),
            _ => *timeout,
        }
    }

    /// The longest that one nameserver may take for an answer to be heard at all. For glibc it is a bound that few
    /// answers reach: it still hears the answer to an earlier attempt, but not in all cases (measured: 90 % at 4 s with
    /// `timeout:2 attempts:5`).
    pub fn slowest_answer(&self) -> Duration {
        let Self { resolver, timeout, attempts, .. } = self;
        match resolver.family {
            Family::Glibc => timeout.saturating_mul(*attempts),
            _ => *timeout,
        }
    }

    /// How long a lookup takes to fail where no nameserver answers, with this many of them and this many names to try
    /// ([`candidates`](super::candidates)). `None` where no option bounds it: glibc with `use-vc`. uClibc's and c-ares'
    /// figures follow from their source and were not measured; c-ares' is the longest, as it shortens its waits at
    /// random.
    pub fn gives_up_after(&self, nameservers: u32, candidates: u32) -> Option<Duration> {
        let Self { resolver, timeout, attempts, transport, .. } = self;
        if self.fate() != Fate::Works || candidates == 0 {
            return Some(Duration::ZERO);
        }
        let servers = self.nameservers_used(nameservers);
        let rounds = attempts.saturating_mul(servers);
        match resolver.family {
            Family::Musl => Some(*timeout), // it asks all servers at once, and a timeout ends its search
            Family::Glibc if *transport == Transport::Tcp => None,
            // A timeout ends its search, but for the name as it stands (resolv/res_query.c __res_context_search).
            Family::Glibc => {
                Some(self.glibc_round(servers, servers).saturating_mul(*attempts).saturating_mul(candidates.min(2)))
            }
            // A timeout ends its search; A and AAAA are asked for one after the other.
            Family::Uclibc => Some(timeout.saturating_mul(rounds).saturating_mul(2)),
            // A timeout ends its search; each round waits twice as long as the one before (src/lib/ares_process.c).
            Family::CAres => {
                let doubled = 2_u32.saturating_pow(*attempts).saturating_sub(1);
                Some(timeout.saturating_mul(doubled).saturating_mul(servers))
            }
            Family::Go | Family::Static | Family::Unknown => {
                Some(timeout.saturating_mul(rounds).saturating_mul(candidates).saturating_mul(self.go_waits()))
            }
        }
    }

    /// How long a lookup waits for nameservers that are dead, where the first `dead` of them are and the next one
    /// answers at once, and the last of the names to try is the one that exists. uClibc's and c-ares' figures follow
    /// from their source and were not measured.
    pub fn passes_dead_nameservers_after(&self, dead: u32, nameservers: u32, candidates: u32) -> Duration {
        let Self { resolver, timeout, .. } = self;
        let servers = self.nameservers_used(nameservers);
        let dead = dead.min(servers);
        match resolver.family {
            Family::Musl => Duration::ZERO, // it asks all servers at once
            Family::Glibc => self.glibc_round(dead, servers).saturating_mul(candidates),
            // They remember which server answered.
            Family::Uclibc | Family::CAres => timeout.saturating_mul(dead),
            Family::Go | Family::Static | Family::Unknown => {
                timeout.saturating_mul(dead).saturating_mul(candidates).saturating_mul(self.go_waits())
            }
        }
    }

    /// How late a lookup is after the loss of one packet, with one nameserver. `None` where the lookup fails, as
    /// nothing is sent again, or where TCP repairs the loss in a time of its own.
    pub fn recovers_from_one_loss(&self) -> Option<Duration> {
        let Self { resolver, attempts, pairing, transport, .. } = self;
        if self.fate() != Fate::Works || *transport == Transport::Tcp {
            return None;
        }
        let sends_again = match resolver.family {
            // After a timeout with one of two answers in hand, glibc asks for the other without counting an attempt.
            Family::Glibc => *attempts > 1 || *pairing == Pairing::OneSocket,
            _ => *attempts > 1,
        };
        sends_again.then(|| self.resend_after())
    }

    /// How late a lookup is where of each two packets that leave one socket together the second is lost, as in the
    /// conntrack race of older kernels, with one nameserver and this many names to try. Zero where no two leave
    /// together; `None` where the lookup fails. c-ares' figure follows from its source and was not measured.
    pub fn recovers_from_raced_pairs(&self, candidates: u32) -> Option<Duration> {
        let Self { resolver, pairing, transport, .. } = self;
        if self.fate() != Fate::Works {
            return None;
        }
        if *pairing != Pairing::OneSocket || *transport == Transport::Tcp {
            return Some(Duration::ZERO);
        }
        let once = self.recovers_from_one_loss()?;
        match resolver.family {
            // After its first timeout it sends one query at a time for good (resolv/res_send.c RES_F_SNGLKUP).
            Family::Glibc => Some(once.saturating_mul(candidates.min(1))),
            _ => Some(once.saturating_mul(candidates)),
        }
    }

    /// What glibc waits for the first `asked` of its servers, once each: the wait doubles with each server and is
    /// shared out among all, in whole seconds (resolv/res_send.c: `seconds = retrans << ns; if (ns > 0) seconds /=
    /// nscount`).
    fn glibc_round(&self, asked: u32, servers: u32) -> Duration {
        let seconds = |server: u32| {
            let doubled = self.timeout.as_secs() << server;
            let shared = if server > 0 { doubled / u64::from(servers.max(1)) } else { doubled };
            shared.max(1)
        };
        Duration::from_secs((0..asked).map(seconds).sum())
    }

    /// How often Go waits for one name: with `single-request` it asks for AAAA when it is done with A, whether A was answered
    /// or not (go1.26.8 src/net/dnsclient_unix.go goLookupIPCNAMEOrder; measured: tests/lab).
    fn go_waits(&self) -> u32 {
        match self.pairing {
            Pairing::OneSocketSerial | Pairing::TwoSocketsSerial => 2,
            Pairing::OneSocket | Pairing::TwoSockets => 1,
        }
    }

    /// How many of the nameservers in resolv.conf it asks; without any, all resolvers ask the local host.
    fn nameservers_used(&self, nameservers: u32) -> u32 {
        match self.resolver.family {
            Family::Uclibc | Family::CAres => nameservers.max(1),
            _ => nameservers.clamp(1, NAMESERVERS_MAX),
        }
    }
}
