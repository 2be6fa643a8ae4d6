//! The places in nodes' files that name an address, in sentences.

use std::collections::BTreeMap;

use super::names::some_of;
use super::observed::NodeOrigin;

/// The most places that are named for one address.
const PLACES_MAX: usize = 3;

/// Returns sentences on where an address comes from, by the files of nodes: the places that are worth a change first.
pub(super) fn sentences<'o>(address: &str, origins: impl Iterator<Item = (&'o str, &'o NodeOrigin)>) -> Vec<String> {
    let mut places: BTreeMap<(u8, &NodeOrigin), Vec<&str>> = BTreeMap::new();
    for (node, origin) in origins.filter(|(_, origin)| origin.address == address) {
        places.entry((rank(&origin.persistence), origin)).or_default().push(node);
    }
    let is_source = |(rank, _): &(u8, &NodeOrigin)| *rank < DERIVED;
    let has_source = places.keys().any(is_source);
    let shown = places.into_iter().filter(|(key, _)| is_source(key) || !has_source);
    shown.take(PLACES_MAX).map(|((_, origin), nodes)| sentence(origin, &nodes)).collect()
}

/// The rank of places that are written from others, or have no effect.
const DERIVED: u8 = 3;

fn rank(persistence: &str) -> u8 {
    match persistence {
        "stored" => 0,
        "leased" => 1,
        "derived" => DERIVED,
        "no-effect" => DERIVED + 1,
        _ => 2,
    }
}

fn sentence(origin: &NodeOrigin, nodes: &[&str]) -> String {
    let NodeOrigin { address, file, line, mechanism, in_use, persistence } = origin;
    let line = line.map(|line| format!(" line {line}")).unwrap_or_default();
    let after = match (persistence.as_str(), in_use) {
        ("stored", true) => ", and comes back after a reboot",
        ("stored", false) => ", is not in use now, and can come back after a reboot",
        ("leased", _) => ", and comes back after a reboot if the DHCP server still gives it",
        ("runtime", _) => ", and is gone after a reboot",
        ("derived", _) => ", which is written again from other places",
        ("no-effect", _) => ", which has no effect",
        _ => "",
    };
    format!("{address} comes from {file}{line} ({mechanism}) on {}{after}", some_of(nodes))
}
