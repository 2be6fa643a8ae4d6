//! The images of running pods whose resolver is unknown: neither declared, nor read by muslin, nor told by the image name.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use kube::Client;
use serde::Deserialize;

use super::present::present;
use crate::cluster::listing::Listing;
use crate::cluster::profiles::Profiles;
use crate::doctor::Seen;
use crate::image::assume_started;
use crate::pod::Pod;
use crate::policy::NamespacePolicy;
use crate::resolver::Family;
use crate::status::{ImagesInUse, UnknownImage};

/// Objects on one page of a list.
const PAGE: u32 = 500;

/// The API of the fingerprints and of pods.
const FINGERPRINTS: &str = "/apis/muslin.dev/v1alpha1/imagefingerprints";
const PODS: &str = "/api/v1/pods";
/// Pods that have not ended.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

#[derive(Deserialize)]
struct Namespaced<'p> {
    #[serde(borrow)]
    metadata: Metadata<'p>,
}

#[derive(Deserialize)]
struct Metadata<'p> {
    #[serde(borrow, default)]
    namespace: Cow<'p, str>,
}

#[derive(Deserialize)]
struct Fingerprint {
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    declared: Option<String>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    resolver: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

/// Returns the images of running pods. If fingerprints cannot be listed, by declarations of profiles and by names.
pub(super) async fn in_use(
    client: &Client,
    policies: &BTreeMap<&str, NamespacePolicy>,
    profiles: &Profiles,
    default_profile: &str,
) -> Seen<ImagesInUse> {
    let (read, unread) = match present(read_by_muslin(client).await) {
        Ok(read) => (read, None),
        Err(unseen) => (HashSet::new(), Some(unseen)),
    };
    let mut pods = 0;
    let mut images: HashSet<String> = HashSet::new();
    let mut unknown: HashMap<String, UnknownImage> = HashMap::new();
    let mut listing = Listing::new(client.clone(), PODS, PAGE).fields(RUNNING);
    let listed = async {
        while let Some(page) = listing.next().await? {
            for item in page.raw()? {
                let named = serde_json::from_str::<Namespaced<'_>>(item.get());
                let (Ok(named), Ok(pod)) = (named, serde_json::from_str::<Pod<'_>>(item.get())) else { continue };
                pods += 1;
                let namespace = named.metadata.namespace;
                let of_namespace = policies.get(&*namespace).and_then(NamespacePolicy::profile);
                let (selected, _) = profiles.for_namespace(of_namespace, default_profile);
                let mut counted: HashSet<&str> = HashSet::new();
                for container in pod.containers() {
                    let image = container.image();
                    if !images.contains(image) {
                        images.insert(image.to_owned());
                    }
                    let assumed = assume_started(image, container.started().as_deref());
                    let fingerprint = selected.profile.images.apply(image, assumed);
                    let is_known = fingerprint.resolver.family != Family::Unknown || fingerprint.reason.is_windows();
                    if is_known || read.contains(image) || !counted.insert(image) {
                        continue;
                    }
                    let first = || UnknownImage { image: image.to_owned(), pods: 0, namespace: namespace.to_string() };
                    unknown.entry(image.to_owned()).or_insert_with(first).pods += 1;
                }
            }
        }
        Ok(())
    };
    present(listed.await)?;
    Ok(ImagesInUse { pods, images: images.len(), unknown: unknown.into_values().collect(), unread })
}

/// Returns the image names whose resolver muslin has read, or an administrator declared.
async fn read_by_muslin(client: &Client) -> Result<HashSet<String>, kube::Error> {
    let mut names = HashSet::new();
    let mut listing = Listing::new(client.clone(), FINGERPRINTS, PAGE);
    while let Some(page) = listing.next().await? {
        for Fingerprint { spec, status } in page.items::<Fingerprint>()? {
            let is_known = spec.declared.is_some() || !matches!(status.resolver.as_str(), "" | "unknown");
            if is_known {
                names.insert(status.image);
                names.extend(status.references.into_iter().map(|reference| reference.name));
            }
        }
    }
    Ok(names)
}
