//! The policies that namespaces ask for by their labels: watched, and fetched where a namespace is too new for the watch. Reviews may
//! name namespaces that do not exist, so fetches are limited, and what does not exist is remembered for a short time.

mod fetches;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, sleep};

use fetches::Fetches;

use super::listing::Listing;
use super::watch::{Watch, WatchHealth};
use crate::policy::{MODE_LABEL, Mode, NamespacePolicy, PROFILE_LABEL};

/// The policies of the cluster's namespaces.
#[derive(Clone)]
pub struct Namespaces(Source);

#[derive(Clone)]
enum Source {
    /// The labels in a cluster, as far as the watch has them.
    Cluster(Arc<WatchedNamespaces>),
    /// One policy for every namespace, without a cluster.
    Fixed(NamespacePolicy),
}

/// The names of the watched namespaces, each with the policy of its two labels.
struct WatchedNamespaces {
    api: Api<PartialObjectMeta<Namespace>>,
    known: RwLock<Policies>,
    /// When the policies of namespaces changed, as far as that is recent.
    changed: Mutex<HashMap<Box<str>, Timestamp>>,
    is_listed: AtomicBool,
    health: WatchHealth,
    fetches: Fetches,
}

/// Pods in one page of a list; a page has some megabytes.
const PODS_PAGE: u32 = 500;

/// The longest wait for the watch, or for a fetch, while too many namespaces are being fetched.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The time for which a change of a policy is remembered.
const CHANGE_REMEMBERED: Duration = Duration::from_secs(120);

/// The interval between two looks while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(20);

type Policies = HashMap<Box<str>, NamespacePolicy>;

/// The reason why a namespace's policy is unknown.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The API server did not answer, or refused.
    #[error("cannot read namespace {name}: {source}")]
    Api {
        /// The namespace.
        name: String,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// The namespace does not exist.
    #[error("there is no namespace {name}")]
    Missing {
        /// The namespace.
        name: String,
    },
    /// Too many unknown namespaces are asked for.
    #[error("namespace {name} is not known yet, and too many unknown ones are being looked up; try again")]
    Busy {
        /// The namespace.
        name: String,
    },
}

// === impl Namespaces ===

impl Namespaces {
    /// Returns one policy for every namespace, without a cluster.
    pub fn fixed(policy: NamespacePolicy) -> Self {
        Self(Source::Fixed(policy))
    }

    /// Watches the namespaces of a cluster in a task that lives as long as the process. Needs the rights get, list and watch on
    /// namespaces.
    pub fn watch(client: Client) -> Self {
        let watched = Arc::new(WatchedNamespaces {
            api: Api::all(client),
            known: RwLock::default(),
            changed: Mutex::default(),
            is_listed: AtomicBool::new(false),
            health: WatchHealth::new("namespaces"),
            fetches: Fetches::default(),
        });
        tokio::spawn(Arc::clone(&watched).follow());
        Self(Source::Cluster(watched))
    }

    /// Returns the health of the watch; `None` without a cluster.
    pub fn health(&self) -> Option<WatchHealth> {
        match &self.0 {
            Source::Cluster(watched) => Some(watched.health.clone()),
            Source::Fixed(_) => None,
        }
    }

    /// Returns whether every namespace was listed once.
    pub fn is_ready(&self) -> bool {
        match &self.0 {
            Source::Cluster(watched) => watched.is_listed.load(Ordering::Acquire),
            Source::Fixed(_) => true,
        }
    }

    /// Returns a namespace's policy from memory, or fetches it where the watch has not seen the namespace.
    ///
    /// # Errors
    /// The namespace had to be fetched, and could not be.
    pub async fn policy(&self, name: &str) -> Result<NamespacePolicy, LookupError> {
        match &self.0 {
            Source::Fixed(policy) => Ok(policy.clone()),
            Source::Cluster(watched) => match watched.known(name) {
                Some(policy) => Ok(policy),
                None => watched.fetch(name, || watched.known(name)).await,
            },
        }
    }

    /// Fetches a namespace's policy from the API server, past the watch.
    ///
    /// # Errors
    /// The namespace could not be read, or too many are.
    pub async fn fetch(&self, name: &str) -> Result<NamespacePolicy, LookupError> {
        match &self.0 {
            Source::Fixed(policy) => Ok(policy.clone()),
            Source::Cluster(watched) => watched.fetch(name, || None).await,
        }
    }

    /// Returns when the namespace's policy changed, or the namespace was created, if the watch saw that a short time ago.
    pub fn changed(&self, name: &str) -> Option<Timestamp> {
        match &self.0 {
            Source::Fixed(_) => None,
            Source::Cluster(watched) => {
                watched.changed.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
            }
        }
    }

