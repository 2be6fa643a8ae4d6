//! The condition of a row on the releases of musl, and the resolvers that it is about. Must not know what the row gives.

use crate::image::Evidence;
use crate::resolver::{Family, Resolver, Version};

/// The resolver of one container, and the evidence for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerResolver {
    /// The resolver, in the container's environment.
    pub resolver: Resolver,
    /// The evidence for the resolver.
    pub evidence: Evidence,
    /// Is true if the image holds a JVM.
    pub holds_java: bool,
}

/// A condition on a pod with musl: every container uses musl in a known release within the range, by inspection or declaration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MuslCondition {
    /// The first release of the range; `None` for no lower bound.
    pub from: Option<Version>,
    /// The first release after the range; `None` for no upper bound.
    pub before: Option<Version>,
    /// No container's image holds a JVM.
    pub except_java: bool,
    /// The most nameservers of the pod's resolv.conf; `None` for any number.
    pub nameservers_max: Option<usize>,
}

// === impl MuslCondition ===

impl MuslCondition {
    /// Returns whether one container meets the condition, whatever the nameservers.
    pub(super) fn is_met_by(self, one: ContainerResolver) -> bool {
        let Self { from, before, except_java, nameservers_max: _ } = self;
        let is_in_range =
            |version: Version| from.is_none_or(|from| from <= version) && before.is_none_or(|before| version < before);
        let version = one.resolver.version.filter(|_| one.is_known_musl());
        version.is_some_and(is_in_range) && !(except_java && one.holds_java)
    }
}

// === impl ContainerResolver ===

impl ContainerResolver {
    /// A resolver that was read in the image.
    pub const fn inspected(resolver: Resolver) -> Self {
        Self { resolver, evidence: Evidence::Inspected, holds_java: false }
    }

    pub(super) fn is_known_musl(self) -> bool {
        self.resolver.family == Family::Musl && matches!(self.evidence, Evidence::Inspected | Evidence::Declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Profile, Releases};

    #[test]
    fn a_condition_on_releases_can_exclude_java_and_several_nameservers() {
        let condition = MuslCondition {
            from: Some(Version::new(1, 2, 1)),
            before: None,
            except_java: true,
            nameservers_max: Some(1),
        };
        let musl = ContainerResolver::inspected(Family::Musl.at(Version::new(1, 2, 5)));
        let old = ContainerResolver::inspected(Family::Musl.at(Version::new(1, 2, 0)));
        let glibc = ContainerResolver::inspected(Family::Glibc.unversioned());
        let assumed = ContainerResolver { evidence: Evidence::Assumed, ..musl };
        let java = ContainerResolver { holds_java: true, ..musl };
        let releases = Releases { condition, options: vec!["attempts:3".to_owned()] };
        let profile = Profile { musl_releases: vec![releases], ..Profile::nothing() };
        let holds =
            |pod: &[ContainerResolver], nameservers| !profile.options_for(pod.iter().copied(), nameservers).is_empty();
        assert!(holds(&[musl, musl], 1));
        assert!(!holds(&[musl], 2), "two nameservers");
        for other in [old, assumed, glibc, java] {
            assert!(!holds(&[musl, other], 1), "{other:?}");
        }
    }
}
