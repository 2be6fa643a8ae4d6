//! Inspects the images of running pods before reviews need them: once after the start, slowly, by one replica. Must not know the
//! results.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;

use super::lease::Lease;
use super::listing::Listing;
use super::pull_secrets::PullSecrets;
use crate::pod::{Container, Pod};
use crate::registry::{CredentialSource, Images, Platform, Requester};

/// Pods in one page of the list.
const PAGE: u32 = 100;
/// Limit of images to inspect.
const IMAGES_MAX: usize = 10_000;
/// The longest image name, in bytes. Longer ones are not looked up.
const IMAGE_MAX_BYTES: usize = 512;
/// Pause after each image: registries limit rates, and reviews come first.
const PAUSE: Duration = Duration::from_secs(1);
/// Limit of the wait for leadership, after which another replica is assumed to do it.
const LEASE_MAX: Duration = Duration::from_secs(60);

/// The images in use, each with the namespace and the credentials of a pod that uses it, by the identity of the credentials.
pub(super) type InUse = BTreeMap<(String, String), User>;

/// A pod that uses an image.
#[derive(Clone)]
pub(super) struct User {
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
        match images_in_use(client, secrets.as_ref()).await {
            Ok(references) => inspect_all(&images, &references, &platforms).await,
            Err(error) => {
                tracing::warn!(%error, "cannot list the pods; their images are inspected when a review needs them")
            }
        }
    });
}

/// Looks at the images of running pods again and again while this replica is the leader, in a task: admission policies change pods that no
/// review sees, and a tag may have moved. `pause` is the time between two rounds.
pub(super) fn keep_inspected(
    client: Client,
    images: Images,
    platforms: Vec<Platform>,
    secrets: Option<PullSecrets>,
    lease: Lease,
    pause: Duration,
) {
    tokio::spawn(async move {
        loop {
            lease.clone().wait().await;
            tokio::time::sleep(pause).await;
            if !lease.is_held() {
                continue;
            }
            match images_in_use(client.clone(), secrets.as_ref()).await {
                Ok(references) => inspect_all(&images, &references, &platforms).await,
                Err(error) => tracing::warn!(%error, "cannot list the pods, whose images are not looked at again"),
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

/// Returns the images of the cluster's pods, each once for each identity of credentials. The list is read in pages of bounded size.
pub(super) async fn images_in_use(client: Client, secrets: Option<&PullSecrets>) -> Result<InUse, kube::Error> {
    let mut references = InUse::new();
    let mut pods = Listing::new(client, "/api/v1/pods", PAGE);
    while let Some(page) = pods.next().await? {
        for pod in page.items::<Pod<'_>>()? {
            let namespace = pod.namespace().unwrap_or_default();
            let credentials = match secrets {
                Some(secrets) => secrets.for_pod(namespace, pod.pull_secrets()).await,
                None => None,
            };
            let identity =
                credentials.as_ref().map(|credentials| credentials.identity().to_owned()).unwrap_or_default();
            let user = || User { namespace: namespace.to_owned(), credentials: credentials.clone() };
            for image in pod.containers().map(Container::image).filter(|image| image.len() <= IMAGE_MAX_BYTES) {
                references.entry((image.to_owned(), identity.clone())).or_insert_with(user);
            }
        }
        if references.len() >= IMAGES_MAX {
            break;
        }
    }
    Ok(references)
}
