//! The size of a watch's full probes: large enough for the verdicts, small enough for the query budget. Must not know how probes are made.

/// The most queries of one full probe. One with one nameserver and three search domains sends some 330, and a short one some 150.
const QUERIES_MAX: u32 = 600;

/// Pairs of each mode, and the queries of a burst, of all nameservers together.
const PAIRS: u32 = 15;
const BURST: u32 = 30;

/// The size of a full probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeSize {
    /// Limit of queries sent in all.
    pub queries_max: u32,
    /// Pairs of each mode.
    pub pairs: u32,
    /// Queries sent at once.
    pub burst: u32,
}

// === impl ProbeSize ===

impl ProbeSize {
    /// Returns the size for this number of nameservers, each of which gets the same single queries.
    pub fn of(servers: usize) -> Self {
        let servers = u32::try_from(servers).unwrap_or(u32::MAX).max(1);
        Self { queries_max: QUERIES_MAX, pairs: PAIRS / servers, burst: BURST / servers }
    }
}
