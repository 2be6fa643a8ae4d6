//! netconfig of SUSE.
//!
//! Source: netconfig(8) and `/etc/sysconfig/network/config`, `NETCONFIG_DNS_STATIC_SERVERS`.

use crate::origins::mechanism::{Found, Mechanism, THERE, no_further};
use crate::origins::text::{addresses, assignments, nameservers};
use crate::origins::tree::Tree;
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "netconfig",
    files: &[&[CONFIGURATION, WRITTEN]],
    programs: &["/sbin/netconfig", "/usr/sbin/netconfig"],
    further: no_further,
    search,
};

const CONFIGURATION: &str = "/etc/sysconfig/network/config";
const WRITTEN: &str = "/run/netconfig/resolv.conf";

fn search(tree: &Tree, found: &mut Found) {
    if let Some(file) = tree.file(CONFIGURATION) {
        let text = file.text();
        for entry in assignments(&text).into_iter().filter(|entry| entry.key == "NETCONFIG_DNS_STATIC_SERVERS") {
            for address in addresses(entry.value) {
                let steps = [THERE, "run `netconfig update -f`"];
                found.add((file, Some(entry.line)), entry.key, address, Persistence::Stored, &steps);
            }
        }
    }
    if let Some(file) = tree.file(WRITTEN) {
        for (line, address) in nameservers(&file.text(), false) {
            found.add_derived((file, Some(line)), "nameserver", address);
        }
    }
}
