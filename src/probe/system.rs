//! Reads the files around the probe: resolv.conf, nsswitch.conf, hosts and the kernel's counters, any of which may be missing. Must
//! not know what they mean.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;

use crate::verdicts::observations::Conntrack;
use crate::verdicts::system_files::{Nsswitch, ResolvConf};

/// conntrack's counters, one line per processor, in hexadecimal; each network namespace has its own.
const CONNTRACK: &str = "/proc/net/stat/nf_conntrack";

/// The errors of a socket that has no route to an address, or no address of its family.
const NO_ROUTE: [io::ErrorKind; 4] = [
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::AddrNotAvailable,
    io::ErrorKind::Unsupported,
];

/// Reads a resolv.conf.
///
/// # Errors
/// The file cannot be read.
pub fn read_resolv_conf(path: &Path) -> io::Result<ResolvConf> {
    Ok(ResolvConf::parse(&fs::read_to_string(path)?))
}

/// Reads an nsswitch.conf; `None` if it is missing or has no `hosts` line.
pub(super) fn read_nsswitch(path: &Path) -> Option<Nsswitch> {
    Nsswitch::parse(&fs::read_to_string(path).ok()?)
}

/// Returns the names that the hosts file contains.
pub(super) fn names_in_hosts_file(path: &Path, names: &[String]) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let listed: Vec<&str> = lines.flat_map(|line| line.split_ascii_whitespace().skip(1)).collect();
    names.iter().filter(|name| listed.iter().any(|listed| listed.eq_ignore_ascii_case(name))).cloned().collect()
}

/// Returns the kernel's release.
pub(super) fn kernel_release() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())
}

/// Returns conntrack's counters, if they can be read.
pub(super) fn read_conntrack() -> Option<Conntrack> {
    parse_conntrack(&fs::read_to_string(CONNTRACK).ok()?)
}

/// Returns whether this process runs in a pod: the kubelet sets this variable in each container.
pub(super) fn is_in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

/// Returns the addresses to which this machine has no route. To connect a UDP socket chooses a route and sends nothing.
pub(super) fn unroutable<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Vec<IpAddr> {
    let addresses: BTreeSet<IpAddr> = addresses.copied().collect();
    let has_no_route = |address: &IpAddr| {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let connected = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((*address, 53)));
        connected.is_err_and(|error| NO_ROUTE.contains(&error.kind()))
    };
    addresses.into_iter().filter(has_no_route).collect()
}

fn parse_conntrack(text: &str) -> Option<Conntrack> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    let column = |name: &str| names.iter().position(|column| *column == name);
    let (insert_failed, drop, clash) = (column("insert_failed")?, column("drop")?, column("clashres"));
    let mut sum = Conntrack::default();
    for line in lines {
        let values: Vec<u64> =
            line.split_ascii_whitespace().map(|value| u64::from_str_radix(value, 16).unwrap_or(0)).collect();
        let value = |at: usize| values.get(at).copied().unwrap_or(0);
        sum.insert_failed += value(insert_failed);
        sum.drop += value(drop);
        sum.clash_resolve += clash.map_or(0, value);
    }
    Some(sum)
}

// === impl Conntrack ===

impl Conntrack {
    /// Returns the increase since an earlier reading.
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            insert_failed: self.insert_failed.saturating_sub(before.insert_failed),
            drop: self.drop.saturating_sub(before.drop),
            clash_resolve: self.clash_resolve.saturating_sub(before.clash_resolve),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_conntracks_counters_over_all_processors() {
        let text = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  \
                    expect_new expect_create expect_delete search_restart\n\
                    00000002  00000003 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000000a 00000001 00000000 \
                    00000000  00000000 00000000 00000000 00000000\n\
                    00000002  00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000 \
                    00000000  00000000 00000000 00000000 00000000\n";
        let counted = parse_conntrack(text).unwrap();
        assert_eq!((counted.insert_failed, counted.drop), (11, 1));
        assert_eq!(parse_conntrack("entries\n0\n"), None);
    }
}
