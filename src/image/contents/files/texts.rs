//! Texts between two NULs that look like a version, of which one is musl's release. Must not know the rest of the file.

use crate::resolver::Version;

/// The most texts like a version that are kept of a library; musl has one.
const VERSIONS_MAX: usize = 4;
/// The longest text like a version, in bytes: `1.2.4-git-123-g0123456789`.
const VERSION_MAX_BYTES: usize = 32;

/// Texts between two NULs that look like a version.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    current: Vec<u8>,
    found: Vec<Version>,
}

// === impl Texts ===

impl Texts {
    /// Reads the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == 0 {
                let version = std::str::from_utf8(&self.current).ok().filter(|text| text.matches('.').count() >= 2);
                if let Some(version) = version.and_then(|text| text.parse::<Version>().ok())
                    && self.found.len() < VERSIONS_MAX
                    && !self.found.contains(&version)
                {
                    self.found.push(version);
                }
                self.current.clear();
            } else if self.current.len() <= VERSION_MAX_BYTES {
                self.current.push(*byte);
            }
        }
    }

    /// Returns the version, if exactly one text is a possible release of musl (0.5.0 to 1.2.6 by 2026).
    pub(crate) fn only(self) -> Option<Version> {
        let mut plausible = self.found.into_iter().filter(|version| version.major <= 1);
        let first = plausible.next();
        first.filter(|_| plausible.next().is_none())
    }
}
