//! The routes: one for each hook of the API server, `/healthz` and `/readyz` for the kubelet, `/metrics` for Prometheus; and what all
//! hooks have in common. Must not know what a hook decides.

use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post_service};
use futures::FutureExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant as Deadline, timeout_at};
use tower::service_fn;

use crate::cluster::{Certificates, Namespaces, Profiles, SelectedProfile};
use crate::image::Fingerprint;
use crate::plan::{Context, Plan, Skip, plan};
use crate::pod::Pod;
use crate::policy::{Level, Mode, NamespacePolicy, Profile};
use crate::text::one_line;

use super::decision::{Memory, Repeat};
use super::imprint::{Imprints, Recognised};
use super::metrics::Outcome;
use super::review::{BadReview, Review, Verdict};
use super::serving::body::{Bodies, BodyError};
use super::serving::deadline;
use super::{Metrics, Shutdown, review};
use crate::cluster::{ImageInspection, PodImages};

/// What an admin sets for the whole cluster.
#[derive(Clone)]
pub struct Settings {
    /// The mode of namespaces that say none.
    pub default_mode: Mode,
    /// The name of the profile of namespaces that name none.
    pub profile: String,
    /// The profiles that there are.
    pub profiles: Profiles,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// muslin's own namespace, which is left alone as `kube-system` is.
    pub own_namespace: Option<String>,
    /// Where images are read; without it, their references alone tell.
    pub inspection: Option<ImageInspection>,
    /// Where the serving certificate comes from; without it, it is there from the start.
    pub certificates: Option<Certificates>,
}

/// How many bytes a note on a profile has, which may name many others: the API server cuts longer warnings
/// (kubernetes `staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go`, `truncateItemLength`).
const NOTE_MAX: usize = 250;

/// How a pod is planned: [`plan`], unless a test needs it to fail.
pub(super) type Planner = for<'p> fn(&'p Pod<'p>, Vec<Fingerprint>, &Context<'p>) -> Result<Plan, Skip>;

/// The webhook, apart from its sockets.
#[derive(Clone)]
pub struct Webhook(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) namespaces: Namespaces,
    pub(super) metrics: Arc<Metrics>,
    shutdown: Shutdown,
    pub(super) planner: Planner,
    pub(super) memory: Memory,
    pub(super) imprints: Imprints<Repeat>,
    bodies: Bodies,
}

/// What the API server can ask.
#[derive(Clone, Copy, Debug)]
enum Hook {
    /// Pods that are created, to mend them.
    Mutate,
    /// Pods that are created in a namespace of mode enforce, as all webhooks have left them.
    Enforce,
    /// What makes pods, to warn of what they will be.
    Workloads,
    /// Namespaces, for their labels.
    Namespaces,
    /// ResolverProfiles, for what they risk and change.
    Profiles,
}

const HOOKS: [Hook; 5] = [Hook::Mutate, Hook::Enforce, Hook::Workloads, Hook::Namespaces, Hook::Profiles];

