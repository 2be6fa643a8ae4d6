//! What changed in each resolver's way of looking names up, and at which release: what an older one lacks. Options and their
//! releases stand in `options`; knows nothing of the code that acts on these changes.

use super::stubs::{c_ares, glibc, musl, uclibc};
use super::{Family, Resolver, Version};

/// A change in how a resolver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose code it is.
    pub family: Family,
    /// The first release with it.
    pub since: Version,
    /// Whether lookups became better by it; otherwise it is something that older releases spare their users.
    pub mends: bool,
    /// What is so since then, as a clause without a subject.
    pub now: &'static str,
    /// What was so before, as a clause without a subject.
    pub before: &'static str,
    /// Where that is written, or that it was measured.
    pub source: &'static str,
}

const fn change(
    (family, since): (Family, Version),
    before: &'static str,
    now: &'static str,
    source: &'static str,
) -> Change {
    Change { family, since, mends: true, now, before, source }
}

const CHANGES: &[Change] = &[
    change(
        (Family::Musl, musl::SEARCH_SINCE),
        "has no search list, so that short names of Services do not resolve",
        "reads `search`, `domain` and `ndots`",
        "musl 3d6e2e47",
    ),
    change(
        (Family::Musl, musl::ATTEMPTS_FIXED),
        "has a stack overflow in its reading of DNS answers (CVE-2017-15650)",
        "checks the length of answers",
        "musl 45ca5d3f",
    ),
    Change {
        family: Family::Musl,
        since: musl::ALL_OR_NOTHING_SINCE,
        mends: false,
        before: "returns the addresses of the family that answered, after the full timeout",
        now: "fails a lookup if either of its queries, for A and AAAA, fails, even when the other was answered",
        source: "musl 5cf1ac24; measured on 1.1.24 and 1.2.2 to 1.2.6",
    },
    change(
        (Family::Musl, musl::TCP_SINCE),
        "never asks by TCP: of an answer that does not fit a packet it takes what is there, or fails",
        "fetches an answer that was cut short by TCP",
        "musl 51d4669f; measured on Alpine 3.17 and older, 3.18 and newer",
    ),
    change(
        (Family::Musl, musl::DISTINCT_IDS_SINCE),
        "can give its A and its AAAA query one id where the clock is coarse; if the A query is then lost, it is never sent again",
        "gives its two queries different ids",
        "musl 6c858d6f; measured with a coarse clock",
    ),
    change(
        (Family::Musl, musl::ROOT_SEARCH_SAFE_SINCE),
        "waits in vain for the answer to a malformed query where the search list holds `.`, so that every searched lookup fails",
        "passes over a `.` in the search list",
        "musl 1e7fb12f, 001c1afb; measured on Alpine 3.4 to 3.17",
    ),
    change(
        (Family::Musl, Version::new(1, 2, 5)),
        "cannot read answers with long CNAME chains, over 63 records, or names stored past their first 512 bytes \
         (Alpine 3.18 carries the repairs in its 1.2.4)",
        "reads such answers",
        "musl a4ecaf89, 83b858f8, 8c086e76; aports d82f2054",
    ),
    change(
        (Family::Glibc, glibc::LONG_SEARCH_SINCE),
        "takes at most six search domains and 255 bytes of them, and reads resolv.conf once in a process's life",
        "takes a search list of any length, and reads a changed resolv.conf again",
        "glibc 3f853f22c8, aef16cc8a4",
    ),
    change(
        (Family::Uclibc, uclibc::SEARCH_FIRST_SINCE),
        "asks for a name without dots as it stands first",
        "tries a name without dots with the search list first",
        "uclibc-ng 03e03e71a",
    ),
    change(
        (Family::CAres, c_ares::IMPATIENT_SINCE),
        "waits 5 s for an answer and asks 4 times unless told otherwise",
        "waits 2 s and asks 3 times",
        "c-ares src/lib/ares_private.h",
    ),
    change(
        (Family::CAres, c_ares::SERVFAIL_LENIENT_SINCE),
        "ends the search at a SERVFAIL for a name of one label",
        "goes on with the search after a SERVFAIL for a name of one label",
        "c-ares a48d02e5",
    ),
];

/// What changed in this family's releases, the oldest first.
pub fn changes(family: Family) -> impl Iterator<Item = &'static Change> {
    CHANGES.iter().filter(move |change| change.family == family)
}

// === impl Change ===

impl Change {
    /// Whether this release came before it. One that is not known did not.
    pub fn is_missing_in(&self, resolver: Resolver) -> bool {
        resolver.family == self.family && resolver.version.is_some_and(|version| version < self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_familys_changes_stand_in_the_order_of_their_releases() {
        for family in Family::KNOWN {
            assert!(changes(family).is_sorted_by_key(|change| change.since), "{}", family.name());
        }
    }

    #[test]
    fn a_release_lacks_what_came_after_it() {
        let lacks = |version| {
            changes(Family::Musl)
                .any(|change| change.since == musl::TCP_SINCE && change.is_missing_in(Family::Musl.at(version)))
        };
        assert!(lacks(Version::new(1, 2, 3)));
        assert!(!lacks(Version::new(1, 2, 4)));
    }
}
