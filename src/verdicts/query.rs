//! A single query and its outcome. Plain values. Must not know how they were obtained, nor what they mean.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The reason for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A name of the cluster, queried one at a time.
    Name,
    /// An external name, queried one at a time.
    External,
    /// The cluster's domain, and a name that every cluster has below it.
    Zone,
    /// An external name that does not exist: an answer with an address is made up, and no cache can have one.
    Invented,
    /// A name that does not exist, below a search domain.
    Searched,
    /// A name that a resolver would try while it applies the search list.
    #[serde(rename = "candidate")]
    SearchExpansion,
    /// A name with a large answer.
    Large,
    /// Signed records, with their signatures.
    Signed,
    /// Like [`Purpose::Signed`], with the request not to check the signatures.
    Unchecked,
    /// Sent to an address that no host has.
    Interception,
    /// Sent to a server behind a nameserver.
    Upstream,
    /// One of many sent at once.
    Burst,
}

/// The transport of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// The type of record a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum QueryType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Keys; those of the root are large and signed.
    Dnskey,
}

/// One query and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AskedQuery {
    /// The reason for it.
    pub purpose: Purpose,
    /// The server.
    pub server: SocketAddr,
    /// The transport.
    pub via: Via,
    /// The name, without a final dot; the root is empty.
    pub name: String,
    /// The record type.
    pub kind: QueryType,
    /// The answer size that EDNS allows, in bytes; `None` without EDNS.
    pub edns: Option<u16>,
    /// Time until the answer, or until the probe gave up.
    #[serde(serialize_with = "as_milliseconds", rename = "took_ms")]
    #[schemars(with = "f64")]
    pub took: Duration,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: QueryOutcome,
}

/// The outcome of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = flattened_words)]
pub enum QueryOutcome {
    /// An answer to it.
    Answer(Answer),
    /// No answer.
    Silence,
    /// The port is closed.
    PortClosed,
    /// The server cannot be reached; the system's error message.
    Unreachable(String),
    /// A message that is not a valid answer; the reason.
    #[serde(rename = "nonsense")]
    Malformed(String),
    /// The query was not sent, or not waited for long enough: a limit of the probe was reached.
    NotAsked,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Answer {
    /// Response code.
    pub code: Code,
    /// The answer was truncated (TC).
    pub truncated: bool,
    /// The server states that it checked signatures (AD).
    pub authentic: bool,
    /// Addresses of the queried type.
    pub addresses: Vec<IpAddr>,
    /// The lowest time to live of its records, in seconds.
    pub ttl: Option<u32>,
    /// Number of records of the queried type.
    pub records: usize,
    /// Size in bytes.
    pub bytes: usize,
    /// The server supports EDNS.
    pub edns: bool,
    /// Validity of its signature.
    pub signed: Option<Validity>,
    /// The name that has the addresses, if it is neither the queried name nor an alias's target.
    pub renamed: Option<String>,
}

/// The time in which a signature is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Validity {
    /// Start.
    pub inception: u64,
    /// End.
    pub expiration: u64,
}

/// A response code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Code {
    /// No error.
    #[default]
    NoError,
    /// The server could not parse the query.
    FormErr,
    /// The server failed.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not support this kind of query.
    NotImp,
    /// The server refused.
    Refused,
    /// Any other code.
    Other(u16),
}

// === impl AskedQuery ===

impl AskedQuery {
    /// Returns the answer, if there is one.
    pub const fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            QueryOutcome::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// Returns whether any answer came.
    pub const fn is_answered(&self) -> bool {
        self.answer().is_some()
    }

    /// Returns the response code of the answer.
    pub(super) fn code(&self) -> Option<Code> {
        self.answer().map(|answer| answer.code)
    }

    /// Returns the addresses in the answer.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        self.answer().map_or(&[], |answer| &answer.addresses)
    }

    /// Returns whether the answer states if the name exists.
    pub(super) fn is_conclusive(&self) -> bool {
        matches!(self.code(), Some(Code::NoError | Code::NxDomain))
    }

    /// Returns the outcome in words: `NXDOMAIN`, `an empty answer`, `no answer`.
    pub(super) fn outcome_text(&self) -> String {
        match &self.outcome {
            QueryOutcome::Answer(answer) if !answer.addresses.is_empty() => "an address".to_owned(),
            QueryOutcome::Answer(answer) if answer.truncated => "a truncated answer".to_owned(),
            QueryOutcome::Answer(Answer { code: Code::NoError, .. }) => "an empty answer".to_owned(),
            QueryOutcome::Answer(answer) => answer.code.to_string(),
            QueryOutcome::PortClosed => "a closed port".to_owned(),
            QueryOutcome::Malformed(_) => "an answer that is no valid message".to_owned(),
            QueryOutcome::Silence | QueryOutcome::Unreachable(_) | QueryOutcome::NotAsked => "no answer".to_owned(),
        }
    }
}

// === impl Code, QueryType ===

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

impl QueryType {
    /// Returns the name used in zone files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Dnskey => "DNSKEY",
        }
    }
}

/// Changes the schema of an enum to that of a flattened one, whose words are fields without a value: `"silence": null`.
pub(super) fn flattened_words(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.get_mut("oneOf") else { return };
    for variant in variants.iter_mut() {
        let Some(word) = variant.get("const").and_then(Value::as_str).map(str::to_owned) else { continue };
        let description = variant.get("description").cloned().unwrap_or_default();
        *variant = json!({
            "type": "object",
            "properties": { &word: { "description": description, "type": "null" } },
            "required": [word],
        });
    }
}

/// Writes a time in milliseconds, to a hundredth.
pub(super) fn as_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e5).round() / 100.0)
}
