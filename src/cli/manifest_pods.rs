//! Plans the pods of a manifest, and places their findings in the file. Shared by `check` and `inject`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::image::{self, Fingerprint};
use crate::manifest::{Document, Lines, Node, Object};
use crate::plan::{Context, Plan, Skip, plan};
use crate::pod::{IGNORE_ANNOTATION, KeyOwner, KeyPlace, Pod, UnreadKey};
use crate::policy::{self, BrokenDomain, Level, Mode, Profile};
use crate::report::{LocatedFinding, ObjectName};
use crate::resolver::known_option;
use crate::rules::{Finding, HOLDER};

/// The settings that decide about a pod, besides its manifest.
#[derive(Debug)]
pub(super) struct ManifestPlanner {
    pub(super) mode: Mode,
    pub(super) profile: Profile,
    /// The broken search domains of nodes.
    pub(super) broken_domains: Vec<BrokenDomain>,
    pub(super) cluster_domain: String,
    /// The namespace of objects without one.
    pub(super) namespace: String,
}

/// An object with a pod or a pod template, in the document that holds it.
#[derive(Clone, Copy)]
pub(super) struct PodSource<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) root: &'d Node,
    pub(super) object: &'d Object<'d>,
    pub(super) template: &'static str,
}

/// Why a pod has no plan.
pub(super) enum NoPlan {
    /// muslin skips the pod, for this reason.
    Skipped(Cow<'static, str>),
    /// The pod is invalid.
    Invalid(InvalidPod),
}

/// The reason why a pod cannot be parsed.
pub(super) struct InvalidPod {
    /// JSON pointer to the invalid value, from the document.
    pub(super) pointer: String,
    pub(super) message: String,
}

// === impl ManifestPlanner ===

impl ManifestPlanner {
    /// Returns what the webhook would do to the pod.
    pub(super) fn plan(&self, source: PodSource<'_>) -> Result<Plan, NoPlan> {
        let namespace = self.namespace_of(source.object);
        if policy::is_excluded(namespace, None) {
            return Err(NoPlan::Skipped(Cow::Owned(format!("it is in {namespace}"))));
        }
        // The webhook's own types read JSON, so a YAML pod is converted first.
        let json = source.pod().map(serde_json::to_string).and_then(Result::ok).unwrap_or_default();
        let pod = parse_pod(&json, &source.pod_pointer()).map_err(NoPlan::Invalid)?;
        let unread = source.unread_keys();
        let context = Context {
            namespace,
            cluster_domain: &self.cluster_domain,
            cluster_nameservers: 1,
            mode: self.mode,
            profile: &self.profile,
            cache_fault: None,
            cluster_addresses: &[],
            broken_domains: &self.broken_domains,
            holder_ignores: source.ignores(),
            holder_unread: &unread,
            trusts_annotation: false,
            texts_from: Level::Info,
        };
        let fingerprints =
            pod.containers().map(|container| image::assume_started(container.image(), container.started().as_deref()));
        plan(&pod, fingerprints.collect(), &context).map_err(|skip: Skip| NoPlan::Skipped(Cow::Owned(skip.to_string())))
    }

    /// Calls `to` with each finding of a plan and its place.
    pub(super) fn report(
        &self,
        source: PodSource<'_>,
        plan: &Plan,
        file: &str,
        lines: &Lines<'_>,
        mut to: impl FnMut(LocatedFinding<'_>),
    ) {
        let object = self.name_of(source.object);
        let mut seen: HashMap<_, u64> = HashMap::new();
        for planned in &plan.findings {
            let finding = &planned.finding;
            let path = match finding.path.strip_prefix(HOLDER) {
                Some(path) => path.to_owned(),
                None => format!("{}{}", source.template, finding.path),
            };
            let pointer = source.point_at(finding, &path);
            let times = seen.entry((finding.case(), &*finding.path)).or_default();
            let ordinal = *times;
            *times += 1;
            to(LocatedFinding {
                file,
                excerpt: lines.excerpt(source.document.file_span(source.root.locate(&pointer))),
                rendered_in: None,
                object,
                path: &path,
                finding,
                because: finding.container.as_deref().and_then(|name| self.because(source, name)),
                ordinal,
                fixed: planned.fixed,
            });
        }
    }

    /// Returns an object's name, with its namespace or the assumed one.
    pub(super) fn name_of<'o>(&'o self, object: &Object<'o>) -> ObjectName<'o> {
        ObjectName { kind: object.kind, namespace: self.namespace_of(object), name: object.name }
    }

    fn namespace_of<'o>(&'o self, object: &Object<'o>) -> &'o str {
        object.namespace.unwrap_or(&self.namespace)
    }

    /// Returns how a container's resolver is known.
    fn because(&self, source: PodSource<'_>, name: &str) -> Option<String> {
        let (_, container) = source.container(name)?;
        let image = container.get("image")?.as_text()?;
        let command = container.get("command").and_then(Node::as_list).and_then(<[Node]>::first);
        let assumed = image::assume_started(image, command.map(|word| word.as_text().unwrap_or_default()));
        let Fingerprint { resolver, evidence, reason, .. } = self.profile.images.apply(image, assumed);
        Some(format!("{image} is {resolver} ({evidence}): {reason}"))
    }
}

// === impl PodSource ===

impl<'d> PodSource<'d> {
    /// Returns the JSON pointer to the pod or pod template, from the document.
    pub(super) fn pod_pointer(&self) -> String {
        format!("{}{}", self.object.pointer, self.template)
    }

