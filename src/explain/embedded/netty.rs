//! Netty's `DnsNameResolver`: in programs on Vert.x, Reactor Netty, gRPC for Java and Netty that choose it.
//!
//! ## Where it is used
//! Java itself calls the C library (`InetAddress`). Programs on Netty can resolve on their own instead, without that library, its cache
//! or nsswitch.conf.
//!
//! ## Lookups
//! Netty reads the first `options` line when its classes load, all `search` lines, and every nameserver. Each query waits `timeout` and
//! is sent once to each nameserver, one after the other: one lost packet from a single nameserver fails the lookup after 5 s (measured).
//! `attempts` is the number of queries for one name, A, AAAA and each CNAME together, not of rounds. A name with at least `ndots` dots is
//! tried as given first, then with the search list; `ndots:0` turns the search list off. An answer that says no ends the search for that
//! name only; silence and a closed port end the lookup. All queries of a resolver leave one socket unless the program sets
//! `ChannelPerResolution`, so the conntrack race of older kernels concerns it.
//!
//! ## Failures
//! - One of two nameservers dead: found after 20 s; two of three: after 40 s; SERVFAIL from two of three: at once (measured, the same with
//!   `attempts:3` and without).
//! - Fewer `attempts` than a lookup needs queries fail it: with several dead nameservers or a long chain of CNAMEs the default of 16
//!   finds names that 3 may not (by source; chains were not tried).
//!
//! ## Sources
//! netty 0bb88a3e (4.2.8) `UnixResolverDnsServerAddressStreamProvider.java`, `UnixResolverOptions.java`, `DnsResolveContext.java` and
//! `DnsNameResolverBuilder.java`; options since 4f72cdf2. Measured with netty-resolver-dns 4.1.118.

use super::embedded_resolver::EmbeddedResolver;

pub(super) static RESOLVER: EmbeddedResolver = EmbeddedResolver {
    slug: "netty",
    aliases: &["netty-resolver-dns"],
    options: &[
        ("ndots", "default 1; 0 turns the search list off"),
        ("timeout", "seconds for each query, default 5"),
        ("attempts", "the number of queries for one name, CNAMEs included, default 16"),
        ("rotate", "starts with another nameserver each time"),
    ],
    others: "skips all others; `RES_OPTIONS` is read after the file",
    source: include_str!("netty.rs"),
};
