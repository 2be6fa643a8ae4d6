//! Plans the pods of a manifest, and places their findings in the file. Shared by `check` and `inject`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::manifest_images::ManifestImages;
use crate::image::{self, Fingerprint};
use crate::manifest::{ContainerView, Document, Lines, Node, Object, PodView, SETTINGS_KIND, inner_span, is_in_spec};
use crate::plan::{Context, Plan, Planned, Skip, plan, plan_settings};
use crate::pod::kinds::DnsSource;
use crate::pod::{Container, IGNORE_ANNOTATION, KeyOwner, KeyPlace, Pod, UnreadKey, Variables};
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
    /// The images in registries, if they are read.
    pub(super) images: Option<ManifestImages>,
}

/// An object with a pod or a pod template, in the document that holds it.
#[derive(Clone, Copy)]
pub(super) struct PodSource<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) root: Node<'d>,
    pub(super) object: &'d Object<'d>,
    pub(super) pod: &'d PodView,
    /// The string that holds the document, if it stands in one.
    pub(super) outer: Option<OuterText<'d>>,
}

/// A string of a file that holds a document.
#[derive(Clone, Copy)]
pub(super) struct OuterText<'d> {
    /// The string.
    pub(super) text: &'d str,
    /// The byte in the file at which the string or its key begins, and the one behind it.
    pub(super) span: (usize, usize),
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
    /// Returns what the webhook would do to the pod, as far as the object takes it. The patch is one of the object.
    pub(super) fn plan(&self, source: PodSource<'_>) -> Result<Plan, NoPlan> {
        let namespace = self.namespace_of(source.object);
        if policy::is_excluded(namespace, None) {
            return Err(NoPlan::Skipped(Cow::Owned(format!("it is in {namespace}"))));
        }
        // The webhook's own types read JSON, so a YAML pod is converted first.
        let json = source.node().and_then(|node| source.pod.json(node)).unwrap_or_default();
        let pod = parse_pod(&json).map_err(|error| match source.pod.is_certain() {
            true => NoPlan::Invalid(error.at(source)),
            false => NoPlan::Skipped(Cow::Borrowed("it only looks like a pod")),
        })?;
        let mut plan = self.plan_as(self.mode, &pod, source)?;
        plan.patch.0.retain(|operation| pod.containers().next().is_some() || is_in_spec(operation.path().as_str()));
        let is_change = plan.patch.0.iter().any(|operation| is_in_spec(operation.path().as_str()));
        if let Some(why) = source.node().and_then(|node| source.pod.refusal(node)) {
            if is_change {
                plan = unwritten(self.plan_as(self.mode.min(Mode::Warn), &pod, source)?, &plan);
            }
            let takes_none = matches!(source.pod.place.dns, DnsSource::Nowhere(_));
            explain_refusal(&mut plan, why, takes_none);
        }
        if let Some(node) = source.node() {
            plan.patch = source.pod.patch(node, plan.patch);
        }
        Ok(plan)
    }

    /// Returns the plan for a pod in a mode, as if its object took any change.
    fn plan_as(&self, mode: Mode, pod: &Pod<'_>, source: PodSource<'_>) -> Result<Plan, NoPlan> {
        let unread = source.unread_keys();
        let fingerprints = self.fingerprints(pod);
        let has_all = !fingerprints.is_empty() && source.pod.place.is_complete;
        // Options are chosen by the resolvers of all containers.
        let profile = if has_all { Cow::Borrowed(&self.profile) } else { Cow::Owned(without_options(&self.profile)) };
        let context = Context {
            namespace: self.namespace_of(source.object),
            cluster_domain: &self.cluster_domain,
            cluster_nameservers: 1,
            mode,
            profile: &profile,
            rollout: None,
            cache_fault: None,
            cluster_addresses: &[],
            broken_domains: &self.broken_domains,
            holder_ignores: source.ignores(),
            holder_unread: &unread,
            trusts_annotation: false,
            texts_from: Level::Info,
        };
        let plan =
            if fingerprints.is_empty() { plan_settings(pod, &context) } else { plan(pod, fingerprints, &context) };
        plan.map_err(|skip: Skip| NoPlan::Skipped(Cow::Owned(skip.to_string())))
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
                None => source.pod.in_object(&finding.path),
            };
            let pointer = source.point_at(finding, &path);
            let times = seen.entry((finding.case(), &*finding.path)).or_default();
            let ordinal = *times;
            *times += 1;
            to(LocatedFinding {
                file,
                excerpt: lines.excerpt(source.span(lines, &pointer)),
                rendered_in: None,
                object,
                path: &path,
                finding,
                because: finding.container.as_deref().and_then(|name| self.because(source, name)),
                ordinal,
                // A string is not edited.
                fixed: planned.fixed && source.outer.is_none(),
            });
        }
    }

    /// Returns an object's name, with its namespace or the assumed one.
    pub(super) fn name_of<'o>(&'o self, object: &'o Object<'_>) -> ObjectName<'o> {
        // What is no object is in no namespace.
        let namespace = if object.kind == SETTINGS_KIND { "" } else { self.namespace_of(object) };
        ObjectName { kind: object.kind, namespace, name: &object.name }
    }

    fn namespace_of<'o>(&'o self, object: &Object<'o>) -> &'o str {
        object.namespace.unwrap_or(&self.namespace)
    }

    /// Returns how a container's resolver is known.
    fn because(&self, source: PodSource<'_>, name: &str) -> Option<String> {
        let ContainerView { pointer: _, image, command, variables } = source.container(name)?;
        let image = image?.as_text()?;
        let command = command.and_then(|command| command.items().next());
        let command = command.map(|word| word.as_text().unwrap_or_default());
        let variables = command.and(variables).map(variables_of).unwrap_or_default();
        let command = command.map(|word| variables.expand(word).unwrap_or_default());
        let known = match &self.images {
            Some(_) => self.inspected(source, name)?,
            None => image::assume_started(image, command.as_deref()),
        };
        let Fingerprint { resolver, evidence, reason, beside, .. } = self.profile.images.apply(image, known);
        let beside = beside.map(|second| format!("; {}", second.reason)).unwrap_or_default();
        Some(format!("{image} is {resolver} ({evidence}): {reason}{beside}"))
    }

    /// Returns the fingerprint of a container whose image was read for the plan.
    fn inspected(&self, source: PodSource<'_>, name: &str) -> Option<Fingerprint> {
        let json = source.node().and_then(|node| source.pod.json(node))?;
        let pod = parse_pod(&json).ok()?;
        let index = pod.containers().position(|container| container.name.as_deref() == Some(name))?;
        self.fingerprints(&pod).into_iter().nth(index)
    }

    /// Returns the fingerprint of each container, in their order.
    fn fingerprints(&self, pod: &Pod<'_>) -> Vec<Fingerprint> {
        let assume =
            |container: &Container<'_>| image::assume_started(container.image(), container.started().as_deref());
        match &self.images {
            Some(images) => images.fingerprints(pod, &self.profile),
            None => pod.containers().map(assume).collect(),
        }
    }
}

