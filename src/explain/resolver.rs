//! The page about a resolver: how it sends, sends again and gives up, which names it finds, which options it reads, and what
//! its release lacks. All but a few sentences is worked out by the floor `resolver`.

use std::time::Duration;

use super::example_cluster::{
    CANDIDATES, CLUSTER_DOMAIN, CLUSTER_OPTIONS, EXAMPLE_NAMES, NAMESPACE, gives_up, queries,
};
use super::page::{Page, code_list, effect, release, releases, resolver_name, seconds};
use super::pod;
use crate::image::{Evidence, Fingerprint, Reason};
use crate::pod::cluster_searches;
use crate::policy::{ContainerResolver, Profile};
use crate::resolver::alpine::Release;
use crate::resolver::{
    Answer, Change, Family, OptionFact, Pairing, Resolver, Settings, Transport, Version, candidates, changes,
    known_option, known_options, lookup, option_facts,
};

pub(super) fn page(resolver: Resolver) -> String {
    let mut page = Page::titled(resolver_name(resolver));
    page.paragraph(summary(resolver.family));
    if matches!(resolver.family, Family::Static | Family::Unknown) {
        page.paragraph(
            "No rule that depends on a resolver fires on such a container, and nothing is injected for its sake.",
        );
        return page.into_text();
    }
    if let Some(version) = resolver.version.filter(|_| resolver.family == Family::Musl) {
        page.paragraph(carried_by(version));
    }
    page.heading("How it sends, sends again and gives up");
    timing(&mut page, resolver);
    page.heading("Which names it finds");
    names(&mut page, resolver);
    page.heading("What it makes of options");
    options(&mut page, resolver);
    history(&mut page, resolver);
    page.heading("Findings on a pod of it that sets no options");
    let reason = Reason::Fixed("it was asked about");
    pod::findings(&mut page, "app", Fingerprint { resolver, evidence: Evidence::Inspected, reason });
    page.into_text()
}

/// Whose code it is, and where it is met.
pub(super) const fn summary(family: Family) -> &'static str {
    match family {
        Family::Musl => {
            "musl libc, the C library of Alpine Linux: the resolver of every program there that calls getaddrinfo."
        }
        Family::Glibc => {
            "The GNU C library: the resolver of every program that calls getaddrinfo on Debian, Ubuntu, Fedora, Red Hat, Wolfi \
             and distroless images with a C library."
        }
        Family::Go => {
            "Go's own resolver, in programs built without cgo, or with the tag netgo, and by default in others too. A program \
             built with cgo leaves a lookup to the C library in some cases, an unknown option among them."
        }
        Family::Uclibc => "uClibc and uClibc-ng, the C library of small images such as busybox's own.",
        Family::CAres => {
            "c-ares, a resolver inside a program: in Node only `dns.resolve*`, not `dns.lookup`, which asks the C library."
        }
        Family::Static => "A static program on an image with no C library: which resolver is inside it is not known.",
        Family::Unknown => "Nothing is known of the resolver: the reference tells nothing.",
    }
}

/// Which Alpine releases have this musl.
fn carried_by(version: Version) -> String {
    let releases: Vec<_> = Release::with_musl(version).map(|release| release.to_string()).collect();
    match (&*releases, Release::newest_musl()) {
        ([], Some(newest)) if version > newest => {
            format!("It is newer than {newest}, the newest musl that muslin has facts about: it is taken to be alike.")
        }
        ([], _) => "No Alpine release from 3.1 on carries it.".to_owned(),
        ([one], _) => format!("Alpine {one} carries it."),
        ([others @ .., last], _) => format!("Alpine {} and {last} carry it.", others.join(", ")),
    }
}

/// The options that a pod of this resolver may come to have, each with a name.
fn option_lists(family: Family) -> Vec<(&'static str, Vec<String>)> {
    let profile = Profile::default();
    let row = |families: &[Family]| {
        let containers = families.iter().map(|family| ContainerResolver::inspected(family.unversioned()));
        profile.options_for(containers).to_vec()
    };
    let beside_musl = if family == Family::Musl { Family::Glibc } else { family };
    let mixed = row(&[Family::Musl, beside_musl]);
    let with = |options: &[String]| [&[CLUSTER_OPTIONS.to_owned()], options].concat();
    let mut lists = vec![("Kubernetes' own", with(&[]))];
    if family == Family::Musl {
        lists.push(("`default` profile, all musl", with(&row(&[Family::Musl]))));
        lists.push(("`default` profile, some musl", with(&mixed)));
    } else {
        lists.push(("`default` profile, beside musl", with(&mixed)));
    }
    lists
}

