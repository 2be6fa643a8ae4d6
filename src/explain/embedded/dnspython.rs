//! dnspython: the resolver of Python programs that import `dns.resolver`, and of eventlet, which puts it in place of `getaddrinfo`.
//!
//! ## Where it is used
//! Python's `socket` calls the C library. `dns.resolver` is dnspython's own. eventlet's `monkey_patch()` (OpenStack, Flask and Celery
//! workers) replaces `socket.getaddrinfo` with it, unless `EVENTLET_NO_GREENDNS=yes` is set.
//!
//! ## Lookups
//! Each lookup has 5 s in all (`lifetime`), which no option of resolv.conf changes. In that time the nameservers are asked one after the
//! other, in rounds with a pause between them. Without an option each query waits 2 s, so that a lost packet still leaves time for a
//! second and a third. `timeout` sets that wait: from `timeout:5` on the first lost packet uses up the 5 s. dnspython's `resolve`
//! does not search unless it is asked to, eventlet always does. A name without an address ends the search, and so do SERVFAIL and
//! REFUSED from every nameserver; only NXDOMAIN goes on.
//!
//! ## Failures
//! - One packet lost, or the first of two nameservers dead: found after 2 s. With `timeout:5` the lookup fails (measured).
//! - eventlet with the first of two nameservers dead: found after 9 s. With `timeout:5` it fails (measured).
//!
//! ## Sources
//! dnspython fdbbf4b4 (2.9.0) `dns/resolver.py` `read_resolv_conf`, `reset`, `_compute_timeout`, `_get_qnames_to_try`; eventlet 08a9b9b4
//! `eventlet/support/greendns.py`. Measured with dnspython 2.9.2 and eventlet 0.41.3.

use super::embedded_resolver::EmbeddedResolver;

pub(super) static RESOLVER: EmbeddedResolver = EmbeddedResolver {
    slug: "dnspython",
    aliases: &["eventlet", "greendns"],
    options: &[
        ("ndots", "default 1; counts only in lookups that search"),
        ("timeout", "seconds for each query, default 2, within the 5 s of the lookup"),
        ("rotate", "asks the nameservers in random order"),
        ("edns0", "adds EDNS0 to queries"),
    ],
    others: "skips all others, `attempts` among them: a lookup repeats until its 5 s are over",
    source: include_str!("dnspython.rs"),
};
