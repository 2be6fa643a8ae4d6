//! From the bytes of an admission review to the bytes of its answer, without sockets: what muslin adds to the cost of a
//! request. Reviews of three sizes, as a real API server sent them, beside the least that any webhook must do with one: walk
//! over its JSON once.
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
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::BodyExt as _;
use muslin::admission::{Metrics, Settings, Shutdown, Webhook};
use muslin::cluster::{ImageInspection, Namespaces, Profiles};
use muslin::image::contents::ImageFacts;
use muslin::policy::{Mode, NamespacePolicy};
use muslin::registry::{self, Client, Digest, Image, Images, InspectionLimits, Platform};
use serde::de::IgnoredAny;
use tower::ServiceExt as _;

/// The recorded reviews; benches/README.md says how they are made.
const REVIEWS: [(&str, &[u8]); 3] = [
    ("4k", include_bytes!("reviews/4k.json")),
    ("12k", include_bytes!("reviews/12k.json")),
    ("64k", include_bytes!("reviews/64k.json")),
];

fn reviews(criterion: &mut Criterion) {
    // Not entered while it runs futures by itself: the clock of Tokio only has to be there.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("make a runtime");
    let router = router();
    let mut group = criterion.benchmark_group("review");
    for (size, review) in REVIEWS {
        group.throughput(Throughput::Bytes(review.len() as u64));
        group.bench_function(BenchmarkId::new("answer", size), |bencher| {
            bencher.iter(|| runtime.block_on(answer(&router, Bytes::from_static(review))));
        });
        let mut unseen = Unseen::of(review);
        group.bench_function(BenchmarkId::new("answer, template not seen before", size), |bencher| {
            bencher.iter_batched(
                || unseen.next_review(),
                |review| runtime.block_on(answer(&router, review)),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("walk", size), |bencher| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(review)).expect("the review is JSON"));
        });
    }
    group.finish();
}

/// What is known of images does not grow with how many there are.
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

/// As many images are known, those of the review among them.
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
    references.iter().for_each(|reference| images.restore(reference, Arc::clone(&image), Duration::ZERO));
    ImageInspection { images, pull_secrets: None, architectures: vec!["amd64".to_owned()], budget: Duration::ZERO }
}

fn router() -> Router {
    router_with(None)
}

/// The webhook as it runs in a cluster, but for the namespaces, which are all alike.
fn router_with(inspection: Option<ImageInspection>) -> Router {
    let settings = Settings {
        default_mode: Mode::Inject,
        profile: "default".to_owned(),
        profiles: Profiles::built_in(),
        cluster_domain: "cluster.local".to_owned(),
        own_namespace: Some("muslin".to_owned()),
        inspection,
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

/// Reviews of pods whose first container is named by a number, so that no two are of one template.
struct Unseen {
    review: Vec<u8>,
    /// Where the last digits of the name are.
    digits: std::ops::Range<usize>,
    number: u64,
}

// === impl Unseen ===

impl Unseen {
    const DIGITS: usize = 9;

    fn of(review: &[u8]) -> Self {
        let text = std::str::from_utf8(review).expect("the review is text");
        let containers = text.find("\"containers\":[").expect("the pod has containers");
        let name = "\"name\":\"";
        let start = containers + text[containers..].find(name).expect("a container has a name") + name.len();
        let end = start + text[start..].find('"').expect("the name ends");
        let mut review = review.to_vec();
        review.splice(start..end, b"c".iter().copied().chain([b'0'; Self::DIGITS]));
        Self { review, digits: start + 1..start + 1 + Self::DIGITS, number: 0 }
    }

    fn next_review(&mut self) -> Bytes {
        self.number += 1;
        let digits = format!("{:0width$}", self.number, width = Self::DIGITS);
        self.review[self.digits.clone()].copy_from_slice(digits.as_bytes());
        Bytes::copy_from_slice(&self.review)
    }
}

criterion_group!(benches, reviews, known_images);
criterion_main!(benches);
