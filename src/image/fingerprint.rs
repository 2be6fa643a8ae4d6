//! What is known of the resolver inside one image, how it is known, and why. Must not know how any of it is found out.

use std::fmt;

use super::reason::Reason;
use crate::resolver::{Family, Resolver};

/// How we know, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// We do not.
    None,
    /// From the reference alone.
    Assumed,
    /// Read in the image.
    Inspected,
    /// An administrator said so.
    Declared,
}

/// The resolver of one image, for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The resolver and, where it is known, its release.
    pub resolver: Resolver,
    /// How we know.
    pub evidence: Evidence,
    /// Why we think so. Written out only when somebody reads it.
    pub reason: Reason,
}

// === impl Evidence ===

impl Evidence {
    /// The name used in annotations and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Assumed => "assumed",
            Self::Declared => "declared",
            Self::Inspected => "inspected",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    /// An image of which nothing is known, and why not.
    pub const fn unknown(reason: Reason) -> Self {
        Self { resolver: Family::Unknown.unversioned(), evidence: Evidence::None, reason }
    }

    /// What an administrator said, and of what.
    pub const fn declared(resolver: Resolver, reason: Reason) -> Self {
        Self { resolver, evidence: Evidence::Declared, reason }
    }

    /// A resolver that the reference alone suggests.
    pub const fn assumed(resolver: Resolver, reason: Reason) -> Self {
        Self { resolver, evidence: Evidence::Assumed, reason }
    }
}

impl fmt::Display for Fingerprint {
    /// `musl 1.2.4 (assumed)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resolver, evidence, reason: _ } = self;
        write!(f, "{resolver} ({evidence})")
    }
}