/// Returns the environment variables of a container, which its command may refer to.
fn variables_of(variables: Node<'_>) -> Variables {
    let mut all = Variables::default();
    for variable in variables.items() {
        let text = |key| variable.get(key).and_then(Node::as_text);
        let value = text("value").or_else(|| variable.get("valueFrom").is_none().then_some(""));
        text("name").into_iter().for_each(|name| all.set(name, value));
    }
    all
}

/// Returns a profile that adds no options, and is the given one otherwise.
fn without_options(profile: &Profile) -> Profile {
    let Profile { rules, images, exempt, .. } = profile.clone();
    Profile { rules, images, exempt, ..Profile::nothing() }
}

/// Returns a plan without changes. Findings that `wanted` would fix are marked as fixed, for [`explain_refusal`].
fn unwritten(mut plan: Plan, wanted: &Plan) -> Plan {
    let case = |planned: &Planned| {
        (planned.finding.rule.slug, planned.finding.container.clone(), planned.finding.path.clone())
    };
    let fixable: HashSet<_> = wanted.findings.iter().filter(|planned| planned.fixed).map(case).collect();
    plan.findings.iter_mut().for_each(|planned| planned.fixed = fixable.contains(&case(planned)));
    plan
}

/// Adds to the help of findings why nothing is written: to those that muslin would fix, and, where the object takes no `dnsConfig` at all,
/// to those about it.
fn explain_refusal(plan: &mut Plan, why: &str, takes_none: bool) {
    for Planned { finding, fixed } in &mut plan.findings {
        if std::mem::take(fixed) || takes_none && finding.path.starts_with("/spec/dns") {
            finding.help = Cow::Owned(format!("{}; muslin writes no dnsConfig here: {why}", finding.help));
        }
    }
}

