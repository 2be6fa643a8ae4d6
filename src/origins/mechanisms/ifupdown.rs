//! ifupdown of Debian and Ubuntu to 17.04: `dns-nameservers` in interfaces(5), which resolvconf's, openresolv's and systemd-resolved's
//! scripts in `if-up.d` take, and commands that write a nameserver.
//!
//! Sources: interfaces(5) for comments (whole lines only), `\` at the end of a line, `source` and `source-directory`; resolvconf(8)
//! and `/etc/network/if-up.d/000resolvconf` for `dns-nameserver` and `dns-nameservers`; ifupdown 0.8.41's `if-up.d/resolved`.

use std::net::IpAddr;

use crate::origins::mechanism::{Found, Mechanism, first_step};
use crate::origins::text::{address, addresses, lines};
use crate::origins::tree::{NodeFile, Tree};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism =
    Mechanism { name: "ifupdown", files: &[&[MAIN]], programs: &["/sbin/ifup", "/usr/sbin/ifup"], further, search };

const MAIN: &str = "/etc/network/interfaces";
/// Options whose value is a command.
const COMMANDS: [&str; 6] = ["up", "post-up", "pre-up", "down", "post-down", "pre-down"];

/// One logical line's part: its number, the option's name and the text.
struct Part<'t> {
    line: usize,
    option: &'t str,
    value: &'t str,
}

/// Splits a text into options. A continued line keeps the option of the line that it continues.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut open: Option<&str> = None;
    for (line, text) in lines(text) {
        let text = text.trim();
        if open.is_none() && text.starts_with('#') {
            continue;
        }
        let (body, goes_on) = text.strip_suffix('\\').map_or((text, false), |body| (body, true));
        let (option, value) = match open {
            Some(option) => (option, body),
            None => body.split_once([' ', '\t']).unwrap_or((body, "")),
        };
        parts.push(Part { line, option, value: value.trim() });
        open = goes_on.then_some(option);
    }
    parts
}

fn further(tree: &Tree) -> Vec<String> {
    let mut patterns = Vec::new();
    for file in sources(tree) {
        let text = file.text();
        for Part { option, value, .. } in parts(&text) {
            let path = if value.starts_with('/') { value.to_owned() } else { format!("{}/{value}", file.folder()) };
            match option {
                "source" => patterns.push(path),
                // Names of letters, digits, `_` and `-` only; a few more do no harm.
                "source-directory" => patterns.push(format!("{}/*", path.trim_end_matches('/'))),
                _ => {}
            }
        }
    }
    patterns
}

/// Returns the main file and those that it includes.
fn sources(tree: &Tree) -> Vec<&NodeFile> {
    let mut files: Vec<&NodeFile> = tree.file(MAIN).into_iter().collect();
    let mut next = 0;
    while let Some(file) = files.get(next).copied() {
        next += 1;
        let text = file.text();
        for Part { option, value, .. } in parts(&text) {
            let path = if value.starts_with('/') { value.to_owned() } else { format!("{}/{value}", file.folder()) };
            let pattern = match option {
                "source" => path,
                "source-directory" => format!("{}/*", path.trim_end_matches('/')),
                _ => continue,
            };
            for included in tree.matching(&[&pattern]) {
                if !files.iter().any(|file| file.real == included.real) {
                    files.push(included);
                }
            }
        }
    }
    files
}

fn search(tree: &Tree, found: &mut Found) {
    for file in sources(tree) {
        let text = file.text();
        let mut interface = "";
        for Part { line, option, value } in parts(&text) {
            if option == "iface" {
                interface = value.split_ascii_whitespace().next().unwrap_or_default();
            }
            let named: Vec<IpAddr> = match option {
                "dns-nameservers" | "dns-nameserver" => addresses(value).collect(),
                _ if COMMANDS.contains(&option) => written_by(value),
                _ => continue,
            };
            let second = format!("run `ifdown {interface}; ifup {interface}`");
            for address in named {
                let steps = [first_step(file), &second];
                found.add((file, Some(line)), option, address, Persistence::Stored, &steps);
            }
        }
    }
}

/// Returns the addresses after `nameserver` in a command.
fn written_by(command: &str) -> Vec<IpAddr> {
    let mut words = command.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '\\'));
    let mut named = Vec::new();
    while let Some(word) = words.next() {
        if word == "nameserver" {
            named.extend(words.next().and_then(address));
        }
    }
    named
}
