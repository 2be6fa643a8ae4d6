//! Trees of files as distributions lay them out, and what is found in them.

mod debian_and_ubuntu;
mod formats;
mod other_systems;
mod red_hat_and_amazon;

use super::*;
use crate::verdicts::nameserver_origins::Origin;

/// Makes a tree. A path is `PATH`, or `PATH -> REAL` for a link.
fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        let (path, real) = path.split_once(" -> ").unwrap_or((path, path));
        tree.add(NodeFile { path: path.to_owned(), real: real.to_owned(), bytes: text.as_bytes().to_vec() });
    }
    tree
}

fn find(files: &[(&str, &str)]) -> NameserverOrigins {
    find_origins(&tree(files), "/host")
}

/// Returns `ADDRESS FILE:LINE MECHANISM, STATE` for each origin, and `, in use`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    find(files).origins.iter().map(line).collect()
}

fn line(origin: &Origin) -> String {
    let Origin { address, place, mechanism, persistence, in_use, .. } = origin;
    let number = place.line.map(|line| format!(":{line}")).unwrap_or_default();
    let in_use = if *in_use == Some(true) { ", in use" } else { "" };
    format!("{address} {}{number} {mechanism}, {persistence:?}{in_use}", place.file)
}

/// Returns the sentences about an address.
fn advice(files: &[(&str, &str)], address: &str) -> Vec<String> {
    let address: IpAddr = address.parse().unwrap();
    find(files).of(address).iter().filter(|origin| origin.is_source()).map(ToString::to_string).collect()
}

#[test]
fn every_mechanism_has_its_own_name_and_its_source_in_its_head() {
    let mut names: Vec<&str> = MECHANISMS.iter().map(|mechanism| mechanism.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MECHANISMS.len());
    assert!(MECHANISMS.iter().all(|mechanism| !mechanism.files.is_empty()));
}

#[test]
fn an_empty_tree_has_no_origins() {
    let found = find(&[]);
    assert!(found.origins.is_empty() && found.nameservers.is_empty());
    assert_eq!(found.notes, ["/etc/resolv.conf, which pods with dnsPolicy Default get, was not found"]);
}
