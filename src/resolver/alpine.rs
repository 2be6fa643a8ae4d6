//! The musl of each Alpine release. Knows nothing of images; `image` uses it once an image name shows the release.

use std::fmt;

use super::version::Version;

/// A stable Alpine branch such as `3.19`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// The first number, 3 for every release that containers use.
    pub major: u16,
    /// The branch, 19 in `3.19.4`.
    pub minor: u16,
}

/// The musl of each stable branch, from `lib/apk/db/installed` in the official root file systems (aports commits and
/// docker-library's repo-info, listed with each commit in the project's facts on resolvers, section 2). A branch keeps its
/// musl release for life; only the package revision grows.
const MUSL_BY_BRANCH: &[(u16, Version)] = &[
    (1, Version::new(1, 1, 5)),
    (2, Version::new(1, 1, 11)),
    (3, Version::new(1, 1, 12)),
    (4, Version::new(1, 1, 14)),
    (5, Version::new(1, 1, 15)),
    (6, Version::new(1, 1, 16)),
    (7, Version::new(1, 1, 18)),
    (8, Version::new(1, 1, 19)),
    (9, Version::new(1, 1, 20)),
    (10, Version::new(1, 1, 22)),
    (11, Version::new(1, 1, 24)),
    (12, Version::new(1, 1, 24)),
    (13, Version::new(1, 2, 2)),
    (14, Version::new(1, 2, 2)),
    (15, Version::new(1, 2, 2)),
    (16, Version::new(1, 2, 3)),
    (17, Version::new(1, 2, 3)),
    (18, Version::new(1, 2, 4)),
    (19, Version::new(1, 2, 4)),
    (20, Version::new(1, 2, 5)),
    (21, Version::new(1, 2, 5)),
    (22, Version::new(1, 2, 5)),
    (23, Version::new(1, 2, 5)),
    (24, Version::new(1, 2, 6)),
];

// === impl Release ===

impl Release {
    /// The branch `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The branches that carry this musl, the oldest first.
    pub fn with_musl(version: Version) -> impl Iterator<Item = Self> {
        MUSL_BY_BRANCH.iter().filter(move |(_, musl)| *musl == version).map(|(minor, _)| Self::new(3, *minor))
    }

    /// The first branch that carries this musl or a newer one.
    pub fn first_with_musl(version: Version) -> Option<Self> {
        MUSL_BY_BRANCH.iter().find(|(_, musl)| *musl >= version).map(|(minor, _)| Self::new(3, *minor))
    }

    /// The newest musl that any branch carries.
    pub fn newest_musl() -> Option<Version> {
        MUSL_BY_BRANCH.last().map(|(_, version)| *version)
    }

    /// The musl that this branch carries; `None` for a branch outside the table.
    pub fn musl(self) -> Option<Version> {
        let Self { major, minor } = self;
        (major == 3)
            .then(|| MUSL_BY_BRANCH.iter().find(|(branch, _)| *branch == minor))
            .flatten()
            .map(|(_, version)| *version)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor } = self;
        write!(f, "{major}.{minor}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_musl_of_a_branch() {
        assert_eq!(Release::new(3, 19).musl(), Some(Version::new(1, 2, 4)));
        assert_eq!(Release::new(3, 16).musl(), Some(Version::new(1, 2, 3)));
    }

    #[test]
    fn an_unknown_branch_has_no_musl() {
        assert_eq!(Release::new(3, 99).musl(), None);
        assert_eq!(Release::new(2, 7).musl(), None);
    }

    #[test]
    fn newer_branches_have_no_older_musl() {
        assert!(MUSL_BY_BRANCH.is_sorted());
    }
}
