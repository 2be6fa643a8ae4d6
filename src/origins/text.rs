//! Readers of the line formats that configuration files share: addresses, resolv.conf, sections with keys, and shell assignments.
//! Must not know which file has which format.

use std::net::IpAddr;

/// One line of a value, with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    /// The line, from 1.
    pub(super) line: usize,
    /// The section in brackets, or nothing.
    pub(super) section: &'t str,
    pub(super) key: &'t str,
    pub(super) value: &'t str,
    /// The line continues the value of the line before.
    pub(super) continues: bool,
}

/// Returns the address in a word, without port, interface, server name, scheme and quotes.
///
/// resolved.conf(5): `111.222.333.444:9953%ifname#example.com`, `[1111:2222::3333]:9953%ifname#example.com`.
/// nm-settings(5), `ipv4.dns`: the same, and `dns+tls://ADDRESS#NAME`.
pub(super) fn address(word: &str) -> Option<IpAddr> {
    let word = word.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';'));
    let word = word.split_once("://").map_or(word, |(_, rest)| rest);
    let word = word.split(['#', '%']).next().unwrap_or_default();
    if let Some(rest) = word.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    let plain = word.parse().ok();
    plain
        .or_else(|| word.split_once(':').and_then(|(address, port)| port.parse::<u16>().ok().and(address.parse().ok())))
}

/// Returns the addresses of a text, separated by white space, commas or semicolons. Other words are left out.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = IpAddr> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).filter_map(address)
}

/// Returns the lines of a text with their numbers.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Returns the nameservers of a resolv.conf and their lines. glibc and musl want the word at the start of the line; resolvconf
/// also takes it after white space (its `update.d/libc`).
pub(super) fn nameservers(text: &str, indented: bool) -> impl Iterator<Item = (usize, IpAddr)> {
    lines(text).filter_map(move |(number, line)| {
        let line = if indented { line.trim_start() } else { line };
        let rest = line.strip_prefix("nameserver").filter(|rest| rest.starts_with([' ', '\t']))?;
        Some((number, address(rest.split_ascii_whitespace().next()?)?))
    })
}

/// Returns the entries of a file with sections, as systemd.syntax(7) and GLib's key files have them: comments are whole lines that
/// begin with `#` or `;`, and a backslash at the end of a line continues it, over comments too.
pub(super) fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let (mut section, mut open): (&str, Option<&str>) = ("", None);
    for (line, text) in lines(text) {
        let text = text.trim();
        if text.starts_with(['#', ';']) {
            continue;
        }
        let (body, goes_on) = text.strip_suffix('\\').map_or((text, false), |body| (body.trim_end(), true));
        if let Some(key) = open {
            entries.push(Entry { line, section, key, value: body, continues: true });
            open = goes_on.then_some(key);
        } else if let Some(name) = body.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, value)) = body.split_once('=') {
            let key = key.trim();
            entries.push(Entry { line, section, key, value: value.trim(), continues: false });
            open = goes_on.then_some(key);
        }
    }
    entries
}

/// Returns the assignments of a file that a shell reads: `KEY=value`, `KEY='value'`, `KEY="several lines"`.
pub(super) fn assignments(text: &str) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let mut open: Option<(&str, char)> = None;
    for (line, text) in lines(text) {
        if let Some((key, quote)) = open {
            let (value, is_closed) = text.split_once(quote).map_or((text, false), |(value, _)| (value, true));
            entries.push(Entry { line, section: "", key, value: value.trim_end_matches('\\'), continues: true });
            open = (!is_closed).then_some((key, quote));
            continue;
        }
        let text = text.trim();
        let text = text.strip_prefix("export ").unwrap_or(text);
        let Some((key, value)) = text.split_once('=') else { continue };
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, opened) = match quote {
            Some(quote) => match value[1..].split_once(quote) {
                Some((value, _)) => (value, None),
                None => (value[1..].trim_end_matches('\\'), Some((key, quote))),
            },
            None => (value.split([' ', '\t', ';', '#']).next().unwrap_or_default(), None),
        };
        entries.push(Entry { line, section: "", key, value, continues: false });
        open = opened;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_every_spelling() {
        for (word, is) in [
            ("10.0.0.2", Some("10.0.0.2")),
            ("10.0.0.2:9953%eth0#dns.example.com", Some("10.0.0.2")),
            ("[fd00::2]:9953%eth0#dns.example.com", Some("fd00::2")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("dns+tls://10.0.0.2#name", Some("10.0.0.2")),
            ("\"10.0.0.2\",", Some("10.0.0.2")),
            ("example.com", None),
            ("10.0.0", None),
            ("", None),
        ] {
            assert_eq!(address(word), is.map(|is| is.parse().unwrap()), "{word}");
        }
    }

    #[test]
    fn a_comment_names_no_nameserver() {
        let text = "# nameserver 10.0.0.1\n;nameserver 10.0.0.2\nnameserver\t10.0.0.3 # x\n nameserver 10.0.0.4\nnameservers 10.0.0.5\n";
        assert_eq!(nameservers(text, false).collect::<Vec<_>>(), [(3, "10.0.0.3".parse().unwrap())]);
        assert_eq!(nameservers(text, true).count(), 2);
    }

    #[test]
    fn reads_sections_comments_and_continued_lines() {
        let text = "[Resolve]\n#DNS=10.0.0.1\n; DNS=10.0.0.2\nDNS = 10.0.0.3 \\\n# between\n 10.0.0.4\n[Other]\nDNS=10.0.0.5\n";
        let found: Vec<_> =
            entries(text).iter().map(|it| (it.line, it.section, it.key, it.value, it.continues)).collect();
        assert_eq!(
            found,
            [
                (4, "Resolve", "DNS", "10.0.0.3", false),
                (6, "Resolve", "DNS", "10.0.0.4", true),
                (8, "Other", "DNS", "10.0.0.5", false)
            ]
        );
    }

    #[test]
    fn reads_what_a_shell_assigns() {
        let text =
            "#DNS1=10.0.0.1\nDNS1=\"10.0.0.2\"\nDNS2=10.0.0.3 # second\nexport A='x\n10.0.0.4'\nif [ a = b ]; then\n";
        let found: Vec<_> = assignments(text).iter().map(|it| (it.line, it.key, it.value)).collect();
        assert_eq!(found, [(2, "DNS1", "10.0.0.2"), (3, "DNS2", "10.0.0.3"), (4, "A", "x"), (5, "A", "10.0.0.4")]);
    }

    #[test]
    fn no_text_makes_a_parser_panic() {
        for text in ["\0\u{fffd}=\\", "=\n[\n]\\\n\\", "A=\"", "A='\u{e9}", "nameserver", "[x]\nDNS=\\"] {
            let _ = (entries(text), assignments(text), nameservers(text, true).count(), addresses(text).count());
        }
    }
}
