//! The value of the label `muslin.dev/libc`.

use crate::resolver::Family;

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
