//! What the rules on musl advise: the few things that help a resolver which reads three options.

use crate::resolver::Resolver;

/// What mends all that musl before 1.2.4 lacks.
pub(super) const NEWER_ALPINE: &str = "use Alpine 3.18 or later (musl 1.2.4), or an image on another C library";

/// What makes musl send a lost query again sooner, or lose fewer. 5 attempts are what muslin injects where another
/// resolver shares the file; with 10 Go would wait for over 200 s where nothing answers (measured).
pub(super) fn quicker_resend(resolver: Resolver) -> &'static str {
    if resolver.support("attempts").is_ignored() {
        "use a newer Alpine: this musl always sends twice; or a NodeLocal DNSCache, which loses fewer queries"
    } else {
        "set timeout:5 and attempts:5 (10 if all containers use musl), or use a NodeLocal DNSCache"
    }
}
