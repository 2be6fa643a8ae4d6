//! The page about an option: what each resolver makes of it, in which releases.

use super::page::{Page, code_list, release, seconds};
use super::{option_name, resolver};
use crate::resolver::{Effect, Family, Fate, OptionFact, Settings, option_facts, takes_number};
use crate::rules::RULES;

/// `text` is `name[:value]`.
pub(super) fn page(text: &str) -> String {
    let name = option_name(text);
    let mut page = Page::titled(format_args!("`{text}`"));
    page.paragraph(how_to_write(name));
    if text.contains(':') {
        page.heading(format_args!("What `{text}` does"));
        page.paragraph("The options line with nothing else on it, one nameserver, and four names to try:");
        page.table(
            &["resolver", "ndots", "timeout", "attempts", "resends after", "gives up after", "cluster names not found"],
            Family::KNOWN.into_iter().filter_map(|family| value_row(family, text)),
        );
    }
    page.heading("What each resolver makes of it");
    rows(&mut page, name);
    page.heading("Rules that speak of it");
    let code = [format!("`{name}`"), format!("`{name}:")];
    let rules = RULES.iter().filter(|rule| {
        let documentation = rule.documentation();
        code.iter().any(|code| documentation.contains(code))
    });
    let rules: Vec<_> = rules.map(|rule| format!("`{}`: {}", rule.slug, rule.summary())).collect();
    if rules.is_empty() {
        page.paragraph("None.");
    } else {
        page.items(rules);
    }
    page.into_text()
}

/// How the option stands in `dnsConfig`.
pub(super) fn how_to_write(name: &str) -> String {
    if takes_number(name) {
        format!("An option with a number: in `dnsConfig.options`, `{{name: {name}, value: \"…\"}}`.")
    } else {
        format!("A switch: in `dnsConfig.options`, `{{name: {name}}}`, without a value.")
    }
}

/// Every resolver's rows about an option, and where they are from.
pub(super) fn rows(page: &mut Page, name: &str) {
    let facts = || Family::KNOWN.into_iter().flat_map(|family| family.unversioned().facts(name));
    page.table(
        &["resolver", "releases", "effect", "what it makes of it"],
        facts().map(|fact| {
            [fact.family.name().to_owned(), releases(fact), effect(fact.effect).to_owned(), fact.note.to_owned()]
        }),
    );
    let mut sources: Vec<_> =
        facts().map(|fact| format!("{}: {}", fact.family.name(), single_line(fact.source))).collect();
    sources.dedup();
    page.paragraph("Sources:");
    page.items(sources);
}

/// What one resolver does with the option, in a cell of the matrix: the releases that act on it.
pub(super) fn cell(family: Family, name: &str) -> String {
    let acts = |fact: &&OptionFact| fact.family == family && fact.option == name && fact.effect != Effect::Ignored;
    // Rows that differ only in what they say of the option are one here.
    let mut spans: Vec<OptionFact> = Vec::new();
    for fact in option_facts().filter(acts) {
        match spans.last_mut() {
            Some(last) if last.effect == fact.effect && last.until.is_some() && last.until == fact.since => {
                last.until = fact.until;
            }
            _ => spans.push(*fact),
        }
    }
    let text = |span: &OptionFact| match (span.effect, range(span)) {
        (Effect::Sometimes, None) => "depends".to_owned(),
        (Effect::Sometimes, Some(range)) => format!("depends {range}"),
        (_, None) => "yes".to_owned(),
        (_, Some(range)) => range,
    };
    if spans.is_empty() { "no".to_owned() } else { spans.iter().map(text).collect::<Vec<_>>().join("; ") }
}

pub(super) const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Honoured => "honoured",
        Effect::Ignored => "ignored",
        Effect::Sometimes => "depends",
    }
}

/// The releases of which a row speaks.
pub(super) fn releases(fact: &OptionFact) -> String {
    range(fact).unwrap_or_else(|| "all".to_owned())
}

/// `None` for all releases.
fn range(fact: &OptionFact) -> Option<String> {
    let name = |version| release(fact.family, version);
    match (fact.since, fact.until) {
        (None, None) => None,
        (Some(since), None) => Some(format!("from {}", name(since))),
        (None, Some(until)) => Some(format!("before {}", name(until))),
        (Some(since), Some(until)) => Some(format!("{} to before {}", name(since), name(until))),
    }
}

/// What this option alone makes of a family's settings.
fn value_row(family: Family, text: &str) -> Option<[String; 7]> {
    let settings = Settings::read(family.unversioned(), &[text])?;
    let gives_up = match settings.fate() {
        Fate::Crashes => "dies at its first lookup (SIGFPE)".to_owned(),
        Fate::NeverSends => "at once: sends no query".to_owned(),
        Fate::NeverWaits => "at once: waits for no answer".to_owned(),
        Fate::Works => resolver::gives_up(&settings),
    };
    let works = settings.fate() == Fate::Works;
    let lost: Vec<_> = resolver::CLUSTER_NAMES
        .into_iter()
        .filter(|name| resolver::queries(family.unversioned(), name, settings.ndots).is_none())
        .collect();
    Some([
        family.name().to_owned(),
        settings.ndots.to_string(),
        seconds(settings.timeout),
        settings.attempts.to_string(),
        if works { seconds(settings.resend_after()) } else { "never".to_owned() },
        gives_up,
        if !works {
            "all".to_owned()
        } else if lost.is_empty() {
            "none".to_owned()
        } else {
            code_list(lost)
        },
    ])
}

/// Sources are written over several lines in the code.
pub(super) fn single_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
