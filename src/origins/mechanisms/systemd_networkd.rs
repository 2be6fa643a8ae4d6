//! systemd-networkd: `.network` files with their drop-ins, and the state of links and leases. Flatcar and Amazon Linux 2023 use it
//! alone; netplan writes its files on Ubuntu servers.
//!
//! Sources: systemd.network(5) for the paths, `[Network] DNS=` and the reset by an empty value; `link_save` in
//! src/network/networkd-state-file.c for `/run/systemd/netif/links/INDEX`, `DNS=`; `dhcp_lease_save` in
//! src/libsystemd-network/sd-dhcp-lease.c for `/run/systemd/netif/leases/INDEX`, `DNS=`; netplan's `10-netplan-NAME.network`
//! (netplan-generate(8)).

use crate::origins::mechanism::{Found, Mechanism, cloud_init_wrote, first_step, no_further, note_hidden, overridden};
use crate::origins::text::{Entry, addresses, entries};
use crate::origins::tree::{NodeFile, Tree};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "systemd-networkd",
    files: &[&NETWORKS, &DROP_INS, &[LINKS, LEASES]],
    programs: &["/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd"],
    further: no_further,
    search,
};

const LINKS: &str = "/run/systemd/netif/links/*";
const LEASES: &str = "/run/systemd/netif/leases/*";
const NETWORKS: [&str; 5] = [
    "/etc/systemd/network/*.network",
    "/run/systemd/network/*.network",
    "/usr/local/lib/systemd/network/*.network",
    "/usr/lib/systemd/network/*.network",
    "/lib/systemd/network/*.network",
];
const DROP_INS: [&str; 5] = [
    "/etc/systemd/network/*.network.d/*.conf",
    "/run/systemd/network/*.network.d/*.conf",
    "/usr/local/lib/systemd/network/*.network.d/*.conf",
    "/usr/lib/systemd/network/*.network.d/*.conf",
    "/lib/systemd/network/*.network.d/*.conf",
];

fn search(tree: &Tree, found: &mut Found) {
    for (file, hidden_by) in overridden(tree, &NETWORKS) {
        search_network(file, hidden_by, found);
    }
    for file in tree.matching(&DROP_INS) {
        search_network(file, None, found);
    }
    for file in tree.matching(&[LEASES]) {
        let text = file.text();
        for Entry { line, value, .. } in entries(&text).into_iter().filter(|entry| entry.key == "DNS") {
            for address in addresses(value) {
                let steps =
                    ["change the DHCP server's option, or set `UseDNS=no` in `[DHCPv4]` of the link's .network file"];
                found.add((file, Some(line)), "DNS=", address, Persistence::Leased, &steps);
            }
        }
    }
    for file in tree.matching(&[LINKS]) {
        let text = file.text();
        for Entry { line, value, .. } in entries(&text).into_iter().filter(|entry| entry.key == "DNS") {
            for address in addresses(value) {
                found.add_derived((file, Some(line)), "DNS=", address);
            }
        }
    }
}

fn search_network(file: &NodeFile, hidden_by: Option<&NodeFile>, found: &mut Found) {
    let text = file.text();
    let settings = entries(&text).into_iter().filter(|entry| entry.section == "Network" && entry.key == "DNS");
    let settings: Vec<Entry<'_>> = settings.collect();
    let reset = settings.iter().rposition(|entry| entry.value.is_empty() && !entry.continues).unwrap_or(0);
    for Entry { line, value, .. } in &settings[reset..] {
        for address in addresses(value) {
            let at = (file, Some(*line));
            let is_runtime = file.path.starts_with("/run/");
            if is_runtime && file.name().contains("-netplan-") {
                found.add_derived(at, "DNS=", address).note = Some("netplan writes it at boot".to_owned());
                continue;
            }
            let persistence = if is_runtime { Persistence::Runtime } else { Persistence::Stored };
            let first = if is_runtime && !cloud_init_wrote(file) {
                "find the program that wrote it at boot"
            } else {
                first_step(file)
            };
            let steps = [first, "run `systemctl restart systemd-networkd`"];
            let origin = found.add(at, "DNS=", address, persistence, &steps);
            note_hidden(origin, hidden_by);
            if is_runtime && origin.note.is_none() {
                origin.note = Some("unless a program writes the file again at boot".to_owned());
            }
        }
    }
}
