//! NetworkManager: connection profiles, global DNS, the leases of its own DHCP client, and the files that it writes.
//!
//! Sources: nm-settings-keyfile(5) for the folders and `[ipv4] dns=`, `[ipv6] dns=`; NetworkManager.conf(5) for the folders,
//! `[global-dns-domain-*] servers=`, `/run/NetworkManager/{resolv,no-stub-resolv}.conf`; netplan's `netplan-*` profiles in `/run`;
//! `/var/lib/NetworkManager/internal-UUID-INTERFACE.lease`, `DNS=` (src/core/dhcp/nm-dhcp-systemd.c, to 1.18 on RHEL 7 and 8).

use crate::origins::mechanism::{Found, Mechanism, cloud_init_wrote, first_step, no_further};
use crate::origins::text::{Entry, addresses, entries, nameservers};
use crate::origins::tree::{NodeFile, Tree};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "NetworkManager",
    files: &[&PROFILES, &CONFIGURATION, &[LEASES], &WRITTEN],
    programs: &["/usr/sbin/NetworkManager"],
    further: no_further,
    search,
};

const LEASES: &str = "/var/lib/NetworkManager/internal-*.lease";
const WRITTEN: [&str; 2] = ["/run/NetworkManager/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];
const PROFILES: [&str; 3] = [
    "/etc/NetworkManager/system-connections/*",
    "/run/NetworkManager/system-connections/*",
    "/usr/lib/NetworkManager/system-connections/*",
];
const CONFIGURATION: [&str; 5] = [
    "/etc/NetworkManager/NetworkManager.conf",
    "/etc/NetworkManager/conf.d/*.conf",
    "/run/NetworkManager/conf.d/*.conf",
    "/usr/lib/NetworkManager/conf.d/*.conf",
    "/var/lib/NetworkManager/NetworkManager-intern.conf",
];

fn search(tree: &Tree, found: &mut Found) {
    for file in tree.matching(&PROFILES) {
        search_profile(file, found);
    }
    for file in tree.matching(&CONFIGURATION) {
        let text = file.text();
        let is_global =
            |entry: &Entry<'_>| entry.section.contains("global-dns-domain") && entry.key.ends_with("servers");
        for Entry { line, value, .. } in entries(&text).into_iter().filter(is_global) {
            for address in addresses(value) {
                let persistence = persistence(file);
                let steps = [first_step(file), "run `systemctl reload NetworkManager`"];
                found.add((file, Some(line)), "servers=", address, persistence, &steps);
            }
        }
    }
    for file in tree.matching(&[LEASES]) {
        let text = file.text();
        for Entry { line, value, .. } in entries(&text).into_iter().filter(|entry| entry.key == "DNS") {
            for address in addresses(value) {
                let steps =
                    ["change the DHCP server's option, or set `ipv4.ignore-auto-dns yes` in the connection's profile"];
                found.add((file, Some(line)), "DNS=", address, Persistence::Leased, &steps);
            }
        }
    }
    for file in tree.matching(&WRITTEN) {
        for (line, address) in nameservers(&file.text(), false) {
            found.add_derived((file, Some(line)), "nameserver", address);
        }
    }
}

fn persistence(file: &NodeFile) -> Persistence {
    if file.path.starts_with("/run/") { Persistence::Runtime } else { Persistence::Stored }
}

fn search_profile(file: &NodeFile, found: &mut Found) {
    let text = file.text();
    let entries = entries(&text);
    let id = entries.iter().find(|entry| entry.section == "connection" && entry.key == "id");
    let name = id.map_or_else(|| file.name().trim_end_matches(".nmconnection"), |entry| entry.value);
    let family = |entry: &&Entry<'_>| matches!(entry.section, "ipv4" | "ipv6") && entry.key == "dns";
    for Entry { line, section, value, .. } in entries.iter().filter(family) {
        for address in addresses(value) {
            let at = (file, Some(*line));
            let setting = format!("[{section}] dns=");
            if persistence(file) == Persistence::Runtime && file.name().starts_with("netplan-") {
                found.add_derived(at, &setting, address).note = Some("netplan writes it at boot".to_owned());
                continue;
            }
            let first = if cloud_init_wrote(file) {
                first_step(file).to_owned()
            } else {
                format!("change it there, or by `nmcli connection modify '{name}' {section}.dns …`")
            };
            let second = format!("run `nmcli connection reload` and `nmcli connection up '{name}'`");
            found.add(at, &setting, address, persistence(file), &[&first, &second]);
        }
    }
}
