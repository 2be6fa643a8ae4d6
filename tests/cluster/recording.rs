//! Records the reviews of the benchmarks: what a real API server sends for `benches/reviews/*.pod.json`. Ignored unless asked
//! for, because it writes into the source tree: `cargo test --test cluster -- --ignored`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Cluster, Topic, impostor};

pub(crate) const TESTS: Topic = &[("records_the_reviews_of_the_benchmarks", records_the_reviews)];

const REVIEWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reviews");

fn records_the_reviews(cluster: &Cluster) -> Result<()> {
    let (impostor, _registration) = cluster.impostor(impostor::allow)?;
    cluster.namespace("shop", &[])?;
    for size in ["4k", "12k", "64k"] {
        let mut pod: Value =
            serde_json::from_slice(&fs::read(Path::new(REVIEWS).join(format!("{size}.pod.json")))?)?;
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
