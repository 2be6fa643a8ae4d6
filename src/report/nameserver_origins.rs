//! The part of a probe's report on where the node's nameservers come from, for people and as JSON. Must not know how they were found.

use schemars::JsonSchema;
use serde::Serialize;

use super::schema_version::SchemaVersion;
use crate::text::{Block, Line};
use crate::verdicts::nameserver_origins::{NameserverOrigins, Origin, UnreadFile};

/// Characters of a line.
const WIDTH: usize = 80;

/// Writes one paragraph with a hanging indent.
fn write_wrapped(text: &mut Block, indent: usize, sentence: &str) {
    let (first, rest) = (" ".repeat(indent), " ".repeat(indent + 2));
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(&first)
        .subsequent_indent(&rest)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    for line in textwrap::wrap(&Line::new(sentence.to_owned()), options) {
        text.push_line(line.into_owned());
    }
}

/// Returns the section for people.
pub fn human_origins(origins: &NameserverOrigins) -> Block {
    let NameserverOrigins { root, resolv_conf, resolv_conf_from, nameservers, origins: _, notes, unread } = origins;
    let mut text = Block::default();
    let from = resolv_conf_from.as_ref().map_or_else(|| "the kubelet's default".to_owned(), ToString::to_string);
    write_wrapped(&mut text, 0, &format!("Nameservers of the node, and where they come from (files below {root}):"));
    let named: Vec<String> = nameservers.iter().map(ToString::to_string).collect();
    let named = if named.is_empty() { "no nameserver".to_owned() } else { named.join(", ") };
    if !resolv_conf.is_empty() {
        let sentence = format!("pods with dnsPolicy Default, CoreDNS among them, get {resolv_conf} ({from}): {named}");
        write_wrapped(&mut text, 2, &sentence);
    }
    for note in notes {
        write_wrapped(&mut text, 2, &format!("note: {note}"));
    }
    for address in origins.addresses() {
        write_wrapped(&mut text, 0, &format!("nameserver {address}"));
        let of = origins.of(address);
        for origin in &of {
            write_origin(&mut text, origin);
        }
        if !of.iter().any(|origin| origin.is_source()) {
            write_wrapped(&mut text, 2, "none of the files that were read is its source");
        }
    }
    if origins.origins.iter().any(Origin::is_source) {
        let sentence = "After a change, restart CoreDNS: its pods keep the nameservers that the node had when they were created \
                        (`kubectl -n kube-system rollout restart deployment coredns`).";
        write_wrapped(&mut text, 0, sentence);
    }
    for UnreadFile { file, because } in unread {
        write_wrapped(&mut text, 0, &format!("not read: {file}: {because}"));
    }
    text
}

fn write_origin(text: &mut Block, origin: &Origin) {
    let Origin { address: _, place, mechanism, setting, persistence: _, in_use: _, note, steps } = origin;
    let note = note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    write_wrapped(text, 2, &format!("{place} ({mechanism}, {setting}): {}{note}", origin.after_a_reboot()));
    if !steps.is_empty() {
        write_wrapped(text, 4, &format!("to remove it: {}", steps.join(", then ")));
    }
}

/// The output of `muslin probe --origins-only -o json`: the places of a node's nameservers, where the document of a whole probe has them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OriginsDocument<'o> {
    #[serde(rename = "schemaVersion")]
    version: SchemaVersion<1>,
    /// The machine.
    surroundings: Surroundings<'o>,
}

/// The machine.
#[derive(Debug, Serialize, JsonSchema)]
struct Surroundings<'o> {
    /// The places that name the node's nameservers.
    nameserver_origins: &'o NameserverOrigins,
}

/// Returns a JSON document with the origins where the document of a whole probe has them.
pub fn json_origins(origins: &NameserverOrigins) -> Block {
    Block::indented_json(&OriginsDocument {
        version: SchemaVersion,
        surroundings: Surroundings { nameserver_origins: origins },
    })
}
