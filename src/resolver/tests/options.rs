//! The table of options, and the support of each by release.

use super::super::{
    Effect, Family, Support, Version, known_option, known_options, option_facts, takes_number, zero_digits,
};
use super::{glibc, go, musl};

const KNOWN: [Family; 5] = [Family::Musl, Family::Glibc, Family::Go, Family::Uclibc, Family::CAres];

#[test]
fn musl_honours_three_options_and_no_other() {
    for option in known_options() {
        let expected = matches!(option, "ndots" | "timeout" | "attempts");
        assert_eq!(musl(2, 5).support(option) == Support::Honoured, expected, "{option}");
        assert_eq!(musl(2, 5).support(option).is_ignored(), !expected, "{option}");
    }
}

#[test]
fn musl_reads_attempts_in_some_releases() {
    let supports = [12, 13, 14, 15, 16, 17].map(|patch| musl(1, patch).support("attempts"));
    let (honoured, ignored) = (Support::Honoured, Support::Ignored);
    assert_eq!(supports, [honoured, ignored, ignored, ignored, Support::Varies, honoured]);
    assert_eq!(Family::Musl.unversioned().support("attempts"), Support::Varies);
    assert_eq!(Family::Musl.unversioned().support("timeout"), Support::Honoured);
    assert_eq!(Family::Musl.unversioned().support("single-request-reopen"), Support::Ignored);
}

#[test]
fn glibc_gained_options_over_time() {
    for (option, minor) in [("single-request-reopen", 11), ("use-vc", 14), ("trust-ad", 31), ("no-aaaa", 36)] {
        let at = |minor| Family::Glibc.at(Version::new(2, minor, 0)).support(option);
        assert_eq!([at(minor - 1), at(minor)], [Support::Ignored, Support::Honoured], "{option}");
    }
    assert_eq!(glibc().support("inet6"), Support::Ignored);
    assert_eq!(Family::Glibc.at(Version::new(2, 17, 0)).support("inet6"), Support::Honoured);
}

#[test]
fn an_unknown_release_is_one_found_in_images() {
    let glibc = Family::Glibc.unversioned();
    assert_eq!(glibc.support("single-request-reopen"), Support::Honoured);
    assert_eq!(glibc.support("no-aaaa"), Support::Varies);
    assert_eq!(glibc.support("no-such-option"), Support::Ignored);
    assert_eq!(Family::Go.unversioned().support("single-request"), Support::Varies);
}

#[test]
fn go_knows_its_own_spellings_of_tcp() {
    for option in ["use-vc", "usevc", "tcp"] {
        assert_eq!(go().support(option), Support::Honoured, "{option}");
        assert_eq!(Family::Go.at(Version::new(1, 12, 0)).support(option), Support::Ignored, "{option}");
    }
    for option in ["no-aaaa", "strict-error", "inet6", "no-tld-query"] {
        assert_eq!(go().support(option), Support::Ignored, "{option}");
    }
}

#[test]
fn uclibc_may_read_timeout_and_attempts() {
    let uclibc = Family::Uclibc.unversioned();
    assert_eq!(
        ["timeout", "attempts", "ndots"].map(|option| uclibc.support(option)),
        [Support::Varies, Support::Varies, Support::Ignored]
    );
}

#[test]
fn an_unknown_resolver_has_no_facts() {
    for family in [Family::Static, Family::Unknown] {
        for option in known_options().chain(["no-such-option"]) {
            assert_eq!(family.unversioned().support(option), Support::Unclear, "{option}");
            assert_eq!(family.unversioned().facts(option).count(), 0, "{option}");
        }
    }
}

#[test]
fn every_known_family_has_a_fact_on_any_option() {
    for family in KNOWN {
        for option in known_options().chain(["no-such-option", "*"]) {
            assert_ne!(family.unversioned().facts(option).count(), 0, "{family:?} {option}");
        }
    }
    let notes: Vec<_> = musl(1, 14).facts("attempts").map(|fact| fact.effect).collect();
    assert_eq!(notes, [Effect::Ignored], "only the row of that release");
    assert_eq!(Family::Musl.unversioned().facts("attempts").count(), 4, "the rows of all releases");
}

#[test]
fn no_two_rows_cover_one_release() {
    for fact in option_facts() {
        let overlaps = |other: &&_| {
            let other: &super::super::OptionFact = other;
            let starts_within = fact.since.is_none_or(|since| other.covers(since));
            (other.family, other.option) == (fact.family, fact.option) && starts_within && fact.since >= other.since
        };
        assert_eq!(option_facts().filter(overlaps).count(), 1, "{fact:?}");
    }
}

#[test]
fn every_row_has_a_clause_and_a_source() {
    for fact in option_facts() {
        assert!(!fact.note.is_empty() && !fact.source.is_empty(), "{fact:?}");
        assert!(!fact.note.ends_with('.') && fact.note.starts_with(|first: char| !first.is_uppercase()), "{fact:?}");
        assert!(fact.since.zip(fact.until).is_none_or(|(since, until)| since < until), "{fact:?}");
    }
}

#[test]
fn knows_each_option_once() {
    let names: Vec<_> = known_options().collect();
    assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    assert!(names.iter().all(|name| known_option(name)));
    assert!(!known_option("*") && !known_option("single-request-repoen") && !known_option("ndots:5"));
    assert!(takes_number("ndots") && !takes_number("rotate"));
}

#[test]
fn finds_the_digits_of_a_zero() {
    for (text, digits) in [
        ("attempts:0", Some(9..10)),
        ("attempts:000", Some(9..12)),
        ("attempts:0.5", Some(9..10)),
        ("xattempts:0", Some(10..11)),
        ("attempts:1 attempts:0", Some(20..21)),
        ("attempts:10", None),
        ("attempts:01", None),
        ("attempts:", None),
        ("attempts", None),
        ("timeout:0", None),
    ] {
        assert_eq!(zero_digits(text, "attempts"), digits, "{text}");
    }
}
