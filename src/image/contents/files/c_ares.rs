//! The c-ares that one file has or needs. Must not know of other files.

use serde::{Deserialize, Serialize};

use super::elf_marks::Found;

/// The start of the name of c-ares' library.
const LIBRARY: &str = "libcares.so.";
/// The starts of the names of libraries that some distributions build with c-ares: Alpine its libcurl since 3.19, Debian its libgrpc and
/// its libnode (which the packages' `DT_NEEDED` say).
const CARRIERS: [&str; 3] = ["libcurl", "libnode.so.", "libgrpc.so."];

/// The way in which a file has c-ares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CAres {
    /// The file is Envoy, which resolves all names by the c-ares in it, unless its configuration says otherwise.
    Envoy,
    /// The file contains c-ares, as Node's own builds and gRPC core do.
    Contained,
    /// The file needs c-ares' library.
    Linked,
    /// The file needs a library that has or needs c-ares.
    LinkedThrough,
    /// The file is c-ares' library.
    Itself,
}

// === impl CAres ===

impl CAres {
    /// Returns the c-ares of a file that needs the libraries `needed` and has these texts. `library` is the file name of a library.
    pub(super) fn of(needed: &[&str], library: Option<&str>, found: &Found) -> Option<Self> {
        if library.is_some_and(|name| name.starts_with(LIBRARY)) {
            found.c_ares.then_some(Self::Itself)
        } else if found.c_ares && found.envoy_c_ares && library.is_none() {
            Some(Self::Envoy)
        } else if found.c_ares {
            Some(Self::Contained)
        } else {
            needed.iter().any(|name| name.starts_with(LIBRARY)).then_some(Self::Linked)
        }
    }

    /// Returns true if a library of this name may have or need c-ares.
    pub(crate) fn may_carry(name: &str) -> bool {
        CARRIERS.iter().any(|carrier| name.starts_with(carrier))
    }

    /// Returns the predicate of a sentence whose subject is the file.
    pub(crate) const fn predicate(self) -> &'static str {
        match self {
            Self::Envoy => "is Envoy, and contains c-ares",
            Self::Contained => "contains c-ares",
            Self::Linked => "links c-ares",
            Self::LinkedThrough => "links a library that has c-ares",
            Self::Itself => "is c-ares",
        }
    }
}
