//! Versions of resolvers and of distributions: three numbers, compared in order.

use std::fmt;
use std::str::FromStr;

/// A release such as `1.2.4`: major, minor and patch level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number, 0 where a release has only two (`2.36`).
    pub patch: u16,
}

/// A text that is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version such as 1.2.4")]
pub struct InvalidVersion(String);

// === impl Version ===

impl Version {
    /// The release `major.minor.patch`.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// `2.36` for 2.36.0, as some projects write it.
    pub(super) fn without_zero_patch(self) -> String {
        match self {
            Self { major, minor, patch: 0 } => format!("{major}.{minor}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch } = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    /// Reads two or three numbers, and skips the suffixes of packagers (`1.2.4_git20230717-r4`, `1.2.5-r11`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidVersion(text.to_owned());
        let numbers = text.split_once(['-', '_', '+', '~']).map_or(text, |(numbers, _)| numbers);
        let mut parts = numbers.split('.').map(str::parse::<u16>);
        let mut next = || parts.next().transpose().map_err(|_| invalid());
        let major = next()?.ok_or_else(invalid)?;
        let minor = next()?.ok_or_else(invalid)?;
        let patch = next()?.unwrap_or(0);
        match next()? {
            None => Ok(Self::new(major, minor, patch)),
            Some(_) => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_suffixes_of_packagers() {
        for (text, version) in [
            ("1.2.4", Version::new(1, 2, 4)),
            ("1.2.4_git20230717-r4", Version::new(1, 2, 4)),
            ("1.2.5-r11", Version::new(1, 2, 5)),
            ("2.36", Version::new(2, 36, 0)),
        ] {
            assert_eq!(text.parse(), Ok(version), "{text}");
        }
    }

    #[test]
    fn rejects_other_texts() {
        for text in ["", "1", "latest", "1.2.3.4", "1.x", "70000.1.1"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
