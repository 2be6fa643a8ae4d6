//! The value of the label `muslin.dev/libc`.

use crate::resolver::Family;

/// The C library that a pod's containers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// All use musl.
    Musl,
    /// All use glibc.
    Glibc,
    /// All use another resolver: Go's, uClibc's, or that of a static program.
    Other,
    /// No container's resolver is known.
    Unknown,
    /// The containers differ.
    Mixed,
}

/// Returns the C library that these resolvers have in common.
pub fn libc_of(families: impl Iterator<Item = Family>) -> Libc {
    families
        .map(Libc::from_family)
        .reduce(|one, other| if one == other { one } else { Libc::Mixed })
        .unwrap_or(Libc::Unknown)
}

// === impl Libc ===

impl Libc {
    /// Returns the label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Musl => "musl",
            Self::Glibc => "glibc",
            Self::Other => "other",
            Self::Unknown => "unknown",
            Self::Mixed => "mixed",
        }
    }

    const fn from_family(family: Family) -> Self {
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
    fn the_label_names_the_common_libc() {
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
