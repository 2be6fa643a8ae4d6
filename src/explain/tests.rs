//! Tests of the topic that a text names, and of the pages.

use proptest::prelude::*;

use super::embedded::EMBEDDED;
use super::event_reason::reasons;
use super::key::KEYS;
use super::{Topic, for_terminal, index};
use crate::image::Reference;
use crate::policy::{Mode, Profile};
use crate::resolver::{Family, Version, known_options};
use crate::rules::RULES;
use crate::verdicts::DIAGNOSES;

fn similar(text: &str) -> Vec<&'static str> {
    Topic::find(text).map_err(|unknown| unknown.similar().to_vec()).unwrap_err()
}

#[test]
fn every_word_of_the_vocabulary_is_found() {
    for rule in RULES {
        assert_eq!(Topic::find(rule.slug), Ok(Topic::Rule(rule)));
    }
    for diagnosis in DIAGNOSES {
        assert_eq!(Topic::find(diagnosis.slug), Ok(Topic::Verdict(diagnosis)));
    }
    for option in known_options() {
        assert_eq!(Topic::find(option), Ok(Topic::Options(option)));
    }
    for family in Family::KNOWN.into_iter().chain([Family::Static, Family::Unknown]) {
        assert_eq!(Topic::find(family.name()), Ok(Topic::Resolver(family.unversioned())));
    }
    for embedded in EMBEDDED {
        for name in embedded.aliases.iter().chain([&embedded.slug]) {
            assert_eq!(Topic::find(name), Ok(Topic::Embedded(embedded)), "{name}");
        }
    }
    for name in Profile::NAMES {
        assert_eq!(Topic::find(&format!("profile {name}")), Ok(Topic::Profile(name)));
    }
    assert_eq!(Topic::find("fast"), Ok(Topic::Profile("fast")));
    for mode in Mode::ALL {
        assert_eq!(Topic::find(mode.name()), Ok(Topic::Mode(mode)));
        assert_eq!(Topic::find(&format!("mode {mode}")), Ok(Topic::Mode(mode)));
    }
    for (reason, _) in reasons() {
        assert_eq!(Topic::find(reason), Ok(Topic::EventReason(reason)));
    }
}

#[test]
fn the_annotation_s_second_resolver_is_explained() {
    for text in ["glibc-2.36+c-ares", "musl-1.2.5+c-ares", "glibc+c-ares"] {
        let page = Topic::find(text).unwrap().markdown();
        assert!(page.contains("The program decides which of them looks a name up"), "{text}: {page}");
    }
    assert!(Topic::find("glibc-2.36+c-ares").unwrap().markdown().contains("`muslin explain glibc-2.36`"));
    let page = Topic::find("muslin.dev/resolvers").unwrap().markdown();
    assert!(page.contains("## `+c-ares`") && page.contains("`assumed`: the image name suggests it."), "{page}");
    for key in &KEYS {
        assert_eq!(Topic::find(key.name), Ok(Topic::Key(key)));
    }
    assert_eq!(similar("muslin.dev/resolver")[0], "muslin.dev/resolvers");
}

#[test]
fn the_pages_of_modes_and_reasons_say_what_follows() {
    let warn = Topic::Mode(Mode::Warn).markdown();
    assert!(warn.contains("- `audit`: ") && warn.contains("- `warn`: ") && !warn.contains("- `inject`: "), "{warn}");
    assert!(warn.contains("Pods are created unchanged.") && warn.contains("muslin.dev/mode=warn"), "{warn}");
    let musl = Topic::EventReason("MuslResolver").markdown();
    for rule in RULES {
        let is_listed = musl.contains(&format!("- `{}`: ", rule.slug));
        assert_eq!(is_listed, rule.reason.name() == "MuslResolver", "{}: {musl}", rule.slug);
    }
}

#[test]
fn single_request_reopen_says_where_it_helps_and_its_costs() {
    let page = Topic::Options("single-request-reopen").markdown();
    for part in ["kernel before 5.6", "bug 30081", "## Its costs", "two round trips", "DNAT"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!Topic::Options("ndots").markdown().contains("Its costs"));
}

#[test]
fn a_resolver_is_read_as_people_and_annotations_write_it() {
    let musl = Topic::Resolver(Family::Musl.at(Version::new(1, 2, 3)));
    for text in ["musl-1.2.3", "musl 1.2.3", "MUSL 1.2.3", "musl1.2.3", "musl-1.2.3-r5", "musl v1.2.3", " musl-1.2.3 "]
    {
        assert_eq!(Topic::find(text), Ok(musl), "{text}");
    }
    let others = [
        ("glibc 2.36", Family::Glibc.at(Version::new(2, 36, 0))),
        ("go1.22.1", Family::Go.at(Version::new(1, 22, 1))),
        ("uclibc-ng 1.0.16", Family::Uclibc.at(Version::new(1, 0, 16))),
        ("c-ares-1.20.0", Family::CAres.at(Version::new(1, 20, 0))),
    ];
    for (text, resolver) in others {
        assert_eq!(Topic::find(text), Ok(Topic::Resolver(resolver)), "{text}");
    }
}

