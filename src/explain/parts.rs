//! The generated parts of pages that people write: tables between two comment lines. Must not know of files.

use super::event_reason::reasons;
use super::key::KEYS;
use super::page::{Page, code_list};
use crate::plan::CACHE_RISKS;
use crate::rules::{EventReason, RULES, Rule};

/// A generated part of a page of `docs/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedPart {
    /// The page's path from `docs`, such as `events.md`.
    pub page: &'static str,
    name: &'static str,
    text: String,
}

/// Returns every generated part.
pub fn parts() -> Vec<GeneratedPart> {
    vec![
        GeneratedPart { page: "contract.md", name: "the labels and annotations", text: keys() },
        GeneratedPart { page: "contract.md", name: "the reasons of Events in short", text: reason_names() },
        GeneratedPart { page: "events.md", name: "the reasons of Events", text: event_reasons() },
        GeneratedPart { page: "policy.md", name: "the rules of acceptRisk", text: risks() },
        GeneratedPart { page: "policy.md", name: "the risks of a cache on the node", text: cache_risks() },
    ]
}

// === impl GeneratedPart ===

impl GeneratedPart {
    /// The part of this name, whose text stands between two empty lines.
    pub fn new(page: &'static str, name: &'static str, text: impl AsRef<str>) -> Self {
        Self { page, name, text: format!("\n{}\n", text.as_ref().trim()) }
    }

    /// Returns the page with this part written anew; `None` where the page lacks the two comment lines that enclose the part.
    pub fn fill(&self, page: &str) -> Option<String> {
        let Self { page: _, name, text } = self;
        let begin = format!("<!-- {name}, made by `muslin docs` -->\n");
        let end = "<!-- end -->\n";
        let (before, rest) = page.split_once(&begin)?;
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}{text}\n{end}{after}"))
    }
}

fn keys() -> String {
    let mut page = Page::default();
    page.table(
        &["key", "who writes it, and where", "value"],
        KEYS.iter().map(|key| [format!("`{}`", key.name), key.written.to_owned(), key.meaning.to_owned()]),
    );
    page.into_text()
}

fn reason_names() -> String {
    let mut page = Page::default();
    page.paragraph(code_list(reasons().map(|(reason, _)| reason)));
    page.into_text()
}

fn event_reasons() -> String {
    let mut page = Page::default();
    page.table(
        &["reason", "reports", "rules"],
        EventReason::ALL.map(|reason| {
            let rules = slugs(|rule| rule.reason == reason);
            [format!("`{reason}`"), reason.about().to_owned(), code_list(rules)]
        }),
    );
    page.into_text()
}

fn risks() -> String {
    let mut page = Page::default();
    page.items([code_list(slugs(|rule| rule.can_break_names))]);
    page.into_text()
}

fn cache_risks() -> String {
    let mut page = Page::default();
    page.table(
        &["risk", "the problem", "source"],
        CACHE_RISKS.iter().map(|risk| [format!("`{}`", risk.slug), risk.about.to_owned(), risk.source.to_owned()]),
    );
    page.into_text()
}

fn slugs(wanted: impl Fn(&Rule) -> bool) -> Vec<&'static str> {
    let mut slugs: Vec<&str> = RULES.iter().filter(|rule| wanted(rule)).map(|rule| rule.slug).collect();
    slugs.sort_unstable();
    slugs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_stands_between_the_two_lines() {
        let part = GeneratedPart { page: "events.md", name: "a list", text: "\nnew\n".to_owned() };
        let page = "before\n<!-- a list, made by `muslin docs` -->\n\nold\n\n<!-- end -->\nafter\n";
        assert_eq!(part.fill(page), Some(page.replace("old", "new")));
        assert_eq!(part.fill("before\n"), None);
    }
}
