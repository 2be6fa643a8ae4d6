//! Platforms, `linux/arm/v7`: how they are written, and which of an index's fits. Must not know manifests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image is built for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`.
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64`, as Go names them.
    #[serde(default, rename = "architecture")]
    pub arch: String,
    /// `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no platform such as linux/amd64 or linux/arm/v7")]
pub struct InvalidPlatform(String);

// === impl Platform ===

impl Platform {
    /// Linux on the given architecture.
    pub fn linux(arch: &str) -> Self {
        Self { os: "linux".to_owned(), arch: arch.to_owned(), variant: None }
    }

    /// As a pod asks for it, which says nothing of variants.
    #[must_use]
    pub fn without_variant(&self) -> Self {
        Self { variant: None, ..self.clone() }
    }

    /// Whether it says what it is; some tools write an empty one.
    pub const fn is_named(&self) -> bool {
        !self.os.is_empty() && !self.arch.is_empty()
    }

    /// How well an image for `self` runs on `wanted`: the larger the better, `None` not at all. As containerd's
    /// `platforms.Only`: arm v7 runs v6 and v5, arm64 is v8, amd64 v3 runs v2 and v1, and, where there is nothing better, amd64
    /// runs 386 and arm64 runs arm.
    pub fn fitness(&self, wanted: &Self) -> Option<u32> {
        if self.os != wanted.os {
            return None;
        }
        let (own, level) = (self.level(), wanted.level());
        match (self.usual_arch(), wanted.usual_arch()) {
            (one, other) if one == other => (own <= level).then_some(own + 1),
            ("386", "amd64") => Some(0),
            // Of those for arm the highest.
            ("arm", "arm64") => (own <= level).then_some(own),
            _ => None,
        }
    }

    /// The architecture by Go's name, where others are used too (containerd `platforms/database.go`).
    fn usual_arch(&self) -> &str {
        match self.arch.as_str() {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            "i386" | "i486" | "i586" | "i686" => "386",
            "armhf" | "armel" => "arm",
            other => other,
        }
    }

    /// The number of the variant, with what each architecture has by default.
    fn level(&self) -> u32 {
        let written = self.variant.as_deref().and_then(|variant| variant.strip_prefix('v')?.parse().ok());
        written.unwrap_or(match self.usual_arch() {
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
            _ => Err(InvalidPlatform(text.chars().take(80).collect())),
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
    fn what_runs_where_is_as_containerd_has_it() {
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
    fn refuses_what_is_no_platform() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
