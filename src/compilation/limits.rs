//! The parts of muslin's work that policies do, and those that they leave to the webhook: two tables of `docs/policies.md`, which tests on
//! a real API server try row by row.
//! Must not know the expressions of policies.

/// One thing that the policies do not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The pods, or the feature.
    pub what: &'static str,
    /// The result for such pods.
    pub instead: &'static str,
}

/// The features of the webhook that policies have: what, and in which way.
pub const FEATURES: &[(&str, &str)] = &[
    ("options by the resolvers of the pod's containers", "as the webhook: the same rows"),
    ("options of the pod's author", "kept; a profile with `onConflict: override` replaces them"),
    ("`attempts:0` and `timeout:0`", "fixed, where they are written as name and value"),
    (
        "the annotations `muslin.dev/injected`, `muslin.dev/resolvers` and `muslin.dev/warnings`, the label `muslin.dev/libc`",
        "as the webhook",
    ),
    (
        "a second pass",
        "changes nothing; containers of webhooks that run later are seen (`reinvocationPolicy: IfNeeded`)",
    ),
    ("declared images of a profile", "count for images in the table"),
    ("exempt images and service accounts", "the pod stays as it is"),
    ("`podSelector` of a profile", "the binding selects the pods; other pods stay as they are"),
    ("levels of rules", "as the profile sets them"),
];

const STAYS: &str = "the pod stays as it is";

/// All limits.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "an image that is not in the table",
        instead: "the pod stays as it is: CEL reads neither images nor image names",
    },
    Limit {
        what: "a command that is not in the table",
        instead: "the pod stays as it is: the program may have another resolver",
    },
    Limit { what: "nameservers or searches of the pod's author, and `dnsPolicy: None`", instead: STAYS },
    Limit { what: "options of the pod's author that are not in the table", instead: STAYS },
    Limit { what: "the variables GODEBUG, RES_OPTIONS, LOCALDOMAIN and ISTIO_META_DNS_CAPTURE", instead: STAYS },
    Limit { what: "a DNS proxy of Istio", instead: STAYS },
    Limit { what: "`muslin.dev/ignore`, and keys of muslin that nothing reads", instead: STAYS },
    Limit {
        what: "`muslin.dev/inject` with another value than true",
        instead: "the pod stays as it is; in mode `enforce` it can be denied",
    },
    Limit { what: "more than 16 containers or 16 options", instead: STAYS },
    Limit { what: "a pod that muslin changed before, if it would get something else now", instead: STAYS },
    Limit { what: "`nodeLocal` and `search` of a profile", instead: "pods that would get them stay as they are" },
    Limit {
        what: "`namespaces` of a profile, and broken search domains of nodes",
        instead: "muslin compile refuses the profile; no policy knows a domain",
    },
    Limit {
        what: "Events, metrics, previews, warnings about workloads, and the inspection of images",
        instead: "only muslin in the cluster has them",
    },
];

// === impl Limit ===

impl Limit {
    /// Returns the limit as one sentence.
    pub fn sentence(&self) -> String {
        let Self { what, instead } = self;
        format!("{what}: {instead}")
    }
}
