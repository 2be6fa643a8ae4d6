//! The page about an option: its effect on each resolver, by release.

use super::example_cluster::{CLUSTER_NAMES, CLUSTER_OPTIONS, gives_up, queries};
use super::page::{Page, code_list, effect_word, range, releases, seconds};
use super::profile;
use crate::resolver::{Effect, Family, OptionFact, Settings, Viability, option_facts, takes_number};
use crate::rules::RULES;

/// The option, and the profile of the same name, that gives each query a socket of its own.
const SECOND_SOCKET: &str = "single-request-reopen";

/// `line` is one or more options, each `name[:value]`.
pub(super) fn page(line: &str) -> String {
    let mut page = Page::titled(format_args!("`{line}`"));
    let words: Vec<&str> = line.split_whitespace().collect();
    if line.contains(':') {
        page.paragraph(
            "In a pod that has these options and, unless it sets another, the cluster's `ndots:5`; with one nameserver, and four \
             names to try:",
        );
        page.table(
            &["resolver", "ndots", "timeout", "attempts", "resends after", "gives up after", "cluster names not found"],
            Family::KNOWN.into_iter().filter_map(|family| settings_row(family, &in_a_cluster(&words))),
        );
    }
    let mut names: Vec<&str> = Vec::new();
    for name in words.into_iter().map(option_name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in &names {
        page.heading(format_args!("Effect of `{name}` on each resolver"));
        page.paragraph(how_to_set(name));
        write_facts(&mut page, name);
    }
    if names.contains(&SECOND_SOCKET) {
        page.heading("Where it helps");
        page.paragraph(
            "With glibc, in pods without Go, on nodes with a kernel before 5.6, where the cluster's DNS is a Service of several endpoints \
             (DNAT) and no cache on the node answers: there conntrack drops one of two packets that leave one socket together, and \
             the lookup takes 5 s. Measured with Debian's glibc 2.36 and held packets: 3,876 clashes in 4,000 lookups without the option, none \
             with it. glibc needs the fix for its bug 30081: 2.41 has it, Debian's 2.36-9+deb12u14 too. musl ignores the option; Go \
             uses a socket for each query anyway. Kernel 6.18 lost none of 900,000 pairs.",
        );
        page.heading("Its costs");
        profile::write_costs(&mut page, SECOND_SOCKET);
    }
    page.heading("Rules about it");
    let rules = RULES.iter().filter(|rule| {
        let documentation = rule.documentation();
        names
            .iter()
            .any(|name| documentation.contains(&format!("`{name}`")) || documentation.contains(&format!("`{name}:")))
    });
    let rules: Vec<_> = rules.map(|rule| format!("`{}`: {}", rule.slug, rule.summary())).collect();
    if rules.is_empty() {
        page.paragraph("None.");
    } else {
        page.items(rules);
    }
    page.into_text()
}

/// The form of the option in `dnsConfig`.
pub(super) fn how_to_set(name: &str) -> String {
    if takes_number(name) {
        let by_evidence = if name == "ndots" {
            " `muslin queries` finds the lowest number that a workload can have, from the queries that it made (`docs/queries.md`)."
        } else {
            ""
        };
        format!("Takes a number. In `dnsConfig.options`: `{{name: {name}, value: \"…\"}}`.{by_evidence}")
    } else {
        format!("Takes no value. In `dnsConfig.options`: `{{name: {name}}}`.")
    }
}

/// Writes the rows of all resolvers about an option, and their sources.
pub(super) fn write_facts(page: &mut Page, name: &str) {
    let facts = || Family::KNOWN.into_iter().flat_map(|family| family.unversioned().facts(name));
    page.table(
        &["resolver", "releases", "effect", "meaning"],
        facts().map(|fact| {
            [fact.family.name().to_owned(), releases(fact), effect_word(fact.effect).to_owned(), fact.note.to_owned()]
        }),
    );
    let mut sources: Vec<_> =
        facts().map(|fact| format!("{}: {}", fact.family.name(), single_line(fact.source))).collect();
    sources.dedup();
    page.paragraph("Sources:");
    page.items(sources);
}

/// Returns the releases of one resolver that act on the option, for a cell of the table.
pub(super) fn matrix_cell(family: Family, name: &str) -> String {
    let acts = |fact: &&OptionFact| fact.family == family && fact.option == name && fact.effect != Effect::Ignored;
    // Neighbouring rows that differ only in their note are merged.
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

/// The options of a pod in the example cluster that sets these.
fn in_a_cluster<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let sets_ndots = words.iter().any(|word| option_name(word) == "ndots");
    words.iter().copied().chain((!sets_ndots).then_some(CLUSTER_OPTIONS)).collect()
}

/// The settings of a family with these options.
fn settings_row(family: Family, options: &[&str]) -> Option<[String; 7]> {
    let settings = Settings::read_options(family.unversioned(), options)?;
    let fails = match settings.viability() {
        Viability::Crashes => Some("dies at its first lookup (SIGFPE), or on arm64 sends without end"),
        Viability::NeverSends => Some("at once: sends no query"),
        Viability::NeverWaits => Some("at once: waits for no answer"),
        Viability::Works => None,
    };
    let (resends, gives_up, lost) = match fails {
        Some(fails) => ("never".to_owned(), fails.to_owned(), "all".to_owned()),
        None => {
            let mut lost = CLUSTER_NAMES.to_vec();
            lost.retain(|name| queries(family.unversioned(), name, settings.ndots).is_none());
            let lost = if lost.is_empty() { "none".to_owned() } else { code_list(lost) };
            (seconds(settings.resend_after()), gives_up(&settings), lost)
        }
    };
    let Settings { ndots, timeout, attempts, .. } = settings;
    Some([family.name().to_owned(), ndots.to_string(), seconds(timeout), attempts.to_string(), resends, gives_up, lost])
}

/// Joins the lines over which the code spreads a source.
fn single_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name of the option in `name[:value]`.
pub(super) fn option_name(text: &str) -> &str {
    text.split_once(':').map_or(text, |(name, _)| name)
}
