//! The page about a resolver: its timing, the names it finds, the options it reads, and the changes that its release lacks.
//! The facts come from the floor `resolver`.

use std::time::Duration;

use super::example_cluster::{
    CLUSTER_DOMAIN, CLUSTER_OPTIONS, EXAMPLE_NAMES, NAMES_TRIED, NAMESPACE, gives_up, queries,
};
use super::page::{Page, code_list, effect_word, releases, resolver_name, seconds};
use super::pod;
use crate::image::{Fingerprint, Reason};
use crate::pod::cluster_searches;
use crate::policy::{ContainerResolver, Profile};
use crate::resolver::alpine::Release;
use crate::resolver::{
    Answer, Change, Family, OptionFact, QueryPairing, Resolver, Settings, Transport, Version, changes, known_option,
    known_options, lookup, musl, option_facts, query_names,
};

pub(super) fn page(resolver: Resolver) -> String {
    let mut page = Page::titled(resolver_name(resolver));
    page.paragraph(summary(resolver.family));
    if matches!(resolver.family, Family::Static | Family::Unknown) {
        page.paragraph(
            "No rule that depends on the resolver fires on such a container, and muslin injects nothing for it.",
        );
        return page.into_text();
    }
    if let Some(version) = resolver.version.filter(|_| resolver.family == Family::Musl) {
        page.paragraph(carried_by(version));
    }
    page.heading("Queries, resends and giving up");
    write_timing(&mut page, resolver);
    page.heading("Names it finds");
    write_names(&mut page, resolver);
    page.heading("Options it reads");
    write_options(&mut page, resolver);
    write_changes(&mut page, resolver);
    page.heading("Findings on a pod with this resolver and no options of its own");
    let reason = Reason::Fixed("it was asked about");
    pod::findings(&mut page, "app", Fingerprint::inspected(resolver, reason));
    page.into_text()
}

/// Whose code the resolver is, and where it is found.
pub(super) fn summary(family: Family) -> &'static str {
    family.summary().unwrap_or(match family {
        Family::Static => "An unknown resolver inside a static program, on an image with no C library.",
        _ => "An unknown resolver: the image name does not show it.",
    })
}

/// The Alpine releases with this musl.
fn carried_by(version: Version) -> String {
    let releases: Vec<_> = Release::with_musl(version).map(|release| release.to_string()).collect();
    match (&*releases, Release::newest_musl()) {
        ([], Some(newest)) if version > newest => {
            format!(
                "This release is newer than {newest}, the newest that muslin has facts about; muslin assumes that it behaves alike."
            )
        }
        ([], _) => "No Alpine release since 3.1 carries it.".to_owned(),
        ([one], _) => format!("Alpine {one} carries it."),
        ([others @ .., last], _) => format!("Alpine {} and {last} carry it.", others.join(", ")),
    }
}

/// The options that a pod with this resolver may have, each list with a name.
fn option_lists(resolver: Resolver) -> Vec<(&'static str, Vec<String>)> {
    let profile = Profile::default();
    let row = |others: &[Resolver]| {
        let containers = [resolver].into_iter().chain(others.iter().copied()).map(ContainerResolver::inspected);
        profile.options_for(containers.collect::<Vec<_>>().into_iter(), 1).to_vec()
    };
    let with = |options: &[String]| [&[CLUSTER_OPTIONS.to_owned()], options].concat();
    let mut lists = vec![("Kubernetes' own", with(&[]))];
    if resolver.family == Family::Musl {
        lists.push(("`default` profile", with(&row(&[]))));
    } else {
        lists.push(("`default` profile, beside musl", with(&row(&[Family::Musl.at(musl::RECENT)]))));
    }
    lists
}

fn write_timing(page: &mut Page, resolver: Resolver) {
    let lists = option_lists(resolver);
    let settings: Vec<_> = lists
        .iter()
        .filter_map(|(name, options)| {
            let texts: Vec<&str> = options.iter().map(String::as_str).collect();
            Some((*name, options.join(" "), Settings::read_options(resolver, &texts)?))
        })
        .collect();
    let row = |name: &str, value: &dyn Fn(&Settings) -> String| {
        let mut cells: Vec<String> = vec![name.to_owned()];
        cells.extend(settings.iter().map(|(_, _, settings)| value(settings)));
        cells
    };
    let late = |duration: Option<Duration>| duration.map_or("the lookup fails".to_owned(), seconds);
    let rows = [
        [vec!["options".to_owned()], settings.iter().map(|(_, line, _)| format!("`{line}`")).collect()].concat(),
        row("sends A and AAAA", &|settings| pairing_words(settings).to_owned()),
        row("resends after", &|settings| seconds(settings.resend_after())),
        row("one packet lost: delay", &|settings| late(settings.one_loss_delay())),
        row("second of each pair lost: delay", &|settings| late(settings.conntrack_race_delay(NAMES_TRIED))),
        row("first of two nameservers dead: delay", &|settings| {
            seconds(settings.dead_nameserver_delay(1, 2, NAMES_TRIED))
        }),
        row("slowest accepted answer", &|settings| seconds(settings.slowest_answer())),
        row("packets vanish: gives up after", &gives_up),
    ];
    let header = [vec!["with"], settings.iter().map(|(name, _, _)| *name).collect()].concat();
    page.table(&header, rows);
    page.paragraph(format_args!(
        "For a lookup that tries {NAMES_TRIED} names (three search domains, and the name as is), with one nameserver unless the \
         row says otherwise. {}",
        if resolver.family.is_measured() {
            "Derived from its source, and checked against measurements."
        } else {
            "Derived from its source; not measured."
        }
    ));
    if matches!(resolver.family, Family::Musl | Family::Glibc | Family::Go) {
        // glibc: `errno == ECONNREFUSED` ends the search (resolv/res_query.c); Go and musl: measured.
        page.paragraph(if resolver.family == Family::Musl {
            "A closed port, or a Service without endpoints, is no answer for it either: the lookup fails as late as when packets vanish."
        } else {
            "Where the port is closed, or a Service has no endpoints (kube-proxy rejects the packet), the lookup fails at once instead."
        });
    }
    if resolver.family != Family::Musl {
        page.paragraph("A pod without musl gets no options from the `default` profile.");
    }
}

