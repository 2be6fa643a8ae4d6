//! Has the images of running pods inspected before somebody asks about them: once after the start, slowly, by one replica. Must not
//! know what is found out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};

use super::lease::Lease;
use super::pull_secrets::PullSecrets;
use crate::registry::{Images, Keyring, Platform};

/// How many pods one page of the list has.
const PAGE: u32 = 100;
/// How many images are looked into at most.
const IMAGES_MAX: usize = 10_000;
/// How long to wait after each: registries limit rates, and reviews come first.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for the lease before another replica is trusted to do it.
const LEASE_MAX: Duration = Duration::from_secs(60);

/// The images that are in use, each with what a pod that uses it pulls with.
type InUse = BTreeMap<String, Option<Arc<dyn Keyring>>>;

/// Inspects what the running pods use, on each platform, by a task of its own. Needs the right to list pods. The holder of the
/// lease alone does it, and the others learn what it finds out.
pub fn warm_up(client: Client, images: Images, platforms: Vec<Platform>, secrets: Option<PullSecrets>, lease: Lease) {
    tokio::spawn(async move {
        if tokio::time::timeout(LEASE_MAX, lease.wait()).await.is_err() {
            return;
        }
        match running(&Api::all(client), secrets.as_ref()).await {
            Ok(references) => look_into(&images, &references, &platforms).await,
            Err(error) => {
                tracing::warn!(%error, "cannot list the pods, whose images are inspected when they are asked about")
            }
        }
    });
}

async fn look_into(images: &Images, references: &InUse, platforms: &[Platform]) {
    tracing::info!(images = references.len(), "inspecting the images of running pods");
    for (reference, keyring) in references {
        for platform in platforms {
            if !images.is_known(reference, platform) {
                images.look_into(reference, platform, keyring.as_ref()).await;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tracing::info!(images = references.len(), "inspected the images of running pods");
}

/// The images of the cluster's pods, each once.
async fn running(pods: &Api<Pod>, secrets: Option<&PullSecrets>) -> Result<InUse, kube::Error> {
    let mut references = InUse::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = pods.list(&parameters).await?;
        for pod in page.items {
            let Some(spec) = pod.spec else { continue };
            let named: Vec<String> = spec.image_pull_secrets.into_iter().flatten().map(|secret| secret.name).collect();
            let namespace = pod.metadata.namespace.unwrap_or_default();
            let keyring = secrets.and_then(|secrets| secrets.of(&namespace, named.iter().map(String::as_str)));
            let containers = spec.init_containers.into_iter().flatten().chain(spec.containers);
            for image in containers.filter_map(|container| container.image) {
                references.entry(image).or_insert_with(|| keyring.clone());
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) if references.len() < IMAGES_MAX => parameters = parameters.continue_token(&token),
            _ => return Ok(references),
        }
    }
}
