//! The objects that the cluster should have, from the manifests in the program, with the components that the running Deployment uses.

use std::fmt;

use serde_json::Value;

use super::shape::{array, text};
use crate::installation::{Component, Installation, ManifestError};
use crate::policy::Mode;

/// A right that the manifests grant to muslin's service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// The verb.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// The part of the resource, such as `status`.
    pub subresource: Option<String>,
    /// The only object that the right is for.
    pub name: Option<String>,
    /// The only namespace that the right is for.
    pub namespace: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, group: _, resource, subresource, name, namespace: _ } = self;
        write!(f, "{verb} {resource}")?;
        if let Some(part) = subresource {
            write!(f, "/{part}")?;
        }
        name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

/// Returns the objects of the manifests, with the components that the Deployment uses.
///
/// # Errors
/// The manifests in the program cannot be read.
pub fn expected_objects(deployment: Option<&Value>, namespace: &str) -> Result<Vec<Value>, ManifestError> {
    let variables = deployment.map_or(&[][..], |deployment| array(deployment, "/spec/template/spec/containers/0/env"));
    let is_set = |name: &str| {
        variables.iter().any(|variable| text(variable, "/name") == name && text(variable, "/value") != "false")
    };
    // The mode decides which namespaces the webhooks choose.
    let enforces = variables
        .iter()
        .any(|variable| text(variable, "/name") == "MUSLIN_DEFAULT_MODE" && text(variable, "/value") == "enforce");
    let chosen = [
        ("MUSLIN_INSPECT_IMAGES", Component::ImageInspection),
        ("MUSLIN_PULL_SECRETS", Component::PullSecrets),
        ("MUSLIN_POLICIES", Component::Policies),
        ("MUSLIN_REPORTS", Component::Reports),
        ("MUSLIN_TLS_CERT", Component::OwnCertificate),
    ];
    let chosen = chosen.into_iter().filter(|(name, _)| is_set(name)).map(|(_, component)| component);
    let installation = Installation {
        image: "muslin".to_owned(),
        namespace: namespace.to_owned(),
        mode: if enforces { Mode::Enforce } else { Mode::Inject },
        components: chosen.collect(),
        has_monitoring: false,
        variables: Vec::new(),
    };
    installation.objects()
}

/// Returns the rights that these objects grant.
#[must_use]
pub fn rights(objects: &[Value]) -> Vec<Right> {
    let mut rights = Vec::new();
    for object in objects {
        let namespace = match text(object, "/kind") {
            "ClusterRole" => None,
            "Role" => Some(text(object, "/metadata/namespace").to_owned()),
            _ => continue,
        };
        for rule in array(object, "/rules") {
            add_rights(&mut rights, rule, namespace.as_ref());
        }
    }
    rights
}

fn add_rights(rights: &mut Vec<Right>, rule: &Value, namespace: Option<&String>) {
    let words = |place| array(rule, place).iter().filter_map(Value::as_str);
    let names: Vec<Option<String>> = match array(rule, "/resourceNames") {
        [] => vec![None],
        names => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
    };
    for (group, resource) in words("/apiGroups").flat_map(|group| words("/resources").map(move |name| (group, name))) {
        let (resource, subresource) = match resource.split_once('/') {
            Some((resource, part)) => (resource, Some(part.to_owned())),
            None => (resource, None),
        };
        for (verb, name) in words("/verbs").flat_map(|verb| names.iter().map(move |name| (verb, name))) {
            rights.push(Right {
                verb: verb.to_owned(),
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.clone(),
                name: name.clone(),
                namespace: namespace.cloned(),
            });
        }
    }
}
