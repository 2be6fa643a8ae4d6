//! Judges muslin's answer to one review: that it comes, in time, with this uid, and that its patch changes only what muslin owns and is
//! complete at once. Must not know how a review was made.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt as _;
use muslin::admission::{Metrics, Settings, Shutdown, Webhook};
use muslin::cluster::{Namespaces, Profiles, SearchDomains};
use muslin::policy::{Mode, NamespacePolicy, Profile};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use super::mutation::{Mutated, UID};

/// The most CPU time of one review. A build without optimizations is that much slower.
const CPU_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });

/// The API server's time limit.
const DEADLINE: Duration = Duration::from_secs(2);

/// What muslin writes: annotations, and a label.
const ANNOTATIONS: [&str; 3] = ["muslin.dev/injected", "muslin.dev/warnings", "muslin.dev/resolvers"];
const LABEL: &str = "muslin.dev/libc";

/// Webhooks of several settings.
pub(crate) struct Oracle {
    runtime: tokio::runtime::Runtime,
    routers: Vec<(Profile, Router)>,
}

/// An answer of the router.
struct Answered {
    status: StatusCode,
    body: Value,
}

// === impl Oracle ===

impl Oracle {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("make a runtime");
        let modes = ["inject", "inject", "warn", "enforce", "audit"];
        let routers = Profile::NAMES.iter().flat_map(|profile| {
            modes.map(|mode| {
                let policy = NamespacePolicy::from_labels(Some(mode), Some(profile));
                let router = runtime.block_on(async { router(policy, metrics) });
                (Profile::builtin(profile).expect("a built-in profile"), router)
            })
        });
        let routers = routers.collect();
        Self { runtime, routers }
    }

    /// Returns what became of the review.
    ///
    /// # Errors
    /// The answer does harm.
    pub(crate) fn judge(&self, mutated: &Mutated) -> Result<&'static str> {
        let (_, router) = &self.routers[mutated.settings % self.routers.len()];
        let Answered { status, body } = self.answer(router, mutated.path, &mutated.review)?;
        if status == StatusCode::BAD_REQUEST {
            return Ok("rejected");
        }
        ensure!(status == StatusCode::OK, "{status}: {body}");
        let review: Value = match serde_json::from_str(&mutated.review) {
            Ok(review) => review,
            // Too deep for a `Value`: muslin left out what it does not read.
            Err(_) => return Ok("not comparable"),
        };
        let uid = &review["request"]["uid"];
        ensure!(body["response"]["uid"] == *uid, "the uid {uid} became {}", body["response"]["uid"]);
        if mutated.path != "/mutate" {
            return Ok("another hook");
        }
        ensure!(body["response"]["allowed"] == true, "denied: {body}");
        let Some(patch) = body["response"]["patch"].as_str() else { return Ok("unchanged") };
        let patch: json_patch::Patch = serde_json::from_slice(&BASE64_STANDARD.decode(patch)?)?;
        let before = &review["request"]["object"];
        let mut after = before.clone();
        json_patch::patch(&mut after, &patch).with_context(|| format!("the patch does not apply: {patch}"))?;
        let (left, right) = (foreign(before), foreign(&after));
        ensure!(left == right, "the patch changes what is not muslin's: {patch}");
        keeps_the_authors_options(before, &after)?;
        let mut again = review.clone();
        again["request"]["object"] = after;
        let Answered { status, body } = self.answer(router, "/mutate", &again.to_string())?;
        ensure!(status == StatusCode::OK, "the second pass: {status}: {body}");
        if let Some(second) = body["response"]["patch"].as_str() {
            let second = String::from_utf8(BASE64_STANDARD.decode(second)?)?;
            bail!("the second pass changes the pod: {second}, after {patch}");
        }
        Ok("changed")
    }

    /// Returns the answer to a review.
    ///
    /// # Errors
    /// The answer is late, or is no JSON.
    fn answer(&self, router: &Router, path: &str, review: &str) -> Result<Answered> {
        let request = Request::post(format!("{path}?timeout=2s")).body(Body::from(review.to_owned()))?;
        let (asked, worked) = (Instant::now(), cpu_time()?);
        let (status, bytes) = self.runtime.block_on(async {
            let response = router.clone().oneshot(request).await?;
            let status = response.status();
            anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
        })?;
        let (took, worked) = (asked.elapsed(), cpu_time()?.saturating_sub(worked));
        ensure!(took < DEADLINE, "late: {took:?}");
        ensure!(worked < CPU_MAX, "{worked:?} of CPU time for {} bytes", review.len());
        Ok(Answered { status, body: serde_json::from_slice(&bytes).context("the answer is no JSON")? })
    }
}

