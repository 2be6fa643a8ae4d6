//! What each namespace's labels ask for: watched, and fetched where a namespace is too new for the watch.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};

use super::listing::Listing;
use super::watch::WatchHealth;
use crate::policy::{MODE_LABEL, NamespacePolicy, PROFILE_LABEL};

/// The policies of the cluster's namespaces.
#[derive(Clone)]
pub struct Namespaces(Source);

#[derive(Clone)]
enum Source {
    /// The labels in a cluster, as far as the watch has them.
    Cluster(Arc<Watched>),
    /// No cluster: one policy everywhere.
    Fixed(NamespacePolicy),
}

/// What the watch has seen. Of each namespace only its name and what its two labels say is kept.
struct Watched {
    api: Api<PartialObjectMeta<Namespace>>,
    known: RwLock<Policies>,
    listed: AtomicBool,
    watch: WatchHealth,
}

/// How many pods one page has: some megabytes.
const PODS_PAGE: u32 = 500;

type Policies = HashMap<Box<str>, NamespacePolicy>;

/// Why a namespace's policy is not known.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The API server did not answer, or refused.
    #[error("cannot read namespace {name}: {source}")]
    Api {
        /// The namespace.
        name: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
    /// There is no such namespace.
    #[error("there is no namespace {name}")]
    Missing {
        /// The namespace.
        name: String,
    },
}

// === impl Namespaces ===

impl Namespaces {
    /// One policy for every namespace, with no cluster.
    pub fn fixed(policy: NamespacePolicy) -> Self {
        Self(Source::Fixed(policy))
    }

    /// The namespaces of a cluster, watched by a task of its own for as long as the process lives. Needs the rights get, list
    /// and watch on namespaces.
    pub fn watch(client: Client) -> Self {
        let watched = Arc::new(Watched {
            api: Api::all(client),
            known: RwLock::default(),
            listed: AtomicBool::new(false),
            watch: WatchHealth::new("namespaces"),
        });
        tokio::spawn(Arc::clone(&watched).follow());
        Self(Source::Cluster(watched))
    }

    /// How the watch is; `None` where there is no cluster.
    pub fn health(&self) -> Option<WatchHealth> {
        match &self.0 {
            Source::Cluster(watched) => Some(watched.watch.clone()),
            Source::Fixed(_) => None,
        }
    }

    /// Whether every namespace was listed once.
    pub fn is_ready(&self) -> bool {
        match &self.0 {
            Source::Cluster(watched) => watched.listed.load(Ordering::Acquire),
            Source::Fixed(_) => true,
        }
    }

    /// What a namespace's labels ask for. Answers from memory, except for a namespace that the watch has not seen.
    ///
    /// # Errors
    /// The namespace had to be fetched, and could not be.
    pub async fn policy(&self, name: &str) -> Result<NamespacePolicy, LookupError> {
        match &self.0 {
            Source::Fixed(policy) => Ok(policy.clone()),
            Source::Cluster(watched) => match watched.known(name) {
                Some(policy) => Ok(policy),
                None => watched.fetch(name).await,
            },
        }
    }
}

impl Namespaces {
    /// The same, from the API server itself, whatever the watch has seen.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn fetch(&self, name: &str) -> Result<NamespacePolicy, LookupError> {
        match &self.0 {
            Source::Fixed(policy) => Ok(policy.clone()),
            Source::Cluster(watched) => watched.fetch(name).await,
        }
    }

    /// The namespaces that use a profile, of which `default` is that of those that name none.
    pub fn using(&self, profile: &str, default: &str) -> Vec<(Box<str>, NamespacePolicy)> {
        match &self.0 {
            Source::Fixed(_) => Vec::new(),
            Source::Cluster(watched) => {
                let known = watched.known.read().unwrap_or_else(PoisonError::into_inner);
                let uses = |policy: &NamespacePolicy| policy.profile().unwrap_or(default) == profile;
                let using = known.iter().filter(|(_, policy)| uses(policy));
                using.map(|(name, policy)| (name.clone(), policy.clone())).collect()
            }
        }
    }

    /// The same, as far as it is in memory.
    pub fn known(&self, name: &str) -> Option<NamespacePolicy> {
        match &self.0 {
            Source::Fixed(policy) => Some(policy.clone()),
            Source::Cluster(watched) => watched.known(name),
        }
    }

    /// The pods of a namespace, which needs the right to list pods; `None` where there is no cluster.
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

// === impl Watched ===

impl Watched {
    fn known(&self, name: &str) -> Option<NamespacePolicy> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Reads one namespace. What it finds is not kept: the watch will bring it, and in the right order.
    async fn fetch(&self, name: &str) -> Result<NamespacePolicy, LookupError> {
        match self.api.get_opt(name).await {
            Ok(Some(namespace)) => Ok(policy(&namespace.metadata)),
            Ok(None) => Err(LookupError::Missing { name: name.to_owned() }),
            Err(source) => Err(LookupError::Api { name: name.to_owned(), source: Box::new(source) }),
        }
    }

    /// Keeps the memory as the cluster is. A watch that breaks is begun again with a growing pause, and what is known stays.
    async fn follow(self: Arc<Self>) {
        let mut events = pin!(watcher(self.api.clone(), watcher::Config::default()).default_backoff());
        let mut listing = Policies::new();
        while let Some(event) = events.next().await {
            self.watch.record(event.is_ok());
            match event {
                Ok(Event::Init) => listing.clear(),
                Ok(Event::InitApply(namespace)) => {
                    listing.insert(namespace.name_any().into(), policy(&namespace.metadata));
                }
                Ok(Event::InitDone) => {
                    let mut listed = std::mem::take(&mut listing);
                    listed.shrink_to_fit();
                    tracing::info!(namespaces = listed.len(), "listed the namespaces");
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) = listed;
                    self.listed.store(true, Ordering::Release);
                }
                Ok(Event::Apply(namespace)) => {
                    let (name, policy) = (namespace.name_any().into(), policy(&namespace.metadata));
                    self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name, policy);
                }
                Ok(Event::Delete(namespace)) => {
                    let name = namespace.name_any();
                    self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&*name);
                }
                Err(error) => tracing::warn!(%error, "the watch of namespaces broke and is begun again"),
            }
        }
    }
}

fn policy(metadata: &ObjectMeta) -> NamespacePolicy {
    let label = |key| metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    NamespacePolicy::from_labels(label(MODE_LABEL), label(PROFILE_LABEL))
}

#[cfg(test)]
mod tests {
    //! With an API server of the test's own making, because a real one cannot be made to keep its watch back.

    use std::convert::Infallible;
    use std::time::Duration;

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

    /// An API server whose list has `old` alone, whose watch says nothing, and that knows `new` when asked for it.
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
        let namespaces = Namespaces::watch(Client::new(service_fn(answer), "default"));
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

    #[tokio::test]
    async fn a_fetch_that_is_not_answered_can_be_given_up() {
        let namespaces = listed().await;
        let fetched = tokio::time::timeout(Duration::from_millis(20), mode(&namespaces, "slow")).await;
        assert!(fetched.is_err());
    }
}