fn timing(page: &mut Page, resolver: Resolver) {
    let lists = option_lists(resolver.family);
    let settings: Vec<_> = lists
        .iter()
        .filter_map(|(name, options)| {
            let texts: Vec<&str> = options.iter().map(String::as_str).collect();
            Some((*name, options.join(" "), Settings::read(resolver, &texts)?))
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
        row("A and AAAA leave", &|settings| pairing(settings).to_owned()),
        row("sends again after", &|settings| seconds(settings.resend_after())),
        row("one packet lost: late by", &|settings| late(settings.recovers_from_one_loss())),
        row("second of each pair lost: late by", &|settings| late(settings.recovers_from_raced_pairs(CANDIDATES))),
        row("first of two nameservers dead: late by", &|settings| {
            seconds(settings.passes_dead_nameservers_after(1, 2, CANDIDATES))
        }),
        row("slowest answer that counts", &|settings| seconds(settings.slowest_answer())),
        row("nothing answers: gives up after", &gives_up),
    ];
    let header = [vec!["with"], settings.iter().map(|(name, _, _)| *name).collect()].concat();
    page.table(&header, rows);
    page.paragraph(format_args!(
        "For a lookup that tries {CANDIDATES} names (three search domains, and the name as it stands), with one nameserver where \
         no other number is said. {}",
        match resolver.family {
            Family::Uclibc | Family::CAres => "Worked out from its source; not measured.",
            _ => "Worked out from its source, and checked against measurements.",
        }
    ));
    if resolver.family != Family::Musl {
        page.paragraph("A pod without musl gets no options from the `default` profile.");
    }
}

const fn pairing(settings: &Settings) -> &'static str {
    match (settings.transport, settings.pairing) {
        (Transport::Tcp, _) => "by TCP",
        (Transport::Udp, Pairing::OneSocket) => "together, from one socket",
        (Transport::Udp, Pairing::OneSocketSerial) => "one after the other, from one socket",
        (Transport::Udp, Pairing::TwoSockets) => "together, from a socket each",
        (Transport::Udp, Pairing::TwoSocketsSerial) => "one after the other, from a socket each",
    }
}

fn names(page: &mut Page, resolver: Resolver) {
    page.paragraph(format_args!(
        "How many queries a lookup takes in the namespace `{NAMESPACE}`, for a Service `db` in that and in the namespace `shop`, \
         by `ndots`:"
    ));
    page.table(
        &["name", "1", "2", "3", "4", "5"],
        EXAMPLE_NAMES.into_iter().map(|name| {
            let [one, two, three, four, five] = [1, 2, 3, 4, 5]
                .map(|ndots| queries(resolver, name, ndots).map_or("fails".to_owned(), |queries| queries.to_string()));
            [format!("`{name}`"), one, two, three, four, five]
        }),
    );
    page.paragraph("What follows an answer to the first of several names:");
    page.table(
        &["answer", "then"],
        [
            (Answer::NxDomain, "no such name (NXDOMAIN)"),
            (Answer::NoData, "a name without addresses (NODATA)"),
            (Answer::ServFail, "the nameserver failed (SERVFAIL)"),
            (Answer::Timeout, "no answer at all"),
        ]
        .map(|(answer, text)| [text.to_owned(), after(resolver, answer).to_owned()]),
    );
}

/// What this resolver does after this answer to the first name that it tries.
fn after(resolver: Resolver, answer: Answer) -> &'static str {
    const NAME: &str = "db.shop";
    let searches = cluster_searches(NAMESPACE, CLUSTER_DOMAIN);
    let searches: Vec<&str> = searches.iter().map(String::as_str).collect();
    let names = candidates(resolver, NAME, 5, &searches);
    let [first, next, ..] = &*names else { return "there is no search list" };
    let found = lookup(resolver, NAME, 5, &searches, |name| if name == first { answer } else { Answer::Address });
    match found.and_then(|lookup| lookup.found) {
        None => "the lookup fails",
        Some(found) if found == *next => "the next name is tried",
        Some(_) => "the name as it stands is tried",
    }
}

fn options(page: &mut Page, resolver: Resolver) {
    let speaks = |fact: &&OptionFact| {
        fact.family == resolver.family && resolver.version.is_none_or(|version| fact.covers(version))
    };
    let own = || option_facts().filter(speaks).filter(|fact| known_option(fact.option));
    page.table(
        &["option", "releases", "effect", "what it makes of it"],
        own().map(|fact| {
            [format!("`{}`", fact.option), releases(fact), effect(fact.effect).to_owned(), fact.note.to_owned()]
        }),
    );
    let others: Vec<_> = known_options().filter(|name| own().all(|fact| fact.option != *name)).collect();
    if let Some(fact) = option_facts().filter(speaks).find(|fact| !known_option(fact.option)) {
        page.paragraph(format_args!(
            "Any other option is ignored, {} among them: it {}.",
            code_list(others),
            fact.note
        ));
    }
}

/// What came after this release; of a resolver of any release, all that changed.
fn history(page: &mut Page, resolver: Resolver) {
    let family = resolver.family;
    let mut all = changes(family).peekable();
    if all.peek().is_none() {
        return;
    }
    if resolver.version.is_none() {
        page.heading("What changed");
        page.table(
            &["since", "what it does", "before that, it"],
            all.map(|change| [release(family, change.since), change.now.to_owned(), change.before.to_owned()]),
        );
        return;
    }
    let (mended, other): (Vec<&Change>, Vec<&Change>) =
        changes(family).filter(|change| change.is_missing_in(resolver)).partition(|change| change.mends);
    page.heading("What this release lacks");
    if mended.is_empty() {
        page.paragraph("Nothing that a later one is known to have mended.");
    }
    page.table(
        &["mended in", "this release"],
        mended.into_iter().map(|change| [mended_in(family, change.since), change.before.to_owned()]),
    );
    if !other.is_empty() {
        page.paragraph("What later releases do worse:");
        page.table(
            &["since", "a later release"],
            other.into_iter().map(|change| [mended_in(family, change.since), change.now.to_owned()]),
        );
    }
}

/// A release; of musl, with the first Alpine that has it.
fn mended_in(family: Family, since: Version) -> String {
    let name = release(family, since);
    let alpine = (family == Family::Musl).then(|| Release::first_with_musl(since)).flatten();
    alpine.map_or(name.clone(), |alpine| format!("{name} (Alpine {alpine})"))
}
