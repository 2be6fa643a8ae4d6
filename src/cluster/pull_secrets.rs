//! The Secrets that pods name to pull their images with, read when an image has to be inspected for such a pod, and not kept. Must
//! not know registries, nor show what is in a Secret.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::registry::{Credentials, Error, Keyring};

/// How many Secrets of one pod are read. Pods have one or two.
const SECRETS_MAX: usize = 8;
/// Where a Secret has its credentials, by its type (kubernetes `pkg/apis/core/types.go`, `DockerConfigJSONKey`, `DockerConfigKey`).
const DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";
const DOCKER_CFG: &str = ".dockercfg";

/// Reads the Secrets that pods name.
#[derive(Clone)]
pub struct PullSecrets(Client);

/// The Secrets of one pod.
struct OfPod {
    api: Api<Secret>,
    names: Vec<String>,
    name: String,
}

// === impl PullSecrets ===

impl PullSecrets {
    /// Needs the right to get secrets, in all namespaces whose pods are looked at.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// What pods of a namespace that name these Secrets pull with; `None` if they name none.
    pub fn of<'n>(&self, namespace: &str, names: impl Iterator<Item = &'n str>) -> Option<Arc<dyn Keyring>> {
        let names: Vec<String> = names.take(SECRETS_MAX).map(str::to_owned).collect();
        if names.is_empty() {
            return None;
        }
        let name = format!("{namespace}/{}", names.join(","));
        Some(Arc::new(OfPod { api: Api::namespaced(self.0.clone(), namespace), names, name }))
    }
}

impl std::fmt::Debug for PullSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PullSecrets")
    }
}

// === impl OfPod ===

impl OfPod {
    /// All of them, the first before the others, as the kubelet tries them.
    async fn read(&self) -> Credentials {
        let mut all = Credentials::default();
        for name in &self.names {
            match self.api.get_opt(name).await {
                Ok(Some(secret)) => match credentials(&secret) {
                    Ok(credentials) => all = all.before(&credentials),
                    Err(error) => tracing::warn!(secrets = self.name, name, %error, "an image pull secret is unusable"),
                },
                // The kubelet goes on without, too.
                Ok(None) => {}
                Err(error) => tracing::warn!(secrets = self.name, name, %error, "cannot read an image pull secret"),
            }
        }
        all
    }
}

impl Keyring for OfPod {
    fn name(&self) -> &str {
        &self.name
    }

    fn credentials(&self) -> BoxFuture<'_, Credentials> {
        self.read().boxed()
    }
}

impl std::fmt::Debug for OfPod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OfPod").field(&self.name).finish()
    }
}

/// What is in a Secret; nothing where it is for something else.
fn credentials(secret: &Secret) -> Result<Credentials, Error> {
    let value = |key: &str| secret.data.as_ref()?.get(key);
    match (value(DOCKER_CONFIG_JSON), value(DOCKER_CFG)) {
        (Some(json), _) => Credentials::parse(&json.0),
        (None, Some(cfg)) => Credentials::parse_dockercfg(&cfg.0),
        (None, None) => Ok(Credentials::default()),
    }
}
