//! Observes a cluster for `muslin status`: only reads, page by page, and goes on without what it has no right to read. Must not judge.

mod images;
mod lists;
mod present;

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use super::doctor::{ObserveError, observe_parts};
use super::profiles::Profiles;
use crate::doctor::{self, Seen};
use crate::policy::{MODE_LABEL, Mode, NamespacePolicy, PROFILE_LABEL};
use crate::status::{Defaults, Observed};

/// The choices of the user.
#[derive(Clone, Debug, Default)]
pub struct StatusSettings {
    /// muslin's namespace; without it, that of the Service in the webhook configuration.
    pub namespace: Option<String>,
    /// The mode of namespaces without a label; without it, that of muslin's Deployment.
    pub default_mode: Option<Mode>,
    /// The profile of namespaces without a label; without it, that of muslin's Deployment.
    pub profile: Option<String>,
    /// Leaves out the images, for which all pods are read.
    pub without_images: bool,
}

/// Observes a cluster.
///
/// # Errors
/// The API server cannot be reached. What the caller may not read is part of the observations.
pub async fn observe_status(
    client: Client,
    settings: &StatusSettings,
    own_version: &str,
) -> Result<Observed, ObserveError> {
    let parts = observe_parts(client.clone(), settings.namespace.as_deref(), own_version).await?;
    let checks = doctor::judge_parts(&parts)?;
    let absent = |seen: &Seen<Option<Value>>| matches!(seen, Ok(None));
    let is_installed = !absent(&parts.deployment) || !parts.configurations.iter().all(absent);
    let defaults = defaults(settings, parts.deployment.as_ref().ok().and_then(Option::as_ref));
    let mut unreadable = Vec::new();
    let (nodes, observations, profiles) =
        tokio::join!(lists::nodes(&client), lists::observations(&client, &mut unreadable), lists::profiles(&client),);
    let images = if settings.without_images {
        Ok(None)
    } else {
        let policies = policies(parts.namespaces.as_deref().unwrap_or_default());
        let stored = Profiles::list(client.clone()).await.unwrap_or_else(|_| Profiles::built_in());
        images::in_use(&client, &policies, &stored, &defaults.profile).await.map(Some)
    };
    let certificate = parts.secret.certificate.as_ref().ok().and_then(Option::as_ref);
    Ok(Observed {
        now: Timestamp::now(),
        nodes,
        observations,
        unreadable,
        profiles,
        defaults,
        images,
        certificate_until: certificate.map(|certificate| certificate.until),
        namespaces: parts.namespaces,
        namespace: parts.namespace,
        is_installed,
        checks,
    })
}

/// Returns the mode and the profile of namespaces without labels: the user's, or those of the Deployment, or the defaults of `muslin serve`.
fn defaults(settings: &StatusSettings, deployment: Option<&Value>) -> Defaults {
    let variables =
        deployment.and_then(|deployment| deployment.pointer("/spec/template/spec/containers/0/env")?.as_array());
    let variable = |name: &str| {
        let found = variables.and_then(|variables| variables.iter().find(|variable| variable["name"] == name))?;
        found["value"].as_str()
    };
    let mode = settings.default_mode.or_else(|| variable("MUSLIN_DEFAULT_MODE")?.parse().ok());
    let profile = settings.profile.clone().or_else(|| variable("MUSLIN_PROFILE").map(str::to_owned));
    Defaults { mode: mode.unwrap_or(Mode::Inject), profile: profile.unwrap_or_else(|| "default".to_owned()) }
}

/// Returns the policy of each namespace.
fn policies(namespaces: &[doctor::NamespaceLabels]) -> BTreeMap<&str, NamespacePolicy> {
    let policy = |namespace: &doctor::NamespaceLabels| {
        let label = |key: &str| namespace.labels.get(key).map(String::as_str);
        NamespacePolicy::from_labels(label(MODE_LABEL), label(PROFILE_LABEL))
    };
    namespaces.iter().map(|namespace| (namespace.name.as_str(), policy(namespace))).collect()
}
