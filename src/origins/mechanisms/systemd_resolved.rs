//! systemd-resolved: its configuration, what programs set at run time, and the files that it writes.
//!
//! Sources: resolved.conf(5) for the paths, `DNS=` and `FallbackDNS=`; systemd.syntax(7) and "CONFIGURATION DIRECTORIES AND
//! PRECEDENCE" there: one main file, then drop-ins in the order of their names, the first folder wins for equal names, an empty value
//! resets the list. systemd-resolved.service(8) for `/run/systemd/resolve/{resolv,stub-resolv}.conf`. `link_save_user` in
//! src/resolve/resolved-link.c for `/run/systemd/resolve/netif/INDEX`, `SERVERS=`: what `resolvectl dns` or NetworkManager set.

use crate::origins::mechanism::{Found, Mechanism, first_step, no_further, note_hidden, overridden};
use crate::origins::text::{Entry, addresses, entries, nameservers};
use crate::origins::tree::Tree;
use crate::verdicts::nameserver_origins::{Origin, Persistence};

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "systemd-resolved",
    files: &[&MAIN, &DROP_INS, &[LINKS], &WRITTEN],
    programs: &["/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved"],
    further: no_further,
    search,
};

const LINKS: &str = "/run/systemd/resolve/netif/*";
const WRITTEN: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"];
const MAIN: [&str; 4] = [
    "/etc/systemd/resolved.conf",
    "/run/systemd/resolved.conf",
    "/usr/local/lib/systemd/resolved.conf",
    "/usr/lib/systemd/resolved.conf",
];
/// In the order in which they win.
const DROP_INS: [&str; 5] = [
    "/etc/systemd/resolved.conf.d/*.conf",
    "/run/systemd/resolved.conf.d/*.conf",
    "/usr/local/lib/systemd/resolved.conf.d/*.conf",
    "/usr/lib/systemd/resolved.conf.d/*.conf",
    "/lib/systemd/resolved.conf.d/*.conf",
];

fn search(tree: &Tree, found: &mut Found) {
    search_configuration(tree, found);
    for file in tree.matching(&[LINKS]) {
        let text = file.text();
        for Entry { line, value, .. } in entries(&text).into_iter().filter(|entry| entry.key == "SERVERS") {
            for address in addresses(value) {
                let steps =
                    ["find the program that set it (`resolvectl status`), or run `resolvectl revert` for the link"];
                found.add((file, Some(line)), "SERVERS=", address, Persistence::Runtime, &steps).note =
                    Some("set by `resolvectl dns` or another program, which may set it again".to_owned());
            }
        }
    }
    for file in tree.matching(&WRITTEN) {
        for (line, address) in nameservers(&file.text(), false) {
            found.add_derived((file, Some(line)), "nameserver", address);
        }
    }
}

fn search_configuration(tree: &Tree, found: &mut Found) {
    let main = MAIN.iter().find_map(|path| tree.file(path)).map(|file| (file, None));
    // A main file further down is ignored, a drop-in with the name of one further up too.
    let files = main.into_iter().chain(overridden(tree, &DROP_INS));
    // Empty values: the setting, the number of addresses before it, and its file.
    let mut resets: Vec<(usize, usize, &str)> = Vec::new();
    let start = found.origins.len();
    let mut of: Vec<usize> = Vec::new();
    for (file, hidden_by) in files {
        let text = file.text();
        for Entry { line, section, key, value, continues } in entries(&text) {
            let Some(kind) = ["DNS", "FallbackDNS"].iter().position(|it| *it == key && section == "Resolve") else {
                continue;
            };
            if value.is_empty() && !continues && hidden_by.is_none() {
                resets.push((kind, of.len(), &file.path));
            }
            for address in addresses(value) {
                let persistence =
                    if file.path.starts_with("/run/") { Persistence::Runtime } else { Persistence::Stored };
                let steps = [first_step(file), "run `systemctl restart systemd-resolved`"];
                let setting = ["DNS=", "FallbackDNS="][kind];
                let origin = found.add((file, Some(line)), setting, address, persistence, &steps);
                note_hidden(origin, hidden_by);
                if kind == 1 && origin.note.is_none() {
                    origin.note = Some("used only while no other server is known".to_owned());
                }
                of.push(kind);
            }
        }
    }
    for (index, origin) in found.origins[start..].iter_mut().enumerate() {
        for (_, _, by) in resets.iter().filter(|(kind, before, _)| *kind == of[index] && index < *before) {
            if origin.persistence != Persistence::NoEffect {
                note_reset(origin, by);
            }
        }
    }
}

/// Notes on an address that a later empty assignment drops: until the next reboot if its file is in `/run`.
fn note_reset(origin: &mut Origin, by: &str) {
    if by.starts_with("/run/") && origin.persistence == Persistence::Stored {
        origin.note = Some(format!("an empty `{}` in {by} drops it until the next reboot", origin.setting));
        return;
    }
    origin.persistence = Persistence::NoEffect;
    origin.note = Some(format!("a later empty `{}` in {by} drops it", origin.setting));
    origin.steps.clear();
}
