//! The Secrets that pods name as imagePullSecrets: read when an image has to be inspected for such a pod, and not kept. Must not know
//! registries, nor show the content of a Secret.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::registry::{CredentialSource, Credentials, Error};

/// Limit of Secrets that are read for one pod. Pods have one or two.
const SECRETS_MAX: usize = 8;
/// The keys of the credentials in a Secret, by its type (kubernetes `pkg/apis/core/types.go`, `DockerConfigJSONKey`, `DockerConfigKey`).
const DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";
const DOCKER_CFG: &str = ".dockercfg";

/// A reader of the Secrets that pods name.
#[derive(Clone)]
pub struct PullSecrets(Client);

/// The Secrets of one pod.
struct PodSecrets {
    api: Api<Secret>,
    names: Vec<String>,
    name: String,
}

// === impl PullSecrets ===

impl PullSecrets {
    /// Returns a reader, which needs the right to get secrets in all namespaces whose images are inspected.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// Returns the credentials of pods that name these Secrets; `None` without names.
    pub fn for_pod<'n>(
        &self,
        namespace: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Option<Arc<dyn CredentialSource>> {
        let names: Vec<String> = names.take(SECRETS_MAX).map(str::to_owned).collect();
        if names.is_empty() {
            return None;
        }
        let name = format!("{namespace}/{}", names.join(","));
        Some(Arc::new(PodSecrets { api: Api::namespaced(self.0.clone(), namespace), names, name }))
    }
}

impl std::fmt::Debug for PullSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PullSecrets")
    }
}

// === impl PodSecrets ===

impl PodSecrets {
    /// Reads all Secrets. Credentials of an earlier Secret come first, in the order in which the kubelet tries them.
    async fn read_all(&self) -> Credentials {
        let mut all = Credentials::default();
        for name in &self.names {
            match self.api.get_opt(name).await {
                Ok(Some(secret)) => match credentials_in(&secret) {
                    Ok(credentials) => all = all.before(&credentials),
                    Err(error) => tracing::warn!(secrets = self.name, name, %error, "an image pull secret is unusable"),
                },
                // The kubelet goes on without it, too.
                Ok(None) => {}
                Err(error) => tracing::warn!(secrets = self.name, name, %error, "cannot read an image pull secret"),
            }
        }
        all
    }
}

impl CredentialSource for PodSecrets {
    fn name(&self) -> &str {
        &self.name
    }

    fn credentials(&self) -> BoxFuture<'_, Credentials> {
        self.read_all().boxed()
    }
}

impl std::fmt::Debug for PodSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PodSecrets").field(&self.name).finish()
    }
}

/// Parses the credentials in a Secret; none in a Secret for something else.
fn credentials_in(secret: &Secret) -> Result<Credentials, Error> {
    let value = |key: &str| secret.data.as_ref()?.get(key);
    match (value(DOCKER_CONFIG_JSON), value(DOCKER_CFG)) {
        (Some(json), _) => Credentials::parse(&json.0),
        (None, Some(cfg)) => Credentials::parse_dockercfg(&cfg.0),
        (None, None) => Ok(Credentials::default()),
    }
}
