//! The profile of a namespace with the `ndots` that other profiles set for one of its workloads. Must not know which pods those select.

use super::profile::Profile;

/// The beginning of the option.
const NDOTS: &str = "ndots:";

// === impl Profile ===

impl Profile {
    /// Returns the profile with the `ndots` of others in each of its rows. The highest of several counts, as it loses the fewest names.
    #[must_use]
    pub fn with_ndots_of(&self, others: &[&Self]) -> Self {
        let row = |own: &[String], of: fn(&Self) -> &[String]| with_ndots(own, others.iter().map(|other| of(other)));
        let mut releases = self.musl_releases.clone();
        for entry in &mut releases {
            entry.options = row(&entry.options, |other| &other.musl);
        }
        let names: Vec<&str> = others.iter().map(|other| &*other.name).collect();
        Self {
            name: format!("{} with {}", self.name, names.join(", ")),
            musl: row(&self.musl, |other| &other.musl),
            musl_releases: releases,
            mixed: row(&self.mixed, |other| &other.mixed),
            glibc: Some(row(self.glibc.as_ref().unwrap_or(&self.others), |other| {
                other.glibc.as_ref().unwrap_or(&other.others)
            })),
            go: Some(row(self.go.as_ref().unwrap_or(&self.others), |other| other.go.as_ref().unwrap_or(&other.others))),
            others: row(&self.others, |other| &other.others),
            ..self.clone()
        }
    }
}

/// Returns a row of options with the highest `ndots` of other rows; as it is if none of them has one.
fn with_ndots<'r>(own: &[String], rows: impl Iterator<Item = &'r [String]>) -> Vec<String> {
    let highest = rows.filter_map(ndots).max();
    let Some(highest) = highest else { return own.to_vec() };
    let kept = own.iter().filter(|option| !option.starts_with(NDOTS)).cloned();
    kept.chain([format!("{NDOTS}{highest}")]).collect()
}

/// Returns the `ndots` of a row.
pub(crate) fn ndots(row: &[String]) -> Option<u32> {
    row.iter().find_map(|option| option.strip_prefix(NDOTS)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{MuslCondition, Releases};

    fn row(options: &[&str]) -> Vec<String> {
        options.iter().map(|option| (*option).to_owned()).collect()
    }

    fn lowered(name: &str, musl: &[&str], glibc: Option<&[&str]>, others: &[&str]) -> Profile {
        Profile {
            name: name.to_owned(),
            musl: row(musl),
            mixed: row(musl),
            glibc: glibc.map(row),
            others: row(others),
            ..Profile::nothing()
        }
    }

    #[test]
    fn each_row_gets_the_ndots_of_its_own_kind_beside_its_options() {
        let base = Profile {
            name: "shop".to_owned(),
            musl: row(&["attempts:3", "ndots:5"]),
            musl_releases: vec![Releases { condition: MuslCondition::default(), options: row(&["attempts:4"]) }],
            others: row(&["timeout:7"]),
            ..Profile::nothing()
        };
        let refined = base.with_ndots_of(&[&lowered("web", &["ndots:2"], Some(&["ndots:1"]), &[])]);
        assert_eq!(refined.name, "shop with web");
        assert_eq!(refined.musl, ["attempts:3", "ndots:2"]);
        assert_eq!(refined.musl_releases[0].options, ["attempts:4", "ndots:2"]);
        assert_eq!(refined.mixed, ["ndots:2"]);
        assert_eq!(refined.glibc, Some(row(&["timeout:7", "ndots:1"])));
        assert_eq!((refined.go, refined.others), (Some(row(&["timeout:7"])), row(&["timeout:7"])));
    }

    #[test]
    fn of_several_the_highest_counts_in_any_order() {
        let (two, four) = (lowered("a", &["ndots:2"], None, &["ndots:2"]), lowered("b", &["ndots:4"], None, &[]));
        for others in [[&two, &four], [&four, &two]] {
            let refined = Profile::nothing().with_ndots_of(&others);
            assert_eq!((refined.musl, refined.others), (row(&["ndots:4"]), row(&["ndots:2"])));
        }
    }
}
