//! The page about a rule: the documentation in its own file.

use super::page::Page;
use crate::policy::Level;
use crate::rules::Rule;

pub(super) fn page(rule: &Rule) -> String {
    page_start(rule).into_text()
}

/// Starts the page, to which more can be added.
pub(super) fn page_start(rule: &Rule) -> Page {
    let mut page = Page::titled(format_args!("`{}`", rule.slug));
    page.paragraph(rule.documentation().trim_end());
    page.heading("Level");
    page.paragraph(format_args!("{}: {}", rule.level, level_meaning(rule.level)));
    page
}

fn level_meaning(level: Level) -> &'static str {
    match level {
        Level::Deny => "lookups fail.",
        Level::Warn => "lookups are slower, or fail more often, than necessary.",
        Level::Info => "good to know; no action needed.",
    }
}
