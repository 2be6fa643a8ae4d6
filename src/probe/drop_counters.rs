//! Reads the kernel's counters of packets that it dropped, as far as this process may see them. Each network namespace has its own, so a
//! pod sees those of its own network. Must not know who counts them.

use std::fs;

use super::system::read_conntrack;
use crate::verdicts::observations::Conntrack;

/// The counters of UDP (Linux `net/ipv4/proc.c`, `snmp4_udp_list`), those of IPv6 in a file of their own.
const SNMP: &str = "/proc/net/snmp";
const SNMP6: &str = "/proc/net/snmp6";

/// The counters since the start of the network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCounters {
    /// UDP packets that came while the receive buffer of their socket was full.
    pub receive_buffer: u64,
    /// UDP packets for which the send buffer had no room.
    pub send_buffer: u64,
    /// UDP packets with a wrong checksum.
    pub checksum: u64,
    /// conntrack's counters, where the kernel shows them.
    pub conntrack: Option<Conntrack>,
}

/// Reads the counters; what cannot be read is 0.
pub fn read_drop_counters() -> DropCounters {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    DropCounters { conntrack: read_conntrack(), ..parse(&text(SNMP), &text(SNMP6)) }
}

fn parse(snmp: &str, snmp6: &str) -> DropCounters {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let names: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let values: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let of_v4 = |name: &str| {
        let value = names.iter().position(|known| *known == name).and_then(|at| values.get(at));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let of_v6 = |name: &str| {
        let value = snmp6.lines().find_map(|line| line.strip_prefix("Udp6")?.strip_prefix(name));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    let sum = |name: &str| -> u64 { of_v4(name) + of_v6(name) };
    DropCounters {
        receive_buffer: sum("RcvbufErrors"),
        send_buffer: sum("SndbufErrors"),
        checksum: sum("InCsumErrors"),
        conntrack: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_counters_of_both_families_by_name() {
        let snmp = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors\n\
                    Udp: 100 1 7 90 5 3 2\nUdpLite: RcvbufErrors\nUdpLite: 9\n";
        let snmp6 =
            "Udp6InDatagrams                 \t11\nUdp6RcvbufErrors                \t4\nUdpLite6RcvbufErrors\t8\n";
        let read = parse(snmp, snmp6);
        assert_eq!((read.receive_buffer, read.send_buffer, read.checksum), (9, 3, 2));
    }

    #[test]
    fn a_file_without_the_counters_counts_nothing() {
        assert_eq!(parse("", ""), DropCounters::default());
        assert_eq!(parse("Udp: InDatagrams\nUdp: 3\n", "Udp6RcvbufErrors x\n"), DropCounters::default());
    }
}
