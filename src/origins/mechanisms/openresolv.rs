//! openresolv, and the files that dhcpcd puts before and after its own lines.
//!
//! Sources: resolvconf.conf(5) of openresolv 3.12, `name_servers`, `name_servers_append`, `prepend_nameservers`,
//! `append_nameservers`, `state_dir`; its `libc` subscriber for `/etc/resolv.conf.head` and `.tail`, and for `resolv_conf_head` and
//! `resolv_conf_tail`, which hold text; dhcpcd 9.4's `20-resolv.conf` for the same two files.

use super::resolvconf::add_record;
use crate::origins::mechanism::{Found, Mechanism, THERE, no_further};
use crate::origins::text::{addresses, assignments, nameservers};
use crate::origins::tree::Tree;
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "openresolv",
    files: &[&[CONFIGURATION, RECORDS], &AROUND],
    programs: &[
        "/lib/resolvconf/libc",
        "/usr/lib/resolvconf/libc",
        "/usr/libexec/resolvconf/libc",
        "/sbin/dhcpcd",
        "/usr/sbin/dhcpcd",
        "/usr/bin/dhcpcd",
    ],
    further: no_further,
    search,
};

const CONFIGURATION: &str = "/etc/resolvconf.conf";
const AROUND: [&str; 2] = ["/etc/resolv.conf.head", "/etc/resolv.conf.tail"];
const RECORDS: &str = "/run/resolvconf/interfaces/*";
const KEYS: [&str; 6] = [
    "name_servers",
    "name_servers_append",
    "prepend_nameservers",
    "append_nameservers",
    "resolv_conf_head",
    "resolv_conf_tail",
];

fn search(tree: &Tree, found: &mut Found) {
    let steps = [THERE, "run `resolvconf -u`"];
    if let Some(file) = tree.file(CONFIGURATION) {
        let text = file.text();
        for entry in assignments(&text).into_iter().filter(|entry| KEYS.contains(&entry.key)) {
            for address in addresses(entry.value) {
                found.add((file, Some(entry.line)), entry.key, address, Persistence::Stored, &steps);
            }
        }
    }
    for file in tree.matching(&AROUND) {
        for (line, address) in nameservers(&file.text(), false) {
            let steps = [THERE, "run `resolvconf -u`, or restart dhcpcd where resolvconf is missing"];
            found.add((file, Some(line)), "nameserver", address, Persistence::Stored, &steps);
        }
    }
    for file in tree.matching(&[RECORDS]) {
        for (line, address) in nameservers(&file.text(), true) {
            add_record(found, (file, line), address);
        }
    }
}
