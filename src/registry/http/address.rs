//! Addresses that may be contacted: public ones, and allowed networks. The author of an image reference, a redirect or a DNS record
//! decides where muslin connects to, and muslin runs inside the cluster. Checked when connecting, after DNS.

use crate::text::one_line;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The error for a text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a network such as 10.0.0.0/8 or fd00::/8 nor an address")]
pub struct InvalidNetwork(String);

/// Returns the kind of an address that must not be contacted; `None` if it is public or in an allowed network.
pub(super) fn forbidden_kind(address: IpAddr, allowed: &[Network]) -> Option<&'static str> {
    let address = embedded_v4(address);
    if allowed.iter().any(|network| network.contains(address)) {
        return None;
    }
    match address {
        IpAddr::V4(address) => forbidden_v4_kind(address),
        IpAddr::V6(address) => forbidden_v6_kind(address),
    }
}

/// Returns the IPv4 address to which an IPv6 address leads: mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded_v4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(one, two, three, four))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0x2002, ..) => v4(b, c),
        _ => address,
    }
}

/// The wire server of Azure, which gives a virtual machine its secrets, at an address that is public elsewhere (Azure: "What is IP
/// address 168.63.129.16?").
const AZURE_WIRE_SERVER: [u8; 4] = [168, 63, 129, 16];

/// Looks an address up in IANA's registry of special-purpose IPv4 addresses (RFC 6890 and later).
const fn forbidden_v4_kind(address: Ipv4Addr) -> Option<&'static str> {
    if matches!(address.octets(), AZURE_WIRE_SERVER) {
        return Some("the wire server of Azure");
    }
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "this network's own",
        (127, ..) => "loopback",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (100, 64..=127, _) => "shared between carriers",
        (169, 254, _) => "link-local, where clouds keep their metadata",
        (192, 0, 0) => "reserved",
        // RFC 5737.
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "for documentation",
        // The relays of 6to4, which RFC 7526 withdrew.
        (192, 88, 99) => "reserved",
        (198, 18..=19, _) => "for benchmarks",
        (224..=239, ..) => "multicast",
        (240..=255, ..) => "reserved",
        _ => return None,
    })
}

/// Looks an address up in IANA's registry of special-purpose IPv6 addresses.
fn forbidden_v6_kind(address: Ipv6Addr) -> Option<&'static str> {
    let [first, second, ..] = address.segments();
    if address.is_loopback() {
        Some("loopback")
    } else if address.is_unspecified() {
        Some("this network's own")
    } else if first & 0xfe00 == 0xfc00 {
        Some("private")
    } else if first & 0xffc0 == 0xfe80 {
        Some("link-local")
    } else if first & 0xff00 == 0xff00 {
        Some("multicast")
    } else if first == 0x2001 && second == 0 {
        // Teredo holds an IPv4 address and a port, both inverted (RFC 4380).
        Some("a tunnel")
    } else if first == 0x2001 && second < 0x200 {
        // 2001::/23: benchmarks, ORCHID, anycast (RFC 2928).
        Some("reserved")
    } else if (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000) {
        // RFC 3849 and RFC 9637.
        Some("for documentation")
    } else {
        // Only 2000::/3 is assigned for use on the Internet.
        (first & 0xe000 != 0x2000).then_some("reserved")
    }
}

// === impl Network ===

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let Self { address: own, prefix } = self;
        match (own, address) {
            (IpAddr::V4(own), IpAddr::V4(address)) => {
                (u32::from(own) ^ u32::from(address)).checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(address)) => {
                (u128::from(own) ^ u128::from(address)).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNetwork(one_line(text, 80).into_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest { Err(invalid()) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, prefix } = self;
        write!(f, "{address}/{prefix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_forbidden(address: &str) -> bool {
        forbidden_kind(address.parse().unwrap(), &[]).is_some()
    }

    #[test]
    fn forbids_addresses_that_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "::127.0.0.1",
            "64:ff9b:1::a00:1",
        ] {
            assert!(is_forbidden(address), "{address}");
        }
    }

    #[test]
    fn forbids_the_wire_server_of_azure_in_every_form() {
        for address in ["168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "2002:a83f:8110::1"] {
            assert!(is_forbidden(address), "{address}");
        }
    }

    #[test]
    fn forbids_documentation_tunnels_and_protocol_assignments() {
        for address in [
            "192.0.2.1",
            "198.51.100.255",
            "203.0.113.7",
            "192.88.99.1",
            "198.19.255.255",
            "64:ff9b::c000:201",
            "2002:c633:6401::1",
            "2001:db8::1",
            "2001:db8:ffff::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff::1",
        ] {
            assert!(is_forbidden(address), "{address}");
        }
    }

    #[test]
    fn allows_public_addresses() {
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "192.0.3.1",
            "168.63.129.15",
            "168.63.129.17",
            "198.51.101.1",
            "203.0.112.1",
            "2606:4700::1111",
            "2001:200::1",
            "2001:4860:4860::8888",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(!is_forbidden(address), "{address}");
        }
    }

    #[test]
    fn allows_a_configured_network_and_no_other() {
        let allowed: Vec<Network> = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"].map(|text| text.parse().unwrap()).to_vec();
        for (address, reached) in [
            ("10.9.9.9", true),
            ("11.0.0.1", true),
            ("192.168.0.1", false),
            ("fd12::1", true),
            ("fc12::1", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(forbidden_kind(address.parse().unwrap(), &allowed).is_none(), reached, "{address}");
        }
    }

    #[test]
    fn allows_every_address_with_a_network_of_all() {
        assert_eq!(forbidden_kind("127.0.0.1".parse().unwrap(), &["0.0.0.0/0".parse().unwrap()]), None);
    }
}
