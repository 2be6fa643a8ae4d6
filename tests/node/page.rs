//! The page `docs/proof-on-a-node.md` as a file: each of its sections is written by a test of its own. Must not know what they say.

use std::fs;

use anyhow::{Context as _, Result};

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/proof-on-a-node.md");

/// The headings of the sections, in their order on the page.
const SECTIONS: [&str; 4] = [LOST_PACKETS, SEARCH_LIST, NDOTS, WATCH];
pub(crate) const LOST_PACKETS: &str = "Lost packets";
pub(crate) const SEARCH_LIST: &str = "The search list";
pub(crate) const NDOTS: &str = "A lower ndots by evidence";
pub(crate) const WATCH: &str = "The watch";

const BEGINNING: &str = "# The proof, on a node

This page repeats the laboratory's [proof.md](proof.md) in a cluster of one node ([tests/node](../tests/node/node)), with its kubelet,
kube-proxy and CoreDNS. `cargo test --test node -- --ignored` (as root) writes it; tests in `scripts/test` do the same with less.
";

/// Writes the section of this heading. `text` stands after the heading, and the day of the measurement after it.
pub(crate) fn write_section(heading: &str, text: &str) -> Result<()> {
    let old = fs::read_to_string(PAGE).with_context(|| format!("reading {PAGE}"))?;
    fs::write(PAGE, with_section(&old, heading, text)).with_context(|| format!("writing {PAGE}"))
}

fn with_section(old: &str, heading: &str, text: &str) -> String {
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut page = BEGINNING.to_owned();
    for section in SECTIONS {
        let begins = format!("\n## {section}\n");
        if section == heading {
            page.extend([&begins, "\n", text.trim(), "\n\nMeasured on ", &today, ".\n"]);
        } else if let Some(start) = old.find(&begins) {
            let rest = &old[start..];
            let end = rest[begins.len()..].find("\n## ").map_or(rest.len(), |end| begins.len() + end);
            page.push_str(&rest[..end]);
        }
    }
    page
}