// === impl PodSource ===

impl<'d> PodSource<'d> {
    /// Returns the place in the file of a value of the document, or of the key above it.
    pub(super) fn span(&self, lines: &Lines<'_>, pointer: &str) -> Range<usize> {
        let span = self.document.file_span(self.root.locate(pointer));
        let Some(OuterText { text, span: (start, end) }) = self.outer else { return span };
        inner_span(lines.text(), start, text, span).unwrap_or(start..end)
    }

    /// Returns the object.
    fn node(&self) -> Option<Node<'d>> {
        self.root.pointer(&self.object.pointer)
    }

    /// Returns the ignore annotation of the object that holds the pod template.
    fn ignores(&self) -> Option<&'d str> {
        if self.pod.at.is_empty() {
            return None;
        }
        self.node()?.get("metadata")?.get("annotations")?.get(IGNORE_ANNOTATION)?.as_text()
    }

    /// Returns the keys of the object that holds the pod template that begin with `muslin.dev/` and that nothing reads.
    fn unread_keys(&self) -> Vec<UnreadKey<'d>> {
        let owners: &[(KeyOwner, &str)] = match (&*self.pod.at, self.object.kind) {
            ("", _) | (_, SETTINGS_KIND) => &[],
            ("/spec/jobTemplate/spec/template", _) => {
                &[(KeyOwner::Workload, ""), (KeyOwner::JobTemplate, "/spec/jobTemplate")]
            }
            _ => &[(KeyOwner::Workload, "")],
        };
        let keys = |(owner, at): (KeyOwner, &str), place: KeyPlace| {
            let map = self.root.pointer(&format!("{}{at}/metadata/{}", self.object.pointer, place.field()));
            UnreadKey::of_workload(owner, place, map.into_iter().flat_map(Node::keys)).collect::<Vec<_>>()
        };
        owners.iter().flat_map(|owner| KeyPlace::ALL.into_iter().flat_map(move |place| keys(*owner, place))).collect()
    }

    /// Returns a container of the pod.
    fn container(&self, name: &str) -> Option<ContainerView<'d>> {
        self.pod.container(self.node()?, name)
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
                Some(ContainerView { pointer: container, .. }) => format!("{}{container}/image", self.object.pointer),
                None => pointer,
            },
        }
    }
}

/// Why a text is no pod, and the place in it.
struct PodError {
    /// JSON pointer to the invalid value, from the pod.
    pointer: String,
    message: String,
}

// === impl PodError ===

impl PodError {
    fn at(self, source: PodSource<'_>) -> InvalidPod {
        let Self { pointer, message } = self;
        let pointer = format!("{}{}", source.object.pointer, source.pod.in_object(&pointer));
        InvalidPod { pointer, message }
    }
}

fn parse_pod(json: &str) -> Result<Pod<'_>, PodError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = error.path().iter().fold(String::new(), |path, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => format!("{path}/{index}"),
            serde_path_to_error::Segment::Map { key } => {
                format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            _ => path,
        });
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let message = format!("{}: {message}", pointer.trim_start_matches('/').replace('/', "."));
        PodError { pointer, message }
    })
}
