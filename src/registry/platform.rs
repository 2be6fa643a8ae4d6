//! Platforms, `linux/arm/v7`: how they are written, and which of an index's fits. Must not know manifests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image is built for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`.
    pub os: String,
    /// `amd64`, `arm64`, as Go names them.
    #[serde(rename = "architecture")]
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

    /// How well an image for `self` runs on `wanted`: the larger the better, `None` not at all. As containerd's
    /// `platforms.Only`: arm v7 runs v6 and v5, arm64 is v8, amd64 v3 runs v2 and v1.
    pub fn fitness(&self, wanted: &Self) -> Option<u32> {
        if self.os != wanted.os || self.arch != wanted.arch {
            return None;
        }
        let (own, wanted) = (self.level(), wanted.level());
        (own <= wanted).then_some(own)
    }

    /// The number of the variant, with what each architecture has by default.
    fn level(&self) -> u32 {
        let written = self.variant.as_deref().and_then(|variant| variant.strip_prefix('v')?.parse().ok());
        written.unwrap_or(match self.arch.as_str() {
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