    /// Returns the namespaces that use a profile: by their label, or since the profile names them as `refined`. `default` is the profile of
    /// namespaces without a profile label.
    pub fn using(&self, profile: &str, default: &str, refined: &[String]) -> Vec<(Box<str>, NamespacePolicy)> {
        match &self.0 {
            Source::Fixed(_) => Vec::new(),
            Source::Cluster(watched) => {
                let known = watched.known.read().unwrap_or_else(PoisonError::into_inner);
                let uses = |policy: &NamespacePolicy| policy.profile().unwrap_or(default) == profile;
                let is_refined = |name: &str| refined.iter().any(|refined| refined == name);
                let using = known.iter().filter(|(name, policy)| uses(policy) || is_refined(name));
                using.map(|(name, policy)| (name.clone(), policy.clone())).collect()
            }
        }
    }

    /// Returns the names of the profiles of all namespaces whose mode is one of these, each with the number of namespaces. `default` are
    /// the mode and the profile of namespaces without labels.
    pub fn profiles_in_use(&self, modes: &[Mode], default: (Mode, &str)) -> BTreeMap<String, usize> {
        let (default_mode, default_profile) = default;
        let mut names = BTreeMap::new();
        if let Source::Cluster(watched) = &self.0 {
            let known = watched.known.read().unwrap_or_else(PoisonError::into_inner);
            for policy in known.values().filter(|policy| modes.contains(&policy.mode(default_mode))) {
                *names.entry(policy.profile().unwrap_or(default_profile).to_owned()).or_default() += 1;
            }
        }
        names
    }

    /// Returns whether a namespace's label names the profile.
    pub fn is_named(&self, profile: &str) -> bool {
        match &self.0 {
            Source::Fixed(policy) => policy.profile() == Some(profile),
            Source::Cluster(watched) => {
                let known = watched.known.read().unwrap_or_else(PoisonError::into_inner);
                known.values().any(|policy| policy.profile() == Some(profile))
            }
        }
    }

    /// Lists the pods of a namespace, which needs the right to list pods; `None` without a cluster.
    pub fn pods(&self, name: &str) -> Option<Listing> {
        match &self.0 {
            Source::Fixed(_) => None,
            Source::Cluster(watched) => {
                let path = format!("/api/v1/namespaces/{name}/pods");
                Some(Listing::new(watched.api.clone().into_client(), path, PODS_PAGE))
            }
        }
    }
}

// === impl WatchedNamespaces ===

impl WatchedNamespaces {
    fn known(&self, name: &str) -> Option<NamespacePolicy> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Reads one namespace, unless `known` returns it first, or it was missing a moment ago. The result is not kept: the watch will bring
    /// the namespace, and in the right order.
    async fn fetch(
        &self,
        name: &str,
        known: impl Fn() -> Option<NamespacePolicy>,
    ) -> Result<NamespacePolicy, LookupError> {
        let give_up_at = Instant::now() + WAIT_MAX;
        loop {
            if self.fetches.is_missing(name) {
                return Err(LookupError::Missing { name: name.to_owned() });
            }
            if self.fetches.may_start() {
                break;
            }
            if Instant::now() >= give_up_at {
                return Err(LookupError::Busy { name: name.to_owned() });
            }
            sleep(LOOK_EVERY).await;
            if let Some(policy) = known() {
                return Ok(policy);
            }
        }
        match self.api.get_opt(name).await {
            Ok(Some(namespace)) => Ok(policy_of(&namespace.metadata)),
            Ok(None) => {
                self.fetches.remember_missing(name);
                Err(LookupError::Missing { name: name.to_owned() })
            }
            Err(source) => Err(LookupError::Api { name: name.to_owned(), source: Box::new(source) }),
        }
    }

    /// Keeps the known policies up to date.
    async fn follow(self: Arc<Self>) {
        let config = watcher::Config::default();
        let mut watch = Watch::all(self.api.clone(), config, self.health.clone(), "the known labels stay in use");
        let mut listing = Policies::new();
        loop {
            if let Ok(event) = watch.next().await {
                self.apply(event, &mut listing);
            }
        }
    }

    /// Remembers the time if this policy is a new one.
    fn note_change(&self, name: &str, policy: &NamespacePolicy) {
        if self.known(name).as_ref() == Some(policy) {
            return;
        }
        let now = Timestamp::now();
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.retain(|_, at| at.saturating_add(CHANGE_REMEMBERED).is_ok_and(|end| end > now));
        changed.insert(name.into(), now);
    }

    fn apply(&self, event: Event<PartialObjectMeta<Namespace>>, listing: &mut Policies) {
        let known = || self.known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(namespace) => {
                listing.insert(namespace.name_any().into(), policy_of(&namespace.metadata));
            }
            Event::InitDone => {
                let mut listed = std::mem::take(listing);
                listed.shrink_to_fit();
                if self.is_listed.load(Ordering::Acquire) {
                    listed.iter().for_each(|(name, policy)| self.note_change(name, policy));
                }
                tracing::info!(namespaces = listed.len(), "listed the namespaces");
                *known() = listed;
                self.is_listed.store(true, Ordering::Release);
            }
            Event::Apply(namespace) => {
                let (name, policy) = (namespace.name_any(), policy_of(&namespace.metadata));
                self.fetches.forget_missing(&name);
                self.note_change(&name, &policy);
                known().insert(name.into(), policy);
            }
            Event::Delete(namespace) => {
                known().remove(&*namespace.name_any());
            }
        }
    }
}

