//! The time from the bytes of an admission review to the bytes of its answer, without sockets: muslin's own part in the cost of a
//! request. Reviews of three sizes, recorded from a real API server, beside the least work of any webhook: one walk over the JSON.
//! muslin keeps nothing from one review to the next, so the same bytes again cost as much as a new template.
//!
//! ```text
//! cargo bench --bench review
//! ```

#![allow(missing_docs, reason = "criterion's macros make public functions without documentation")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run says why and ends")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::BodyExt as _;
use muslin::admission::{Metrics, Settings, Shutdown, Webhook};
use muslin::cluster::{ImageInspection, Namespaces, Profiles, SearchDomains};
use muslin::image::contents::ImageFacts;
use muslin::policy::{Mode, NamespacePolicy};
use muslin::registry::{self, Client, Digest, Image, Images, InspectionLimits, Platform};
use serde::de::IgnoredAny;
use tower::ServiceExt as _;

/// The recorded reviews (benches/README.md).
const REVIEWS: [(&str, &[u8]); 3] = [
    ("4k", include_bytes!("reviews/4k.json")),
    ("12k", include_bytes!("reviews/12k.json")),
    ("64k", include_bytes!("reviews/64k.json")),
];

fn reviews(criterion: &mut Criterion) {
    // The reviews need only Tokio's clock.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("make a runtime");
    let router = router();
    let mut group = criterion.benchmark_group("review");
    for (size, review) in REVIEWS {
        group.throughput(Throughput::Bytes(review.len() as u64));
        group.bench_function(BenchmarkId::new("answer", size), |bencher| {
            bencher.iter(|| runtime.block_on(answer(&router, Bytes::from_static(review))));
        });
        group.bench_function(BenchmarkId::new("walk", size), |bencher| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(review)).expect("the review is JSON"));
        });
    }
    group.finish();
}

/// The time of a review does not depend on the number of known images.
fn known_images(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("make a runtime");
    let mut group = criterion.benchmark_group("known images");
    let (_, review) = REVIEWS[1];
    for number in [10, 10_000] {
        let router = runtime.block_on(async { router_with(Some(inspection(review, number))) });
        group.bench_function(BenchmarkId::from_parameter(number), |bencher| {
            bencher.iter(|| runtime.block_on(answer(&router, Bytes::from_static(review))));
        });
    }
    group.finish();
}

/// Returns an inspection that knows so many images, those of the review among them.
fn inspection(review: &[u8], number: usize) -> ImageInspection {
    let review: serde_json::Value = serde_json::from_slice(review).expect("the review is JSON");
    let spec = &review["request"]["object"]["spec"];
    let containers = ["initContainers", "containers"].into_iter().filter_map(|field| spec[field].as_array()).flatten();
    let mut references: Vec<String> =
        containers.filter_map(|container| Some(container["image"].as_str()?.to_owned())).collect();
    references.extend((0..).map(|at| format!("registry.example.com/team/app{at}:1.0")).take(number));
    references.truncate(number);
    let client = Client::new(registry::ClientSettings::default(), registry::Limits::default()).expect("make a client");
    let images = Images::new(client, registry::Limits::default(), InspectionLimits::default());
    let (digest, platform) = (Digest::sha256(b""), Platform::linux("amd64"));
    let image = Arc::new(Image { digest, platform, facts: ImageFacts::default() });
    references.iter().for_each(|reference| images.restore(reference, Arc::clone(&image), None, Duration::ZERO));
    ImageInspection { images, pull_secrets: None, architectures: vec!["amd64".to_owned()], budget: Duration::ZERO }
}

fn router() -> Router {
    router_with(None)
}

/// The webhook as in a cluster, except that all namespaces have the same policy.
fn router_with(inspection: Option<ImageInspection>) -> Router {
    let settings = Settings {
        default_mode: Mode::Inject,
        profile: "default".to_owned(),
        profiles: Profiles::built_in(),
        cluster_domain: "cluster.local".to_owned(),
        cluster_nameservers: 1,
        cluster_addresses: Vec::new(),
        search_domains: SearchDomains::default(),
        own_namespace: Some("muslin".to_owned()),
        inspection,
        image_names: None,
        docs_url: None,
        certificates: None,
    };
    let namespaces = Namespaces::fixed(NamespacePolicy::default());
    Webhook::new(settings, namespaces, Arc::new(Metrics::default()), Shutdown::default()).router()
}

async fn answer(router: &Router, review: Bytes) -> Bytes {
    let request = Request::post("/mutate?timeout=2s").body(Body::from(review)).expect("make a request");
    let response = router.clone().oneshot(request).await.expect("the router answers");
    assert_eq!(response.status(), StatusCode::OK, "the review was refused");
    response.into_body().collect().await.expect("read the answer").to_bytes()
}

criterion_group!(benches, reviews, known_images);
criterion_main!(benches);
