//! Properties of any line, any search list and any release.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{
    Answer, Family, Resolver, Settings, Support, Version, Viability, known_options, lookup, query_names, resolves,
    zero_digits,
};
use super::{glibc, go, musl};

fn family() -> impl Strategy<Value = Family> {
    prop::sample::select(vec![Family::Musl, Family::Glibc, Family::Go, Family::Uclibc, Family::CAres])
}

fn resolver() -> impl Strategy<Value = Resolver> {
    let version = prop::option::of((0_u16..3, 0_u16..45, 0_u16..30));
    (family(), version).prop_map(|(family, version)| match version {
        Some((major, minor, patch)) => family.at(Version::new(major, minor, patch)),
        None => family.unversioned(),
    })
}

/// Options as people write them, and any other text that a pod may hold.
fn option() -> impl Strategy<Value = String> {
    let name = prop::sample::select(known_options().collect::<Vec<_>>());
    prop_oneof![
        4 => (name.clone(), 0_u64..70).prop_map(|(name, number)| format!("{name}:{number}")),
        2 => name.clone().prop_map(str::to_owned),
        1 => (name, ".{0,8}").prop_map(|(name, value)| format!("{name}:{value}")),
        1 => "[-a-z: 0-9]{0,40}",
        1 => any::<String>(),
    ]
}

fn search() -> impl Strategy<Value = Vec<String>> {
    vec(prop_oneof![4 => "[a-c]{1,3}(\\.[a-c]{1,3}){0,2}", 1 => Just(".".to_owned()), 1 => any::<String>()], 0..8)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]{1,3}(\\.[a-c]{1,3}){0,5}\\.?", 1 => any::<String>()]
}

fn texts(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}

/// An answer that depends on the name and on nothing else.
fn arbitrary_answer(name: &str, seed: u8) -> Answer {
    let sum = name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    [
        Answer::Address,
        Answer::NxDomain,
        Answer::NxDomain,
        Answer::NoData,
        Answer::ServFail,
        Answer::Refused,
        Answer::Timeout,
    ][usize::from(sum) % 7]
}

