//! Concurrent creation of pods while something else happens.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use crate::Cluster;

/// Number of concurrent requests.
const AT_ONCE: usize = 8;

/// Creates pods like this one while another action runs, and checks each as the API server answered it. Returns the action's result and
/// the number of pods. The pods are dry runs, because stored pods would slow the API server down.
pub(crate) fn under_load<T>(
    cluster: &Cluster,
    wanted: &Value,
    look: impl Fn(&Value) -> Result<()> + Sync,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<(T, usize)> {
    let namespace = wanted["metadata"]["namespace"].as_str().context("the pod has no namespace")?;
    let wanted: Pod = serde_json::from_value(wanted.clone())?;
    let done = AtomicBool::new(false);
    let create = |pods: Api<Pod>| {
        let (done, wanted, look) = (&done, &wanted, &look);
        async move {
            let parameters = PostParams { dry_run: true, ..PostParams::default() };
            let mut made = 0;
            while !done.load(Ordering::Relaxed) {
                let pod = pods.create(&parameters, wanted).await?;
                look(&serde_json::to_value(pod)?)?;
                made += 1;
            }
            anyhow::Ok(made)
        }
    };
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            cluster.runtime.block_on(async {
                let client = cluster.control_plane.client().await?;
                let each = (0..AT_ONCE).map(|_| create(Api::namespaced(client.clone(), namespace)));
                let made: Vec<usize> = try_join_all(each).await?;
                anyhow::Ok(made.into_iter().sum::<usize>())
            })
        });
        let result = meanwhile();
        done.store(true, Ordering::Relaxed);
        let made = load.join().ok().context("the load panicked")?;
        Ok((result?, made?))
    })
}
