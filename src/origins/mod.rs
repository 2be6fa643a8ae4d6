//! Finds where the nameservers of a node come from, in the files of the programs that write resolv.conf. A mechanism is one file in
//! `mechanisms/` and one line in its list: the files to read, and what they name. Works on files in memory; must not know how they
//! are read.

mod mechanism;
mod mechanisms;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod yaml;

use std::net::IpAddr;

use mechanism::Found;
use mechanisms::{MECHANISMS, pods_file};
use text::nameservers;

use crate::verdicts::nameserver_origins::{NameserverOrigins, Origin, Persistence, UnreadFile};

pub use tree::{NodeFile, Tree, name_matches};

/// Folders of programs; if none exists, the files are not those of a whole node.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/bin", "/usr/sbin"];

/// Returns patterns of the files to read first.
pub fn patterns() -> impl Iterator<Item = &'static str> {
    MECHANISMS.iter().flat_map(|mechanism| mechanism.files.iter().flat_map(|list| list.iter().copied()))
}

/// Returns the paths whose existence matters.
pub fn programs() -> impl Iterator<Item = &'static str> {
    MECHANISMS.iter().flat_map(|mechanism| mechanism.programs.iter().copied()).chain(PROGRAM_FOLDERS)
}

/// Returns patterns of files that the files read so far name.
pub fn further_patterns(tree: &Tree) -> Vec<String> {
    MECHANISMS.iter().flat_map(|mechanism| (mechanism.further)(tree)).collect()
}

/// Finds all places that name a nameserver.
pub fn find_origins(tree: &Tree, root: &str) -> NameserverOrigins {
    let mut all = NameserverOrigins { root: root.to_owned(), unread: tree.unread.clone(), ..Default::default() };
    let mut of_kubelet = Found::default();
    let (path, from) = pods_file(tree, &mut of_kubelet);
    let read = |path: &str| -> Vec<IpAddr> {
        let named = tree.file(path).map(|file| nameservers(&file.text(), false).map(|(_, address)| address).collect());
        named.unwrap_or_default()
    };
    all.nameservers = read(&path);
    let in_use: Vec<IpAddr> = all.nameservers.iter().copied().chain(read("/etc/resolv.conf")).collect();
    all.notes.append(&mut of_kubelet.notes);
    all.notes.extend(notes(tree, &path, &all.nameservers));
    (all.resolv_conf, all.resolv_conf_from) = (path, from);
    for mechanism in MECHANISMS {
        let mut found = Found { mechanism: mechanism.name, ..Found::default() };
        (mechanism.search)(tree, &mut found);
        let is_missing =
            tree.has_any(&PROGRAM_FOLDERS) && !mechanism.programs.is_empty() && !tree.has_any(mechanism.programs);
        for mut origin in found.origins {
            origin.in_use = origin.in_use.map(|_| in_use.contains(&origin.address));
            if is_missing && matches!(origin.persistence, Persistence::Stored | Persistence::Leased) {
                origin.persistence = Persistence::NoEffect;
                origin.note = Some(format!("{} is not installed", mechanism.name));
                origin.steps.clear();
            }
            all.origins.push(origin);
        }
        all.notes.append(&mut found.notes);
        add_unread(&mut all.unread, found.unread);
    }
    // The file behind the link /etc/resolv.conf is shown by that name alone.
    let real = |path: &str| tree.file(path).map(|file| file.real.as_str());
    let linked = real("/etc/resolv.conf");
    all.origins.retain(|origin| {
        let path = origin.place.file.as_str();
        origin.persistence != Persistence::Derived || path == "/etc/resolv.conf" || real(path) != linked
    });
    attribute(&mut all.origins);
    all
}

/// Marks lines of a resolv.conf without a head as written from another place that names the same address: Debian's dhclient-script
/// writes no head.
fn attribute(origins: &mut [Origin]) {
    for index in 0..origins.len() {
        let Origin { address, ref place, persistence: Persistence::Stored, .. } = origins[index] else { continue };
        if place.file != "/etc/resolv.conf" {
            continue;
        }
        let is_giver = |other: &&Origin| {
            other.address == address && other.is_source() && other.place.file != place.file && other.in_use.is_some()
        };
        if let Some(giver) = origins.iter().find(is_giver) {
            let note = format!("{} gives the same address", giver.mechanism);
            let origin = &mut origins[index];
            (origin.persistence, origin.note) = (Persistence::Derived, Some(note));
            origin.steps.clear();
        }
    }
}

fn add_unread(all: &mut Vec<UnreadFile>, found: Vec<UnreadFile>) {
    for unread in found {
        if !all.contains(&unread) {
            all.push(unread);
        }
    }
}

/// Returns what is odd about the file that pods inherit.
fn notes(tree: &Tree, path: &str, nameservers: &[IpAddr]) -> Vec<String> {
    let mut notes = Vec::new();
    if path.is_empty() {
        notes.push(
            "the kubelet's resolvConf is empty: pods with dnsPolicy Default get no nameserver of the node".to_owned(),
        );
    } else if tree.file(path).is_none() {
        notes.push(format!("{path}, which pods with dnsPolicy Default get, was not found"));
    }
    let loopback: Vec<String> =
        nameservers.iter().filter(|address| address.is_loopback()).map(ToString::to_string).collect();
    if !loopback.is_empty() {
        let resolved = if tree.file("/run/systemd/resolve/resolv.conf").is_some() {
            ": set the kubelet's resolvConf to /run/systemd/resolve/resolv.conf"
        } else {
            ": name a file with other nameservers in the kubelet's resolvConf"
        };
        notes.push(format!(
            "pods with dnsPolicy Default get {}, which is the pod itself there{resolved}, and restart CoreDNS",
            loopback.join(", ")
        ));
    }
    notes
}
