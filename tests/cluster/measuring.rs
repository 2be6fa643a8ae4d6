//! Benchmark data from a real API server: its reviews for `benches/reviews/*.pod.json`, and the start time and memory of muslin. Runs
//! only on request, because it writes into the source tree and measures instead of testing:
//! `cargo test --release --test cluster -- --ignored`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use muslin::cluster::ImageFingerprint;
use serde_json::{Value, json};

use crate::cluster::impostor;
use crate::cluster::inspection::{Fingerprints, reading, registry};
use crate::cluster::replicas::wait;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    records_the_reviews_of_the_benchmarks,
    measures_the_start_with_1000_namespaces,
    measures_the_memory_with_5000_namespaces_and_10000_images
];

const REVIEWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reviews");

fn records_the_reviews_of_the_benchmarks(cluster: &Cluster) -> Result<()> {
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

/// Measures from the start of the process until `/readyz` reports that every namespace is known.
fn measures_the_start_with_1000_namespaces(cluster: &Cluster) -> Result<()> {
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

/// Measures with 50 concurrent reviews, which all wait for images of a registry that never answers.
fn measures_the_memory_with_5000_namespaces_and_10000_images(cluster: &Cluster) -> Result<()> {
    const NAMESPACES: usize = 5000;
    const IMAGES: usize = 10_000;
    const REVIEWS: usize = 50;
    let kept = Fingerprints::apply(cluster)?;
    let (registry, image) = registry("team/nothing:1", "musl-lookup")?;
    let hanging = std::net::TcpListener::bind("127.0.0.1:0")?;
    let hangs = hanging.local_addr()?;
    let mut arguments = reading(&registry).to_vec();
    arguments[2] = "1500".to_owned();
    arguments.extend(["--keep-fingerprints", "20000", "--plain-http", &hangs.to_string()].map(str::to_owned));

    // Many copies of one fingerprint.
    cluster.namespace("measured-memory", &[])?;
    let one = {
        let _muslin = cluster.muslin_with(&arguments)?;
        cluster.created(&pod("measured-memory", "first", &image))?;
        kept.wait("written", |found| found.iter().any(|found| !found["status"].is_null()))?.remove(0)
    };
    cluster.runtime.block_on(async {
        let client = cluster.control_plane.client().await?;
        in_parallel(NAMESPACES, |number| add_namespace(client.clone(), number)).await?;
        in_parallel(IMAGES, |number| add_image(client.clone(), &one, number)).await
    })?;

    let muslin = cluster.muslin_with(&arguments)?;
    // The cache has shards, of which some are full before others.
    let mut known = 0;
    wait("all read back", || {
        let metrics = muslin.metrics()?;
        let line = metrics.lines().find_map(|line| line.strip_prefix("muslin_images "));
        known = line.context("no such metric")?.parse()?;
        Ok(known > IMAGES * 9 / 10)
    })?;
    let idle = resident(muslin.id())?;
    let most = std::thread::scope(|scope| -> Result<u64> {
        let creates: Vec<_> = (0..REVIEWS)
            .map(|number| {
                let pod = pod("measured-memory", &format!("waiting-{number}"), &format!("{hangs}/team/{number}:1"));
                scope.spawn(move || cluster.create(&pod))
            })
            .collect();
        let mut most = 0;
        while creates.iter().any(|create| !create.is_finished()) {
            most = most.max(resident(muslin.id())?);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        for create in creates {
            create.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(most)
    })?;
    eprintln!(
        "resident with {NAMESPACES} namespaces and {known} images: {idle} KiB; with {REVIEWS} reviews under way {most} KiB"
    );
    drop(kept);
    Ok(())
}

/// Returns the resident memory of a process in KiB.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Runs for each number, several at once.
async fn in_parallel<F: Future<Output = Result<()>>>(number: usize, run: impl Fn(usize) -> F) -> Result<()> {
    futures::stream::iter((0..number).map(run)).buffer_unordered(16).try_collect().await
}

async fn add_namespace(client: Client, number: usize) -> Result<()> {
    let labels = [("muslin.dev/mode".to_owned(), "warn".to_owned())].into();
    let metadata = ObjectMeta { name: Some(format!("crowd-{number}")), labels: Some(labels), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    Api::all(client).create(&PostParams::default(), &namespace).await?;
    Ok(())
}

/// Adds a copy of a fingerprint with another digest and reference.
async fn add_image(client: Client, one: &Value, number: usize) -> Result<()> {
    let resource = ApiResource::erase::<ImageFingerprint>(&());
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let digest = format!("{number:064x}");
    let name = format!("sha256-{digest}");
    let mut status = one["status"].clone();
    status["digest"] = format!("sha256:{digest}").into();
    status["references"][0]["name"] = format!("registry.example.com/team/service-{number}:1.0.0").into();
    status["image"] = status["references"][0]["name"].clone();
    let object = DynamicObject::new(&name, &resource).data(json!({ "spec": {} }));
    api.create(&PostParams::default(), &object).await?;
    let status = Patch::Merge(json!({ "status": status }));
    api.patch_status(&name, &PatchParams::default(), &status).await?;
    Ok(())
}
