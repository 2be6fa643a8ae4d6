//! The routes: `/mutate` for the API server, `/healthz` and `/readyz` for the kubelet, `/metrics` for Prometheus.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::time::{Instant as Deadline, timeout_at};

use crate::cluster::Namespaces;
use crate::image::Fingerprint;
use crate::plan::{Context, Plan, Skip, plan};
use crate::pod::Pod;
use crate::policy::{Mode, NamespacePolicy, Profile};

use super::body::{Bodies, BodyError};
use super::decision::{Decision, Memory, Question};
use super::inspection::{Answers, Inspection};
use super::metrics::Outcome;
use super::review::{BadReview, Verdict};
use super::{Metrics, Shutdown, deadline, review};

/// What an admin sets for the whole cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mode of namespaces that say none.
    pub default_mode: Mode,
    /// The profile of namespaces that name none.
    pub profile: Profile,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// muslin's own namespace, which is left alone as `kube-system` is.
    pub own_namespace: Option<String>,
    /// Where images are read; without it, their references alone tell.
    pub inspection: Option<Inspection>,
}

/// How a pod is planned: [`plan`], unless a test needs it to fail.
pub(super) type Planner = for<'p> fn(&'p Pod<'p>, Vec<Fingerprint>, &Context<'p>) -> Result<Plan, Skip>;

/// The webhook, apart from its sockets.
#[derive(Clone)]
pub struct Webhook(pub(super) Arc<Inner>);

pub(super) struct Inner {
    settings: Settings,
    namespaces: Namespaces,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    planner: Planner,
    memory: Memory,
    bodies: Bodies,
}

/// Why a request gets no review but an error.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Bad(#[from] BadReview),
    #[error("muslin failed to read the review")]
    Panicked,
}

// === impl Webhook ===

impl Webhook {
    /// A webhook that knows the cluster's namespaces.
    pub fn new(settings: Settings, namespaces: Namespaces, metrics: Arc<Metrics>, shutdown: Shutdown) -> Self {
        Self::with_planner(settings, namespaces, metrics, shutdown, plan)
    }

    pub(super) fn with_planner(
        settings: Settings,
        namespaces: Namespaces,
        metrics: Arc<Metrics>,
        shutdown: Shutdown,
        planner: Planner,
    ) -> Self {
        Self(Arc::new(Inner {
            settings,
            namespaces,
            metrics,
            shutdown,
            planner,
            memory: Memory::default(),
            bodies: Bodies::default(),
        }))
    }

    /// What the API server reaches.
    pub fn router(&self) -> Router {
        Router::new().route("/mutate", post(mutate)).merge(health()).with_state(self.clone())
    }

    /// What the kubelet and Prometheus reach, on a port of its own, where a busy webhook does not keep them waiting.
    pub fn metrics_router(&self) -> Router {
        Router::new().route("/metrics", get(metrics)).merge(health()).with_state(self.clone())
    }
}

fn health() -> Router<Webhook> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn readyz(State(Webhook(webhook)): State<Webhook>) -> (StatusCode, &'static str) {
    if webhook.shutdown.is_leaving() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if !webhook.namespaces.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, "the namespaces are not listed yet\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn metrics(State(Webhook(webhook)): State<Webhook>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], webhook.metrics.text()).into_response()
}

async fn not_found(request: Request) -> Response {
    error_body(StatusCode::NOT_FOUND, &format!("there is nothing at {}", request.uri().path()))
}

async fn method_not_allowed(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    error_body(StatusCode::METHOD_NOT_ALLOWED, &format!("{path} does not answer {method}"))
}

async fn mutate(State(Webhook(webhook)): State<Webhook>, request: Request) -> Response {
    let started = Instant::now();
    let deadline = Deadline::from_std(started + deadline::budget(request.uri().query()));
    let (outcome, mode, response) = match webhook.review(request.into_body(), deadline).await {
        Ok((outcome, mode, answer)) => {
            (outcome, mode, ([(header::CONTENT_TYPE, "application/json")], answer).into_response())
        }
        Err(refusal) => {
            tracing::warn!(error = %refusal, "refused a request");
            (Outcome::BadRequest, None, refusal.into_response())
        }
    };
    webhook.metrics.reviewed(outcome, mode, started.elapsed());
    response
}

// === impl Inner ===

