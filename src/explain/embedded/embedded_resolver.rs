//! A resolver inside programs, and its page. Must not know any one of them.

use std::fmt;

use crate::documentation;
use crate::explain::page::{Page, code_list};
use crate::policy::Profile;

/// A resolver inside programs.
pub struct EmbeddedResolver {
    /// The name in `muslin explain` and in links.
    pub slug: &'static str,
    /// Other names by which people ask for it, in lower case.
    pub(in crate::explain) aliases: &'static [&'static str],
    /// The options of resolv.conf that it reads, and their meaning.
    pub(super) options: &'static [(&'static str, &'static str)],
    /// The treatment of all other options, as a clause without a subject.
    pub(super) others: &'static str,
    /// The resolver's own source file.
    pub(super) source: &'static str,
}

// === impl EmbeddedResolver ===

impl EmbeddedResolver {
    /// Returns the first line of the documentation, which is one sentence.
    pub(in crate::explain) fn summary(&self) -> &'static str {
        documentation::summary(self.source)
    }

    /// Returns the page, to which more can be added.
    pub(in crate::explain) fn page(&self) -> Page {
        let mut page = Page::titled(self.slug);
        page.paragraph(documentation::doc_comment(self.source).trim_end());
        page.heading("Options it reads");
        page.table(
            &["option", "meaning"],
            self.options.iter().map(|(name, meaning)| [format!("`{name}`"), (*meaning).to_owned()]),
        );
        page.paragraph(format_args!("{} {}.", self.slug, self.others));
        page.heading("Options of muslin's profiles that it reads");
        page.items(Profile::NAMES.into_iter().filter_map(|name| {
            let profile = Profile::builtin(name).ok()?;
            let mut read: Vec<&str> = profile.every_option().filter(|option| self.reads(option)).collect();
            read.sort_unstable();
            read.dedup();
            let read = if read.is_empty() { "none".to_owned() } else { code_list(read) };
            Some(format!("`{name}`: {read}"))
        }));
        page
    }

    /// Returns whether it reads an option `name[:value]`.
    pub(super) fn reads(&self, option: &str) -> bool {
        let name = option.split_once(':').map_or(option, |(name, _)| name);
        self.options.iter().any(|(read, _)| *read == name)
    }
}

impl fmt::Debug for EmbeddedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug)
    }
}

impl PartialEq for EmbeddedResolver {
    fn eq(&self, other: &Self) -> bool {
        self.slug == other.slug
    }
}

impl Eq for EmbeddedResolver {}
