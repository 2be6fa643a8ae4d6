//! The thing that a text names, of all that can be explained.

use std::fmt;

use super::option::option_name;
use super::{fault, image, option, resolver, rule};
use crate::image::{InvalidReference, Reason, Reference, publishers, suggest};
use crate::resolver::{Family, Resolver, Version, known_option, known_options};
use crate::rules::{RULES, Rule};
use crate::verdicts::{DIAGNOSES, Diagnosis};

/// What can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'t> {
    /// A rule, by its slug.
    Rule(&'static Rule),
    /// A verdict of `muslin probe`, by its slug.
    Verdict(&'static Diagnosis),
    /// One option of resolv.conf or more, as they were given, with or without values: `ndots`, `timeout:2 attempts:5`.
    Options(&'t str),
    /// A resolver, of one release or of any.
    Resolver(Resolver),
    /// An image reference, as it was given.
    Image(&'t str, Reference<'t>),
}

/// A text that names nothing that can be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownTopic {
    text: String,
    /// Why it is no image reference.
    invalid: Option<InvalidReference>,
    /// What it may have been meant to be, the most similar first.
    similar: Vec<&'static str>,
}

/// How similar a word must be to be proposed, between 0 and 1 (Jaro-Winkler): one or two slips in a word of this vocabulary.
const SIMILAR: f64 = 0.8;
/// How many words are proposed.
const PROPOSED_MAX: usize = 3;

/// Other names of resolvers.
const ALIASES: [(&str, Family); 4] =
    [("uclibc-ng", Family::Uclibc), ("cares", Family::CAres), ("libc-musl", Family::Musl), ("gnu libc", Family::Glibc)];

// === impl Topic ===

impl<'t> Topic<'t> {
    /// What a text names. Where it could be several things, it is a rule before a verdict, a verdict before an option, an option
    /// before a resolver, and a resolver before an image. A single word of which no publisher is known counts as a slip rather than as an image.
    ///
    /// # Errors
    /// It is nothing of these; the error proposes what is similar.
    pub fn find(text: &'t str) -> Result<Self, UnknownTopic> {
        let text = text.trim();
        if let Some(rule) = RULES.iter().find(|rule| rule.slug.eq_ignore_ascii_case(text)) {
            return Ok(Self::Rule(rule));
        }
        if let Some(diagnosis) = DIAGNOSES.iter().find(|diagnosis| diagnosis.slug.eq_ignore_ascii_case(text)) {
            return Ok(Self::Verdict(diagnosis));
        }
        let mut words = text.split_whitespace().map(option_name).peekable();
        if words.peek().is_some() && words.all(known_option) {
            return Ok(Self::Options(text));
        }
        if let Some(resolver) = read_resolver(text) {
            return Ok(Self::Resolver(resolver));
        }
        match Reference::parse(text) {
            Ok(reference) if !is_word(text) || suggest(&reference).reason != Reason::NoHint => {
                Ok(Self::Image(text, reference))
            }
            Ok(_) => Err(UnknownTopic::new(text, None)),
            Err(invalid) => Err(UnknownTopic::new(text, Some(invalid))),
        }
    }

    /// The page about it, in Markdown.
    pub fn markdown(&self) -> String {
        match *self {
            Self::Rule(rule) => rule::page(rule),
            Self::Verdict(diagnosis) => fault::page(diagnosis).into_text(),
            Self::Options(text) => option::page(text),
            Self::Resolver(resolver) => resolver::page(resolver),
            Self::Image(text, reference) => image::page(text, &reference),
        }
    }
}

/// A resolver as people and annotations write it: `musl`, `musl 1.2.3`, `musl-1.2.5-r11`, `go1.22`.
fn read_resolver(text: &str) -> Option<Resolver> {
    let text = text.to_ascii_lowercase();
    let named = Family::KNOWN.into_iter().chain([Family::Static, Family::Unknown]);
    // The longest name first, or `uclibc-ng` would be a `uclibc` of release `ng`.
    let names = ALIASES.into_iter().chain(named.map(|family| (family.name(), family)));
    names.filter_map(|(name, family)| Some((text.strip_prefix(name)?, family))).find_map(|(rest, family)| {
        if rest.is_empty() {
            return Some(family.unversioned());
        }
        let version = rest.strip_prefix(['-', ' ', '@']).unwrap_or(rest).trim_start_matches('v');
        version.parse::<Version>().ok().map(|version| family.at(version))
    })
}

/// Whether this could be a name of muslin's own vocabulary rather than a path to an image.
fn is_word(text: &str) -> bool {
    !text.contains(['/', ':', '@', '.'])
}

/// The words of the vocabulary that are most like this one, the most similar first.
fn similar(text: &str) -> Vec<&'static str> {
    let text = text.to_ascii_lowercase();
    let official = publishers::rows().filter(|(registry, _)| registry.is_none()).map(|(_, row)| row.name);
    let words = RULES.iter().map(|rule| rule.slug).chain(DIAGNOSES.iter().map(|diagnosis| diagnosis.slug));
    let words = words.chain(known_options()).chain(Family::KNOWN.map(Family::name)).chain(official);
    let mut found: Vec<(f64, &str)> =
        words.map(|word| (strsim::jaro_winkler(word, &text), word)).filter(|(score, _)| *score >= SIMILAR).collect();
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut words: Vec<_> = found.into_iter().map(|(_, word)| word).collect();
    words.dedup();
    words.truncate(PROPOSED_MAX);
    words
}

// === impl UnknownTopic ===

impl UnknownTopic {
    fn new(text: &str, invalid: Option<InvalidReference>) -> Self {
        Self { text: text.to_owned(), invalid, similar: similar(text) }
    }

    /// What it may have been meant to be, the most similar first.
    pub fn similar(&self) -> &[&'static str] {
        &self.similar
    }
}

impl fmt::Display for UnknownTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, invalid, similar } = self;
        match invalid {
            Some(invalid) => write!(f, "{invalid}; nor is it a rule, a verdict, an option or a resolver")?,
            None => write!(f, "`{text}` is no rule, verdict, option, resolver or image that muslin knows")?,
        }
        for (index, word) in similar.iter().enumerate() {
            write!(f, "{}`{word}`", if index == 0 { "; did you mean " } else { " or " })?;
        }
        f.write_str(if similar.is_empty() { "" } else { "?" })
    }
}