/// The answer to a review, and what is counted of it.
pub(super) struct Answered {
    pub(super) outcome: Outcome,
    pub(super) mode: Option<Mode>,
    /// The review with its response, as it is sent.
    pub(super) answer: Vec<u8>,
    /// What was decided, if it was decided before, about another pod of the same template.
    pub(super) repeat: Option<Repeat>,
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
            imprints: Imprints::default(),
            bodies: Bodies::default(),
        }))
    }

    /// What the API server reaches.
    pub fn router(&self) -> Router {
        HOOKS
            .into_iter()
            .fold(Router::new(), |router, hook| router.route(&format!("/{}", hook.name()), hook.route(self)))
            .merge(health())
            .with_state(self.clone())
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
    } else if !webhook.settings.profiles.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, "the profiles are not listed yet\n")
    } else if !webhook.settings.certificates.as_ref().is_none_or(Certificates::is_ready) {
        (StatusCode::SERVICE_UNAVAILABLE, "there is no serving certificate yet that a webhook configuration trusts\n")
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

/// Answers what the API server asks of one of muslin's hooks. Of the request no more is kept than is needed.
fn answer(hook: Hook, Webhook(webhook): Webhook, request: Request) -> impl Future<Output = Response> + Send {
    let started = Instant::now();
    let deadline = Deadline::from_std(started + deadline::budget(request.uri().query()));
    let body = request.into_body();
    async move {
        let (outcome, mode, response) = match webhook.review(hook, body, deadline).await {
            Ok(Answered { outcome, mode, answer, repeat: _ }) => {
                (outcome, mode, ([(header::CONTENT_TYPE, "application/json")], answer).into_response())
            }
            Err(refusal) => {
                tracing::warn!(hook = hook.name(), error = %refusal, "refused a request");
                (Outcome::BadRequest, None, refusal.into_response())
            }
        };
        webhook.metrics.reviewed(hook.name(), outcome, mode, started.elapsed());
        response
    }
}

// === impl Hook ===

impl Hook {
    const fn name(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Enforce => "enforce",
            Self::Workloads => "workloads",
            Self::Namespaces => "namespaces",
            Self::Profiles => "profiles",
        }
    }

    /// A service, not a handler: the future of a handler holds the request too.
    fn route(self, webhook: &Webhook) -> MethodRouter<Webhook> {
        let webhook = webhook.clone();
        post_service(service_fn(move |request| answer(self, webhook.clone(), request).map(Ok::<_, Infallible>)))
    }
}

// === impl Answered ===

impl Answered {
    pub(super) fn new(uid: &str, outcome: Outcome, mode: Option<Mode>, verdict: &Verdict) -> Self {
        Self { outcome, mode, answer: verdict.written().answer(uid), repeat: None }
    }

    /// It is none of the webhook's business.
    pub(super) fn skipped(uid: &str) -> Self {
        Self::new(uid, Outcome::Skipped, None, &Verdict::default())
    }
}

// === impl Inner ===

impl Inner {
    /// A review that says the same as one before is answered at once. What others need is kept in a place of its own: it is much, and
    /// to make room for it would cost the one that is answered at once as much as its answer.
    async fn review(&self, hook: Hook, body: Body, deadline: Deadline) -> Result<Answered, Refusal> {
        let body = self.bodies.read(body, deadline).await?;
        let recognised = matches!(hook, Hook::Mutate).then(|| self.imprints.recognise(&body)).flatten();
        match recognised.as_ref().and_then(|recognised| self.repeated(recognised)) {
            Some(answered) => Ok(answered),
            None => Box::pin(self.consider(hook, &body, recognised, deadline)).await,
        }
    }

    async fn consider(
        &self,
        hook: Hook,
        body: &[u8],
        recognised: Option<Recognised<'_, Repeat>>,
        deadline: Deadline,
    ) -> Result<Answered, Refusal> {
        Ok(match hook {
            Hook::Mutate => self.mutate_like_others(body, recognised, deadline).await?,
            Hook::Enforce => self.enforce(&self.read(body)?, deadline).await,
            Hook::Workloads => self.warn(&self.read(body)?, deadline).await,
            Hook::Namespaces => self.label(&self.read(body)?, deadline).await,
            Hook::Profiles => self.change_profile(&self.read(body)?, deadline).await,
        })
    }

    /// Mends a pod; of a review that is like one seen before, only what is needed is read.
    async fn mutate_like_others(
        &self,
        review: &[u8],
        recognised: Option<Recognised<'_, Repeat>>,
        deadline: Deadline,
    ) -> Result<Answered, Refusal> {
        let read = recognised.as_ref().map_or(Cow::Borrowed(review), |recognised| Cow::Owned(recognised.excerpt()));
        let request = self.read(&read)?;
        let mut answered = self.mutate(&request, deadline).await;
        if let Some(repeat) = answered.repeat.take() {
            match &recognised {
                Some(recognised) => recognised.remember(repeat),
                None => {
                    let learnt = catch_unwind(AssertUnwindSafe(|| self.learn(review, &request)));
                    learnt.unwrap_or_else(|panic| self.note_panic(&panic, &request.uid));
                }
            }
        }
        Ok(answered)
    }

