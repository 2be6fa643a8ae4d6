//! The limits for clients of a port. `admission/memory.rs` adds up what they allow. Must not know how they are kept.

use std::time::Duration;

/// The most connections to the webhooks.
///
/// An API server has one connection for each review under way (HTTP/1.1, kubernetes `apiserver/pkg/util/webhook/client.go`) and keeps 25
/// idle ones (client-go `transport/cache.go`, `idleConnsPerHost`). Its own limit is 600 requests of all kinds at once
/// (`--max-requests-inflight` 400 and `--max-mutating-requests-inflight` 200). A review takes about a millisecond, or 300 ms where an image
/// is unknown: 512 connections, the share of one peer, are 1,700 pods with unknown images a second.
pub const CONNECTIONS_MAX: usize = 768;

/// The most connections to the port of the kubelet's probes and of Prometheus, which need about four.
pub const PROBE_CONNECTIONS_MAX: usize = 128;

/// The most bytes of the bodies of all requests under way: three of the largest, or 1,200 reviews of 20 KB.
pub const BODY_BYTES_MAX: usize = 24 * 1024 * 1024;

/// The most bytes that are read ahead on a connection, a request's header included. The API server's header has some hundred bytes.
pub const BUFFER_MAX: usize = 16 * 1024;

/// The limits for the clients of a port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at once. One more ends the one that has waited longest for its client.
    pub connections: usize,
    /// The most connections of one peer: an IPv4 address, or a /64 network of IPv6.
    pub connections_per_peer: usize,
    /// The most bytes of all request bodies.
    pub body_bytes: usize,
    /// The most bytes of the request bodies of one peer.
    pub body_bytes_per_peer: usize,
    /// The longest TLS handshake.
    pub handshake: Duration,
    /// The longest wait for the first request's header, and from the first byte of another header to its end.
    pub header: Duration,
    /// The longest wait for a body. Reviews have a shorter deadline, which the API server names.
    pub body: Duration,
    /// The longest idle time between requests. The API server's client keeps idle connections for 90 s: with less than that, a request
    /// could meet a closing connection.
    pub idle: Duration,
    /// The longest wait for requests under way, once the server drains.
    pub drain: Duration,
}

// === impl Limits ===

impl Limits {
    /// Returns the usual limits for so many connections. One peer gets two thirds of the connections and of the memory.
    pub const fn new(connections: usize) -> Self {
        let share = connections - connections / 3;
        Self {
            connections,
            connections_per_peer: if share == 0 { 1 } else { share },
            body_bytes: BODY_BYTES_MAX,
            body_bytes_per_peer: BODY_BYTES_MAX / 3 * 2,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(150),
            drain: Duration::from_secs(15),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(CONNECTIONS_MAX)
    }
}
