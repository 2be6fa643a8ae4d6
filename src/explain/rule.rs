//! The page about a rule: what its own file says of it.

use super::page::Page;
use crate::policy::Level;
use crate::rules::Rule;

pub(super) fn page(rule: &Rule) -> String {
    begun(rule).into_text()
}

/// The page, to which more can be added.
pub(super) fn begun(rule: &Rule) -> Page {
    let mut page = Page::titled(format_args!("`{}`", rule.slug));
    page.paragraph(rule.documentation().trim_end());
    page.heading("Level");
    page.paragraph(format_args!("{}: {}", rule.level, meaning(rule.level)));
    page
}

fn meaning(level: Level) -> &'static str {
    match level {
        Level::Deny => "lookups fail.",
        Level::Warn => "lookups are slower, or fail more often, than they need.",
        Level::Info => "worth knowing; nothing has to be done.",
    }
}
