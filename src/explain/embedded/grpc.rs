//! gRPC core: the C++ library below gRPC for Python (grpcio), Ruby, PHP, C# and C++, with c-ares inside.
//!
//! ## Where it is used
//! A channel to `dns:///name` or to a plain name. `GRPC_DNS_RESOLVER=native` makes it call the C library instead. gRPC for Go and Java
//! resolve by Go and by Java.
//!
//! ## Lookups
//! gRPC passes nothing but a flag to c-ares, so c-ares reads resolv.conf with the release that gRPC was built with: see `muslin explain
//! c-ares`. Each lookup makes a channel of its own, so the wait before a resend is the configured one, never a measured latency. gRPC
//! looks at c-ares' timers once a second. A lookup is given up after 120 s (`grpc.dns_ares_query_timeout`), but a call fails at its own
//! deadline.
//!
//! ## Failures
//! - A call with a deadline of 4 s, first packet lost: found after 2.0 s. With `timeout:5` the resend comes after the deadline:
//!   DEADLINE_EXCEEDED (measured).
//! - More `attempts` double the wait with each round: `attempts:10` with `timeout:5` would be more than an hour by source, so that the 120
//!   s end it.
//!
//! ## Sources
//! grpc 01b7a4a2 `src/core/lib/event_engine/ares_resolver.cc`; 0bf8e76c `src/core/config/config_vars.cc` (`grpc_dns_resolver`);
//! `include/grpc/impl/codegen/grpc_types.h` (`GRPC_ARG_DNS_ARES_QUERY_TIMEOUT_MS`). Measured with grpcio.

use super::embedded_resolver::EmbeddedResolver;

pub(super) static RESOLVER: EmbeddedResolver = EmbeddedResolver {
    slug: "grpc",
    aliases: &["grpc-core", "grpcio"],
    options: &[
        ("ndots", "as c-ares"),
        ("timeout", "as c-ares: seconds before the first resend, default 2; each round doubles it"),
        ("attempts", "as c-ares: rounds through the nameservers, default 3"),
        ("rotate", "as c-ares"),
        ("use-vc", "as c-ares"),
    ],
    others: "skips all others, as c-ares does; c-ares reads `RES_OPTIONS` too",
    source: include_str!("grpc.rs"),
};
