//! The fault of a DNS cache on the node that muslin tried from its own pod. Must not know how a trial is made.

use std::fmt;

/// The reason why muslin does not make a cache on the node the nameserver of new pods. Each but the first names the transport, `UDP` or
/// `TCP`. A trial from muslin's own pod says nothing about other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheFault {
    /// There was no trial yet.
    NotTried,
    /// There was no answer in time.
    NoAnswer(&'static str),
    /// The port is closed.
    PortClosed(&'static str),
    /// The system has no way to the address.
    Unreachable(&'static str),
    /// The answer is not valid DNS.
    BadAnswer(&'static str),
    /// The answer has no address of the cluster's API server.
    NoClusterNames(&'static str),
}

// === impl CacheFault ===

impl CacheFault {
    /// Returns the fault in one word, for a condition.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotTried => "NotTried",
            Self::NoAnswer(_) => "NoAnswer",
            Self::PortClosed(_) => "PortClosed",
            Self::Unreachable(_) => "Unreachable",
            Self::BadAnswer(_) => "BadAnswer",
            Self::NoClusterNames(_) => "NoClusterNames",
        }
    }
}

/// Writes the end of a sentence that begins with the address.
impl fmt::Display for CacheFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTried => f.write_str("was not tried yet from muslin's pod"),
            Self::NoAnswer(by) => write!(f, "does not answer muslin's pod by {by}"),
            Self::PortClosed(by) => write!(f, "has a closed port 53 for muslin's pod by {by}"),
            Self::Unreachable(by) => write!(f, "cannot be reached from muslin's pod by {by}"),
            Self::BadAnswer(by) => write!(f, "sends muslin's pod no valid DNS answer by {by}"),
            Self::NoClusterNames(by) => write!(f, "does not know the cluster's API server by {by}"),
        }
    }
}
