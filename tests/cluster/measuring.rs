//! What the benchmarks need of a real API server: the reviews that it sends for `benches/reviews/*.pod.json`, and how long muslin
//! takes to start. Done only on request, because it writes into the source tree and measures instead of testing:
//! `cargo test --release --test cluster -- --ignored`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::Value;

use crate::{Cluster, Topic, impostor};

pub(crate) const TESTS: Topic = &[
    ("records_the_reviews_of_the_benchmarks", records_the_reviews),
    ("measures_the_start_with_1000_namespaces", measures_the_start),
];

const REVIEWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reviews");

fn records_the_reviews(cluster: &Cluster) -> Result<()> {
    let (impostor, _registration) = cluster.impostor(impostor::allow)?;
    cluster.namespace("shop", &[])?;
    for size in ["4k", "12k", "64k"] {
        let mut pod: Value = serde_json::from_slice(&fs::read(Path::new(REVIEWS).join(format!("{size}.pod.json")))?)?;
        pod["metadata"]["namespace"] = "shop".into();
        let before = impostor.reviews().len();
        cluster.create(&pod)?;
        let reviews = impostor.reviews();
        ensure!(reviews.len() == before + 1, "the webhook was called {} times", reviews.len() - before);
        let review = reviews.last().context("the webhook was not called")?;
        fs::write(Path::new(REVIEWS).join(format!("{size}.json")), review)?;
    }
    Ok(())
}

/// From the start of the process until it knows every namespace, which is when `/readyz` says so.
fn measures_the_start(cluster: &Cluster) -> Result<()> {
    cluster.runtime.block_on(async {
        let namespaces: Api<Namespace> = Api::all(cluster.control_plane.client().await?);
        for number in 0..1000 {
            let metadata = ObjectMeta {
                name: Some(format!("started-{number}")),
                labels: Some([("muslin.dev/mode".to_owned(), "warn".to_owned())].into()),
                ..ObjectMeta::default()
            };
            namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await?;
        }
        anyhow::Ok(())
    })?;
    let mut taken = Vec::new();
    for _ in 0..9 {
        taken.push(cluster.muslin()?.started_in());
    }
    taken.sort();
    eprintln!("start to ready with 1,000 namespaces: median {:?}, of {taken:?}", taken[taken.len() / 2]);
    Ok(())
}
