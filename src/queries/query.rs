//! One answered query, as a log or dnstap shows it.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;

/// One answered query of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The time of the answer, if the log has it.
    pub at: Option<Timestamp>,
    /// The client's address.
    pub client: IpAddr,
    /// The name, in lower case, without a trailing dot.
    pub name: Cow<'a, str>,
    /// Is true if programs look names up with this type, as with A, AAAA and SRV; false for PTR and types about zones.
    pub is_lookup: bool,
    /// The answer.
    pub outcome: Outcome,
}

/// The answer to one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The name exists. A log cannot tell NOERROR from NODATA, so NODATA counts as found there.
    Found,
    /// The name exists, and has no record of this type. Only dnstap shows it.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// SERVFAIL, REFUSED, another error, or no answer.
    Failed,
}

// === impl Query ===

impl Query<'_> {
    /// Returns the query with a name of its own.
    pub(super) fn into_owned(self) -> Query<'static> {
        let Self { at, client, name, is_lookup, outcome } = self;
        Query { at, client, name: Cow::Owned(name.into_owned()), is_lookup, outcome }
    }

    /// Returns the name as it is compared: in lower case, without a trailing dot.
    pub(super) fn normal_name(name: &str) -> Cow<'_, str> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }

    /// Returns whether programs look names up with this type.
    pub(super) fn is_lookup_type(kind: &str) -> bool {
        !matches!(kind, "PTR" | "SOA" | "NS" | "DS" | "DNSKEY" | "ANY" | "AXFR" | "IXFR" | "HINFO")
    }
}

// === impl Outcome ===

impl Outcome {
    /// Returns the outcome of a log's response code.
    pub(super) fn of_code(code: &str) -> Self {
        match code {
            "NOERROR" => Self::Found,
            "NXDOMAIN" => Self::NxDomain,
            _ => Self::Failed,
        }
    }
}
