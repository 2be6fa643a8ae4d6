//! The kernel's command line: `nameserver=ADDRESS`, and the two DNS fields of `ip=`.
//!
//! Sources: dracut.cmdline(7), `nameserver=` and `ip=CLIENT:PEER:GATEWAY:NETMASK:HOST:INTERFACE:METHOD:DNS1:DNS2`; the kernel's
//! nfsroot.rst, `ip=`, `dns0-ip` and `dns1-ip`; systemd-network-generator(8), which writes `.network` files from both.

use std::net::IpAddr;

use crate::origins::mechanism::{Found, Mechanism, no_further};
use crate::origins::text::address;
use crate::origins::tree::Tree;
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism =
    Mechanism { name: "kernel command line", files: &[&["/proc/cmdline"]], programs: &[], further: no_further, search };

fn search(tree: &Tree, found: &mut Found) {
    let Some(file) = tree.file("/proc/cmdline") else { return };
    for word in file.text().split_ascii_whitespace() {
        for address in named(word) {
            let steps = ["change the command line in the boot loader's configuration", "reboot"];
            let setting = word.split('=').next().unwrap_or_default();
            let origin = found.add((file, Some(1)), setting, address, Persistence::Stored, &steps);
            origin.note = Some("if the boot loader's configuration still has it".to_owned());
        }
    }
}

fn named(word: &str) -> Vec<IpAddr> {
    if let Some(value) = word.strip_prefix("nameserver=") {
        return address(value).into_iter().collect();
    }
    let Some(value) = word.strip_prefix("ip=") else { return Vec::new() };
    fields(value).into_iter().skip(7).take(2).filter_map(address).collect()
}

/// Splits at colons outside of brackets.
fn fields(value: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let split = |c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ':' && depth == 0
    };
    value.split(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_both_dns_fields() {
        let one = |text: &str| vec![text.parse::<IpAddr>().unwrap()];
        assert_eq!(named("nameserver=10.0.0.2"), one("10.0.0.2"));
        assert_eq!(named("ip=10.1.0.5::10.1.0.1:255.255.255.0:node:eth0:off:10.0.0.2"), one("10.0.0.2"));
        assert_eq!(named("ip=[fd00::5]::[fd00::1]:64:node:eth0:none:[fd00::2]:"), one("fd00::2"));
        assert!(named("ip=dhcp").is_empty() && named("root=10.0.0.2").is_empty());
    }
}