fn policy_of(metadata: &ObjectMeta) -> NamespacePolicy {
    let label = |key| metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    NamespacePolicy::from_labels(label(MODE_LABEL), label(PROFILE_LABEL))
}

#[cfg(test)]
mod tests {
    //! The API server is simulated: a real one cannot hold its watch back.

    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    use axum::http::{Request, Response, StatusCode};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;
    use crate::policy::Mode;

    fn namespace(name: &str, mode: &str) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": { "name": name, "labels": { MODE_LABEL: mode }, "resourceVersion": "1" }
        })
    }

    /// Answers as an API server that lists only `old`, sends no watch events, and has `new` on a direct request.
    async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let body = match path {
            _ if query.contains("watch=true") => return std::future::pending().await,
            "/api/v1/namespaces" => json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                "metadata": { "resourceVersion": "1" }, "items": [namespace("old", "warn")]
            }),
            "/api/v1/namespaces/new" => namespace("new", "audit"),
            "/api/v1/namespaces/slow" => return std::future::pending().await,
            _ => {
                let status = json!({
                    "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404
                });
                let response = Response::builder().status(StatusCode::NOT_FOUND);
                return Ok(response.body(Body::from(status.to_string().into_bytes())).unwrap());
            }
        };
        Ok(Response::new(Body::from(body.to_string().into_bytes())))
    }

    async fn listed() -> Namespaces {
        listed_by(service_fn(answer)).await
    }

    /// Returns the namespaces of this API server, once they are listed.
    async fn listed_by<S>(api_server: S) -> Namespaces
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let namespaces = Namespaces::watch(Client::new(api_server, "default"));
        let ready = async {
            while !namespaces.is_ready() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ready).await.unwrap();
        namespaces
    }

    async fn mode(namespaces: &Namespaces, name: &str) -> Result<Mode, LookupError> {
        Ok(namespaces.policy(name).await?.mode(Mode::Off))
    }

    #[tokio::test]
    async fn is_not_ready_before_the_first_list() {
        let silent = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
        let namespaces = Namespaces::watch(Client::new(silent, "default"));
        tokio::task::yield_now().await;
        assert!(!namespaces.is_ready());
    }

    #[tokio::test]
    async fn a_namespace_too_new_for_the_watch_is_fetched() {
        let namespaces = listed().await;
        assert_eq!(mode(&namespaces, "old").await.unwrap(), Mode::Warn);
        assert_eq!(mode(&namespaces, "new").await.unwrap(), Mode::Audit);
    }

    #[tokio::test]
    async fn a_namespace_that_is_nowhere_is_an_error() {
        let error = mode(&listed().await, "nowhere").await.unwrap_err();
        assert_eq!(error.to_string(), "there is no namespace nowhere");
    }

    #[tokio::test(start_paused = true)]
    async fn reviews_with_invented_namespaces_cause_few_fetches() {
        let gets = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&gets);
        let namespaces = listed_by(service_fn(move |request: Request<Body>| {
            counter.fetch_add(usize::from(request.uri().path().starts_with("/api/v1/namespaces/")), Ordering::Relaxed);
            answer(request)
        }))
        .await;
        let started = Instant::now();
        for _ in 0..4 {
            let reviews = (0..2000).map(|number| {
                let namespaces = namespaces.clone();
                async move { mode(&namespaces, &format!("invented-{number}")).await.unwrap_err() }
            });
            let errors = futures::future::join_all(reviews).await;
            assert!(errors.iter().any(|error| matches!(error, LookupError::Busy { .. })));
        }
        assert!(started.elapsed() <= 5 * WAIT_MAX);
        let limit = fetches::BURST + fetches::PER_SECOND * started.elapsed().as_secs_f64().ceil();
        let gets = gets.load(Ordering::Relaxed);
        assert!(gets as f64 <= limit, "{gets} of 8,000 reviews were fetched, and {limit} may be");
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_namespace_is_fetched_once_in_a_while() {
        let gets = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&gets);
        let namespaces = listed_by(service_fn(move |request: Request<Body>| {
            counter.fetch_add(usize::from(request.uri().path().ends_with("/nowhere")), Ordering::Relaxed);
            answer(request)
        }))
        .await;
        for _ in 0..100 {
            assert!(matches!(mode(&namespaces, "nowhere").await, Err(LookupError::Missing { .. })));
        }
        assert_eq!(gets.load(Ordering::Relaxed), 1);
        tokio::time::advance(fetches::MISSING_FOR).await;
        assert!(mode(&namespaces, "nowhere").await.is_err());
        assert_eq!(gets.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_fetch_that_is_not_answered_can_be_given_up() {
        let namespaces = listed().await;
        let fetched = tokio::time::timeout(Duration::from_millis(20), mode(&namespaces, "slow")).await;
        assert!(fetched.is_err());
    }
}
