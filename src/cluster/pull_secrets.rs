//! The Secrets that pods name as imagePullSecrets: read when an image has to be inspected for such a pod, and not kept. Only their
//! versions are kept for a short time, as the identity of the credentials. Must not know registries, nor show the content of a Secret.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use quick_cache::sync::Cache;

use crate::registry::{CredentialSource, Credentials, Digest, Error};

/// Limit of Secrets that are read for one pod. Pods have one or two.
const SECRETS_MAX: usize = 8;
/// The longest name of a Secret, in bytes (kubernetes `validation.IsDNS1123Subdomain`).
const NAME_MAX_BYTES: usize = 253;
/// The keys of the credentials in a Secret, by its type (kubernetes `pkg/apis/core/types.go`, `DockerConfigJSONKey`, `DockerConfigKey`).
const DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";
const DOCKER_CFG: &str = ".dockercfg";
/// The time for which the version of a Secret is assumed to be the latest.
const VERSION_TTL: Duration = Duration::from_secs(10);
/// The most identities that are kept; one takes up to 2 KiB.
const IDENTITIES_MAX: usize = 1024;
/// The digits of an identity.
const IDENTITY_DIGITS: usize = 32;

/// A reader of the Secrets that pods name.
#[derive(Clone)]
pub struct PullSecrets {
    client: Client,
    /// By namespace and names.
    identities: Arc<Cache<String, Identity>>,
}

/// The identity of the Secrets that a pod names, and when it was read; `None` if no such Secret exists.
type Identity = (Option<Arc<str>>, Instant);

/// The Secrets of one pod.
struct PodSecrets {
    api: Api<Secret>,
    namespace: String,
    names: Vec<String>,
    identity: Arc<str>,
}

// === impl PullSecrets ===

impl PullSecrets {
    /// Returns a reader, which needs the right to get secrets in all namespaces whose images are inspected.
    pub fn new(client: Client) -> Self {
        Self { client, identities: Arc::new(Cache::new(IDENTITIES_MAX)) }
    }

    /// Returns the credentials of pods that name these Secrets; `None` if they have none.
    pub async fn for_pod<'n>(
        &self,
        namespace: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Option<Arc<dyn CredentialSource>> {
        let names = valid_names(names);
        if names.is_empty() {
            return None;
        }
        let api = Api::namespaced(self.client.clone(), namespace);
        let key = key_of(namespace, &names);
        let known = self.identities.get(&key).filter(|(_, at)| at.elapsed() < VERSION_TTL);
        let identity = match known {
            Some((identity, _)) => identity,
            None => {
                let identity = read_identity(&api, namespace, &names).await;
                self.identities.insert(key, (identity.clone(), Instant::now()));
                identity
            }
        };
        Some(Arc::new(PodSecrets { api, namespace: namespace.to_owned(), names, identity: identity? }))
    }

    /// Returns the identity of the credentials of pods that name these Secrets, as it was known last.
    pub fn known_identity<'n>(&self, namespace: &str, names: impl Iterator<Item = &'n str>) -> Option<Arc<str>> {
        self.identities.get(&key_of(namespace, &valid_names(names)))?.0
    }
}

impl std::fmt::Debug for PullSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PullSecrets")
    }
}

fn valid_names<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let is_valid = |name: &&str| !name.is_empty() && name.len() <= NAME_MAX_BYTES;
    names.filter(is_valid).take(SECRETS_MAX).map(str::to_owned).collect()
}

fn key_of(namespace: &str, names: &[String]) -> String {
    format!("{namespace}/{}", names.join(","))
}

/// Returns a text that stands for the versions of Secrets, and changes with their content; `None` if there is none. A Secret's uid and
/// version say nothing about its content.
async fn read_identity(api: &Api<Secret>, namespace: &str, names: &[String]) -> Option<Arc<str>> {
    let mut versions = Vec::new();
    for name in names {
        match api.get_metadata_opt(name).await {
            Ok(Some(secret)) => {
                let (uid, version) = (secret.metadata.uid?, secret.metadata.resource_version?);
                versions.push(format!("{uid} {version}"));
            }
            // The kubelet goes on without it, too.
            Ok(None) => {}
            Err(error) => tracing::warn!(namespace, name, %error, "cannot read an image pull secret"),
        }
    }
    let digest = Digest::sha256(versions.join("\n").as_bytes());
    let identity = digest.parts().1.get(..IDENTITY_DIGITS)?;
    (!versions.is_empty()).then(|| identity.into())
}

// === impl PodSecrets ===

impl PodSecrets {
    /// Reads all Secrets. Credentials of an earlier Secret come first, in the order in which the kubelet tries them.
    async fn read_all(&self) -> Credentials {
        let Self { api, namespace, names, identity: _ } = self;
        let mut all = Credentials::default();
        for name in names {
            match api.get_opt(name).await {
                Ok(Some(secret)) => match credentials_in(&secret) {
                    Ok(credentials) => all = all.before(&credentials),
                    Err(error) => tracing::warn!(namespace, name, %error, "an image pull secret is unusable"),
                },
                Ok(None) => {}
                Err(error) => tracing::warn!(namespace, name, %error, "cannot read an image pull secret"),
            }
        }
        all
    }
}

impl CredentialSource for PodSecrets {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn credentials(&self) -> BoxFuture<'_, Credentials> {
        self.read_all().boxed()
    }
}

impl std::fmt::Debug for PodSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { api: _, namespace, names, identity: _ } = self;
        f.debug_tuple("PodSecrets").field(namespace).field(names).finish()
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
