//! The reasons of muslin's Events. People filter and alert by them, so a reason never changes its name.

use std::fmt;

/// Why an Event reports something about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventReason {
    /// muslin set options in the pod.
    DnsOptionsInjected,
    /// An option of the pod does harm, or nothing.
    DnsOptions,
    /// The pod's search list does harm.
    DnsSearch,
    /// The pod uses other nameservers than the cluster's.
    DnsPolicy,
    /// A property of this release of musl.
    MuslResolver,
    /// A property of glibc.
    GlibcResolver,
    /// A property of Go's resolver.
    GoResolver,
    /// The pod ignores a rule that does not exist, or has a key that nothing reads.
    UnknownRule,
}

/// The reason of the Events on muslin's own pod about a certificate from files that API servers cannot trust.
pub const CERTIFICATE_UNUSABLE: &str = "CertificateUnusable";

/// The reason of the Events on muslin's own pod about pods that were created without a review.
pub const PODS_MISSED: &str = "PodsMissed";

/// The reason of the Event on a stored profile that does not accept the risks of its cache on the node.
pub const RISK_NOT_ACCEPTED: &str = "RiskNotAccepted";

/// The reason of the Event on a profile whose new settings were promoted to all new pods.
pub const ROLLOUT_PROMOTED: &str = "RolloutPromoted";

/// The reason of the Event on a profile whose new settings no new pod gets any more.
pub const ROLLOUT_ROLLED_BACK: &str = "RolloutRolledBack";

/// The reason of the Events on a DNSObservation about a search domain that breaks lookups.
pub const SEARCH_DOMAIN_BROKEN: &str = "SearchDomainBroken";

/// The reason of the Events on a DNSObservation about a search domain that no longer breaks lookups.
pub const SEARCH_DOMAIN_HEALTHY: &str = "SearchDomainHealthy";

/// The reason of the Events on a watcher's pod and on CoreDNS about a verdict that begins to stand.
pub const DNS_FAULT: &str = "DNSFault";

/// The reason of the Events on a watcher's pod and on CoreDNS about a verdict that has ended.
pub const DNS_FAULT_ENDED: &str = "DNSFaultEnded";

// === impl EventReason ===

impl EventReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::DnsOptionsInjected,
        Self::DnsOptions,
        Self::DnsSearch,
        Self::DnsPolicy,
        Self::MuslResolver,
        Self::GlibcResolver,
        Self::GoResolver,
        Self::UnknownRule,
    ];

    /// Returns the reason as one word, as in an Event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DnsOptionsInjected => "DNSOptionsInjected",
            Self::DnsOptions => "DNSOptions",
            Self::DnsSearch => "DNSSearch",
            Self::DnsPolicy => "DNSPolicy",
            Self::MuslResolver => "MuslResolver",
            Self::GlibcResolver => "GlibcResolver",
            Self::GoResolver => "GoResolver",
            Self::UnknownRule => "UnknownRule",
        }
    }

    /// Returns the subject of Events with this reason, for the documentation.
    pub const fn about(self) -> &'static str {
        match self {
            Self::DnsOptionsInjected => "the options that muslin set in the pod, and the resolvers of its containers",
            Self::DnsOptions => "options of the pod that do harm, or nothing",
            Self::DnsSearch => "search names of the pod",
            Self::DnsPolicy => "a pod that uses other nameservers than the cluster's",
            Self::MuslResolver => "properties of this release of musl",
            Self::GlibcResolver => "properties of glibc",
            Self::GoResolver => "properties of Go's resolver",
            Self::UnknownRule => "a key of `muslin.dev/` that nothing reads, or an ignored rule that does not exist",
        }
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
