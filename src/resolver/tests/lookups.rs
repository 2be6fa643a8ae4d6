//! The names of a lookup and its end, beyond the measured tables.

use super::super::{Answer, Family, Resolver, Version, lookup, query_names, resolves, search_domains_read};
use super::{glibc, go, musl};

const SEARCH: [&str; 2] = ["a.test", "b.test"];

fn names(resolver: Resolver, name: &str, ndots: u32, search: &[&str]) -> Vec<String> {
    query_names(resolver, name, ndots, search).into_iter().map(std::borrow::Cow::into_owned).collect()
}

#[test]
fn enough_dots_are_final_for_musl_and_a_first_try_for_the_others() {
    assert_eq!(names(musl(2, 5), "x.y", 1, &SEARCH), ["x.y"]);
    for resolver in [glibc(), go(), Family::CAres.unversioned(), Family::Uclibc.unversioned()] {
        assert_eq!(names(resolver, "x.y", 1, &SEARCH), ["x.y", "x.y.a.test", "x.y.b.test"], "{resolver}");
    }
}

#[test]
fn too_few_dots_begin_with_the_search_list() {
    for resolver in [musl(2, 5), glibc(), go(), Family::CAres.unversioned()] {
        assert_eq!(names(resolver, "x.y", 2, &SEARCH), ["x.y.a.test", "x.y.b.test", "x.y"], "{resolver}");
    }
}

#[test]
fn a_trailing_dot_ends_all_searching() {
    for resolver in [musl(2, 5), glibc(), go(), Family::CAres.unversioned(), Family::Uclibc.unversioned()] {
        assert_eq!(names(resolver, "x.", 5, &SEARCH), ["x"], "{resolver}");
        assert!(
            names(resolver, "", 5, &SEARCH).is_empty() && names(resolver, "x..", 5, &SEARCH).is_empty(),
            "{resolver}"
        );
    }
}

#[test]
fn with_ndots_0_musl_searches_for_nothing() {
    assert_eq!(names(musl(2, 5), "x", 0, &SEARCH), ["x"]);
    assert_eq!(names(glibc(), "x", 0, &SEARCH), ["x", "x.a.test", "x.b.test"]);
}

#[test]
fn musl_before_1_1_13_never_searches() {
    assert_eq!(names(musl(1, 12), "x", 5, &SEARCH), ["x"]);
    assert_eq!(names(musl(1, 13), "x", 5, &SEARCH).len(), 3);
}

#[test]
fn musl_drops_a_search_list_that_is_too_long() {
    let long = |length: usize| format!("{}.test", "x".repeat(length - ".test".len()));
    let fits = long(247 - "a.test ".len());
    assert_eq!(names(musl(2, 5), "x", 5, &["a.test", &fits]).len(), 3);
    let too_long = long(248 - "a.test ".len());
    assert_eq!(names(musl(2, 5), "x", 5, &["a.test", &too_long]), ["x"]);
    assert_eq!(names(glibc(), "x", 5, &["a.test", &too_long]).len(), 3);
}

#[test]
fn glibc_before_2_26_takes_six_search_domains() {
    let search = ["a", "b", "c", "d", "e", "f", "g"];
    assert_eq!(names(Family::Glibc.at(Version::new(2, 25, 0)), "x", 1, &search).len(), 7);
    assert_eq!(names(Family::Glibc.at(Version::new(2, 26, 0)), "x", 1, &search).len(), 8);
}

#[test]
fn uclibc_cuts_a_long_search_list() {
    let first = "x".repeat(117);
    assert_eq!(
        names(Family::Uclibc.unversioned(), "n", 1, &[&first, "yes"]),
        [format!("n.{first}"), "n.ye".into(), "n".into()]
    );
}

#[test]
fn uclibc_before_1_0_16_queries_every_name_as_is_first() {
    assert_eq!(names(Family::Uclibc.at(Version::new(1, 0, 15)), "x", 5, &SEARCH)[0], "x");
    assert_eq!(names(Family::Uclibc.at(Version::new(1, 0, 16)), "x", 5, &SEARCH)[2], "x");
}

#[test]
fn a_dot_in_the_search_list_makes_older_musl_wait_in_vain() {
    let search = [".", "a.test"];
    let all = |_: &str| Answer::Address;
    assert_eq!(resolves(musl(2, 3), "x", 1, &search, all), Some(false));
    assert_eq!(resolves(musl(2, 4), "x", 1, &search, all), Some(true));
    assert_eq!(names(musl(2, 4), "x", 1, &search), ["x.a.test", "x"]);
    assert_eq!(names(go(), "x", 1, &search), ["x.a.test", "x"]);
    assert_eq!(names(glibc(), "x", 1, &search), ["x", "x.a.test"], "it takes the place of the name as is");
}

