//! ISC's dhclient: statements in its configuration, and the last lease of each interface.
//!
//! Sources: dhclient.conf(5), `default`, `supersede`, `prepend` and `append`, comments; dhclient.leases(5): leases are appended, the
//! last one of an interface counts; dhcp-options(5), `domain-name-servers` and `dhcp6.name-servers`. Paths: Debian's and Ubuntu's
//! `/etc/dhcp`, `/var/lib/dhcp`; RHEL's and Amazon Linux 2's `/var/lib/dhclient`; NetworkManager with `dhcp=dhclient`.

use std::collections::BTreeMap;

use crate::origins::mechanism::{Found, Mechanism, THERE, no_further};
use crate::origins::text::address;
use crate::origins::tree::{NodeFile, Tree};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "dhclient",
    files: &[&CONFIGURATION, &LEASES],
    programs: &["/sbin/dhclient", "/usr/sbin/dhclient"],
    further: no_further,
    search,
};

const CONFIGURATION: [&str; 3] = ["/etc/dhcp/dhclient*.conf", "/etc/dhclient*.conf", "/etc/dhcp3/dhclient*.conf"];
const LEASES: [&str; 6] = [
    "/var/lib/dhcp/*.leases",
    "/var/lib/dhcp/*.lease",
    "/var/lib/dhcp3/*.leases",
    "/var/lib/dhclient/*.leases",
    "/var/lib/dhclient/*.lease",
    "/var/lib/NetworkManager/dhclient*.lease",
];
const OPTIONS: [&str; 2] = ["domain-name-servers", "dhcp6.name-servers"];

/// One statement, or the head of a block.
#[derive(Debug, Default)]
struct Statement<'t> {
    words: Vec<(usize, &'t str)>,
    /// A block begins after it.
    opens: bool,
    /// A block ends after it.
    closes: bool,
}

/// Splits a text at `;`, `{` and `}`, without comments.
fn statements(text: &str) -> Vec<Statement<'_>> {
    let (mut statements, mut now) = (Vec::new(), Statement::default());
    for (index, line) in text.lines().enumerate() {
        let mut rest = without_comment(line);
        while let Some(at) = rest.find([';', '{', '}']) {
            now.words.extend(words(&rest[..at]).map(|word| (index + 1, word)));
            now.opens = rest[at..].starts_with('{');
            now.closes = rest[at..].starts_with('}');
            statements.push(std::mem::take(&mut now));
            rest = &rest[at + 1..];
        }
        now.words.extend(words(rest).map(|word| (index + 1, word)));
    }
    statements
}

/// Returns the line up to a `#` outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|c| {
        quoted ^= c == '"';
        c == '#' && !quoted
    });
    &line[..end.unwrap_or(line.len())]
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty())
}

fn search(tree: &Tree, found: &mut Found) {
    for file in tree.matching(&CONFIGURATION) {
        search_configuration(file, found);
    }
    for file in tree.matching(&LEASES) {
        search_leases(file, found);
    }
}

fn search_configuration(file: &NodeFile, found: &mut Found) {
    let text = file.text();
    for Statement { words, .. } in statements(&text) {
        let [(_, kind @ ("supersede" | "prepend" | "append" | "default")), (_, option), values @ ..] = &*words else {
            continue;
        };
        for (line, word) in values.iter().filter(|_| OPTIONS.contains(option)) {
            let Some(address) = address(word) else { continue };
            let steps = [THERE, "start the interface's DHCP client again, or reboot"];
            let origin =
                found.add((file, Some(*line)), &format!("{kind} {option}"), address, Persistence::Stored, &steps);
            if *kind == "default" {
                origin.note = Some("used only where the DHCP server gives none".to_owned());
            }
        }
    }
}

fn search_leases(file: &NodeFile, found: &mut Found) {
    let text = file.text();
    // The last lease of each interface, by its name; `option` statements of one lease.
    let mut last: BTreeMap<&str, Vec<(usize, &str, &str)>> = BTreeMap::new();
    let (mut depth, mut interface, mut named) = (0_usize, "", Vec::new());
    for Statement { words, opens, closes } in statements(&text) {
        match &*words {
            [(_, "interface"), (_, name), ..] if !opens => interface = name,
            [(_, "option"), (_, option), values @ ..] if OPTIONS.contains(option) => {
                named.extend(values.iter().map(|(line, word)| (*line, *option, *word)));
            }
            _ => {}
        }
        if opens {
            depth += 1;
        }
        if closes {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                last.insert(std::mem::take(&mut interface), std::mem::take(&mut named));
            }
        }
    }
    for (line, option, word) in last.into_values().flatten() {
        let Some(address) = address(word) else { continue };
        let steps = ["change the DHCP server's option, or add `supersede domain-name-servers …;` to dhclient.conf"];
        found.add((file, Some(line)), option, address, Persistence::Leased, &steps);
    }
}
