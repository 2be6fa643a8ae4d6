//! Webhooks that are not muslin: one with invalid answers, one that adds a sidecar, one that records reviews. They run on muslin's own
//! server, so that only their answers differ.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use muslin::admission::{Keys, Limits, Metrics, Server, Shutdown, server_config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::common::webhook::Certificate;

/// A server on loopback that answers every review in one way. Gone when dropped.
pub(crate) struct Impostor {
    pub(crate) url: String,
    pub(crate) ca: String,
    reviews: Arc<Mutex<Vec<Bytes>>>,
    shutdown: Shutdown,
}

/// The answer to a review.
pub(crate) type Answer = fn(&Value) -> (StatusCode, String);

// === impl Impostor ===

impl Impostor {
    pub(crate) fn start(runtime: &Runtime, answer: Answer) -> Result<Self> {
        let Certificate { certificate, key } = Certificate::new()?;
        let tls = server_config(Arc::new(Keys::from_pem(certificate.as_bytes(), key.as_bytes())?))?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("https://{}/", listener.local_addr()?);
        let reviews = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&reviews);
        let handler = async move |body: Bytes| {
            let review: Value = serde_json::from_slice(&body).unwrap_or_default();
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(body);
            answer(&review)
        };
        let shutdown = Shutdown::default();
        let server = Server::new(listener, Some(tls), Limits::default(), Arc::new(Metrics::default()));
        runtime.spawn(server.run(Router::new().route("/", post(handler)), shutdown.clone()));
        Ok(Self { url, ca: certificate, reviews, shutdown })
    }

    /// Returns the received reviews, in order.
    pub(crate) fn reviews(&self) -> Vec<Bytes> {
        self.reviews.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of received reviews of pods in this namespace.
    pub(crate) fn reviews_of(&self, namespace: &str) -> usize {
        let reviews = self.reviews();
        reviews
            .iter()
            .filter_map(|review| serde_json::from_slice::<Value>(review).ok())
            .filter(|review| review["request"]["namespace"] == namespace)
            .count()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.shutdown.drain();
    }
}

/// Allows everything.
pub(crate) fn allow(review: &Value) -> (StatusCode, String) {
    (StatusCode::OK, answer(review, json!({})))
}

/// Replaces the options of pods, as a Kyverno policy with `patchStrategicMerge` does: the list is atomic.
pub(crate) fn replace_the_options(review: &Value) -> (StatusCode, String) {
    let options = json!([{ "name": "ndots", "value": "1" }]);
    change_dns(review, "options", &options)
}

/// Gives pods a search domain.
pub(crate) fn add_a_search_domain(review: &Value) -> (StatusCode, String) {
    change_dns(review, "searches", &json!(["example.com"]))
}

/// Sets one field of `dnsConfig` the first time.
fn change_dns(review: &Value, field: &str, value: &Value) -> (StatusCode, String) {
    let pod = &review["request"]["object"];
    if pod["metadata"]["labels"]["changed"].is_string() {
        return allow(review);
    }
    let mut config = pod["spec"]["dnsConfig"].as_object().cloned().unwrap_or_default();
    config.insert(field.to_owned(), value.clone());
    let mut labels = pod["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert("changed".to_owned(), json!("yes"));
    let patch = json!([
        { "op": "add", "path": "/spec/dnsConfig", "value": config },
        { "op": "add", "path": "/metadata/labels", "value": labels },
    ]);
    let response = json!({ "patchType": "JSONPatch", "patch": BASE64_STANDARD.encode(patch.to_string()) });
    (StatusCode::OK, answer(review, response))
}

/// Adds an Alpine container to pods without a container of its name.
pub(crate) fn add_a_sidecar(review: &Value) -> (StatusCode, String) {
    let containers = review["request"]["object"]["spec"]["containers"].as_array();
    if containers.into_iter().flatten().any(|container| container["name"] == "sidecar") {
        return allow(review);
    }
    let patch = json!([{
        "op": "add", "path": "/spec/containers/-", "value": { "name": "sidecar", "image": "alpine:3.19" }
    }]);
    let response = json!({ "patchType": "JSONPatch", "patch": BASE64_STANDARD.encode(patch.to_string()) });
    (StatusCode::OK, answer(review, response))
}

/// Invalid answers, each with its description.
pub(crate) const GARBAGE: [(&str, Answer); 5] = [
    ("HTML", |_| (StatusCode::OK, "<html>welcome to nginx!</html>".to_owned())),
    ("nothing", |_| (StatusCode::OK, String::new())),
    ("an error", |_| (StatusCode::INTERNAL_SERVER_ERROR, "out of memory".to_owned())),
    ("another uid", |_| (StatusCode::OK, answer(&json!({ "request": { "uid": "1" } }), json!({})))),
    ("a patch without a type", |review| {
        (StatusCode::OK, answer(review, json!({ "patch": BASE64_STANDARD.encode("[]") })))
    }),
];

fn answer(review: &Value, more: Value) -> String {
    let mut response = json!({ "uid": review["request"]["uid"], "allowed": true });
    for (key, value) in more.as_object().into_iter().flatten() {
        response[key] = value.clone();
    }
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response }).to_string()
}
