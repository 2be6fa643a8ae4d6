//! The topic that a text names: a rule, a verdict, an option, a resolver, a profile, a mode, an Event's reason, an alert, a key or an image.

use std::fmt;

use super::alert::{ALERTS, Alert};
use super::embedded::{EMBEDDED, EmbeddedResolver};
use super::key::{self, KEYS, Key};
use super::option::option_name;
use super::{event_reason, image, mode, option, profile, resolver, rule, verdict};
use crate::image::{InvalidReference, Reason, Reference, publishers, suggest};
use crate::plan::CACHE_RISKS;
use crate::policy::{Mode, Profile};
use crate::resolver::{Family, Resolver, Version, known_option, known_options};
use crate::rules::{RULES, Rule};
use crate::verdicts::{DIAGNOSES, Diagnosis};

/// A topic that can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'t> {
    /// A rule, by its slug.
    Rule(&'static Rule),
    /// A verdict of a probe, by its slug.
    Verdict(&'static Diagnosis),
    /// One or more options of resolv.conf as given, with or without values: `ndots`, `timeout:2 attempts:5`.
    Options(&'t str),
    /// A resolver, of one release or of any.
    Resolver(Resolver),
    /// A resolver inside programs that muslin does not model.
    Embedded(&'static EmbeddedResolver),
    /// A built-in profile, by its name.
    Profile(&'static str),
    /// A mode of a namespace.
    Mode(Mode),
    /// The reason of an Event, by its name.
    EventReason(&'static str),
    /// An alert of muslin's manifests.
    Alert(&'static Alert),
    /// A label or an annotation of muslin.
    Key(&'static Key),
    /// A resolver with c-ares beside it, with the text as given: `glibc-2.36+c-ares`.
    BesideCAres(&'t str, Resolver),
    /// An image reference, with the text as given.
    Image(&'t str, Reference<'t>),
}

/// A text that names no topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownTopic {
    text: String,
    /// The reason why the text is not an image reference.
    invalid: Option<InvalidReference>,
    /// Similar words, the most similar first.
    similar: Vec<&'static str>,
}

/// The similarity from which a word is proposed, between 0 and 1 (Jaro-Winkler): one or two typos in a word of this
/// vocabulary.
const SIMILAR: f64 = 0.8;
/// The prefix of every key, which no image has.
const KEY_PREFIX: &str = "muslin.dev/";
/// The number of words proposed at most.
const PROPOSED_MAX: usize = 3;

// === impl Topic ===

impl<'t> Topic<'t> {
    /// Returns the topic that a text names. If it fits several, the order is rule, verdict, option, resolver, profile, mode,
    /// Event's reason, alert, key, image. A risk of a cache on the node is explained on the page of `node-local`. A single word without a known
    /// publisher counts as a typo, not as an image. `profile NAME` and `mode NAME` are the profile and the mode even where another topic
    /// has that name.
    ///
    /// # Errors
    /// The text fits none of them; the error proposes similar words.
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
        if let Some(resolver) = beside_c_ares(text) {
            return Ok(Self::BesideCAres(text, resolver));
        }
        if let Some(resolver) = parse_resolver(text) {
            return Ok(Self::Resolver(resolver));
        }
        if let Some(embedded) = EmbeddedResolver::named(text) {
            return Ok(Self::Embedded(embedded));
        }
        let name = text.strip_prefix("profile ").map_or(text, str::trim_start);
        if let Some(name) = Profile::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(Self::Profile(name));
        }
        let name = text.strip_prefix("mode ").map_or(text, str::trim_start);
        if let Some(mode) = Mode::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(name)) {
            return Ok(Self::Mode(mode));
        }
        if let Some((reason, _)) = event_reason::reasons().find(|(reason, _)| reason.eq_ignore_ascii_case(text)) {
            return Ok(Self::EventReason(reason));
        }
        if let Some(alert) = ALERTS.iter().find(|alert| alert.name.eq_ignore_ascii_case(text)) {
            return Ok(Self::Alert(alert));
        }
        if CACHE_RISKS.iter().any(|risk| risk.slug.eq_ignore_ascii_case(text)) {
            return Ok(Self::Profile("node-local"));
        }
        if let Some(key) = KEYS.iter().find(|key| key.name.eq_ignore_ascii_case(text)) {
            return Ok(Self::Key(key));
        }
        if text.starts_with(KEY_PREFIX) {
            return Err(UnknownTopic::new(text, None));
        }
        match Reference::parse(text) {
            Ok(reference) if !is_word(text) || suggest(&reference).reason != Reason::NoHint => {
                Ok(Self::Image(text, reference))
            }
            Ok(_) => Err(UnknownTopic::new(text, None)),
            Err(invalid) => Err(UnknownTopic::new(text, Some(invalid))),
        }
    }

    /// Returns the kind of topic in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rule(_) => "rule",
            Self::Verdict(_) => "verdict",
            Self::Options(_) => "options",
            Self::Resolver(_) => "resolver",
            Self::Embedded(_) => "embedded-resolver",
            Self::Profile(_) => "profile",
            Self::Mode(_) => "mode",
            Self::EventReason(_) => "event-reason",
            Self::Alert(_) => "alert",
            Self::Key(_) => "key",
            Self::BesideCAres(..) => "resolver-beside-c-ares",
            Self::Image(..) => "image",
        }
    }

    /// Returns the topic's name: that of muslin's vocabulary, or an option or image as given.
    pub fn name(&self) -> String {
        match *self {
            Self::Rule(rule) => rule.slug.to_owned(),
            Self::Verdict(diagnosis) => diagnosis.slug.to_owned(),
            Self::Options(text) | Self::Image(text, _) | Self::BesideCAres(text, _) => text.to_owned(),
            Self::Resolver(resolver) => resolver.to_string(),
            Self::Embedded(embedded) => embedded.slug.to_owned(),
            Self::Profile(name) | Self::EventReason(name) => name.to_owned(),
            Self::Mode(mode) => mode.name().to_owned(),
            Self::Alert(alert) => alert.name.to_owned(),
            Self::Key(key) => key.name.to_owned(),
        }
    }

    /// Returns the page about the topic, in Markdown.
    pub fn markdown(&self) -> String {
        match *self {
            Self::Rule(rule) => rule::page(rule),
            Self::Verdict(diagnosis) => verdict::page(diagnosis).into_text(),
            Self::Options(text) => option::page(text),
            Self::Resolver(resolver) => resolver::page(resolver),
            Self::Embedded(embedded) => embedded.page().into_text(),
            Self::Profile(name) => profile::page(name).into_text(),
            Self::Mode(mode) => mode::page(mode).into_text(),
            Self::EventReason(name) => event_reason::page(name).into_text(),
            Self::Alert(alert) => alert.page(),
            Self::Key(key) => key.page().into_text(),
            Self::BesideCAres(text, resolver) => key::beside_page(text, resolver).into_text(),
            Self::Image(text, reference) => image::page(text, &reference),
        }
    }
}

/// The resolver of a text of the annotation `muslin.dev/resolvers` that has c-ares too: `glibc-2.36+c-ares`.
fn beside_c_ares(text: &str) -> Option<Resolver> {
    let (resolver, second) = text.split_once('+')?;
    second.eq_ignore_ascii_case(Family::CAres.name()).then(|| parse_resolver(resolver)).flatten()
}

/// A resolver as people and annotations write it: `musl`, `musl 1.2.3`, `musl-1.2.5-r11`, `go1.22`.
fn parse_resolver(text: &str) -> Option<Resolver> {
    let text = text.to_ascii_lowercase();
    let named = Family::KNOWN.into_iter().chain([Family::Static, Family::Unknown]);
    let aliases = Family::KNOWN.into_iter().flat_map(|family| family.aliases().iter().map(move |name| (*name, family)));
    // Aliases come first, or `uclibc-ng` would be a `uclibc` of release `ng`.
    let names = aliases.chain(named.map(|family| (family.name(), family)));
    names.filter_map(|(name, family)| Some((text.strip_prefix(name)?, family))).find_map(|(rest, family)| {
        if rest.is_empty() {
            return Some(family.unversioned());
        }
        let version = rest.strip_prefix(['-', ' ', '@']).unwrap_or(rest).trim_start_matches('v');
        version.parse::<Version>().ok().map(|version| family.at(version))
    })
}

/// Returns true if the text could be a word of muslin's vocabulary rather than a path to an image.
fn is_word(text: &str) -> bool {
    !text.contains(['/', ':', '@', '.'])
}

/// Returns the words of the vocabulary that are most like this one, the most similar first.
fn similar(text: &str) -> Vec<&'static str> {
    let text = text.to_ascii_lowercase();
    let official = publishers::rows().filter(|(registry, _)| registry.is_none()).map(|(_, row)| row.name);
    let words = RULES.iter().map(|rule| rule.slug).chain(DIAGNOSES.iter().map(|diagnosis| diagnosis.slug));
    let words = words.chain(known_options()).chain(Family::KNOWN.map(Family::name)).chain(Profile::NAMES);
    let words = words.chain(Mode::ALL.map(Mode::name)).chain(event_reason::reasons().map(|(reason, _)| reason));
    let words = words.chain(EMBEDDED.iter().map(|embedded| embedded.slug)).chain(KEYS.iter().map(|key| key.name));
    let words = words.chain(ALERTS.iter().map(|alert| alert.name));
    let words = words.chain(official);
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

    /// Words that the user may have meant, the most similar first.
    pub fn similar(&self) -> &[&'static str] {
        &self.similar
    }
}

impl fmt::Display for UnknownTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, invalid, similar } = self;
        match invalid {
            Some(invalid) => write!(
                f,
                "{invalid}; nor is it a rule, a verdict, an option, a resolver, a profile, a mode, an Event's reason, an alert or a key"
            )?,
            None => write!(
                f,
                "`{text}` is not a rule, verdict, option, resolver, profile, mode, Event reason, alert, key or image that muslin knows"
            )?,
        }
        for (index, word) in similar.iter().enumerate() {
            write!(f, "{}`{word}`", if index == 0 { "; did you mean " } else { " or " })?;
        }
        f.write_str(if similar.is_empty() { "" } else { "?" })
    }
}
