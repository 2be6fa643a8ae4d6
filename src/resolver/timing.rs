//! The time that a resolver takes when packets are lost, servers are dead, or nothing answers: what follows from its
//! settings. `tests/lab.rs` checks the figures against measured tables.

use std::time::Duration;

use super::settings::{QueryPairing, Settings, Transport, Viability};
use super::stub::Stub;
use super::stubs::{musl, stub};

// === impl Settings ===

impl Settings {
    /// Judges if any name can resolve with these settings.
    pub fn viability(&self) -> Viability {
        self.stub().viability(self)
    }

    /// The time between a query and its repetition, if no answer comes.
    pub fn resend_after(&self) -> Duration {
        self.stub().resend_after(self)
    }

    /// The longest time a nameserver may take for its answer to be accepted. For glibc it is a bound that few answers
    /// reach: glibc accepts the answer to an earlier attempt, but not in all cases (measured: 90 % at 4 s with
    /// `timeout:2 attempts:5`).
    pub fn slowest_answer(&self) -> Duration {
        self.stub().slowest_answer(self)
    }

    /// The time until a lookup fails if no nameserver answers, with this many of them and this many names to try
    /// ([`query_names`](super::query_names)). `None` if no option bounds it: glibc with `use-vc`. The figures of uClibc
    /// and c-ares follow from their source and were not measured; that of c-ares is the longest, since it shortens its
    /// waits at random.
    pub fn gives_up_after(&self, nameservers: u32, names: u32) -> Option<Duration> {
        if self.viability() != Viability::Works || names == 0 {
            return Some(Duration::ZERO);
        }
        let stub = self.stub();
        stub.gives_up_after(self, stub.nameservers_used(nameservers), names)
    }

    /// The delay of a lookup if the first `dead` nameservers do not answer, the next one answers at once, and the last
    /// of the names to try is the one that exists. The figures of uClibc and c-ares follow from their source and were
    /// not measured.
    pub fn dead_nameserver_delay(&self, dead: u32, nameservers: u32, names: u32) -> Duration {
        let stub = self.stub();
        let used = stub.nameservers_used(nameservers);
        stub.dead_nameserver_delay(self, dead.min(used), used, names)
    }

    /// The delay of a lookup after the loss of one packet, with one nameserver. `None` if the lookup fails because
    /// nothing is sent again, or if TCP makes up for the loss in a time of its own.
    pub fn one_loss_delay(&self) -> Option<Duration> {
        let sends_udp = self.viability() == Viability::Works && self.transport == Transport::Udp;
        (sends_udp && self.stub().resends(self)).then(|| self.resend_after())
    }

    /// The delay of a lookup when the second packet of every same-socket pair is dropped (the conntrack race of older
    /// kernels), with one nameserver and this many names to try. Zero if no two packets leave together; `None` if the
    /// lookup fails. The figure of c-ares follows from its source and was not measured.
    pub fn conntrack_race_delay(&self, names: u32) -> Option<Duration> {
        if self.viability() != Viability::Works {
            return None;
        }
        if self.pairing != QueryPairing::OneSocket || self.transport == Transport::Tcp {
            return Some(Duration::ZERO);
        }
        Some(self.one_loss_delay()?.saturating_mul(self.stub().names_raced(names)))
    }

    /// The stub that made these settings: the family has one, since only a stub makes settings.
    fn stub(&self) -> &'static dyn Stub {
        stub(self.resolver.family).unwrap_or(&musl::Musl)
    }
}
