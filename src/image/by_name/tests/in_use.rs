//! The share of unknown images among those of public manifests, weighted by how often they are used.

use super::{reason, resolver};

/// Images of public manifests about which muslin 0.1.0 suggested nothing. Columns: uses, and reference. A reference that names no
/// published image has a third column, `placeholder`.
const IN_USE: &str = include_str!("../../../../tests/data/images-in-use.tsv");

/// Images that public manifests use at least three times, known or not. Columns: uses, and reference.
const IN_MANIFESTS: &str = include_str!("../../../../tests/data/images-in-manifests.tsv");

/// The share of uses of all images in manifests, in percent, that may be unknown.
const UNKNOWN_IN_MANIFESTS_MAX: usize = 16;

/// The share of uses, in percent, that may be unknown.
const UNKNOWN_MAX: usize = 25;

#[test]
fn at_most_a_quarter_of_the_images_in_use_is_unknown() {
    let (mut uses, mut unknown, mut placeholders) = (0, 0, 0);
    let mut left = Vec::new();
    for line in IN_USE.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let count: usize = columns[0].parse().unwrap_or_else(|error| unreachable!("{line}: {error}"));
        let is_unknown = resolver(columns[1]) == "unknown";
        if columns.get(2) == Some(&"placeholder") {
            assert!(is_unknown, "{line}: {}", reason(columns[1]));
            placeholders += count;
            continue;
        }
        uses += count;
        if is_unknown {
            unknown += count;
            left.push(line);
        }
    }
    let share = |unknown: usize, of: usize| unknown * 100 / of;
    let (without, with) = (share(unknown, uses), share(unknown + placeholders, uses + placeholders));
    println!("{without} % of {uses} uses are unknown, {with} % with {placeholders} uses of placeholders: {left:#?}");
    assert!(without <= UNKNOWN_MAX, "{without} % of {uses} uses are unknown: {left:#?}");
}

#[test]
fn most_images_of_public_manifests_are_known() {
    let (mut uses, mut unknown) = (0, 0);
    for line in IN_MANIFESTS.lines().filter(|line| !line.starts_with('#')) {
        let Some((count, reference)) = line.split_once('\t') else { unreachable!("{line}") };
        let count: usize = count.parse().unwrap_or_else(|error| unreachable!("{line}: {error}"));
        uses += count;
        unknown += if resolver(reference) == "unknown" { count } else { 0 };
    }
    let share = unknown * 100 / uses;
    println!("{share} % of {uses} uses are unknown");
    assert!(share <= UNKNOWN_IN_MANIFESTS_MAX, "{share} % of {uses} uses are unknown");
}
