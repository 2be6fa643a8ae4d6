//! Nameservers in YAML and JSON, with their lines: netplan, cloud-init and Talos write them alike. Must not know which file is whose.

use std::net::IpAddr;

use super::mechanism::Found;
use super::text::{address, addresses};
use super::tree::NodeFile;
use crate::manifest::{Lines, Node, NodeKind, Stream};

/// The documents of one file.
pub(super) struct Yaml<'t> {
    lines: Lines<'t>,
    /// Each document, and the byte offset at which it begins.
    pub(super) documents: Vec<(usize, Node)>,
}

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
                Ok(node) => documents.push((document.file_span(0..0).start, node)),
                Err(error) => found.add_unread(file, format!("not YAML: line {}", error.at.line)),
            }
        }
        Self { lines: Lines::new(text), documents }
    }

    /// Returns the line of a value.
    pub(super) fn line(&self, start: usize, node: &Node) -> usize {
        self.lines.position(start + node.span.start).line
    }

    /// Returns all nameservers in a value, of these keys.
    pub(super) fn nameservers(&self, start: usize, node: &Node) -> Vec<Named> {
        let mut named = Vec::new();
        self.collect(start, node, &mut named);
        named
    }

    /// Netplan's `nameservers: {addresses: […]}`; cloud-init's `dns_nameservers`, `{type: nameserver, address: …}` and
    /// `resolv_conf: {nameservers: […]}`; Talos's `nameservers: […]` and `nameservers: [{address: …}]`.
    fn collect(&self, start: usize, node: &Node, named: &mut Vec<Named>) {
        match &node.kind {
            NodeKind::List(items) => items.iter().for_each(|item| self.collect(start, item, named)),
            NodeKind::Map(members) => {
                if node.get("type").and_then(Node::as_text) == Some("nameserver") {
                    self.scalars(start, node.get("address"), "address", named);
                }
                for member in members {
                    match member.key.as_str() {
                        "nameservers" if member.value.is_map() => {
                            self.scalars(start, member.value.get("addresses"), "nameservers", named);
                        }
                        "nameservers" => self.scalars(start, Some(&member.value), "nameservers", named),
                        "dns_nameservers" => self.scalars(start, Some(&member.value), "dns_nameservers", named),
                        _ => self.collect(start, &member.value, named),
                    }
                }
            }
            _ => {}
        }
    }

    fn scalars(&self, start: usize, node: Option<&Node>, key: &'static str, named: &mut Vec<Named>) {
        let Some(node) = node else { return };
        match &node.kind {
            NodeKind::Text(text) => {
                let line = self.line(start, node);
                named.extend(addresses(text).map(|address| Named { line, address, key }));
            }
            NodeKind::List(items) => items.iter().for_each(|item| self.scalars(start, Some(item), key, named)),
            NodeKind::Map(_) => self.scalars(start, node.get("address"), key, named),
            _ => {}
        }
    }

    /// Returns the addresses of a list, with their lines.
    pub(super) fn list(&self, start: usize, node: &Node) -> Vec<(usize, IpAddr)> {
        let items = node.as_list().unwrap_or_default().iter();
        items.filter_map(|item| Some((self.line(start, item), address(item.as_text()?)?))).collect()
    }
}
