//! The lists of nodes, of their observations, and of profiles.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::Client;
use serde::Deserialize;

use super::present::present;
use crate::cluster::listing::Listing;
use crate::doctor::Seen;
use crate::policy::Profile;
use crate::status::{Node, NodeObservation, ObservedProfile, WatchSpec};

/// Objects on one page of a list. A node names up to 50 images, and an observation has up to some tens of kilobytes.
const PAGE: u32 = 100;

/// Labels of nodes on which no DaemonSet for Linux runs: Windows, virtual kubelets, and AWS Fargate.
const FOREIGN: [(&str, &str); 3] =
    [("kubernetes.io/os", "windows"), ("type", "virtual-kubelet"), ("eks.amazonaws.com/compute-type", "fargate")];

#[derive(Deserialize)]
struct Metadata<'p> {
    #[serde(borrow)]
    name: Cow<'p, str>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Named<'p> {
    #[serde(borrow)]
    metadata: Metadata<'p>,
}

#[derive(Deserialize)]
struct WithConditions<'p> {
    #[serde(borrow)]
    metadata: Metadata<'p>,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type", default)]
    type_: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Observation {
    spec: WatchSpec,
}

/// Returns the nodes of the cluster.
pub(super) async fn nodes(client: &Client) -> Seen<Vec<Node>> {
    let node = |object: WithConditions<'_>| {
        let WithConditions { metadata, status } = object;
        let is_ready = status.conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
        let is_foreign = FOREIGN.iter().any(|(label, value)| metadata.labels.get(*label).is_some_and(|is| is == value));
        Node { name: metadata.name.into_owned(), is_ready, is_foreign }
    };
    let mut nodes = Vec::new();
    let mut listing = Listing::new(client.clone(), "/api/v1/nodes", PAGE);
    let listed = async {
        while let Some(page) = listing.next().await? {
            nodes.extend(page.items::<WithConditions<'_>>()?.into_iter().map(node));
        }
        Ok(())
    };
    present(listed.await)?;
    Ok(nodes)
}

/// Returns the observations of nodes. Those that cannot be read are named in `unreadable`.
pub(super) async fn observations(client: &Client, unreadable: &mut Vec<String>) -> Seen<Vec<NodeObservation>> {
    let mut observations = Vec::new();
    let mut listing = Listing::new(client.clone(), "/apis/muslin.dev/v1alpha1/dnsobservations", PAGE);
    let listed = async {
        while let Some(page) = listing.next().await? {
            for item in page.raw()? {
                let Named { metadata } = serde_json::from_str(item.get()).map_err(kube::Error::SerdeError)?;
                let node = metadata.name.into_owned();
                match serde_json::from_str::<Observation>(item.get()) {
                    Ok(Observation { spec }) => observations.push(NodeObservation { node, spec }),
                    Err(error) => unreadable.push(format!("cannot read the observation of node {node}: {error}")),
                }
            }
        }
        Ok(())
    };
    present(listed.await)?;
    Ok(observations)
}

/// Returns the profiles, the built-in ones included, with the conditions that are not met.
pub(super) async fn profiles(client: &Client) -> Seen<Vec<ObservedProfile>> {
    let mut profiles: Vec<ObservedProfile> = Vec::new();
    let mut listing = Listing::new(client.clone(), "/apis/muslin.dev/v1alpha1/resolverprofiles", PAGE);
    let listed = async {
        while let Some(page) = listing.next().await? {
            for WithConditions { metadata, status } in page.items::<WithConditions<'_>>()? {
                let unmet = status.conditions.into_iter().filter(|one| one.status == "False");
                let unmet = unmet.map(|one| (one.type_, one.message)).collect();
                profiles.push(ObservedProfile { name: metadata.name.into_owned(), unmet });
            }
        }
        Ok(())
    };
    present(listed.await)?;
    for name in Profile::NAMES {
        if !profiles.iter().any(|profile| profile.name == name) {
            profiles.push(ObservedProfile { name: name.to_owned(), unmet: Vec::new() });
        }
    }
    Ok(profiles)
}
