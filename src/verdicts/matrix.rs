//! The faults of the laboratory, and the verdicts that each gets: no others. Tests build each fault from observations, and the laboratory
//! builds it from servers and packets. Must not know how.

/// A fault of the network, and its verdicts.
#[derive(Clone, Copy, Debug)]
pub struct NetworkFault {
    /// The fault, as a phrase.
    pub title: &'static str,
    /// The verdicts.
    pub verdicts: &'static [&'static str],
}

const fn fault(title: &'static str, verdicts: &'static [&'static str]) -> NetworkFault {
    NetworkFault { title, verdicts }
}

/// All faults.
pub static NETWORK_FAULTS: &[NetworkFault] = &[
    fault("none", &[]),
    fault("one lost query", &[]),
    fault("NXDOMAIN for every name of the cluster", &["no-cluster-zone"]),
    fault("REFUSED for every name of the cluster", &["no-cluster-zone"]),
    fault("SERVFAIL for every name of the cluster", &["no-cluster-zone"]),
    fault("NXDOMAIN for every name", &["nothing-resolves"]),
    fault("REFUSED for every name", &["nothing-resolves"]),
    fault("SERVFAIL for every name", &["nothing-resolves"]),
    fault("an empty answer for every name", &["nothing-resolves"]),
    fault("NXDOMAIN for every external name", &["name-fails"]),
    fault("REFUSED for every external name", &["stale-nameserver"]),
    fault("SERVFAIL for every external name", &["stale-nameserver"]),
    fault("no answer for any external name", &["stale-nameserver"]),
    fault("NXDOMAIN for one external name", &["name-fails"]),
    fault("SERVFAIL for one name without EDNS", &["name-fails"]),
    fault("no answer for one external name", &["name-fails"]),
    fault("SERVFAIL in a third of the answers for one name", &["name-fails"]),
    fault("a dead second nameserver", &["stale-nameserver"]),
    fault("a second nameserver that knows no name", &["nothing-resolves"]),
    fault("a second nameserver without the cluster's zone", &["no-cluster-zone"]),
    fault("a dead only nameserver", &["stale-nameserver"]),
    fault("a loopback nameserver without a server", &["loopback-nameserver"]),
    fault("a link-local nameserver that is cut off", &["link-local-nameserver"]),
    fault("UDP is dropped, TCP is not", &["udp53-blocked-tcp-open"]),
    fault("SERVFAIL for AAAA of a name", &["aaaa-broken"]),
    fault("no answer for AAAA of a name", &["aaaa-broken"]),
    fault("no answer for any AAAA", &["aaaa-broken"]),
    fault("addresses of 198.18.0.0/15 for external names", &["fake-ip"]),
    fault("an address for every name that does not exist", &["nxdomain-hijack"]),
    fault("the addresses belong to another name", &["renamed-answer"]),
    fault("a truncated answer, TCP is closed", &["truncation"]),
    fault("a truncated answer, TCP has the rest", &["truncation"]),
    fault("queries with EDNS are dropped", &["truncation"]),
    fault("UDP answers over 512 bytes without EDNS", &["oversized-answer"]),
    fault("IPv6 addresses without an IPv6 route", &["no-ipv6-route"]),
    fault("the second packet of a pair from one socket is lost", &["conntrack-race"]),
    fault("pairs with one id lose a query", &["id-collision"]),
    fault("queries over a limit are dropped", &["rate-limited"]),
    fault("a tenth of all packets is lost", &["lossy-path"]),
    fault("every answer takes 1.2 s", &["slow-server"]),
    fault("external answers take 1.5 s", &["slow-server"]),
    fault("a search domain answers REFUSED", &["search-expansion"]),
    fault("a search domain has an address for every name", &["search-expansion"]),
    fault("nsswitch.conf without dns", &["libc-disagrees"]),
    fault("no search list", &["name-fails"]),
    fault("signatures of the future", &["clock"]),
];
