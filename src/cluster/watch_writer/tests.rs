//! The API server is simulated: a real one cannot be silent for ten minutes.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;

/// An API server that keeps what is written.
#[derive(Default)]
struct ApiServer {
    is_silent: AtomicBool,
    /// The definition of DNSObservations is missing.
    is_old: bool,
    /// The names of Deployments that exist; the account may read no other.
    deployments: Vec<&'static str>,
    observations: Mutex<Vec<Value>>,
    events: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

impl ApiServer {
    fn status(code: u16) -> (u16, Value) {
        let reason = if code == 404 { "NotFound" } else { "Forbidden" };
        (code, json!({ "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "code": code }))
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        if self.is_silent.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let (path, method) = (request.uri().path().to_owned(), request.method().clone());
        let body = request.into_body().collect_bytes().await.unwrap();
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (code, body) = match path.rsplit('/').next() {
            Some("events") => {
                let on = &sent["regarding"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let event = [&sent["reason"], &on["kind"], &on["name"]].map(text).join(" ");
                self.events.lock().unwrap().push(event);
                (201, sent)
            }
            Some(_) if method == Method::PATCH && self.is_old => Self::status(404),
            Some(_) if method == Method::PATCH => {
                self.observations.lock().unwrap().push(sent.clone());
                (200, sent)
            }
            Some(name) if self.deployments.contains(&name) => {
                let metadata = json!({ "name": name, "uid": "1" });
                let kind = "PartialObjectMetadata";
                (200, json!({ "apiVersion": "meta.k8s.io/v1", "kind": kind, "metadata": metadata }))
            }
            Some("coredns") => Self::status(404),
            _ => Self::status(403),
        };
        Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap())
    }

    fn writer(self: &Arc<Self>, dns: Option<DnsDeployment>) -> WatchWriter {
        let server = Arc::clone(self);
        let client = Client::new(service_fn(move |request| Arc::clone(&server).answer(request)), "default");
        let place = Some(("muslin".to_owned(), "705ab4f5".to_owned()));
        let pod = WatcherPod { node: "node-1".to_owned(), name: "muslin-watch-0".to_owned(), place };
        let server = Arc::clone(self);
        WatchWriter::start(client, pod, dns, move |note| server.notes.lock().unwrap().push(note.into_string()))
    }

    fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

fn report(raised: Option<bool>) -> WatchReport {
    let now = Time(Timestamp::now());
    let verdict = StandingVerdict {
        verdict: "fake-ip".to_owned(),
        level: "deny".to_owned(),
        subject: String::new(),
        text: "names have addresses that no host can have".to_owned(),
        since: now.clone(),
    };
    let watch = ObservedWatch {
        pod: "muslin-watch-0".to_owned(),
        version: "1".to_owned(),
        checked_at: now,
        rounds: 1,
        probed_at: None,
        verdicts: Vec::new(),
        nameservers: Vec::new(),
        origins: Vec::new(),
        rollouts: Vec::new(),
    };
    let change = |is_raised| VerdictChange { verdict: verdict.clone(), help: None, is_raised };
    WatchReport {
        nameservers: Vec::new(),
        domains: Vec::new(),
        watch,
        changes: raised.map(change).into_iter().collect(),
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn what_happened_while_the_api_server_was_silent_for_ten_minutes_is_written_afterwards() {
    let server = Arc::new(ApiServer { deployments: vec!["coredns"], ..ApiServer::default() });
    server.is_silent.store(true, Ordering::Relaxed);
    let writer = server.writer(None);
    for change in [Some(true), None, Some(false)] {
        writer.send(report(change));
        sleep(4 * MINUTE).await;
    }
    assert_eq!((server.events().len(), server.notes().len()), (0, 1), "{:?}", server.notes());
    assert!(server.notes()[0].ends_with("node-1: the API server does not answer"), "{:?}", server.notes());
    server.is_silent.store(false, Ordering::Relaxed);
    sleep(MINUTE).await;
    let of = |reason: &str| [format!("{reason} Pod muslin-watch-0"), format!("{reason} Deployment coredns")];
    assert_eq!(server.events(), [of("DNSFault"), of("DNSFaultEnded")].concat());
    assert_eq!(server.observations.lock().unwrap().len(), 1, "only the last state");
}

#[tokio::test(start_paused = true)]
async fn without_the_definition_of_observations_events_are_written_and_the_help_is_shown_once() {
    let server = Arc::new(ApiServer { is_old: true, ..ApiServer::default() });
    let writer = server.writer(None);
    for change in [Some(true), Some(false)] {
        writer.send(report(change));
        sleep(10 * MINUTE).await;
    }
    assert_eq!(server.events(), ["DNSFault Pod muslin-watch-0", "DNSFaultEnded Pod muslin-watch-0"]);
    assert_eq!(server.notes().len(), 1, "{:?}", server.notes());
    assert!(server.notes()[0].contains("muslin manifests crds"), "{:?}", server.notes());
}

#[tokio::test(start_paused = true)]
async fn events_are_on_the_deployment_of_the_clusters_dns_whatever_its_name() {
    let given = DnsDeployment { namespace: "dns".to_owned(), name: "unbound".to_owned() };
    for (exists, dns, named) in [
        ("rke2-coredns-rke2-coredns", None, "DNSFault Deployment rke2-coredns-rke2-coredns"),
        ("kube-dns", None, "DNSFault Deployment kube-dns"),
        ("unbound", Some(given), "DNSFault Deployment unbound"),
    ] {
        let server = Arc::new(ApiServer { deployments: vec![exists], ..ApiServer::default() });
        let writer = server.writer(dns);
        writer.send(report(Some(true)));
        sleep(MINUTE).await;
        assert_eq!(server.events(), ["DNSFault Pod muslin-watch-0", named]);
        assert_eq!(server.notes(), [""; 0]);
    }
}
