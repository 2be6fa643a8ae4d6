//! Inspects the images of running pods before reviews need them: once after the start, slowly, by one replica. Must not know the
//! results.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};

use super::lease::Lease;
use super::pull_secrets::PullSecrets;
use crate::registry::{CredentialSource, Images, Platform, Requester};

/// Pods in one page of the list.
const PAGE: u32 = 100;
/// Limit of images to inspect.
const IMAGES_MAX: usize = 10_000;
/// Pause after each image: registries limit rates, and reviews come first.
const PAUSE: Duration = Duration::from_secs(1);
/// Limit of the wait for leadership, after which another replica is assumed to do it.
const LEASE_MAX: Duration = Duration::from_secs(60);

/// The images in use, each with the namespace and the credentials of a pod that uses it, by the identity of the credentials.
type InUse = BTreeMap<(String, String), User>;

/// A pod that uses an image.
#[derive(Clone)]
struct User {
    namespace: String,
    credentials: Option<Arc<dyn CredentialSource>>,
}

/// Inspects the images of running pods on each platform, in a task. Needs the right to list pods. Only the leader does it; the other
/// replicas receive the results through the cluster.
pub fn warm_up(client: Client, images: Images, platforms: Vec<Platform>, secrets: Option<PullSecrets>, lease: Lease) {
    tokio::spawn(async move {
        if tokio::time::timeout(LEASE_MAX, lease.wait()).await.is_err() {
            return;
        }
        match images_in_use(&Api::all(client), secrets.as_ref()).await {
            Ok(references) => inspect_all(&images, &references, &platforms).await,
            Err(error) => {
                tracing::warn!(%error, "cannot list the pods; their images are inspected when a review needs them")
            }
        }
    });
}

async fn inspect_all(images: &Images, references: &InUse, platforms: &[Platform]) {
    tracing::info!(images = references.len(), "inspecting the images of running pods");
    for ((reference, _), User { namespace, credentials }) in references {
        let requester = Requester { credentials: credentials.as_ref(), ..Requester::of(namespace) };
        let reader = credentials.as_ref().map(|credentials| credentials.identity());
        for platform in platforms {
            if !images.is_cached(reference, platform, reader) {
                images.inspect_now(reference, platform, &requester).await;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tracing::info!(images = references.len(), "inspected the images of running pods");
}

/// Returns the images of the cluster's pods, each once.
async fn images_in_use(pods: &Api<Pod>, secrets: Option<&PullSecrets>) -> Result<InUse, kube::Error> {
    let mut references = InUse::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = pods.list(&parameters).await?;
        for pod in page.items {
            let Some(spec) = pod.spec else { continue };
            let named: Vec<String> = spec.image_pull_secrets.into_iter().flatten().map(|secret| secret.name).collect();
            let namespace = pod.metadata.namespace.unwrap_or_default();
            let credentials = match secrets {
                Some(secrets) => secrets.for_pod(&namespace, named.iter().map(String::as_str)).await,
                None => None,
            };
            let identity =
                credentials.as_ref().map(|credentials| credentials.identity().to_owned()).unwrap_or_default();
            let containers = spec.init_containers.into_iter().flatten().chain(spec.containers);
            for image in containers.filter_map(|container| container.image) {
                let user = || User { namespace: namespace.clone(), credentials: credentials.clone() };
                references.entry((image, identity.clone())).or_insert_with(user);
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) if references.len() < IMAGES_MAX => parameters = parameters.continue_token(&token),
            _ => return Ok(references),
        }
    }
}