#[test]
fn a_trailing_dot_in_the_search_list_changes_nothing() {
    assert_eq!(names(musl(2, 3), "x", 1, &["a.test."]), ["x.a.test", "x"]);
    assert_eq!(names(glibc(), "x", 1, &["a.test."]), ["x.a.test", "x"]);
}

#[test]
fn after_a_timeout_glibc_tries_only_the_name_as_is() {
    let queries = |ndots| lookup(glibc(), "x.y", ndots, &SEARCH, |_| Answer::Timeout).map(|lookup| lookup.queries);
    assert_eq!(queries(5), Some(4), "the first of the list, then the name");
    assert_eq!(queries(1), Some(4), "the name, then the first of the list");
    assert_eq!(lookup(go(), "x.y", 5, &SEARCH, |_| Answer::Timeout).map(|lookup| lookup.queries), Some(6));
}

/// glibc's `__res_context_search` (resolv/res_query.c), as run on 2.36: of a short name that only the second domain has.
#[test]
fn after_refused_and_silence_glibc_misses_the_names_of_later_domains() {
    let found = |resolver, answer| {
        let to = |name: &str| match name {
            "x.a.test" => answer,
            "x.b.test" => Answer::Address,
            _ => Answer::NxDomain,
        };
        resolves(resolver, "x", 5, &SEARCH, to)
    };
    for answer in [Answer::NxDomain, Answer::NoData, Answer::ServFail, Answer::Refused, Answer::Timeout] {
        let goes_on = !matches!(answer, Answer::Refused | Answer::Timeout);
        assert_eq!(found(glibc(), answer), Some(goes_on), "{answer:?}");
        assert_eq!(found(go(), answer), Some(true), "{answer:?}");
        assert_eq!(found(musl(2, 5), answer), Some(answer == Answer::NxDomain), "{answer:?}");
    }
}

#[test]
fn c_ares_stops_at_a_failing_server_unless_the_name_is_a_single_label() {
    let asked = |version: Version, name, ndots| {
        lookup(Family::CAres.at(version), name, ndots, &SEARCH, |_| Answer::ServFail).map(|lookup| lookup.queries)
    };
    let current = Version::new(1, 34, 0);
    assert_eq!(asked(current, "x.y", 1), Some(2));
    assert_eq!(asked(current, "x", 0), Some(4));
    assert_eq!(asked(Version::new(1, 33, 0), "x", 0), Some(2));
}

#[test]
fn uclibc_goes_on_after_a_failing_server_and_stops_at_a_name_without_address() {
    let asked = |answer| lookup(Family::Uclibc.unversioned(), "x", 1, &SEARCH, |_| answer).map(|lookup| lookup.queries);
    let answers = [Answer::ServFail, Answer::NoData, Answer::Refused, Answer::Timeout];
    assert_eq!(answers.map(asked), [Some(6), Some(2), Some(2), Some(2)]);
}

#[test]
fn returns_the_name_that_was_found() {
    let second = |name: &str| if name == "x.b.test" { Answer::Address } else { Answer::NxDomain };
    let found = lookup(musl(2, 5), "x", 1, &SEARCH, second);
    assert_eq!(found.map(|lookup| (lookup.found, lookup.queries)), Some((Some("x.b.test".to_owned()), 4)));
}

#[test]
fn counts_the_search_domains_that_are_read() {
    let long = "x".repeat(117);
    let names = ["a", "b", "c", "d", "e", "f", &long];
    let read = |resolver| search_domains_read(resolver, &names);
    assert_eq!(read(glibc()), 7);
    assert_eq!(read(Family::Glibc.at(Version::new(2, 25, 0))), 6);
    assert_eq!(read(Family::Uclibc.unversioned()), 6, "the last one is cut");
    assert_eq!(read(musl(1, 12)), 0, "it never searches");
    assert_eq!(read(musl(2, 5)), 7);
    let longer = [&*long, &*long, &*long];
    assert_eq!(search_domains_read(musl(2, 5), &longer), 0, "all or nothing");
    assert_eq!(search_domains_read(Family::Glibc.at(Version::new(2, 25, 0)), &longer), 2, "255 bytes");
}
