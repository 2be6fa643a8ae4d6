//! The list of stub resolvers, and the questions that each answers by itself. One file is one resolver.

mod c_ares;
pub mod glibc;
pub mod go;
pub mod musl;
pub mod uclibc;

use super::change::Change;
use super::family::{Family, Resolver};
use super::settings::Settings;
use super::stub::Stub;
use super::version::Version;

/// The stub of a family; `None` if its resolver is unknown.
pub(super) fn stub(family: Family) -> Option<&'static dyn Stub> {
    match family {
        Family::Musl => Some(&musl::Musl),
        Family::Glibc => Some(&glibc::Glibc),
        Family::Go => Some(&go::Go),
        Family::Uclibc => Some(&uclibc::Uclibc),
        Family::CAres => Some(&c_ares::CAres),
        Family::Static | Family::Unknown => None,
    }
}

/// The changes between this family's releases, the oldest first.
pub fn changes(family: Family) -> impl Iterator<Item = &'static Change> {
    stub(family).into_iter().flat_map(|stub| stub.changes())
}

// === impl Family ===

impl Family {
    /// Whose code the resolver is and where it is found; `None` if it is unknown.
    pub fn summary(self) -> Option<&'static str> {
        stub(self).map(|stub| stub.summary())
    }

    /// Other names by which people ask for this family, in lower case.
    pub fn aliases(self) -> &'static [&'static str] {
        stub(self).map_or(&[], |stub| stub.aliases())
    }

    /// A release as the project writes it.
    pub fn release_name(self, version: Version) -> String {
        stub(self).map_or_else(|| version.to_string(), |stub| stub.release_name(version))
    }

    /// Returns true if a laboratory checked the timing; otherwise it follows from the source alone.
    pub fn is_measured(self) -> bool {
        stub(self).is_some_and(|stub| stub.is_measured())
    }
}

// === impl Settings ===

impl Settings {
    /// Returns the settings of `resolver` after it read `options`, each one `name[:value]`, in their order on the line.
    /// An unknown release is read as a current one. `None` if the resolver is unknown.
    pub fn read_options(resolver: Resolver, options: &[&str]) -> Option<Self> {
        stub(resolver.family).map(|stub| stub.read_options(resolver, options))
    }

    /// Returns these settings in a process whose environment has `RES_OPTIONS`.
    pub fn after_environment(self, res_options: &str) -> Self {
        stub(self.resolver.family).map_or(self, |stub| stub.read_environment(self, res_options))
    }
}
