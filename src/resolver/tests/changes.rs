//! The changes between releases.

use super::super::{Family, Version, changes, musl::TCP_SINCE};
use super::musl;

#[test]
fn each_familys_changes_stand_in_the_order_of_their_releases() {
    for family in Family::KNOWN {
        assert!(changes(family).is_sorted_by_key(|change| change.since), "{}", family.name());
    }
}

#[test]
fn a_release_lacks_later_changes() {
    let lacks_tcp =
        |resolver| changes(Family::Musl).any(|change| change.since == TCP_SINCE && change.is_missing_in(resolver));
    assert!(lacks_tcp(musl(2, 3)));
    assert!(!lacks_tcp(musl(2, 4)));
    assert!(!lacks_tcp(Family::Musl.unversioned()));
}

#[test]
fn glibc_before_2_41_lacks_the_fix_of_the_second_socket() {
    let lacks = |minor| {
        let resolver = Family::Glibc.at(Version::new(2, minor, 0));
        changes(Family::Glibc).any(|change| change.before.contains("bug 30081") && change.is_missing_in(resolver))
    };
    assert_eq!([36, 40, 41, 43].map(lacks), [true, true, false, false]);
}

#[test]
fn every_known_family_has_a_stub_and_no_other_has() {
    for family in Family::NAMED.into_iter().chain([Family::Unknown]) {
        assert_eq!(family.summary().is_some(), Family::KNOWN.contains(&family), "{}", family.name());
    }
}
