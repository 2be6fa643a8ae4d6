//! Alpine's curl and libcurl from Alpine 3.19 on: c-ares in place of musl, for curl, git and every program that links libcurl.
//!
//! ## Where it is used
//! Alpine builds curl with c-ares since 3.19 (curl 8.5.0, c-ares 1.22.1). The image still has musl for everything else, so `ping` and
//! `curl` can disagree on one name. curl on Debian, Ubuntu and Red Hat calls the C library, and so does `curlimages/curl`, which is built
//! without c-ares (curl-container#59).
//!
//! ## Lookups
//! curl sets no option of c-ares from 1.20 on, so c-ares reads resolv.conf: see `muslin explain c-ares`. Each transfer makes a channel of
//! its own, so the wait before a resend is the configured one, never a measured latency. Unlike musl it tries a name with enough dots
//! with the search list too, returns the family that answered if the other fails, and does not stop at 48 addresses.
//!
//! ## Failures
//! - c-ares before 1.26 (Alpine 3.19.0) rejects answers whose owner is not the question, as Istio's DNS proxy and some rewriting servers
//!   give them: "Could not resolve host" where musl finds the name (c-ares#683, curl#12558).
//! - c-ares asks several nameservers one after the other, musl all at once: a nameserver that knows only some names hides the others
//!   (docker-alpine#366).
//! - c-ares before 1.31 does not honour `ndots:0` (c-ares#734).
//!
//! ## Sources
//! curl c341311a `lib/asyn-ares.c`; curl#12558 (the packages of Alpine 3.19), docker-alpine#366; c-ares 589b5887. Not measured.

use super::embedded_resolver::EmbeddedResolver;

pub(super) static RESOLVER: EmbeddedResolver = EmbeddedResolver {
    slug: "curl",
    aliases: &["libcurl", "alpine-curl"],
    options: &[
        ("ndots", "as c-ares"),
        ("timeout", "as c-ares, from its 1.23 on: seconds before the first resend, default 2; each round doubles it"),
        ("attempts", "as c-ares, from its 1.23 on: rounds through the nameservers, default 3"),
        ("rotate", "as c-ares"),
        ("use-vc", "as c-ares, from its 1.28 on"),
    ],
    others: "skips all others, as c-ares does; c-ares reads `RES_OPTIONS` too",
    source: include_str!("curl.rs"),
};
