//! Where the list of pods comes from: a file, or the cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::cli::outcome::Failure;
use crate::cluster::{self, Listing};
use crate::queries::Pods;

/// Pods on one page of a list.
const PAGE: u32 = 500;

/// A source of pods.
pub(super) enum PodSource {
    File(PathBuf),
    Cluster(kube::Client),
}

// === impl PodSource ===

impl PodSource {
    /// Chooses a file, or connects to a cluster.
    pub(super) async fn new(
        file: Option<&Path>,
        kubeconfig: Option<&Path>,
        context: Option<&str>,
    ) -> Result<Self, Failure> {
        if let Some(file) = file {
            return Ok(Self::File(file.to_owned()));
        }
        let client = cluster::connect_as(kubeconfig, context).await;
        let client = client.context("cannot connect to the cluster (--pods reads a file of pods instead)");
        client.map(Self::Cluster).map_err(Failure::Input)
    }

    /// Returns whether a second look can show other pods.
    pub(super) fn can_change(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Reads the pods.
    pub(super) async fn read(&mut self, cluster_domain: &str) -> Result<Pods, Failure> {
        let pods = match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(&*path).with_context(|| format!("cannot read {}", path.display()));
                let pods = Pods::from_json(&text.map_err(Failure::Input)?, cluster_domain);
                let shown = path.display();
                pods.with_context(|| format!("{shown} is no list of pods, as `kubectl get pods -A -o json` prints it"))
                    .map_err(Failure::Input)?
            }
            Self::Cluster(client) => {
                let mut pods = Pods::default();
                let mut listing = Listing::new(client.clone(), "/api/v1/pods", PAGE);
                let failed = |error: kube::Error| {
                    Failure::Outside(anyhow!(error).context("cannot list the pods of all namespaces"))
                };
                while let Some(page) = listing.next().await.map_err(failed)? {
                    for item in page.raw().map_err(failed)? {
                        let added = pods.add(item.get(), cluster_domain);
                        added.context("cannot read a pod").map_err(Failure::Outside)?;
                    }
                }
                pods
            }
        };
        if pods.is_empty() {
            return Err(Failure::Input(anyhow!("there are no pods to map clients to")));
        }
        Ok(pods)
    }
}