#[test]
fn options_may_have_values_and_come_before_an_image() {
    for line in ["ndots:2", "timeout:2 attempts:5"] {
        assert_eq!(Topic::find(line), Ok(Topic::Options(line)));
    }
    assert!(Topic::find("timeout:2 nothing").is_err());
}

#[test]
fn a_word_is_an_image_only_if_its_publisher_is_known() {
    assert!(matches!(Topic::find("nginx"), Ok(Topic::Image(..))));
    assert!(matches!(Topic::find("my-own-app:1"), Ok(Topic::Image(..))));
    assert!(matches!(Topic::find("registry.example.com/app"), Ok(Topic::Image(..))));
    assert!(Topic::find("my-own-app").is_err());
}

#[test]
fn a_typo_gets_the_word_that_was_meant() {
    assert_eq!(similar("atempts-zero")[0], "attempts-zero");
    assert_eq!(similar("ndot")[0], "ndots");
    assert_eq!(similar("gilbc")[0], "glibc");
    assert_eq!(similar("alpne")[0], "alpine");
    assert!(similar("xyzzy").is_empty());
}

#[test]
fn a_text_that_is_not_a_reference_gets_the_reason() {
    let unknown = Topic::find("https://example.com/app").map_err(|unknown| unknown.to_string()).unwrap_err();
    assert!(unknown.contains("it is a URL"), "{unknown}");
}

#[test]
fn the_page_of_an_older_musl_shows_what_it_lacks_and_the_alpine_with_the_fix() {
    let page = Topic::Resolver(Family::Musl.at(Version::new(1, 2, 3))).markdown();
    assert!(page.contains("Alpine 3.16 and 3.17 carry it."), "{page}");
    assert!(page.contains("1.2.4 (Alpine 3.18) | never uses TCP"), "{page}");
    let newest = Topic::Resolver(Family::Musl.at(Version::new(1, 2, 6))).markdown();
    assert!(newest.contains("No later release is known to fix anything."), "{newest}");
}

#[test]
fn the_page_of_an_option_shows_the_effect_of_a_value() {
    let page = Topic::Options("attempts:0").markdown();
    assert!(
        page.contains(
            "| musl | 5 | 5 s | 0 | never | dies at its first lookup (SIGFPE), or on arm64 sends without end | all |"
        ),
        "{page}"
    );
}

#[test]
fn every_page_fits_a_terminal_of_eighty_columns() {
    let faults = DIAGNOSES.iter().map(|diagnosis| diagnosis.slug);
    let names =
        RULES.iter().map(|rule| rule.slug).chain(faults).chain(known_options()).chain(Family::KNOWN.map(Family::name));
    let names = names.chain(EMBEDDED.iter().map(|embedded| embedded.slug)).chain(Profile::NAMES);
    let names = names.chain(Mode::ALL.map(Mode::name)).chain(reasons().map(|(reason, _)| reason));
    let pages = names.filter_map(|name| Some((name, Topic::find(name).ok()?.markdown())));
    for (name, markdown) in pages.chain([("index", index())]) {
        for line in for_terminal(&markdown, 80).lines() {
            let line = anstream::adapter::strip_str(line).to_string();
            // A word or a line of a file cannot be broken, and may be longer.
            assert!(line.chars().count() <= 80 || !line.trim().contains(' '), "{name}: {line}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_explained_or_rejected(text in "\\PC{0,40}", width in 0_usize..120) {
        if let Ok(topic) = Topic::find(&text) {
            for_terminal(&topic.markdown(), width);
        }
    }

    #[test]
    fn any_option_value_is_explained(name in "ndots|timeout|attempts|use-vc", value in "[0-9a-z:.-]{0,12}") {
        let text = format!("{name}:{value}");
        prop_assert_eq!(Topic::find(&text), Ok(Topic::Options(&text)));
        prop_assert!(Topic::Options(&text).markdown().contains("cluster names not found"));
    }

    #[test]
    fn a_reference_is_explained_as_it_was_given(path in "[a-z]{3,8}/[a-z]{3,8}", tag in "[a-z0-9]{1,8}") {
        let text = format!("{path}:{tag}");
        let reference = Reference::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let title = format!("# `{text}`\n");
        prop_assert!(Topic::Image(&text, reference).markdown().starts_with(&title));
    }
}