impl Inner {
    async fn review(&self, body: Body, deadline: Deadline) -> Result<(Outcome, Option<Mode>, Vec<u8>), Refusal> {
        let body = self.bodies.read(body, deadline).await?;
        let request = catch_unwind(AssertUnwindSafe(|| review::Review::read(&body))).map_err(|panic| {
            self.note_panic(&panic, "unknown");
            Refusal::Panicked
        })??;
        let uid = &*request.uid;
        let Some(pod) = request.object.as_ref().filter(|_| request.creates_a_pod()) else {
            return Ok((Outcome::Skipped, None, written(uid, &Verdict::default())));
        };
        let namespace = request.namespace.as_deref().or(pod.namespace()).unwrap_or("default");
        if crate::policy::is_excluded(namespace, self.settings.own_namespace.as_deref()) {
            return Ok((Outcome::Skipped, None, written(uid, &Verdict::default())));
        }
        let policy = match timeout_at(deadline, self.namespaces.policy(namespace)).await {
            Ok(Ok(policy)) => policy,
            Ok(Err(error)) => return Ok(self.left_alone(uid, namespace, &error.to_string())),
            Err(_) => return Ok(self.left_alone(uid, namespace, "no answer from the API server in time")),
        };
        let answers = self.ask(pod, namespace, policy.mode(self.settings.default_mode), deadline).await;
        // What is made of what strangers' images hold is inside, too.
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(uid, pod, &answers, namespace, &policy)));
        Ok(decided.unwrap_or_else(|panic| {
            self.note_panic(&panic, uid);
            let warning = "muslin: muslin failed on this pod and left it unchanged; please report it".to_owned();
            (Outcome::Failed, None, written(uid, &Verdict::default().with_warnings([warning])))
        }))
    }

    /// What is known of the pod's images. Nothing is asked where nothing would be done.
    async fn ask(&self, pod: &Pod<'_>, namespace: &str, mode: Mode, deadline: Deadline) -> Answers {
        match self.settings.inspection.as_ref().filter(|_| mode != Mode::Off) {
            Some(inspection) => inspection.ask(pod, namespace, deadline).await,
            None => Answers::default(),
        }
    }

    /// Decides about the pod, and writes the answer.
    pub(super) fn decide(
        &self,
        uid: &str,
        pod: &Pod<'_>,
        answers: &Answers,
        namespace: &str,
        policy: &NamespacePolicy,
    ) -> (Outcome, Option<Mode>, Vec<u8>) {
        let mode = policy.mode(self.settings.default_mode);
        let (fingerprints, mut notes) = answers.fingerprints(pod);
        if let Some(invalid) = policy.invalid_mode() {
            notes.push(format!("muslin: label muslin.dev/mode of namespace {namespace}: {invalid}"));
        }
        let named = policy.profile().map(Profile::builtin).transpose().unwrap_or_else(|unknown| {
            notes.push(format!("muslin: {unknown}; the built-in default is used"));
            Some(Profile::default())
        });
        let profile = named.as_ref().unwrap_or(&self.settings.profile);
        let context =
            Context { namespace, cluster_domain: &self.settings.cluster_domain, mode, profile, holder_ignores: None };
        let question = Question::new(pod, &fingerprints, &context, &notes);
        let decision = self.memory.recall(question, || match (self.planner)(pod, fingerprints, &context) {
            Ok(plan) => Decision::of(&plan, mode, notes),
            Err(skip) => Decision::skipped(skip),
        });
        self.metrics.found(&decision.findings);
        if decision.outcome == Outcome::Changed {
            tracing::info!(
                uid,
                namespace,
                pod = pod.name().unwrap_or_default(),
                mode = mode.name(),
                profile = profile.name,
                resolvers = decision.resolvers,
                injected = decision.injected,
                "changed a pod"
            );
        }
        (decision.outcome, Some(mode), written(uid, &decision.verdict))
    }

    fn left_alone(&self, uid: &str, namespace: &str, why: &str) -> (Outcome, Option<Mode>, Vec<u8>) {
        tracing::warn!(uid, namespace, why, "left a pod alone: its namespace is not known");
        let warning = "muslin: the pod's namespace is not known yet, so the pod was left unchanged".to_owned();
        (Outcome::Failed, None, written(uid, &Verdict::default().with_warnings([warning])))
    }

    fn note_panic(&self, panic: &Box<dyn Any + Send>, uid: &str) {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(uid, message, "a review panicked; the pod was left unchanged");
        self.metrics.panicked();
    }
}

/// An answer cannot fail to be written: it holds strings. Should it ever, an empty body makes the API
/// server use its failure policy.
fn written(uid: &str, verdict: &Verdict) -> Vec<u8> {
    verdict.answer(uid).unwrap_or_else(|error| {
        tracing::error!(%error, "cannot write an answer");
        Vec::new()
    })
}

fn error_body(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error": message }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

// === impl Refusal ===

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::NoRoom) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body(BodyError::Broken(_)) | Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        error_body(status, &self.to_string())
    }
}
