//! A C library in an image, and its release. Must not know where the release was read.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resolver::{Cgo, Family, Resolver, Version};

/// The name of a C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LibcKind {
    /// musl.
    Musl,
    /// The GNU C library.
    Glibc,
    /// uClibc and uClibc-ng.
    Uclibc,
}

/// A C library and, if known, its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Libc {
    /// The name.
    pub kind: LibcKind,
    /// The release.
    #[serde(default, with = "version", skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

// === impl LibcKind ===

impl LibcKind {
    /// Returns this library with an unknown release.
    pub const fn unversioned(self) -> Libc {
        Libc { kind: self, version: None }
    }

    /// Returns the family of its resolver.
    pub const fn family(self) -> Family {
        match self {
            Self::Musl => Family::Musl,
            Self::Glibc => Family::Glibc,
            Self::Uclibc => Family::Uclibc,
        }
    }

    /// Returns the library that a loader's name suggests, such as `/lib/ld-musl-x86_64.so.1`. A loader that was read outranks its
    /// name: Alpine's glibc shims use glibc's name for another library.
    pub(crate) fn of_loader_name(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with("ld-musl-") {
            Some(Self::Musl)
        } else if name.starts_with("ld-uClibc") || name.starts_with("ld64-uClibc") {
            Some(Self::Uclibc)
        } else {
            // glibc's ABI list: ld-linux-*.so.*, ld64.so.1 and .2 (ppc64, s390x), ld.so.1 (s390, mips).
            let glibc = name.starts_with("ld-linux") || matches!(name, "ld64.so.1" | "ld64.so.2" | "ld.so.1");
            glibc.then_some(Self::Glibc)
        }
    }
}

// === impl Libc ===

impl Libc {
    /// Returns the resolver in it.
    pub const fn resolver(self) -> Resolver {
        Resolver { family: self.kind.family(), version: self.version, cgo: Cgo::Unknown }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resolver().fmt(f)
    }
}

/// Serialises releases as text, `1.2.5`.
pub(crate) mod version {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::resolver::Version;

    #[expect(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub(crate) fn serialize<S: Serializer>(version: &Option<Version>, serializer: S) -> Result<S::Ok, S::Error> {
        match version {
            Some(version) => serializer.collect_str(version),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Version>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
