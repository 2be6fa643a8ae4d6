//! Platforms such as `linux/arm/v7`: their notation, and which platform of an index runs where. Must not know manifests.

use std::fmt;
use std::str::FromStr;

use crate::text::one_line;
use serde::{Deserialize, Serialize};

/// A platform that an image is built for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The operating system, `linux` or `windows`.
    #[serde(default)]
    pub os: String,
    /// The architecture by its name in Go, such as `amd64` or `arm64`.
    #[serde(default, rename = "architecture")]
    pub arch: String,
    /// The variant, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// The error for a text that is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no platform such as linux/amd64 or linux/arm/v7")]
pub struct InvalidPlatform(String);

// === impl Platform ===

impl Platform {
    /// Linux on the given architecture.
    pub fn linux(arch: &str) -> Self {
        Self { os: "linux".to_owned(), arch: arch.to_owned(), variant: None }
    }

    /// Returns the platform without its variant, as nodes name theirs.
    #[must_use]
    pub fn without_variant(&self) -> Self {
        Self { variant: None, ..self.clone() }
    }

    /// Returns whether the platform has a name; some tools write an empty one.
    pub(super) const fn is_named(&self) -> bool {
        !self.os.is_empty() && !self.arch.is_empty()
    }

    /// Returns how well an image for `self` runs on `wanted`: the larger the better, `None` for not at all. Follows containerd's
    /// `platforms.Only`: arm v7 runs v6 and v5, arm64 is v8, amd64 v3 runs v2 and v1, and, where there is nothing better, amd64
    /// runs 386 and arm64 runs arm.
    pub(super) fn fitness(&self, wanted: &Self) -> Option<u32> {
        if self.os != wanted.os {
            return None;
        }
        let (own, level) = (self.variant_number(), wanted.variant_number());
        match (self.go_arch(), wanted.go_arch()) {
            (one, other) if one == other => (own <= level).then_some(own + 1),
            ("386", "amd64") => Some(0),
            // The highest variant of arm.
            ("arm", "arm64") => (own <= level).then_some(own),
            _ => None,
        }
    }

    /// Returns the architecture by its name in Go (containerd `platforms/database.go` has the others).
    fn go_arch(&self) -> &str {
        match self.arch.as_str() {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            "i386" | "i486" | "i586" | "i686" => "386",
            "armhf" | "armel" => "arm",
            other => other,
        }
    }

    /// Returns the number of the variant, or the default of the architecture.
    fn variant_number(&self) -> u32 {
        let written = self.variant.as_deref().and_then(|variant| variant.strip_prefix('v')?.parse().ok());
        written.unwrap_or(match self.go_arch() {
            "arm" if self.arch == "armel" => 6,
            "arm" => 7,
            "arm64" => 8,
            "amd64" => 1,
            _ => 0,
        })
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match parts.as_slice() {
            [os, arch, variant @ ..] if variant.len() <= 1 && parts.iter().all(is_word) => Ok(Self {
                os: (*os).to_owned(),
                arch: (*arch).to_owned(),
                variant: variant.first().map(|variant| (*variant).to_owned()),
            }),
            _ => Err(InvalidPlatform(one_line(text, 80).into_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { os, arch, variant } = self;
        write!(f, "{os}/{arch}")?;
        variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_platforms_as_containerd_does() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let best = |wanted: &str, offered: &[&str]| {
            let fit =
                |text: &&str| platform(text).fitness(&platform(wanted)).map(|fitness| (fitness, text.to_string()));
            offered.iter().filter_map(fit).max().map(|(_, text)| text)
        };
        for (wanted, offered, chosen) in [
            ("linux/amd64", &["linux/amd64", "linux/arm64/v8"][..], Some("linux/amd64")),
            ("linux/arm64", &["linux/amd64", "linux/arm/v7", "linux/arm64/v8"], Some("linux/arm64/v8")),
            ("linux/arm/v6", &["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], Some("linux/arm/v6")),
            ("linux/arm", &["linux/arm/v5", "linux/arm/v6"], Some("linux/arm/v6")),
            ("linux/amd64", &["linux/amd64/v2"], None),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"], Some("linux/amd64/v2")),
            ("linux/amd64", &["linux/386", "linux/amd64"], Some("linux/amd64")),
            ("linux/amd64", &["linux/386", "linux/s390x"], Some("linux/386")),
            ("linux/386", &["linux/amd64"], None),
            ("linux/arm64", &["linux/arm/v5", "linux/arm/v7"], Some("linux/arm/v7")),
            ("linux/x86_64", &["linux/amd64"], Some("linux/amd64")),
            ("linux/arm64", &["linux/aarch64"], Some("linux/aarch64")),
            ("linux/amd64", &["windows/amd64"], None),
        ] {
            assert_eq!(best(wanted, offered).as_deref(), chosen, "{wanted} of {offered:?}");
        }
    }

    #[test]
    fn rejects_texts_that_are_no_platform() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