    fn pod(&self) -> Option<&'d Node> {
        self.root.pointer(&self.pod_pointer())
    }

    /// Returns the ignore annotation of the object that holds the pod template.
    fn ignores(&self) -> Option<&'d str> {
        if self.template.is_empty() {
            return None;
        }
        let object = self.root.pointer(&self.object.pointer)?;
        object.get("metadata")?.get("annotations")?.get(IGNORE_ANNOTATION)?.as_text()
    }

    /// Returns the keys of the object that holds the pod template that begin with `muslin.dev/` and that nothing reads.
    fn unread_keys(&self) -> Vec<UnreadKey<'d>> {
        let owners: &[(KeyOwner, &str)] = match (self.template, self.object.kind) {
            ("", _) => &[],
            (_, "CronJob") => &[(KeyOwner::Workload, ""), (KeyOwner::JobTemplate, "/spec/jobTemplate")],
            _ => &[(KeyOwner::Workload, "")],
        };
        let keys = |(owner, at): (KeyOwner, &str), place: KeyPlace| {
            let map = self.root.pointer(&format!("{}{at}/metadata/{}", self.object.pointer, place.field()));
            UnreadKey::of_workload(owner, place, map.into_iter().flat_map(Node::keys)).collect::<Vec<_>>()
        };
        owners.iter().flat_map(|owner| KeyPlace::ALL.into_iter().flat_map(move |place| keys(*owner, place))).collect()
    }

    /// Returns a container of the pod, with its JSON pointer from the pod.
    fn container(&self, name: &str) -> Option<(String, &'d Node)> {
        let spec = self.pod()?.get("spec")?;
        ["initContainers", "containers"].into_iter().find_map(|field| {
            let containers = spec.get(field)?.as_list()?;
            let is_it = |container: &&Node| container.get("name").and_then(Node::as_text) == Some(name);
            let (index, container) = containers.iter().enumerate().find(|(_, container)| is_it(container))?;
            Some((format!("/spec/{field}/{index}"), container))
        })
    }

    /// Returns the JSON pointer to point at for a finding, from the document: the wrong value, or the container's image if the cause
    /// is a missing value.
    fn point_at(&self, finding: &Finding, path: &str) -> String {
        let pointer = format!("{}{path}", self.object.pointer);
        match self.root.pointer(&pointer) {
            Some(node) => match node.get("name").and_then(Node::as_text) {
                // The value of an option is wrong, unless no resolver knows the option's name.
                Some(name) if known_option(name) && node.get("value").is_some() => format!("{pointer}/value"),
                Some(_) => format!("{pointer}/name"),
                None => pointer,
            },
            None => match finding.container.as_deref().and_then(|name| self.container(name)) {
                Some((container, _)) => format!("{}{container}/image", self.pod_pointer()),
                None => pointer,
            },
        }
    }
}

/// Parses a pod; `pointer` is its JSON pointer, for errors.
fn parse_pod<'p>(json: &'p str, pointer: &str) -> Result<Pod<'p>, InvalidPod> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().iter().fold(String::new(), |path, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => format!("{path}/{index}"),
            serde_path_to_error::Segment::Map { key } => {
                format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            _ => path,
        });
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let message = format!("{}: {message}", path.trim_start_matches('/').replace('/', "."));
        InvalidPod { pointer: format!("{pointer}{path}"), message }
    })
}
