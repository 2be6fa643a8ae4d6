//! muslin's own manifests, as `muslin install` prints them: what `kubectl kustomize` makes of the folder `manifests`, which is part of the
//! program, and of the components that an administrator chooses. One source serves both; `tests/cluster/install.rs` compares them.

mod chart;
mod conditional;
mod files;
mod kustomization;
mod namespace;
mod platform;
mod probe_job;
mod runbooks;
mod strategic_merge;

use serde_json::{Value, json};

use crate::policy::Mode;

pub use chart::{Template, templates};
pub use kustomization::ManifestError;
pub use namespace::NAMESPACE;
pub use platform::Platform;
pub use probe_job::ProbeJob;

/// A component of the manifests: a part of muslin that is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Two replicas and a PodDisruptionBudget.
    HighAvailability,
    /// Mode `enforce` in every namespace without a label, but the system's.
    EnforceEverywhereButSystem,
    /// Inspection of images in their registries.
    ImageInspection,
    /// The credentials of the Secret `muslin-registries` for inspections.
    PrivateRegistries,
    /// The pods' own credentials for inspections.
    PullSecrets,
    /// Admission policies beside the webhook.
    Policies,
    /// Reports of findings in each namespace.
    Reports,
    /// A certificate from the Secret `muslin-tls`.
    OwnCertificate,
    /// A certificate from cert-manager.
    CertManager,
    /// A NetworkPolicy for muslin's pods.
    NetworkPolicy,
    /// The settings of a platform.
    Platform(Platform),
    /// The network of the nodes, with ports that outrank a platform's.
    HostNetwork,
    /// The account and the rights of a watch.
    WatchRights,
    /// A watch of DNS on each node.
    WatchNodes,
    /// A watch of DNS in each zone.
    WatchZones,
    /// The node's files for a watch on each node.
    WatchNodeFiles,
}

/// The choices of an administrator.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The image of muslin, such as `registry.example.com/muslin:0.1.0`.
    pub image: String,
    /// The namespace of muslin.
    pub namespace: String,
    /// The mode of namespaces without a label.
    pub mode: Mode,
    /// The chosen components.
    pub components: Vec<Component>,
    /// Is true for alert rules, a dashboard and a PodMonitor.
    pub has_monitoring: bool,
    /// More environment variables of muslin's container. `MUSLIN_DOCS_URL` is also the address of the pages about alerts.
    pub variables: Vec<(String, String)>,
}

// === impl Component ===

impl Component {
    /// Returns the component's folder in `manifests`.
    fn folder(self) -> String {
        let name = match self {
            Self::HighAvailability => "high-availability",
            Self::EnforceEverywhereButSystem => "enforce-everywhere-but-system",
            Self::ImageInspection => "image-inspection",
            Self::PrivateRegistries => "private-registries",
            Self::PullSecrets => "pull-secrets",
            Self::Policies => "policies",
            Self::Reports => "reports",
            Self::OwnCertificate => "own-certificate",
            Self::CertManager => "cert-manager",
            Self::NetworkPolicy => "network-policy",
            Self::Platform(platform) => platform.name(),
            Self::HostNetwork => "host-network",
            Self::WatchRights => "watch-rights",
            Self::WatchNodes => "watch",
            Self::WatchZones => "watch-zones",
            Self::WatchNodeFiles => "watch-node-files",
        };
        format!("components/{name}")
    }
}

// === impl Installation ===

impl Installation {
    /// Returns the objects in the order in which they are applied.
    pub fn objects(&self) -> Result<Vec<Value>, ManifestError> {
        let mut objects = kustomization::build("base")?;
        for component in self.all_components() {
            kustomization::add_component(&mut objects, &component.folder(), None)?;
        }
        if self.has_monitoring {
            objects.append(&mut kustomization::build("monitoring")?);
        }
        kustomization::set_image(&mut objects, &self.image);
        let variable = |(name, value)| json!({"name": name, "value": value});
        let variables: Vec<Value> = self.all_variables().into_iter().map(variable).collect();
        if !variables.is_empty() {
            kustomization::patch(&mut objects, &deployment_patch(&variables), None)?;
        }
        if let Some((_, address)) = self.variables.iter().rfind(|(name, _)| name == runbooks::VARIABLE) {
            runbooks::link(&mut objects, address.trim_end_matches('/'));
        }
        namespace::rename(&mut objects, &self.namespace);
        // The webhooks last, after everything that they name.
        objects.sort_by_key(is_webhook_configuration);
        Ok(objects)
    }

    /// Returns the chosen components, and those that they need, each once and in a constant order.
    fn all_components(&self) -> Vec<Component> {
        let mut components = self.components.clone();
        if self.mode == Mode::Enforce {
            // Without a replica no pod starts.
            components.extend([Component::HighAvailability, Component::EnforceEverywhereButSystem]);
        }
        if components.iter().any(|component| matches!(component, Component::PrivateRegistries | Component::PullSecrets))
        {
            components.push(Component::ImageInspection);
        }
        if components.iter().any(|component| matches!(component, Component::WatchNodes | Component::WatchZones)) {
            components.push(Component::WatchRights);
        }
        components.sort_unstable();
        components.dedup();
        components
    }

    /// Returns the variables of muslin's container that no component has.
    fn all_variables(&self) -> Vec<(String, String)> {
        let mode = (!matches!(self.mode, Mode::Inject | Mode::Enforce))
            .then(|| ("MUSLIN_DEFAULT_MODE".to_owned(), self.mode.name().to_owned()));
        mode.into_iter().chain(self.variables.iter().cloned()).collect()
    }
}

/// Returns the objects to delete, with their names alone, in the order in which to delete them: the webhooks first, so that no pod waits
/// for muslin, and the namespace last.
pub fn objects_to_delete(
    namespace: &str,
    has_cert_manager: bool,
    has_monitoring: bool,
    keeps_definitions: bool,
) -> Result<Vec<Value>, ManifestError> {
    let everywhere = [
        Component::HighAvailability,
        Component::ImageInspection,
        Component::PullSecrets,
        Component::Policies,
        Component::Reports,
        Component::NetworkPolicy,
        Component::WatchRights,
        Component::WatchNodes,
        Component::WatchZones,
    ];
    let mut objects = kustomization::build("base")?;
    for component in everywhere.into_iter().chain(has_cert_manager.then_some(Component::CertManager)) {
        kustomization::add_resources(&mut objects, &component.folder())?;
    }
    if has_monitoring {
        objects.append(&mut kustomization::build("monitoring")?);
    }
    namespace::rename(&mut objects, namespace);
    objects.retain(|object| !keeps_definitions || object["kind"] != "CustomResourceDefinition");
    objects.reverse();
    objects.sort_by_key(|object| !is_webhook_configuration(object));
    Ok(objects.iter().map(name_of).collect())
}

fn is_webhook_configuration(object: &Value) -> bool {
    object["kind"].as_str().is_some_and(|kind| kind.ends_with("WebhookConfiguration"))
}

/// Returns an object without its content.
fn name_of(object: &Value) -> Value {
    let mut metadata = json!({"name": object["metadata"]["name"]});
    if let Some(namespace) = object["metadata"].get("namespace") {
        metadata["namespace"] = namespace.clone();
    }
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata})
}

/// Returns a patch that adds variables to muslin's container.
fn deployment_patch(variables: &[Value]) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "muslin"},
        "spec": {"template": {"spec": {"containers": [{"name": "muslin", "env": variables}]}}},
    })
}

#[cfg(test)]
mod tests;
