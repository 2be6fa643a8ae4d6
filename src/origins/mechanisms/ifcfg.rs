//! `ifcfg` files of RHEL to 8 and Amazon Linux 2, read by NetworkManager's ifcfg-rh plugin or the network service.
//!
//! Sources: nm-settings-ifcfg-rh(5), `DNS1`, `DNS2`, …; initscripts' sysconfig.txt, `DNS{1,2}=` and `PEERDNS`, and `ifup`, which
//! reads `/etc/sysconfig/network` first; the names that are skipped: ifup's `__sed_discard_ignored_files`.

use crate::origins::mechanism::{Found, Mechanism, first_step, no_further};
use crate::origins::text::{Entry, addresses, assignments};
use crate::origins::tree::Tree;
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "ifcfg",
    files: &[&FILES],
    programs: &[
        "/usr/lib64/NetworkManager",
        "/usr/lib/NetworkManager",
        "/etc/sysconfig/network-scripts/ifup-eth",
        "/usr/sbin/ifup",
    ],
    further: no_further,
    search,
};

const FILES: [&str; 2] = ["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network"];
/// Ends of names that neither reader takes: copies by editors and by rpm.
const COPIES: [&str; 6] = ["~", ".bak", ".orig", ".rpmnew", ".rpmorig", ".rpmsave"];

fn search(tree: &Tree, found: &mut Found) {
    for file in tree.matching(&FILES) {
        if COPIES.iter().any(|end| file.name().ends_with(end)) {
            continue;
        }
        let text = file.text();
        let is_dns = |entry: &Entry<'_>| {
            entry
                .key
                .strip_prefix("DNS")
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
        };
        for Entry { line, key, value, .. } in assignments(&text).into_iter().filter(is_dns) {
            for address in addresses(value) {
                let steps = [
                    first_step(file),
                    "run `nmcli connection reload` and `nmcli connection up` for it, or `systemctl restart network`",
                ];
                found.add((file, Some(line)), key, address, Persistence::Stored, &steps);
            }
        }
    }
}
