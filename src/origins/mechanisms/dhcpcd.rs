//! dhcpcd: its configuration, its leases, which are DHCP messages as they came, and the nameservers of each interface.
//!
//! Sources: dhcpcd.conf(5), `static domain_name_servers=` and `static domain_name_servers` in `interface` blocks; dhcpcd(8), FILES, for
//! `/var/lib/dhcpcd/INTERFACE-SSID.lease` and `.lease6` (9.4), `/var/lib/dhcpcd5/dhcpcd-INTERFACE.lease` (6.x of Ubuntu 16.04) and
//! `/var/db/dhcpcd` (upstream's default); `20-resolv.conf` for `/run/dhcpcd/resolv.conf`, since dhcpcd 9.5 `hook-state/resolv.conf`.
//! Messages: RFC 2131, 2 (options after 236 bytes and the magic cookie); RFC 2132, 3.8 (option 6); RFC 8415, 8, and RFC 3646, 3
//! (option 23).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::origins::mechanism::{Found, Mechanism, THERE, no_further};
use crate::origins::text::{addresses, lines, nameservers};
use crate::origins::tree::Tree;
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "dhcpcd",
    files: &[&[CONFIGURATION], &LEASES, &INTERFACES],
    programs: &["/sbin/dhcpcd", "/usr/sbin/dhcpcd", "/usr/bin/dhcpcd"],
    further: no_further,
    search,
};

const CONFIGURATION: &str = "/etc/dhcpcd.conf";
const LEASES: [&str; 6] = [
    "/var/lib/dhcpcd/*.lease",
    "/var/lib/dhcpcd5/*.lease",
    "/var/db/dhcpcd/*.lease",
    "/var/lib/dhcpcd/*.lease6",
    "/var/lib/dhcpcd5/*.lease6",
    "/var/db/dhcpcd/*.lease6",
];
const INTERFACES: [&str; 2] = ["/run/dhcpcd/resolv.conf/*", "/run/dhcpcd/hook-state/resolv.conf/*"];
const COOKIE: [u8; 4] = [99, 130, 83, 99];

fn search(tree: &Tree, found: &mut Found) {
    if let Some(file) = tree.file(CONFIGURATION) {
        for (line, text) in lines(&file.text()) {
            let Some(value) = text.trim_start().strip_prefix("static").filter(|rest| rest.starts_with([' ', '\t']))
            else {
                continue;
            };
            let Some((option, value)) = value.split_once('=') else { continue };
            if matches!(option.trim(), "domain_name_servers" | "dhcp6_name_servers") {
                for address in addresses(value) {
                    let steps = [THERE, "restart dhcpcd"];
                    found.add((file, Some(line)), "static domain_name_servers", address, Persistence::Stored, &steps);
                }
            }
        }
    }
    let steps = ["change the DHCP server's option, or set `static domain_name_servers=…` in /etc/dhcpcd.conf"];
    for file in tree.matching(&LEASES) {
        let of = if file.name().ends_with('6') { of_version_6(&file.bytes) } else { of_version_4(&file.bytes) };
        for address in of {
            found.add((file, None), "domain_name_servers", address, Persistence::Leased, &steps);
        }
    }
    for file in tree.matching(&INTERFACES) {
        for (line, address) in nameservers(&file.text(), true) {
            found.add_derived((file, Some(line)), "nameserver", address);
        }
    }
}

/// Returns the nameservers of a DHCP message.
fn of_version_4(message: &[u8]) -> Vec<IpAddr> {
    let Some(mut options) = message.get(236..).and_then(|rest| rest.strip_prefix(&COOKIE)) else { return Vec::new() };
    let mut found = Vec::new();
    while let [code, rest @ ..] = options {
        options = match (*code, rest) {
            (0, _) => rest,
            (255, _) | (_, []) => break,
            (code, [length, rest @ ..]) => {
                let (value, after) = rest.split_at(usize::from(*length).min(rest.len()));
                if code == 6 {
                    let octets = value.as_chunks::<4>().0.iter();
                    found.extend(octets.map(|octets| IpAddr::V4(Ipv4Addr::from(*octets))));
                }
                after
            }
        };
    }
    found
}

/// Returns the nameservers of a DHCPv6 message: a type, a transaction id of three bytes, then options.
fn of_version_6(message: &[u8]) -> Vec<IpAddr> {
    let mut options = message.get(4..).unwrap_or_default();
    let mut found = Vec::new();
    while let [a, b, c, d, rest @ ..] = options {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let (value, after) = rest.split_at(length.min(rest.len()));
        if u16::from_be_bytes([*a, *b]) == 23 {
            let octets = value.as_chunks::<16>().0.iter();
            found.extend(octets.map(|octets| IpAddr::V6(Ipv6Addr::from(*octets))));
        }
        options = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(options: &[u8]) -> Vec<u8> {
        [&[0; 236][..], &COOKIE, options].concat()
    }

    #[test]
    fn finds_the_nameservers_of_a_message() {
        let message = lease(&[53, 1, 5, 0, 6, 8, 10, 0, 0, 2, 10, 0, 0, 3, 255, 6, 4, 10, 0, 0, 4]);
        assert_eq!(of_version_4(&message), ["10.0.0.2", "10.0.0.3"].map(|it| it.parse::<IpAddr>().unwrap()));
        let address: Ipv6Addr = "fd00::2".parse().unwrap();
        let message = [&[7, 1, 2, 3, 0, 1, 0, 2, 9, 9, 0, 23, 0, 16][..], &address.octets()].concat();
        assert_eq!(of_version_6(&message), [IpAddr::V6(address)]);
    }

    #[test]
    fn reads_cut_messages_without_a_panic() {
        let message = lease(&[53, 1, 5, 6, 8, 10, 0, 0, 2, 10]);
        for length in 0..=message.len() {
            let _ = (of_version_4(&message[..length]), of_version_6(&message[..length]));
        }
        assert_eq!(of_version_4(&message), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
    }
}
