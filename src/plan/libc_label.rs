//! Which row of a profile a pod gets. A pod has one resolv.conf for all its containers, so all of them decide.

use crate::image::Evidence;
use crate::pod::Dns;
use crate::policy::{MuslReleases, Profile};
use crate::resolver::Family;
use crate::rules::Container;

/// What the containers of a pod use, in one word: the value of the label `muslin.dev/libc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// All use musl.
    Musl,
    /// All use glibc.
    Glibc,
    /// All use something else: Go's resolver, uClibc, a static program.
    Other,
    /// Nothing is known of any.
    Unknown,
    /// They differ.
    Mixed,
}

/// The options that the profile has for these containers.
pub(super) fn options<'p>(profile: &'p Profile, containers: &[Container<'_>]) -> &'p [String] {
    let is_musl = |container: &Container<'_>| container.resolver().family == Family::Musl;
    let is_certain =
        |container: &Container<'_>| matches!(container.fingerprint.evidence, Evidence::Inspected | Evidence::Declared);
    let all_use = |family: Family| containers.iter().all(|container| container.resolver().family == family);
    if containers.iter().all(|container| is_musl(container) && is_certain(container)) {
        let release = |row: &&MuslReleases| {
            containers.iter().all(|container| container.resolver().version.is_some_and(|version| row.include(version)))
        };
        profile.musl_releases.iter().find(release).map_or(&profile.all_musl, |row| &row.options)
    } else if containers.iter().any(is_musl) {
        &profile.some_musl
    } else {
        let own = if all_use(Family::Glibc) {
            profile.glibc.as_ref()
        } else if all_use(Family::Go) {
            profile.go.as_ref()
        } else {
            None
        };
        own.unwrap_or(&profile.no_musl)
    }
}

/// The indexes of the author's options that are the profile's, where the pod has all that the profile gives it: as muslin would
/// have made it, or did make it in the file that it comes from. What such an option means for one of the containers was weighed
/// when the profile was chosen. An author who wrote only some of them relies on those, and hears of them.
pub(super) fn settled(profile: &Profile, containers: &[Container<'_>], authored: &Dns) -> Vec<usize> {
    let row = options(profile, containers);
    let indexes: Vec<usize> =
        authored.effective_options().filter(|index| row.contains(&authored.options[*index].text())).collect();
    let is_whole = row.iter().all(|option| indexes.iter().any(|index| authored.options[*index].text() == *option));
    if is_whole { indexes } else { Vec::new() }
}

/// What these resolvers have in common.
pub fn libc_of(families: impl Iterator<Item = Family>) -> Libc {
    families.map(Libc::of).reduce(|one, other| if one == other { one } else { Libc::Mixed }).unwrap_or(Libc::Unknown)
}

// === impl Libc ===

impl Libc {
    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Musl => "musl",
            Self::Glibc => "glibc",
            Self::Other => "other",
            Self::Unknown => "unknown",
            Self::Mixed => "mixed",
        }
    }

    const fn of(family: Family) -> Self {
        match family {
            Family::Musl => Self::Musl,
            Family::Glibc => Self::Glibc,
            Family::Go | Family::Uclibc | Family::CAres | Family::Static => Self::Other,
            Family::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_named_for_what_its_containers_have_in_common() {
        for (families, libc) in [
            (&[Family::Musl, Family::Musl][..], Libc::Musl),
            (&[Family::Glibc], Libc::Glibc),
            (&[Family::Musl, Family::Glibc], Libc::Mixed),
            (&[Family::Musl, Family::Unknown], Libc::Mixed),
            (&[Family::Go, Family::Static], Libc::Other),
            (&[Family::Unknown], Libc::Unknown),
        ] {
            assert_eq!(libc_of(families.iter().copied()), libc, "{families:?}");
        }
    }
}
