//! Tests of the webhook without sockets: a request in, a response out.

mod bounds;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::cluster::{Namespaces, Profiles, SearchDomains};
use crate::image::Fingerprint;
use crate::plan::{Context, Plan, Skip};
use crate::pod::Pod;
use crate::policy::{Mode, NamespacePolicy};

fn settings() -> Settings {
    Settings {
        default_mode: Mode::Inject,
        // Injects into every pod.
        profile: "fast".to_owned(),
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
    }
}

fn webhook(policy: NamespacePolicy) -> Webhook {
    Webhook::new(settings(), Namespaces::fixed(policy), Arc::new(Metrics::default()), Shutdown::default())
}

fn review(pod: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": "shop",
            "kind": { "group": "", "version": "v1", "kind": "Pod" }, "object": pod
        }
    })
}

fn alpine() -> Value {
    json!({ "metadata": { "name": "web" }, "spec": { "containers": [{ "name": "app", "image": "alpine:3.19" }] } })
}

async fn post(webhook: &Webhook, body: impl Into<Body>) -> (StatusCode, Value) {
    let request = Request::post("/mutate?timeout=2s").body(body.into()).unwrap();
    let response = webhook.router().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn answer(webhook: &Webhook, review: &Value) -> Value {
    let (status, answer) = post(webhook, review.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    assert_eq!(answer["response"]["allowed"], true);
    answer["response"].clone()
}

#[tokio::test]
async fn answers_an_alpine_pod_with_a_patch_and_audit_annotations() {
    let response = answer(&webhook(NamespacePolicy::default()), &review(alpine())).await;
    assert_eq!(response["patchType"], "JSONPatch");
    let patch: Value = serde_json::from_slice(&STANDARD.decode(response["patch"].as_str().unwrap()).unwrap()).unwrap();
    assert!(patch.as_array().unwrap().iter().any(|operation| operation["path"] == "/spec/dnsConfig"), "{patch}");
    // The author can do nothing about what the profile accepts.
    assert_eq!(response.get("warnings"), None);
    assert_eq!(response["auditAnnotations"]["findings"], "musl-slow-retry(app)");
}

#[tokio::test]
async fn neither_patch_nor_patch_type_where_nothing_changes() {
    let response = answer(&webhook(NamespacePolicy::from_labels(Some("audit"), None)), &review(alpine())).await;
    assert_eq!((response.get("patch"), response.get("patchType"), response.get("warnings")), (None, None, None));
    assert_eq!(response["auditAnnotations"]["findings"], "musl-slow-retry(app)");
}

#[tokio::test]
async fn a_dry_run_of_the_doctor_is_answered_in_each_mode_and_a_real_pod_is_not() {
    let asked = |dry_run: bool, value: &str| {
        let mut review = review(alpine());
        review["request"]["dryRun"] = json!(dry_run);
        review["request"]["object"]["metadata"]["annotations"] = json!({ "muslin.dev/doctor": value });
        review
    };
    for mode in ["off", "audit", "warn", "inject", "enforce"] {
        let webhook = webhook(NamespacePolicy::from_labels(Some(mode), None));
        let response = answer(&webhook, &asked(true, "?")).await;
        let value = format!("version={} mode={mode}", env!("CARGO_PKG_VERSION"));
        let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        let operation = json!({ "op": "add", "path": "/metadata/annotations/muslin.dev~1doctor", "value": value });
        assert_eq!(patch, json!([operation]));
        assert_eq!(answer(&webhook, &asked(true, &value)).await.get("patch"), None, "a second pass");
    }
    let webhook = webhook(NamespacePolicy::default());
    let with = answer(&webhook, &asked(false, "?")).await;
    assert!(!STANDARD.decode(with["patch"].as_str().unwrap()).unwrap().windows(6).any(|word| word == b"doctor"));
}

#[tokio::test]
async fn leaves_alone_what_is_not_the_creation_of_a_pod() {
    for (field, value) in [
        ("operation", json!("UPDATE")),
        ("subResource", json!("ephemeralcontainers")),
        ("kind", json!({ "group": "apps", "version": "v1", "kind": "Deployment" })),
        ("object", Value::Null),
        ("namespace", json!("kube-system")),
        ("namespace", json!("muslin")),
    ] {
        let mut review = review(alpine());
        review["request"][field] = value;
        assert_eq!(answer(&webhook(NamespacePolicy::default()), &review).await.get("patch"), None, "{field}");
    }
}

#[tokio::test]
async fn says_what_is_wrong_with_a_label_and_goes_on_without_it() {
    let response = answer(&webhook(NamespacePolicy::from_labels(Some("on"), Some("quick"))), &review(alpine())).await;
    let warnings = response["warnings"].to_string();
    assert!(warnings.contains("`on` is not a mode") && warnings.contains("there is no profile `quick`"), "{warnings}");
}

/// Returns the warnings about an object of this kind, of the hook at this path.
async fn warnings(
    webhook: &Webhook,
    path: &str,
    kind: (&str, &str),
    object: &Value,
    old: Option<&Value>,
) -> Vec<String> {
    let mut review = review(object.clone());
    review["request"]["kind"] = json!({ "group": kind.0, "version": "v1", "kind": kind.1 });
    if let Some(old) = old {
        review["request"]["operation"] = json!("UPDATE");
        review["request"]["oldObject"] = old.clone();
    }
    let request = Request::post(format!("{path}?timeout=2s")).body(Body::from(review.to_string())).unwrap();
    let response = webhook.router().oneshot(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    let warnings = answer["response"]["warnings"].as_array().cloned().unwrap_or_default();
    warnings.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_namespace_is_warned_about_keys_that_nothing_reads_when_they_are_new() {
    let webhook = webhook(NamespacePolicy::default());
    let warned = async |metadata: Value, old: Option<Value>| {
        let [object, old] =
            [Some(metadata), old].map(|metadata| metadata.map(|metadata| json!({ "metadata": metadata })));
        warnings(&webhook, "/namespaces", ("", "Namespace"), &object.unwrap(), old.as_ref()).await
    };
    for (metadata, line) in [
        (
            json!({ "annotations": { "muslin.dev/mode": "warn" } }),
            "muslin: write muslin.dev/mode as a label (nothing reads the annotation `muslin.dev/mode`) [unread-key]",
        ),
        (
            json!({ "labels": { "muslin.dev/mod": "warn" } }),
            "muslin: write muslin.dev/mode as a label (nothing reads the label `muslin.dev/mod`) [unread-key]",
        ),
        (
            json!({ "annotations": { "muslin.dev/inject": "false" } }),
            "muslin: annotate the pods with muslin.dev/inject (nothing reads the annotation `muslin.dev/inject`) [unread-key]",
        ),
        (
            json!({ "labels": { "muslin.dev/self": "yes" } }),
            "muslin: write muslin.dev/self: \"true\", or remove it (nothing knows the value `yes` of muslin.dev/self) [unread-key]",
        ),
    ] {
        assert_eq!(warned(metadata.clone(), None).await, [line]);
        assert_eq!(warned(metadata.clone(), Some(json!({}))).await[0], line);
        assert_eq!(warned(metadata.clone(), Some(metadata)).await, [""; 0]);
    }
    assert_eq!(
        warned(json!({ "labels": { "team": "shop" }, "annotations": { "example.com/a": "b" } }), None).await,
        [""; 0]
    );
}

#[tokio::test]
async fn a_workload_is_warned_about_its_own_keys_also_where_its_template_stays() {
    let webhook = webhook(NamespacePolicy::from_labels(Some("warn"), Some("default")));
    let deployment = |metadata: Value| json!({ "metadata": metadata, "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "debian:12" }] } } } });
    let plain = deployment(json!({}));
    let keyed =
        deployment(json!({ "annotations": { "muslin.dev/inject": "false" }, "labels": { "muslin.dev/mode": "off" } }));
    let kind = ("apps", "Deployment");
    let lines = [
        "muslin: write muslin.dev/mode as a label of the namespace (nothing reads `muslin.dev/mode` on a workload) [unread-key]",
        "muslin: annotate the pod template with muslin.dev/inject (nothing reads `muslin.dev/inject` on a workload) [unread-key]",
    ];
    assert_eq!(warnings(&webhook, "/workloads", kind, &keyed, None).await, lines);
    assert_eq!(warnings(&webhook, "/workloads", kind, &keyed, Some(&plain)).await, lines);
    assert_eq!(warnings(&webhook, "/workloads", kind, &keyed, Some(&keyed)).await, [""; 0]);
    assert_eq!(warnings(&webhook, "/workloads", kind, &plain, Some(&keyed)).await, [""; 0]);
    let read = deployment(json!({ "annotations": { "muslin.dev/ignore": "parallel-a-aaaa" } }));
    assert_eq!(warnings(&webhook, "/workloads", kind, &read, None).await, [""; 0]);
}

#[tokio::test]
async fn the_last_warning_is_the_page_about_the_most_serious_finding() {
    let docs_url = Some("https://docs.example.com/muslin/".parse().unwrap());
    let namespaces = Namespaces::fixed(NamespacePolicy::from_labels(Some("warn"), None));
    let settings = Settings { docs_url, ..settings() };
    let webhook = Webhook::new(settings, namespaces, Arc::new(Metrics::default()), Shutdown::default());
    let mut pod = alpine();
    pod["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "0" }, { "name": "ndotss" }] });
    let lines = warnings(&webhook, "/mutate", ("", "Pod"), &pod, None).await;
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].ends_with("[attempts-zero]"), "{lines:#?}");
    assert_eq!(lines[2], "muslin: https://docs.example.com/muslin/rules/attempts-zero.md");
    let healthy = json!({ "spec": { "containers": [{ "name": "app", "image": "debian:12" }] } });
    assert_eq!(warnings(&webhook, "/mutate", ("", "Pod"), &healthy, None).await, [""; 0]);
}

#[tokio::test]
async fn a_bad_review_gets_a_400_that_says_what_is_wrong() {
    let webhook = webhook(NamespacePolicy::default());
    let mut no_uid = review(alpine());
    no_uid["request"]["uid"] = json!("");
    let mut old = review(alpine());
    old["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let mut wrong_type = review(alpine());
    wrong_type["request"]["object"]["spec"]["containers"] = json!({});
    for (body, message) in [
        (String::new(), "the body is not an AdmissionReview: EOF"),
        ("{".to_owned(), "the body is not an AdmissionReview: EOF"),
        ("[]".to_owned(), "the body is not an AdmissionReview"),
        (json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview" }).to_string(), "has no request"),
        (no_uid.to_string(), "uid is empty"),
        (old.to_string(), "AdmissionReview of admission.k8s.io/v1beta1, not AdmissionReview of admission.k8s.io/v1"),
        (wrong_type.to_string(), "invalid type: map, expected a list"),
    ] {
        let (status, answer) = post(&webhook, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["error"].as_str().unwrap().contains(message), "{answer} has no {message:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_gets_a_400() {
    let (status, answer) = post(&webhook(NamespacePolicy::default()), vec![b'{', b'"', 0xff, b'"', b'}']).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"].as_str().unwrap().contains("not UTF-8"), "{answer}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_below_it_is_read() {
    let webhook = webhook(NamespacePolicy::default());
    let (status, _) = post(&webhook, vec![b' '; 8 * 1024 * 1024 + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut large = review(alpine());
    large["request"]["object"]["metadata"]["managedFields"] = json!("x".repeat(7 * 1024 * 1024));
    assert!(answer(&webhook, &large).await["patch"].is_string());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_before_the_api_server_s_limit() {
    let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let request = Request::post("/mutate?timeout=100ms").body(Body::from_stream(never)).unwrap();
    let response = webhook(NamespacePolicy::default()).router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

fn panics<'p>(_: &'p Pod<'p>, _: Vec<Fingerprint>, _: &Context<'p>) -> Result<Plan, Skip> {
    panic!("a test of panics")
}

#[tokio::test]
async fn a_panic_in_a_review_allows_the_pod_with_a_warning_and_is_counted() {
    let metrics = Arc::new(Metrics::default());
    let namespaces = Namespaces::fixed(NamespacePolicy::default());
    let webhook = Webhook::with_planner(settings(), namespaces, Arc::clone(&metrics), Shutdown::default(), panics);
    let response = answer(&webhook, &review(alpine())).await;
    assert_eq!(response.get("patch"), None);
    assert!(response["warnings"][0].as_str().unwrap().contains("was left unchanged: muslin failed on it"));
    assert!(metrics.text().contains("muslin_panics_total 1"), "{}", metrics.text());
}

async fn get(router: axum::Router, path: &str) -> (StatusCode, String) {
    let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn is_ready_until_it_leaves_and_alive_throughout() {
    let shutdown = Shutdown::default();
    let namespaces = Namespaces::fixed(NamespacePolicy::default());
    let webhook = Webhook::new(settings(), namespaces, Arc::new(Metrics::default()), shutdown.clone());
    for router in [webhook.router(), webhook.metrics_router()] {
        assert_eq!(get(router, "/readyz").await.0, StatusCode::OK);
    }
    shutdown.leave();
    for router in [webhook.router(), webhook.metrics_router()] {
        assert_eq!(get(router.clone(), "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(router, "/healthz").await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn counts_reviews_and_findings() {
    let webhook = webhook(NamespacePolicy::default());
    answer(&webhook, &review(alpine())).await;
    post(&webhook, "").await;
    let (_, text) = get(webhook.metrics_router(), "/metrics").await;
    for line in [
        r#"muslin_reviews_total{hook="mutate",outcome="changed",mode="inject"} 1"#,
        r#"muslin_reviews_total{hook="mutate",outcome="bad_request",mode="none"} 1"#,
        r#"muslin_findings_total{rule="musl-slow-retry",level="warn",fixed="true"} 1"#,
        r#"muslin_namespace_findings_total{pod_namespace="shop",level="warn",fixed="true"} 1"#,
        r#"muslin_review_duration_seconds_count{hook="mutate"} 2"#,
        // An alert sees no increase in a series that begins with 1.
        r#"muslin_reviews_total{hook="enforce",outcome="failed",mode="enforce"} 0"#,
        r#"muslin_reviews_total{hook="enforce",outcome="denied",mode="none"} 0"#,
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_errors_of_the_caller() {
    let router = webhook(NamespacePolicy::default()).router();
    assert_eq!(get(router.clone(), "/validate").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(router, "/mutate").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn no_allocation_grows_with_fields_that_are_not_read() {
    let webhook = webhook(NamespacePolicy::default());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let measured = [1, 10, 100].map(|size| {
        let mut pod = alpine();
        let text = "\u{e9}\n\"x\"".repeat(size);
        let list: Vec<Value> = (0..size).map(|index| json!({ "name": format!("V{index}"), "value": text })).collect();
        pod["metadata"]["managedFields"] = json!([{ "fieldsV1": { "f:spec": list } }]);
        pod["metadata"]["annotations"] = json!({ "example.com/notes": text });
        pod["metadata"]["labels"] = json!({ "example.com/notes": text });
        pod["spec"]["containers"][0]["env"] = json!(list);
        pod["spec"]["volumes"] = json!(list);
        pod["status"] = json!(list);
        let body = review(pod).to_string();
        let answer = || {
            let request = super::review::parse::<Pod<'_>>(body.as_bytes()).unwrap();
            let effort = &mut super::state::Effort::new(body.len());
            let answer = super::hooks::pods::mutate(webhook.state(), &request, effort, deadline).now_or_never();
            assert!(!answer.unwrap().body.is_empty());
        };
        // The first review makes the counters of its findings.
        answer();
        let allocations = allocation_counter::measure(answer);
        (allocations.count_total, allocations.bytes_max)
    });
    assert_eq!(measured[0], measured[1]);
    assert_eq!(measured[0], measured[2]);
}

#[tokio::test]
async fn a_pod_counts_as_missed_only_where_a_review_marks_it() {
    use crate::cluster::MarkSource as _;

    let now = jiff::Timestamp::now();
    for (mode, marks) in [("off", false), ("audit", false), ("warn", true), ("inject", true), ("enforce", true)] {
        let webhook = webhook(NamespacePolicy::from_labels(Some(mode), None));
        assert_eq!(webhook.marks_pods_of("shop", now).await, marks, "{mode}");
        assert_eq!(webhook.marks("shop", &alpine().to_string()).await, marks, "{mode}");
        for excluded in ["kube-system", "muslin"] {
            assert!(!webhook.marks_pods_of(excluded, now).await, "{excluded}");
        }
    }
    let webhook = webhook(NamespacePolicy::default());
    let with = |field: &str, value: Value| {
        let mut pod = alpine();
        let (part, name) = field.split_once('/').unwrap();
        pod[part][name] = value;
        pod.to_string()
    };
    for skipped in [
        with("metadata/annotations", json!({ "muslin.dev/inject": "false" })),
        with("metadata/annotations", json!({ "kubernetes.io/config.mirror": "x" })),
        with("metadata/labels", json!({ "muslin.dev/libc": "musl" })),
        with("spec/os", json!({ "name": "windows" })),
        with("spec/containers", json!([])),
        "no pod".to_owned(),
    ] {
        assert!(!webhook.marks("shop", &skipped).await, "{skipped}");
    }
    // No option is set for this image, and the pod is marked all the same.
    assert!(webhook.marks("shop", &with("spec/containers", json!([{ "name": "app", "image": "scratch" }]))).await);
}
