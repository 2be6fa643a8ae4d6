//! hickory-resolver (formerly trust-dns): in Rust programs that choose it, such as linkerd's proxy and reqwest with `hickory-dns`.
//!
//! ## Where it is used
//! Rust's standard library and tokio call the C library. hickory-resolver is a crate of its own; a program decides if it reads resolv.conf
//! (`read_system_conf`) or has settings of its own.
//!
//! ## Lookups
//! The crate `resolv-conf` reads the file. One option that this crate does not know makes it reject the whole file, and most programs then
//! do not start: see the rule `strict-parser-breaks`. A and AAAA leave together, each from a socket with a random port, so the conntrack
//! race of older kernels does not concern them. Two nameservers are asked at once by default. `attempts` counts repetitions: `attempts:2`
//! sends up to 3 times. A name with at least `ndots` dots is tried as given first, then with the search list. Answers are cached.
//!
//! ## Failures
//! - An unknown option: no lookup works at all, or the program stops at its start (hickory-dns/resolv-conf#25, hickory-dns#1285).
//! - A nameserver that answers nothing costs `timeout` for each of the tries (by source; not measured).
//!
//! ## Sources
//! hickory 557e87d6 (0.27.0-alpha.1) `crates/resolver/src/system_conf/unix.rs`, `config.rs`, `resolver.rs` `build_names` and
//! `crates/net/src/xfer/retry_dns_handle.rs`; resolv-conf 0.7.5 `src/lib.rs`. Not measured.

use super::embedded_resolver::EmbeddedResolver;

pub(super) static RESOLVER: EmbeddedResolver = EmbeddedResolver {
    slug: "hickory",
    aliases: &["hickory-resolver", "hickory-dns", "trust-dns"],
    options: &[
        ("ndots", "default 1"),
        ("timeout", "seconds for each try, default 5"),
        ("attempts", "repetitions after the first try, default 2"),
        ("edns0", "adds EDNS0 to queries; off if the file does not have it"),
    ],
    others: "reads and drops the others that `resolv-conf` knows, and rejects the file for any that it does not know",
    source: include_str!("hickory.rs"),
};
