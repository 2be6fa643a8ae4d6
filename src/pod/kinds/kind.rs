//! The row of the table about one kind: its pods, and where they get their DNS settings.

/// A kind of object that makes pods.
#[derive(Debug, PartialEq, Eq)]
pub struct PodKind {
    /// The API group, such as `argoproj.io`; empty for the core group.
    pub group: &'static str,
    /// The only version that the row is about, such as `v1beta1`; empty for all that have no row of their own.
    pub version: &'static str,
    /// The kind's name, such as `Rollout`.
    pub kind: &'static str,
    /// The name in the API's paths, such as `rollouts`.
    pub plural: &'static str,
    /// The places of its pods.
    pub pods: &'static [PodPlace],
    /// The schema that says so: a repository and a file.
    pub source: &'static str,
}

/// A place in an object from which pods are made.
#[derive(Debug, PartialEq, Eq)]
pub struct PodPlace {
    /// The JSON pointer from the object, in which `*` stands for each item of a list and each member of a map.
    pub at: &'static str,
    /// The form of the pod there.
    pub layout: Layout,
    /// Where the pods get their DNS settings from.
    pub dns: DnsSource,
    /// Is true if the object lists all containers of the pods that resolve names of their own. Otherwise the controller adds some, of
    /// which nothing is known, so that no option is chosen by the resolvers of the others.
    pub is_complete: bool,
}

/// The form of a pod in an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Layout {
    /// A pod or a PodTemplateSpec: `metadata` and `spec`.
    Template,
    /// A PodSpec.
    Spec,
    /// Fields of a PodSpec, and containers in other fields: patterns as of [`PodPlace::at`], from the place. An empty pattern means the
    /// place's own `image`.
    Fields {
        /// The init containers.
        init: &'static [&'static str],
        /// The other containers.
        containers: &'static [&'static str],
    },
    /// `dnsConfig`, `dnsPolicy` and `hostNetwork` of pods whose containers stand elsewhere.
    Settings,
}

/// The place from which pods get their `dnsConfig` and `dnsPolicy`.
#[derive(Debug, PartialEq, Eq)]
pub enum DnsSource {
    /// The pod's own spec, as in a Deployment; the place itself where that has the fields of a spec.
    Spec,
    /// The same, where a condition holds that the object does not show.
    SpecIf(&'static str),
    /// Another map of the place, at this JSON pointer from it, and the name of `dnsConfig` there.
    Elsewhere {
        /// The pointer, such as `/podTemplate`; empty for the place itself.
        map: &'static str,
        /// The field, such as `dnsConfig`.
        field: &'static str,
    },
    /// No place. The text says what helps instead.
    Nowhere(&'static str),
}

/// A PodTemplateSpec in an object of a kind that no row is about.
pub static GUESSED: PodPlace = PodPlace::template("")
    .passed_on_if("muslin does not know whether objects of this kind pass dnsConfig on to their pods");

/// DNS settings in a document that no row is about, such as Helm values.
pub static SETTINGS: PodPlace = PodPlace::settings("");

// === impl PodKind ===

impl PodKind {
    pub(super) const fn new(
        (group, kind, plural): (&'static str, &'static str, &'static str),
        pods: &'static [PodPlace],
        source: &'static str,
    ) -> Self {
        Self { group, version: "", kind, plural, pods, source }
    }

    pub(super) const fn only_in(self, version: &'static str) -> Self {
        Self { version, ..self }
    }
}

// === impl PodPlace ===

impl PodPlace {
    /// A PodTemplateSpec that is passed on as it is.
    pub(super) const fn template(at: &'static str) -> Self {
        Self { at, layout: Layout::Template, dns: DnsSource::Spec, is_complete: true }
    }

    /// A PodSpec that is passed on as it is.
    pub(super) const fn spec(at: &'static str) -> Self {
        Self { at, layout: Layout::Spec, dns: DnsSource::Spec, is_complete: true }
    }

    /// Containers in fields of their own.
    pub(super) const fn fields(
        at: &'static str,
        init: &'static [&'static str],
        containers: &'static [&'static str],
        dns: DnsSource,
    ) -> Self {
        Self { at, layout: Layout::Fields { init, containers }, dns, is_complete: true }
    }

    /// DNS settings of pods whose containers stand elsewhere.
    pub(super) const fn settings(at: &'static str) -> Self {
        Self { at, layout: Layout::Settings, dns: DnsSource::Spec, is_complete: false }
    }

    /// The place, of pods that get more containers than the object lists.
    pub(super) const fn with_others(self) -> Self {
        Self { is_complete: false, ..self }
    }

    /// The place, where `dnsConfig` is passed on under a condition.
    pub(super) const fn passed_on_if(self, condition: &'static str) -> Self {
        Self { dns: DnsSource::SpecIf(condition), ..self }
    }
}
