//! The options that a profile gives to a pod, as rows of data: each has a condition from a closed set, and the first row whose
//! condition holds counts. A pod has one resolv.conf for all its containers, so the choice is made for the pod. Nothing here may
//! decide by anything but a row's condition, so that the same rows can be compiled to another language.

use super::musl_condition::{ContainerResolver, MuslCondition};
use super::profile::Profile;
use crate::resolver::Family;

/// The options for pods that meet a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionRow<'p> {
    /// The condition.
    pub condition: Condition,
    /// The options, each `name` or `name:number`.
    pub options: &'p [String],
}

/// A condition on all resolvers of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The pod meets this condition on the releases of musl.
    MuslReleases(MuslCondition),
    /// Every container uses musl, by inspection or declaration.
    Musl,
    /// Some container uses musl, or seems to by its image's name alone.
    Mixed,
    /// Every container uses glibc.
    Glibc,
    /// Every container uses Go's resolver.
    Go,
    /// Any pod.
    Others,
}

// === impl Profile ===

impl Profile {
    /// Returns the profile's rows, in the order in which they are tried.
    pub fn option_rows(&self) -> impl Iterator<Item = OptionRow<'_>> {
        let Self { musl, musl_releases, mixed, glibc, go, others, .. } = self;
        let releases = musl_releases.iter().map(|releases| OptionRow {
            condition: Condition::MuslReleases(releases.condition),
            options: &releases.options,
        });
        releases.chain([
            OptionRow { condition: Condition::Musl, options: musl },
            OptionRow { condition: Condition::Mixed, options: mixed },
            OptionRow { condition: Condition::Glibc, options: glibc.as_ref().unwrap_or(others) },
            OptionRow { condition: Condition::Go, options: go.as_ref().unwrap_or(others) },
            OptionRow { condition: Condition::Others, options: others },
        ])
    }

    /// Returns the options for a pod whose containers have these resolvers, and whose resolv.conf has this number of nameservers. No
    /// other function decides this.
    pub fn options_for(
        &self,
        resolvers: impl Iterator<Item = ContainerResolver> + Clone,
        nameservers: usize,
    ) -> &[String] {
        let row = self.option_rows().find(|row| row.condition.holds(resolvers.clone(), nameservers));
        row.map_or(&[], |row| row.options)
    }

    /// Returns every option text that this profile could inject; a text may occur more than once.
    pub fn every_option(&self) -> impl Iterator<Item = &str> {
        self.option_rows().flat_map(|row| row.options).map(String::as_str)
    }
}

// === impl Condition ===

impl Condition {
    fn holds(self, mut resolvers: impl Iterator<Item = ContainerResolver>, nameservers: usize) -> bool {
        self.admits(nameservers)
            && if self.is_for_all() {
                resolvers.all(|one| self.is_met_by(one))
            } else {
                resolvers.any(|one| self.is_met_by(one))
            }
    }

    /// Returns whether a pod with this number of nameservers can meet the condition.
    pub(crate) fn admits(self, nameservers: usize) -> bool {
        match self {
            Self::MuslReleases(condition) => condition.nameservers_max.is_none_or(|max| nameservers <= max),
            Self::Musl | Self::Mixed | Self::Glibc | Self::Go | Self::Others => true,
        }
    }

    /// Returns whether every container has to meet the condition; otherwise one is enough.
    pub(crate) const fn is_for_all(self) -> bool {
        !matches!(self, Self::Mixed)
    }