proptest! {
    #[test]
    fn any_line_is_read_within_its_bounds(
        resolver in resolver(), options in vec(option(), 0..12), servers: u32, names: u32,
    ) {
        let Some(read) = Settings::read_options(resolver, &texts(&options)) else { unreachable!("{resolver}") };
        let (ndots, seconds, attempts) = (read.ndots, read.timeout.as_secs(), read.attempts);
        match resolver.family {
            Family::Musl => prop_assert!(ndots <= 15 && seconds <= 60 && attempts <= 10),
            Family::Glibc => prop_assert!(ndots <= 15 && (1..=30).contains(&seconds) && attempts <= 5),
            Family::Go => prop_assert!(ndots <= 15 && seconds >= 1 && attempts >= 1),
            Family::Uclibc => prop_assert!(ndots <= 1 && seconds <= 255 && (1..=255).contains(&attempts)),
            _ => prop_assert!(read.timeout > Duration::ZERO && attempts >= 1),
        }
        let (lost, raced) = (read.one_loss_delay(), read.conntrack_race_delay(names));
        if read.viability() == Viability::Works {
            prop_assert!(lost.is_none_or(|lost| Some(lost) <= read.gives_up_after(1, 1)));
        } else {
            prop_assert_eq!((lost, raced), (None, None));
            prop_assert_eq!(read.gives_up_after(servers, names), Some(Duration::ZERO));
        }
        prop_assert!(read.resend_after() <= read.timeout);
        let _ = (read.slowest_answer(), read.dead_nameserver_delay(names, servers, names));
        let _ = read.gives_up_after(servers, names);
    }

    #[test]
    fn musl_takes_the_first_of_two_on_a_line_and_the_others_the_last(one in 1_u32..=5, other in 1_u32..=5) {
        for option in ["ndots", "timeout", "attempts"] {
            let (first, last) = (format!("{option}:{one}"), format!("{option}:{other}"));
            let read = |resolver, options: &[&str]| Settings::read_options(resolver, options);
            let both = [first.as_str(), last.as_str()];
            prop_assert_eq!(read(musl(2, 5), &both), read(musl(2, 5), &both[..1]));
            for resolver in [glibc(), go(), Family::CAres.unversioned()] {
                prop_assert_eq!(read(resolver, &both), read(resolver, &both[1..]), "{}", resolver);
            }
        }
    }

    #[test]
    fn an_ignored_option_changes_no_setting(resolver in resolver(), number in 0_u32..70) {
        // glibc before 2.2 (the year 2000) read neither `timeout` nor `attempts`; the model reads them all the same.
        let ancient = resolver.version.is_some_and(|release| release < Version::new(2, 2, 0));
        if ancient && resolver.family == Family::Glibc {
            return Ok(());
        }
        for option in known_options().filter(|option| resolver.support(option).is_ignored()) {
            // glibc 2.10 takes the beginning of this one for single-request.
            if resolver.family == Family::Glibc && option == "single-request-reopen" {
                continue;
            }
            for text in [option.to_owned(), format!("{option}:{number}")] {
                let (with, without) = (Settings::read_options(resolver, &[&text]), Settings::read_options(resolver, &[]));
                prop_assert_eq!(with, without, "{} {}", resolver, text);
            }
        }
    }

    #[test]
    fn an_option_that_breaks_lookups_holds_a_zero(
        resolver in resolver(), name in "(timeout|attempts)", number in 0_u32..999,
    ) {
        let text = format!("{name}:{number}");
        let Some(read) = Settings::read_options(resolver, &[&text]) else { unreachable!("{resolver}") };
        // uClibc keeps a byte of the number, so 256 is 0 too.
        let zero = zero_digits(&text, &name).is_some() || (resolver.family == Family::Uclibc && number % 256 == 0);
        prop_assert!(read.viability() == Viability::Works || zero, "{} {}", resolver, text);
    }

    #[test]
    fn zero_digits_are_zeros(text: String, option in option()) {
        if let Some(range) = zero_digits(&text, &option) {
            prop_assert!(!range.is_empty() && text[range].bytes().all(|digit| digit == b'0'));
        }
    }

    #[test]
    fn musl_never_tries_more_names_than_glibc(name in name(), search in search(), ndots in 0_u32..7) {
        let (name, search) = (name.as_str(), texts(&search));
        let few = query_names(musl(2, 6), name, ndots, &search);
        let many = query_names(glibc(), name, ndots, &search);
        prop_assert!(few.len() <= many.len(), "{:?} {:?}", few, many);
        prop_assert!(few.iter().all(|tried| many.contains(tried)), "{:?} {:?}", few, many);
    }

    #[test]
    fn a_name_that_musl_finds_glibc_and_go_find(
        name in name(), search in vec("[a-c]{1,2}", 0..5), ndots in 0_u32..4, seed: u8,
    ) {
        let search = texts(&search);
        let found = |resolver| lookup(resolver, &name, ndots, &search, |name| arbitrary_answer(name, seed))
            .and_then(|lookup| lookup.found);
        if let Some(by_musl) = found(musl(2, 6)) {
            prop_assert_eq!([found(glibc()), found(go())], [Some(by_musl.clone()), Some(by_musl)]);
        }
    }

    #[test]
    fn a_lookup_queries_its_names_only(
        resolver in resolver(), name in name(), search in search(), ndots: u32, seed: u8,
    ) {
        let (name, search) = (name.as_str(), texts(&search));
        let names = query_names(resolver, name, ndots, &search);
        let answer = |asked: &str| {
            assert!(names.iter().any(|name| name == asked), "{asked} of {names:?}");
            arbitrary_answer(asked, seed)
        };
        let Some(lookup) = lookup(resolver, name, ndots, &search, answer) else { unreachable!("{resolver}") };
        prop_assert!(usize::try_from(lookup.queries).is_ok_and(|queries| queries <= 2 * names.len()));
        prop_assert!(lookup.found.is_none_or(|found| names.iter().any(|name| *name == found)));
    }

    #[test]
    fn an_unknown_resolver_has_no_answers(
        family in prop::sample::select(vec![Family::Static, Family::Unknown]),
        options in vec(option(), 0..5),
        name in name(),
    ) {
        let (resolver, options) = (family.unversioned(), texts(&options));
        prop_assert_eq!(Settings::read_options(resolver, &options), None);
        prop_assert!(query_names(resolver, &name, 1, &["a.test"]).is_empty());
        prop_assert_eq!(resolves(resolver, &name, 1, &["a.test"], |_| Answer::Address), None);
        for option in options {
            prop_assert_eq!(resolver.support(option), Support::Unclear);
            prop_assert_eq!(resolver.facts(option).count(), 0);
        }
    }
}
