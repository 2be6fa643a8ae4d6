//! What `check` and `inject` share: the plan of each pod in a document, and its findings with the places to point at.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::image::{self, Fingerprint};
use crate::manifest::{Document, Lines, Node, Object};
use crate::plan::{Context, Plan, Skip, plan};
use crate::pod::{IGNORE_ANNOTATION, Pod};
use crate::policy::{self, Level, Mode, Profile};
use crate::report::{ObjectName, Reported};
use crate::resolver::known_option;
use crate::rules::{Finding, HOLDER};

/// What decides besides the manifests.
#[derive(Debug)]
pub(super) struct Examiner {
    pub(super) mode: Mode,
    pub(super) profile: Profile,
    pub(super) cluster_domain: String,
    /// The namespace of objects that say none.
    pub(super) namespace: String,
}

/// An object with a pod or a pod template, in the document that holds it.
#[derive(Clone, Copy)]
pub(super) struct Holder<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) root: &'d Node,
    pub(super) object: &'d Object<'d>,
    pub(super) template: &'static str,
}

/// Why a pod has no plan.
pub(super) enum Unplanned {
    /// muslin keeps its hands off it.
    LeftAlone(Cow<'static, str>),
    /// It cannot be read: where that is, as a JSON pointer from the document, and why.
    Bad { pointer: String, message: String },
}

// === impl Examiner ===

impl Examiner {
    /// What the webhook would do to the pod.
    pub(super) fn plan(&self, holder: Holder<'_>) -> Result<Plan, Unplanned> {
        let namespace = self.namespace_of(holder.object);
        if policy::is_excluded(namespace, None) {
            return Err(Unplanned::LeftAlone(Cow::Owned(format!("it is in {namespace}"))));
        }
        // The pod is read by the webhook's own reader, which reads JSON.
        let json = holder.pod().map(serde_json::to_string).and_then(Result::ok).unwrap_or_default();
        let pod = read_pod(&json).map_err(|(path, message)| Unplanned::Bad {
            pointer: format!("{}{path}", holder.pod_pointer()),
            message,
        })?;
        let context = Context {
            namespace,
            cluster_domain: &self.cluster_domain,
            mode: self.mode,
            profile: &self.profile,
            holder_ignores: holder.ignores(),
            trusts_annotation: false,
            texts_from: Level::Info,
        };
        let fingerprints = pod.containers().map(|container| image::assume(container.image.as_deref().unwrap_or("")));
        plan(&pod, fingerprints.collect(), &context)
            .map_err(|skip: Skip| Unplanned::LeftAlone(Cow::Owned(skip.to_string())))
    }

    /// Hands on the findings of a plan, each with the place to point at.
    pub(super) fn report(
        &self,
        holder: Holder<'_>,
        plan: &Plan,
        file: &str,
        lines: &Lines<'_>,
        mut to: impl FnMut(Reported<'_>),
    ) {
        let object = self.name_of(holder.object);
        let mut seen: HashMap<_, u64> = HashMap::new();
        for planned in &plan.findings {
            let finding = &planned.finding;
            let path = match finding.path.strip_prefix(HOLDER) {
                Some(path) => path.to_owned(),
                None => format!("{}{}", holder.template, finding.path),
            };
            let pointer = holder.point_at(finding, &path);
            let times = seen.entry((finding.case(), &*finding.path)).or_default();
            let earlier = *times;
            *times += 1;
            to(Reported {
                file,
                place: lines.place(holder.document.in_file(holder.root.locate(&pointer))),
                object,
                path: &path,
                finding,
                because: finding.container.as_deref().and_then(|name| self.because(holder, name)),
                earlier,
                mended: planned.fixed,
            });
        }
    }

    /// What an object is called.
    pub(super) fn name_of<'o>(&'o self, object: &Object<'o>) -> ObjectName<'o> {
        ObjectName { kind: object.kind, namespace: self.namespace_of(object), name: object.name }
    }

    fn namespace_of<'o>(&'o self, object: &Object<'o>) -> &'o str {
        object.namespace.unwrap_or(&self.namespace)
    }

    /// How a container's resolver is known.
    fn because(&self, holder: Holder<'_>, name: &str) -> Option<String> {
        let (_, container) = holder.container(name)?;
        let image = container.get("image")?.as_text()?;
        let Fingerprint { resolver, evidence, reason } = self.profile.images.apply(image, image::assume(image));
        Some(format!("{image} is {resolver} ({evidence}): {reason}"))
    }
}

// === impl Holder ===

impl<'d> Holder<'d> {
    /// The object's pod or pod template, as a JSON pointer from the document.
    pub(super) fn pod_pointer(&self) -> String {
        format!("{}{}", self.object.pointer, self.template)
    }

    fn pod(&self) -> Option<&'d Node> {
        self.root.pointer(&self.pod_pointer())
    }

    /// The annotation of the object itself, where its pod is another.
    fn ignores(&self) -> Option<&'d str> {
        if self.template.is_empty() {
            return None;
        }
        let object = self.root.pointer(&self.object.pointer)?;
        object.get("metadata")?.get("annotations")?.get(IGNORE_ANNOTATION)?.as_text()
    }

    /// A container of the pod, and where it stands from there.
    fn container(&self, name: &str) -> Option<(String, &'d Node)> {
        let spec = self.pod()?.get("spec")?;
        ["initContainers", "containers"].into_iter().find_map(|field| {
            let containers = spec.get(field)?.as_list()?;
            let is_it = |container: &&Node| container.get("name").and_then(Node::as_text) == Some(name);
            let (index, container) = containers.iter().enumerate().find(|(_, container)| is_it(container))?;
            Some((format!("/spec/{field}/{index}"), container))
        })
    }

    /// The value to point at for a finding, as a JSON pointer from the document: what is wrong, or where that is nothing but an
    /// absence, the image that makes it wrong.
    fn point_at(&self, finding: &Finding, path: &str) -> String {
        let pointer = format!("{}{path}", self.object.pointer);
        match self.root.pointer(&pointer) {
            Some(node) => match node.get("name").and_then(Node::as_text) {
                // An option. Its value is wrong, unless no resolver knows it by that name.
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

/// Reads a pod; where it cannot, the JSON pointer of what is wrong, and why.
fn read_pod(json: &str) -> Result<Pod<'_>, (String, String)> {
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
        (path, message)
    })
}
