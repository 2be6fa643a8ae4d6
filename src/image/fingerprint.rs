//! The resolver of one image, with its evidence and the reason. Must not know how any of these is found.

use std::fmt;

use super::reason::Reason;
use crate::resolver::{Family, Resolver};

/// The evidence for a resolver, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// The resolver is unknown.
    None,
    /// Suggested by the image name alone.
    Assumed,
    /// Read in the image's files.
    Inspected,
    /// Declared by an administrator.
    Declared,
}

/// The resolver of one image, for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The resolver and, if known, its release.
    pub resolver: Resolver,
    /// The evidence.
    pub evidence: Evidence,
    /// The reason, formatted only when it is shown.
    pub reason: Reason,
    /// Is true if the image holds a JVM, whose programs may resolve names by themselves (Netty).
    pub holds_java: bool,
    /// A resolver that the program may use as well.
    pub beside: Option<SecondResolver>,
}

/// A resolver that a program may use beside the main one, as Node's `dns.resolve` uses c-ares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondResolver {
    /// The resolver and, if known, its release.
    pub resolver: Resolver,
    /// The program itself has or links the resolver; otherwise the image has it, and the program may load it.
    pub in_program: bool,
    /// The reason.
    pub reason: Reason,
}

// === impl Evidence ===

impl Evidence {
    /// Returns the name in annotations and messages.
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
    /// Creates the fingerprint of an unknown resolver.
    pub const fn unknown(reason: Reason) -> Self {
        Self {
            resolver: Family::Unknown.unversioned(),
            evidence: Evidence::None,
            reason,
            holds_java: false,
            beside: None,
        }
    }

    /// Creates a fingerprint that an administrator declared.
    pub const fn declared(resolver: Resolver, reason: Reason) -> Self {
        Self { resolver, evidence: Evidence::Declared, reason, holds_java: false, beside: None }
    }

    /// Creates a fingerprint that was read in the image's files.
    pub const fn inspected(resolver: Resolver, reason: Reason) -> Self {
        Self { resolver, evidence: Evidence::Inspected, reason, holds_java: false, beside: None }
    }

    /// Creates a fingerprint that the image name alone suggests.
    pub const fn assumed(resolver: Resolver, reason: Reason) -> Self {
        Self { resolver, evidence: Evidence::Assumed, reason, holds_java: false, beside: None }
    }

    /// Returns true if the image name says that this is a Windows image, whose pods read no resolv.conf.
    pub fn is_windows(&self) -> bool {
        self.reason.is_windows()
    }
}

impl fmt::Display for Fingerprint {
    /// `musl 1.2.4 (assumed)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resolver, evidence, .. } = self;
        write!(f, "{resolver} ({evidence})")
    }
}
