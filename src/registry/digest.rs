//! Digests of content, `sha256:…` and `sha512:…`, as OCI image-spec v1.1 registers them. Must not know what the content is.

use std::fmt;
use std::str::FromStr;

use crate::text::one_line;
use aws_lc_rs::digest::{Algorithm, Context, SHA256, SHA512};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A digest of content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Box<str>);

/// The error for a text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: write `sha256:` and 64, or `sha512:` and 128, hexadecimal digits in lower case")]
pub struct InvalidDigest(String);

/// A digest under construction.
#[derive(Clone)]
pub(super) struct Digester(Context);

// === impl Digest ===

impl Digest {
    /// Returns the digest of `bytes` by the algorithm of `self`.
    pub(super) fn with_same_algorithm(&self, bytes: &[u8]) -> Self {
        let mut digester = self.digester();
        digester.update(bytes);
        digester.finish()
    }

    /// Returns the SHA-256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        let mut digester = Digester::sha256();
        digester.update(bytes);
        digester.finish()
    }

    /// Returns a digester by the algorithm of `self`.
    pub(super) fn digester(&self) -> Digester {
        Digester(Context::new(if self.0.starts_with("sha512:") { &SHA512 } else { &SHA256 }))
    }

    /// Returns the digest in its usual form.
    pub const fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the algorithm and the digits.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or(("", &self.0))
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = match text.split_once(':') {
            Some(("sha256", digits)) if digits.len() == 64 => digits,
            Some(("sha512", digits)) if digits.len() == 128 => digits,
            _ => return Err(InvalidDigest(one_line(text, 160).into_owned())),
        };
        let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex { Ok(Self(text.into())) } else { Err(InvalidDigest(text.to_owned())) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

// === impl Digester ===

impl Digester {
    /// A SHA-256 digester; `diff_ids` of layers are SHA-256.
    pub(super) fn sha256() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest of all bytes.
    pub(super) fn finish(self) -> Digest {
        let algorithm: &'static Algorithm = self.0.algorithm();
        let name = if algorithm == &SHA512 { "sha512" } else { "sha256" };
        let mut text = format!("{name}:");
        for byte in self.0.finish().as_ref() {
            text.push_str(&format!("{byte:02x}"));
        }
        Digest(text.into())
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digester").finish_non_exhaustive()
    }
}