    /// Returns whether one container meets the condition.
    pub(crate) fn is_met_by(self, one: ContainerResolver) -> bool {
        match self {
            Self::MuslReleases(condition) => condition.is_met_by(one),
            Self::Musl => one.is_known_musl(),
            Self::Mixed => one.resolver.family == Family::Musl,
            Self::Glibc => one.resolver.family == Family::Glibc,
            Self::Go => one.resolver.family == Family::Go,
            Self::Others => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Evidence;
    use crate::policy::Releases;
    use crate::resolver::Version;

    /// Resolvers that no condition tells apart.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Class {
        /// musl, known, in a release of the profile's range.
        InRange,
        /// musl, known, in another release or in one that is not known.
        OutOfRange,
        /// musl by the image's name alone.
        Assumed,
        Glibc,
        Go,
        Other,
    }
    use Class::*;

    /// The row that a pod gets: for pods with at least one container of the second classes, and none but of the first.
    const TABLE: [(&[Class], &[Class], &str); 6] = [
        (&[InRange], &[InRange], "muslReleases"),
        (&[InRange, OutOfRange], &[OutOfRange], "musl"),
        (&[InRange, OutOfRange, Assumed, Glibc, Go, Other], &[InRange, OutOfRange, Assumed], "mixed"),
        (&[Glibc], &[Glibc], "glibc"),
        (&[Go], &[Go], "go"),
        (&[Glibc, Go, Other], &[Glibc, Go, Other], "others"),
    ];

    const CLASSES: [Class; 6] = [InRange, OutOfRange, Assumed, Glibc, Go, Other];
    const EVIDENCE: [Evidence; 4] = [Evidence::Inspected, Evidence::Declared, Evidence::Assumed, Evidence::None];

    fn class(one: ContainerResolver) -> Class {
        let ContainerResolver { resolver, evidence, .. } = one;
        let is_known = matches!(evidence, Evidence::Inspected | Evidence::Declared);
        match (resolver.family, resolver.version) {
            (Family::Musl, Some(version)) if is_known && version.major == 1 && version.minor == 1 => InRange,
            (Family::Musl, _) if is_known => OutOfRange,
            (Family::Musl, _) => Assumed,
            (Family::Glibc, _) => Glibc,
            (Family::Go, _) => Go,
            _ => Other,
        }
    }

    /// Every family with every evidence, musl and glibc in several releases.
    fn every_resolver() -> Vec<ContainerResolver> {
        let musl = [(1, 1, 0), (1, 1, 24), (1, 2, 0), (1, 2, 5), (1, 0, 5)];
        let musl = musl.map(|(major, minor, patch)| Family::Musl.at(Version::new(major, minor, patch)));
        let glibc = Family::Glibc.at(Version::new(2, 36, 0));
        let families =
            [Family::Musl, Family::Glibc, Family::Go, Family::Uclibc, Family::CAres, Family::Static, Family::Unknown];
        let resolvers = musl.into_iter().chain([glibc]).chain(families.map(Family::unversioned));
        resolvers
            .flat_map(|resolver| EVIDENCE.map(|evidence| ContainerResolver { resolver, evidence, holds_java: false }))
            .collect()
    }

    /// A profile whose rows are named by their only option.
    fn profile() -> Profile {
        let row = |name: &str| vec![name.to_owned()];
        let releases = Releases {
            condition: MuslCondition {
                from: Some(Version::new(1, 1, 0)),
                before: Some(Version::new(1, 2, 0)),
                ..MuslCondition::default()
            },
            options: row("muslReleases"),
        };
        Profile {
            musl: row("musl"),
            musl_releases: vec![releases],
            mixed: row("mixed"),
            glibc: Some(row("glibc")),
            go: Some(row("go")),
            others: row("others"),
            ..Profile::nothing()
        }
    }

    fn expected(pod: &[ContainerResolver]) -> &'static str {
        let classes: Vec<Class> = pod.iter().copied().map(class).collect();
        let fits = |(all, some, _): &&(&[Class], &[Class], &str)| {
            classes.iter().all(|class| all.contains(class)) && classes.iter().any(|class| some.contains(class))
        };
        TABLE.iter().find(fits).unwrap().2
    }

    #[test]
    fn every_mix_of_resolvers_gets_the_row_of_the_table() {
        let profile = profile();
        let all = every_resolver();
        for one in &all {
            for two in &all {
                // A third container of each class.
                let thirds = CLASSES.map(|wanted| *all.iter().find(|other| class(**other) == wanted).unwrap());
                for pod in [vec![*one], vec![*one, *two]]
                    .into_iter()
                    .chain(thirds.into_iter().map(|third| vec![*one, *two, third]))
                {
                    assert_eq!(profile.options_for(pod.iter().copied(), 1), [expected(&pod)], "{pod:?}");
                }
            }
        }
    }

    #[test]
    fn glibc_and_go_get_the_row_of_the_others_where_they_have_none() {
        let profile = Profile { glibc: None, go: None, ..profile() };
        for family in [Family::Glibc, Family::Go] {
            let pod = [ContainerResolver::inspected(family.unversioned())];
            assert_eq!(profile.options_for(pod.into_iter(), 1), ["others"]);
        }
    }

    #[test]
    fn the_first_range_that_holds_every_release_counts() {
        let range = |from, before, name: &str| Releases {
            condition: MuslCondition { from, before, ..MuslCondition::default() },
            options: vec![name.to_owned()],
        };
        let (old, new) = (Version::new(1, 1, 20), Version::new(1, 2, 5));
        let musl_releases = vec![range(None, Some(new), "old"), range(Some(old), None, "new")];
        let profile = Profile { musl_releases, ..profile() };
        let pod = |versions: &[Version]| {
            let resolvers = versions.iter().map(|version| ContainerResolver::inspected(Family::Musl.at(*version)));
            profile.options_for(resolvers, 1)[0].clone()
        };
        assert_eq!([pod(&[old]), pod(&[new]), pod(&[old, new])], ["old", "new", "new"]);
        assert_eq!(pod(&[Version::new(1, 1, 12), new]), "musl");
    }
}
