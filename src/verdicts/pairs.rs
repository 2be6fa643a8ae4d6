//! The observations of pairs: queries for A and AAAA of one name. Plain values. Must not know how they were obtained.

use schemars::JsonSchema;
use serde::Serialize;

use super::query::Code;

/// The way a pair of queries is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
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
    /// The answer came after this many milliseconds, with this code.
    Answered(u64, Code),
    /// A message came that is not a valid answer.
    Malformed,
    /// No answer.
    Lost,
    /// The answer to the other query came in its place.
    SwappedAnswer,
}

// === impl Pair ===

impl Pair {
    /// Returns whether both queries were answered.
    pub const fn is_whole(&self) -> bool {
        matches!((self.a, self.aaaa), (Half::Answered(..), Half::Answered(..)))
    }

    /// Returns whether exactly one query was answered, and the other lost.
    pub const fn is_half(&self) -> bool {
        matches!((self.a, self.aaaa), (Half::Answered(..), Half::Lost) | (Half::Lost, Half::Answered(..)))
    }

    /// Returns whether an answer has a code other than NOERROR and NXDOMAIN.
    pub const fn is_failed(&self) -> bool {
        const fn fails(half: Half) -> bool {
            matches!(half, Half::Answered(_, code) if !matches!(code, Code::NoError | Code::NxDomain))
        }
        fails(self.a) || fails(self.aaaa)
    }

    /// Returns both outcomes.
    pub(super) const fn halves(&self) -> [Half; 2] {
        [self.a, self.aaaa]
    }
}