fn router(policy: NamespacePolicy, metrics: &Arc<Metrics>) -> Router {
    let settings = Settings {
        default_mode: Mode::Inject,
        profile: "default".to_owned(),
        profiles: Profiles::built_in(),
        cluster_domain: "cluster.local".to_owned(),
        cluster_nameservers: 1,
        cluster_addresses: Vec::new(),
        search_domains: SearchDomains::default(),
        own_namespace: Some("muslin".to_owned()),
        inspection: None,
        image_names: None,
        docs_url: None,
        certificates: None,
    };
    Webhook::new(settings, Namespaces::fixed(policy), Arc::clone(metrics), Shutdown::default()).router()
}

/// Returns the time that this thread has run, by `proc_pid_schedstat(5)`.
fn cpu_time() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(nanoseconds.parse().context("schedstat has no time")?))
}

/// Returns the pod without all that muslin may write.
fn foreign(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let without = |parent: Option<&mut Value>, key: &str, owned: &[&str]| {
        let Some(Value::Object(parent)) = parent else { return };
        let Some(place) = parent.get_mut(key) else { return };
        if let Value::Object(map) = place {
            owned.iter().for_each(|name| drop(map.shift_remove(*name)));
        }
        // muslin makes the object where there is none, or null.
        if place.is_null() || place.as_object().is_some_and(Map::is_empty) {
            parent.shift_remove(key);
        }
    };
    without(pod.get_mut("metadata"), "annotations", &ANNOTATIONS);
    without(pod.get_mut("metadata"), "labels", &[LABEL]);
    // The profile `node-local` sets the other three.
    without(pod.get_mut("spec"), "dnsConfig", &["options", "nameservers", "searches"]);
    if let Some(Value::Object(spec)) = pod.get_mut("spec") {
        spec.shift_remove("dnsPolicy");
    }
    without(Some(&mut pod), "metadata", &[]);
    pod
}

/// Checks that each option of the author is still there, unless it is a zero that was fixed, or the pod's annotation claims that muslin
/// wrote it or a number in it.
fn keeps_the_authors_options(before: &Value, after: &Value) -> Result<()> {
    let options =
        |pod: &Value| pod.pointer("/spec/dnsConfig/options").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut left = options(after);
    let claims = before["metadata"]["annotations"]["muslin.dev/injected"].as_str().unwrap_or_default();
    for option in options(before) {
        if let Some(index) = left.iter().position(|other| *other == option) {
            left.remove(index);
            continue;
        }
        let text = |key: &str| option[key].as_str().unwrap_or_default().to_owned();
        let text = match (text("name"), text("value")) {
            (name, value) if value.is_empty() => name,
            (name, value) => format!("{name}:{value}"),
        };
        let is_claimed =
            claims.split_ascii_whitespace().any(|word| word == text || word.contains(':') && text.contains(word));
        let is_zero = text.contains('0') && (text.contains("attempts:") || text.contains("timeout:"));
        ensure!(is_claimed || is_zero, "the author's option {option} is gone");
    }
    Ok(())
}

/// Checks the oracle itself.
#[test]
fn the_uid_of_the_generator_is_kept() {
    assert_ne!(UID, "");
    assert_eq!(foreign(&json!({ "metadata": { "labels": { LABEL: "musl" } } })), json!({}));
    assert_ne!(foreign(&json!({ "metadata": { "labels": { "a": "b" } } })), json!({}));
}
