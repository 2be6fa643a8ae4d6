//! The answer of a nameserver to the queries for one name, and the step that a resolver takes after it.

/// The answer of a nameserver to the queries for one name, A and AAAA taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The name has an address.
    Address,
    /// The name does not exist.
    NxDomain,
    /// The name exists, but has no address.
    NoData,
    /// The nameserver failed (SERVFAIL).
    ServFail,
    /// The nameserver refused the query, or answered with an error other than SERVFAIL: REFUSED, FORMERR, NOTIMP.
    Refused,
    /// No answer came.
    Timeout,
}

/// The step of a lookup after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The lookup is done.
    Found,
    /// The next name is tried.
    Next,
    /// The name as the program gave it is tried, if it was not yet.
    AsIs,
    /// The lookup has failed.
    Stop,
}
