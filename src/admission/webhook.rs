//! The routes: one for each hook of the API server, `/healthz` and `/readyz` for the kubelet, `/metrics` for Prometheus; and the frame
//! of every review: read its body, time it, count it. Must not know what a hook decides.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Router, extract};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant as Deadline;

use crate::cluster::{Certificates, Namespaces};
use crate::plan::plan;

use super::answer::Answer;
use super::hooks::{namespaces, pods, profiles, workloads};
use super::large_reviews::LargeReviews;
use super::metrics::{Metrics, Outcome};
use super::review::{self, ReviewError};
use super::serving::Shutdown;
use super::serving::body::{self, BodyError};
use super::serving::deadline;
use super::state::{Effort, Planner, ROOM_STEPS, Settings, State, Undone};

/// The webhook, apart from its sockets.
#[derive(Clone)]
pub struct Webhook(Arc<Inner>);

struct Inner {
    state: State,
    shutdown: Shutdown,
}

/// A hook of the API server.
#[derive(Clone, Copy, Debug)]
enum Hook {
    /// Changes pods on creation.
    Mutate,
    /// Denies pods on creation in a namespace of mode `enforce`, after all mutating webhooks.
    Enforce,
    /// Warns about objects that make pods.
    Workloads,
    /// Checks the labels of namespaces.
    Namespaces,
    /// Checks ResolverProfiles and previews their effect.
    Profiles,
}

/// The reason why a request gets an HTTP error and no review.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Review(#[from] ReviewError),
    #[error("the review was not read: {0}")]
    Undone(#[from] Undone),
}

// === impl Webhook ===

impl Webhook {
    /// A webhook with these settings for the namespaces of a cluster.
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
        Hook::ALL.into_iter().for_each(|hook| metrics.count_from_zero(hook.name()));
        let room = Semaphore::new(ROOM_STEPS as usize);
        let state = State { settings, namespaces, metrics, planner, large: LargeReviews::default(), room };
        Self(Arc::new(Inner { state, shutdown }))
    }

    pub(super) fn state(&self) -> &State {
        &self.0.state
    }

    /// Returns the routes for the API server.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/mutate", hook(Hook::Mutate))
            .route("/enforce", hook(Hook::Enforce))
            .route("/workloads", hook(Hook::Workloads))
            .route("/namespaces", hook(Hook::Namespaces))
            .route("/profiles", hook(Hook::Profiles))
            .merge(health())
            .with_state(self.clone())
    }

    /// Returns the routes for the kubelet and Prometheus, for a port of their own, so that a busy webhook does not keep them waiting.
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

async fn readyz(extract::State(Webhook(webhook)): extract::State<Webhook>) -> (StatusCode, &'static str) {
    let Inner { state, shutdown } = &*webhook;
    if shutdown.is_leaving() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if !state.namespaces.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, "the namespaces are not listed yet\n")
    } else if !state.settings.profiles.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, "the profiles are not listed yet\n")
    } else if let Some(reason) = state.settings.certificates.as_ref().and_then(Certificates::not_ready_because) {
        (StatusCode::SERVICE_UNAVAILABLE, reason)
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn metrics(extract::State(webhook): extract::State<Webhook>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], webhook.state().metrics.text()).into_response()
}

async fn not_found(request: Request) -> Response {
    error_body(StatusCode::NOT_FOUND, &format!("there is nothing at {}", request.uri().path()))
}

async fn method_not_allowed(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    error_body(StatusCode::METHOD_NOT_ALLOWED, &format!("{path} does not answer {method}"))
}

/// Returns the handler of a hook.
fn hook(hook: Hook) -> MethodRouter<Webhook> {
    post(move |extract::State(Webhook(webhook)): extract::State<Webhook>, request: Request| async move {
        let started = Instant::now();
        let deadline = Deadline::from_std(started + deadline::budget(request.uri().query()));
        let (outcome, mode, response) = match webhook.review(hook, request, deadline).await {
            Ok(Answer { outcome, mode, body }) => {
                (outcome, mode, ([(header::CONTENT_TYPE, "application/json")], body).into_response())
            }
            Err(error) => {
                tracing::warn!(hook = hook.name(), %error, "rejected a request");
                (Outcome::BadRequest, None, error.into_response())
            }
        };
        webhook.state.metrics.count_review(hook.name(), outcome, mode, started.elapsed());
        response
    })
}

// === impl Inner ===

impl Inner {
    /// Reads the body of a review and asks its hook for the answer.
    async fn review(&self, hook: Hook, request: Request, deadline: Deadline) -> Result<Answer, RequestError> {
        let body = body::read(request, deadline).await?;
        let (state, effort) = (&self.state, &mut Effort::new(body.len()));
        Ok(match hook {
            Hook::Mutate => {
                let request = self.parse(&body, effort, deadline).await?;
                pods::mutate(state, &request, effort, deadline).await
            }
            Hook::Enforce => {
                let request = self.parse(&body, effort, deadline).await?;
                pods::enforce(state, &request, effort, deadline).await
            }
            Hook::Workloads => {
                let request = self.parse(&body, effort, deadline).await?;
                workloads::warn(state, &request, effort, deadline).await
            }
            Hook::Namespaces => {
                let request = self.parse(&body, effort, deadline).await?;
                namespaces::check_labels(state, &request, effort, deadline).await
            }
            Hook::Profiles => {
                let request = self.parse(&body, effort, deadline).await?;
                profiles::check_profile(state, &request, effort, deadline).await
            }
        })
    }

    async fn parse<'s, 'b, O: Deserialize<'b>>(
        &'s self,
        body: &'b [u8],
        effort: &mut Effort<'s>,
        deadline: Deadline,
    ) -> Result<review::Request<'b, O>, RequestError> {
        let request: review::Request<'b, O> = self.state.read(effort, deadline, || review::parse(body)).await??;
        effort.is_dry_run = request.dry_run == Some(true);
        Ok(request)
    }
}

// === impl Hook ===

impl Hook {
    const ALL: [Self; 5] = [Self::Mutate, Self::Enforce, Self::Workloads, Self::Namespaces, Self::Profiles];

    /// Returns the hook's name in metrics and logs.
    const fn name(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Enforce => "enforce",
            Self::Workloads => "workloads",
            Self::Namespaces => "namespaces",
            Self::Profiles => "profiles",
        }
    }
}

// === impl RequestError ===

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::NoRoom) | Self::Undone(Undone::NoTurn(_) | Undone::NoRoom) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Body(BodyError::Broken(_)) | Self::Review(_) => StatusCode::BAD_REQUEST,
            Self::Undone(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        error_body(status, &self.to_string())
    }
}

fn error_body(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error": message }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