    fn read<'b, O: Deserialize<'b>>(&self, body: &'b [u8]) -> Result<review::Request<'b, O>, Refusal> {
        let read = catch_unwind(AssertUnwindSafe(|| Review::read(body))).map_err(|panic| {
            self.note_panic(&panic, "unknown");
            Refusal::Panicked
        })?;
        Ok(read?)
    }

    /// Decides; where muslin itself fails on that, answers what `failed` says.
    pub(super) fn guarded(
        &self,
        uid: &str,
        decide: impl FnOnce() -> Answered,
        failed: impl FnOnce() -> Verdict,
    ) -> Answered {
        self.caught(uid, decide).unwrap_or_else(|| Answered::new(uid, Outcome::Failed, None, &failed()))
    }

    /// What is made of what others wrote; `None` where muslin itself fails on that.
    pub(super) fn caught<T>(&self, uid: &str, make: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(make)).map_err(|panic| self.note_panic(&panic, uid)).ok()
    }

    /// Whether muslin keeps its hands off a namespace.
    pub(super) fn is_excluded(&self, namespace: &str) -> bool {
        crate::policy::is_excluded(namespace, self.settings.own_namespace.as_deref())
    }

    /// What a namespace's labels ask for, or why that is not known in time.
    pub(super) async fn policy(&self, namespace: &str, deadline: Deadline) -> Result<NamespacePolicy, String> {
        match timeout_at(deadline, self.namespaces.policy(namespace)).await {
            Ok(policy) => policy.map_err(|error| error.to_string()),
            Err(_) => Err("no answer from the API server in time".to_owned()),
        }
    }

    /// What is known of the pod's images. Nothing is asked where nothing would be done.
    pub(super) async fn ask(&self, pod: &Pod<'_>, namespace: &str, mode: Mode, deadline: Deadline) -> PodImages {
        match self.settings.inspection.as_ref().filter(|_| mode != Mode::Off) {
            Some(inspection) => inspection.lookup(pod, namespace, deadline).await,
            None => PodImages::default(),
        }
    }

    /// The same, as far as it is known without asking.
    pub(super) fn recall(&self, pod: &Pod<'_>) -> PodImages {
        self.settings.inspection.as_ref().map_or_else(PodImages::default, |inspection| inspection.cached(pod))
    }

    /// The profile that a namespace asks for, and what is to be said of that.
    pub(super) fn chosen(&self, policy: &NamespacePolicy, notes: &mut Vec<String>) -> SelectedProfile {
        let Settings { profile: default, profiles, .. } = &self.settings;
        let (chosen, problems) = profiles.for_namespace(policy.profile(), default);
        notes.extend(
            problems
                .iter()
                .map(|none| one_line(&format!("muslin: the profile default is used: {none}"), NOTE_MAX).into_owned()),
        );
        chosen
    }

    /// The profile that a pod gets of the one that its namespace asks for: that, or the cluster's default, where it is for others.
    pub(super) fn profile(&self, chosen: &SelectedProfile, pod: &Pod<'_>) -> Arc<Profile> {
        self.settings.profiles.for_pod(chosen, &self.settings.profile, || pod.labels())
    }

    pub(super) fn context<'c>(&'c self, namespace: &'c str, mode: Mode, profile: &'c Profile) -> Context<'c> {
        let cluster_domain = &self.settings.cluster_domain;
        Context {
            namespace,
            cluster_domain,
            mode,
            profile,
            holder_ignores: None,
            trusts_annotation: false,
            texts_from: Level::Warn,
        }
    }

    fn note_panic(&self, panic: &Box<dyn Any + Send>, uid: &str) {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(uid, message, "muslin failed on a review");
        self.metrics.panicked();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What glibc gives without a lock that all threads share (`TCACHE_MAX_BYTES`, glibc `malloc/malloc.c`): each request's future is
    /// allocated, and what it holds is moved there.
    #[test]
    fn a_review_waits_in_little_room() {
        fn room<F>(_: &impl Fn(Hook, Webhook, Request) -> F) -> usize {
            size_of::<F>()
        }
        assert!(room(&answer) <= 1032, "{} bytes", room(&answer));
    }
}
