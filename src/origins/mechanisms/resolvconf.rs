//! resolvconf of Debian and Ubuntu to 17.04: `base`, `head` and `tail`, and a record for each interface.
//!
//! Sources: resolvconf(8) of Debian 12 and Ubuntu 16.04, FILES; `/etc/resolvconf/update.d/libc` of resolvconf 1.91: `head` and `tail`
//! are copied as they are, between them at most three nameservers from the records of interfaces and then from `base`, none after a
//! loopback address. openresolv reads the same three files where `/etc/resolvconf.conf` is missing (its `libc` subscriber).

use crate::origins::mechanism::{Found, Mechanism, first_step, no_further};
use crate::origins::text::nameservers;
use crate::origins::tree::{NodeFile, Tree};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "resolvconf",
    files: &[&STORED, &[RECORDS, WRITTEN]],
    programs: &[
        "/etc/resolvconf/update.d/libc",
        "/lib/resolvconf/list-records",
        "/usr/lib/resolvconf/list-records",
        "/lib/resolvconf/libc",
        "/usr/lib/resolvconf/libc",
    ],
    further: no_further,
    search,
};

const STORED: [&str; 3] =
    ["/etc/resolvconf/resolv.conf.d/head", "/etc/resolvconf/resolv.conf.d/base", "/etc/resolvconf/resolv.conf.d/tail"];
const RECORDS: &str = "/run/resolvconf/interface/*";
const WRITTEN: &str = "/run/resolvconf/resolv.conf";
/// cloud-init's main file.
const CLOUD_INIT: &str = "/etc/cloud/cloud.cfg";

fn search(tree: &Tree, found: &mut Found) {
    for file in tree.matching(&STORED) {
        let is_base = file.name() == "base";
        for (line, address) in nameservers(&file.text(), is_base) {
            let steps = [first_step(file), "run `resolvconf -u`"];
            let origin = found.add((file, Some(line)), "nameserver", address, Persistence::Stored, &steps);
            // The post-mortem behind `stale-nameserver`: the image's line was overwritten on machines with static addresses only.
            if is_base && tree.has_any(&[CLOUD_INIT]) {
                origin.note = Some(
                    "if it is part of the machine's image, other nodes have it too, except those where cloud-init or another \
                     agent overwrites the file"
                        .to_owned(),
                );
            }
        }
    }
    for file in tree.matching(&[RECORDS]) {
        for (line, address) in nameservers(&file.text(), true) {
            add_record(found, (file, line), address);
        }
    }
    if let Some(file) = tree.file(WRITTEN) {
        for (line, address) in nameservers(&file.text(), false) {
            found.add_derived((file, Some(line)), "nameserver", address);
        }
    }
}

/// Adds an interface's record, whose name ends in the program that gave it: `eth0.dhclient`, `eth0.inet` (ifup),
/// `original.resolvconf` (the file that was there before the package, kept until a reboot).
pub(super) fn add_record(found: &mut Found, (file, line): (&NodeFile, usize), address: std::net::IpAddr) {
    let at = (file, Some(line));
    match file.name().rsplit('.').next().unwrap_or_default() {
        "dhclient" | "dhcpcd" | "udhcpc" | "dhcp" | "dhcp6" | "ra" => {
            let steps = ["change the DHCP server's option, or override it in the DHCP client's configuration"];
            found.add(at, "nameserver", address, Persistence::Leased, &steps);
        }
        "inet" | "inet6" | "ifup" => {
            found.add_derived(at, "nameserver", address).note = Some("ifupdown gave it".to_owned());
        }
        "NetworkManager" => {
            found.add_derived(at, "nameserver", address).note = Some("NetworkManager gave it".to_owned());
        }
        "systemd-resolved" => {
            found.add_derived(at, "nameserver", address).note = Some("systemd-resolved gave it".to_owned());
        }
        _ => {
            let steps = ["end the program that set it, or run `resolvconf -d` with the file's name"];
            found.add(at, "nameserver", address, Persistence::Runtime, &steps);
        }
    }
}
