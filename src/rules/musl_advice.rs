//! The advice that several rules on musl give: a resolver that reads three options can be helped in few ways.

use crate::resolver::Resolver;

/// The fix for everything that musl before 1.2.4 lacks.
pub(super) const NEWER_ALPINE: &str = "use Alpine 3.18 or later (musl 1.2.4), or an image on another C library";

/// Returns how to make musl resend a lost query sooner, or lose fewer. More than 3 attempts can keep an overloaded nameserver from
/// recovering (tests/model/storms.rs).
pub(super) fn quicker_resend(resolver: Resolver) -> &'static str {
    if resolver.support("attempts").is_ignored() {
        "use a newer Alpine: this musl always sends twice; or a NodeLocal DNSCache, which loses fewer queries"
    } else {
        "set attempts:3, or use a NodeLocal DNSCache"
    }
}