const fn pairing_words(settings: &Settings) -> &'static str {
    match (settings.transport, settings.pairing) {
        (Transport::Tcp, _) => "by TCP",
        (Transport::Udp, QueryPairing::OneSocket) => "together, from one socket",
        (Transport::Udp, QueryPairing::OneSocketSerial) => "one after the other, from one socket",
        (Transport::Udp, QueryPairing::TwoSockets) => "together, from a socket each",
        (Transport::Udp, QueryPairing::TwoSocketsSerial) => "one after the other, from a socket each",
    }
}

fn write_names(page: &mut Page, resolver: Resolver) {
    page.paragraph(format_args!(
        "Queries of a lookup in the namespace `{NAMESPACE}`, by `ndots`; a Service `db` exists there and in the namespace `shop`:"
    ));
    page.table(
        &["name", "1", "2", "3", "4", "5"],
        EXAMPLE_NAMES.into_iter().map(|name| {
            let [one, two, three, four, five] = [1, 2, 3, 4, 5]
                .map(|ndots| queries(resolver, name, ndots).map_or("fails".to_owned(), |queries| queries.to_string()));
            [format!("`{name}`"), one, two, three, four, five]
        }),
    );
    page.paragraph("After an answer to the first of several names:");
    page.table(
        &["answer", "then"],
        [
            (Answer::NxDomain, "the name does not exist (NXDOMAIN)"),
            (Answer::NoData, "the name has no address (NODATA)"),
            (Answer::ServFail, "the nameserver failed (SERVFAIL)"),
            (Answer::Refused, "the nameserver refused, or gave another error (REFUSED, FORMERR, NOTIMP)"),
            (Answer::Timeout, "no answer"),
        ]
        .map(|(answer, text)| [text.to_owned(), step_after(resolver, answer).to_owned()]),
    );
}

/// Returns what this resolver does after this answer to the first name that it tries.
fn step_after(resolver: Resolver, answer: Answer) -> &'static str {
    const NAME: &str = "db.shop";
    let searches = cluster_searches(NAMESPACE, CLUSTER_DOMAIN);
    let searches: Vec<&str> = searches.iter().map(String::as_str).collect();
    let names = query_names(resolver, NAME, 5, &searches);
    let [first, next, ..] = &*names else { return "there is no search list" };
    let found = lookup(resolver, NAME, 5, &searches, |name| if name == first { answer } else { Answer::Address });
    match found.and_then(|lookup| lookup.found) {
        None => "the lookup fails",
        Some(found) if found == *next => "the next name is tried",
        Some(_) => "the name is tried as is",
    }
}

fn write_options(page: &mut Page, resolver: Resolver) {
    let is_about = |fact: &&OptionFact| {
        fact.family == resolver.family && resolver.version.is_none_or(|version| fact.covers(version))
    };
    let own = || option_facts().filter(is_about).filter(|fact| known_option(fact.option));
    page.table(
        &["option", "releases", "effect", "meaning"],
        own().map(|fact| {
            [format!("`{}`", fact.option), releases(fact), effect_word(fact.effect).to_owned(), fact.note.to_owned()]
        }),
    );
    let others: Vec<_> = known_options().filter(|name| own().all(|fact| fact.option != *name)).collect();
    if let Some(fact) = option_facts().filter(is_about).find(|fact| !known_option(fact.option)) {
        page.paragraph(format_args!(
            "All other options are ignored ({}): {} {}.",
            code_list(others),
            resolver.family.name(),
            fact.note
        ));
    }
}

/// Writes the changes that this release lacks; without a release, all changes.
fn write_changes(page: &mut Page, resolver: Resolver) {
    let family = resolver.family;
    let mut all = changes(family).peekable();
    if all.peek().is_none() {
        return;
    }
    if resolver.version.is_none() {
        page.heading("Changes");
        page.table(
            &["since", "it", "before that, it"],
            all.map(|change| [family.release_name(change.since), change.now.to_owned(), change.before.to_owned()]),
        );
        return;
    }
    let (fixes, regressions): (Vec<&Change>, Vec<&Change>) =
        changes(family).filter(|change| change.is_missing_in(resolver)).partition(|change| change.fixes);
    page.heading("What this release lacks");
    if fixes.is_empty() {
        page.paragraph("No later release is known to fix anything.");
    }
    page.table(
        &["fixed in", "this release"],
        fixes.into_iter().map(|change| [release_with_alpine(family, change.since), change.before.to_owned()]),
    );
    if !regressions.is_empty() {
        page.paragraph("Later releases are worse in this:");
        page.table(
            &["since", "a later release"],
            regressions.into_iter().map(|change| [release_with_alpine(family, change.since), change.now.to_owned()]),
        );
    }
}

/// A release; for musl, with the first Alpine that has it.
fn release_with_alpine(family: Family, since: Version) -> String {
    let name = family.release_name(since);
    let alpine = (family == Family::Musl).then(|| Release::first_with_musl(since)).flatten();
    alpine.map_or(name.clone(), |alpine| format!("{name} (Alpine {alpine})"))
}
