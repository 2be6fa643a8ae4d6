//! A page of Markdown, written piece by piece, and the forms in which pages show releases, durations and effects. Must
//! not know where a page is shown.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use crate::resolver::{Effect, OptionFact, Resolver};

/// A text in the simple part of Markdown that a terminal can show too.
#[derive(Debug, Default)]
pub(super) struct Page(String);

// === impl Page ===

impl Page {
    pub(super) fn titled(title: impl Display) -> Self {
        Self(format!("# {title}\n"))
    }

    pub(super) fn heading(&mut self, text: impl Display) {
        self.write(format_args!("\n## {text}\n"));
    }

    pub(super) fn paragraph(&mut self, text: impl Display) {
        self.write(format_args!("\n{text}\n"));
    }

    pub(super) fn items(&mut self, items: impl IntoIterator<Item = impl Display>) {
        self.0.push('\n');
        for item in items {
            self.write(format_args!("- {item}\n"));
        }
    }

    /// Writes a table, or nothing if it has no rows.
    pub(super) fn table<R: AsRef<[String]>>(&mut self, header: &[&str], rows: impl IntoIterator<Item = R>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.0.push('\n');
        self.row(header);
        self.row(&vec!["---"; header.len()]);
        for row in rows {
            self.row(row.as_ref());
        }
    }

    fn row(&mut self, cells: &[impl AsRef<str>]) {
        let cells: Vec<_> = cells.iter().map(|cell| cell.as_ref().replace('|', "\\|")).collect();
        self.write(format_args!("| {} |\n", cells.join(" | ")));
    }

    /// Writes a file unchanged.
    pub(super) fn code(&mut self, language: &str, text: &str) {
        self.write(format_args!("\n```{language}\n{}\n```\n", text.trim_end()));
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

/// `2.5 s`.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// `glibc 2.36`, or `glibc` alone.
pub(super) fn resolver_name(resolver: Resolver) -> String {
    let Resolver { family, version, cgo: _ } = resolver;
    match version {
        Some(version) => format!("{} {}", family.name(), family.release_name(version)),
        None => family.name().to_owned(),
    }
}

/// Words as code, separated by commas.
pub(super) fn code_list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The word for an effect.
pub(super) const fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Honoured => "honoured",
        Effect::Ignored => "ignored",
        Effect::Sometimes => "depends",
    }
}

/// The releases that a row covers.
pub(super) fn releases(fact: &OptionFact) -> String {
    range(fact).unwrap_or_else(|| "all".to_owned())
}

/// The range of releases that a row covers; `None` for all.
pub(super) fn range(fact: &OptionFact) -> Option<String> {
    let name = |version| fact.family.release_name(version);
    match (fact.since, fact.until) {
        (None, None) => None,
        (Some(since), None) => Some(format!("from {}", name(since))),
        (None, Some(until)) => Some(format!("before {}", name(until))),
        (Some(since), Some(until)) => Some(format!("{} to before {}", name(since), name(until))),
    }
}
