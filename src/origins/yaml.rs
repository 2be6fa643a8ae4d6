//! Nameservers in YAML and JSON, with their lines: netplan, cloud-init and Talos write them alike. Must not know which file is whose.

use std::net::IpAddr;

use super::mechanism::Found;
use super::text::{address, addresses};
use super::tree::NodeFile;
use crate::manifest::{self, Lines, Node, Stream};

/// The documents of one file.
pub(super) struct Yaml<'t> {
    lines: Lines<'t>,
    /// Each document, and the byte offset at which it begins.
    documents: Vec<(usize, manifest::Tree<'t>)>,
}

/// Deepest nesting that is searched: these files have a few levels, and the file decides how many.
const DEPTH_MAX: usize = 32;

/// A nameserver in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) line: usize,
    pub(super) address: IpAddr,
    /// The key above it.
    pub(super) key: &'static str,
}

// === impl Yaml ===

impl<'t> Yaml<'t> {
    /// Parses a text. A document that is not YAML is noted and left out.
    pub(super) fn parse(file: &NodeFile, text: &'t str, found: &mut Found) -> Self {
        let mut documents = Vec::new();
        for document in Stream::new(text).documents {
            match document.parse() {
                Ok(tree) => documents.push((document.file_span(0..0).start, tree)),
                Err(error) => found.add_unread(file, format!("not YAML: line {}", error.at.line)),
            }
        }
        Self { lines: Lines::new(text), documents }
    }

    /// Returns each document, and the byte offset at which it begins.
    pub(super) fn documents(&self) -> impl Iterator<Item = (usize, Node<'_>)> {
        self.documents.iter().map(|(start, tree)| (*start, tree.root()))
    }

    /// Returns the line of a value.
    pub(super) fn line(&self, start: usize, node: Node<'_>) -> usize {
        self.lines.position(start + node.span().start).line
    }

    /// Returns all nameservers in a value, of these keys.
    pub(super) fn nameservers(&self, start: usize, node: Node<'_>) -> Vec<Named> {
        let mut named = Vec::new();
        self.collect(start, node, DEPTH_MAX, &mut named);
        named
    }

    /// Netplan's `nameservers: {addresses: […]}`; cloud-init's `dns_nameservers`, `{type: nameserver, address: …}` and
    /// `resolv_conf: {nameservers: […]}`; Talos's `nameservers: […]` and `nameservers: [{address: …}]`.
    fn collect(&self, start: usize, node: Node<'_>, depth: usize, named: &mut Vec<Named>) {
        let Some(depth) = depth.checked_sub(1) else { return };
        node.items().for_each(|item| self.collect(start, item, depth, named));
        if node.get("type").and_then(Node::as_text) == Some("nameserver") {
            self.scalars(start, node.get("address"), "address", depth, named);
        }
        for (key, value) in node.members() {
            match key {
                "nameservers" if value.is_map() => {
                    self.scalars(start, value.get("addresses"), "nameservers", depth, named);
                }
                "nameservers" => self.scalars(start, Some(value), "nameservers", depth, named),
                "dns_nameservers" => self.scalars(start, Some(value), "dns_nameservers", depth, named),
                _ => self.collect(start, value, depth, named),
            }
        }
    }

    fn scalars(&self, start: usize, node: Option<Node<'_>>, key: &'static str, depth: usize, named: &mut Vec<Named>) {
        let (Some(node), Some(depth)) = (node, depth.checked_sub(1)) else { return };
        let line = self.line(start, node);
        let texts = node.as_text().into_iter().flat_map(addresses);
        named.extend(texts.map(|address| Named { line, address, key }));
        node.items().for_each(|item| self.scalars(start, Some(item), key, depth, named));
        if node.is_map() {
            self.scalars(start, node.get("address"), key, depth, named);
        }
    }

    /// Returns the addresses of a list, with their lines.
    pub(super) fn list(&self, start: usize, node: Node<'_>) -> Vec<(usize, IpAddr)> {
        node.items().filter_map(|item| Some((self.line(start, item), address(item.as_text()?)?))).collect()
    }
}
