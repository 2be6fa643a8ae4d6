//! muslin's own certificates: kept in a Secret, rotated by the lease holder, watched by every replica. What is to be done next is
//! decided in `rotation`, and done here, one write at a time.
//!
//! Two that believe to hold the lease do no harm. A decision is made from the Secret and the configurations as a watch brought them,
//! and each write names the resource version that it was made from: the API server refuses whatever was decided from less than the
//! newest. A configuration also bears the revision of the Secret that its CAs are from, so that nobody who has an older Secret writes
//! older CAs into it.
//!
//! Must not know how a key is served.

mod certificate;
mod issue;
mod registered;
mod rotation;
mod stored;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;
use tokio::time::{MissedTickBehavior, timeout};

pub use issue::{CertificateSpec, IssueError, Issued};

use super::lease::Lease;
use super::watch::WatchHealth;
use registered::{CONFIGURATION, Registered};
use rotation::{State, Step};
use stored::SECRET;

/// How often it is looked whether something is due. Looking costs nothing; what changes in the cluster is seen at once.
const TICK: Duration = Duration::from_secs(1);
/// How long one write may take.
const WRITE_MAX: Duration = Duration::from_secs(5);
/// Who writes, in the fields' own records.
const MANAGER: &str = "muslin";

/// A serving certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ServingKey {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The certificates of the cluster, as this replica knows them.
#[derive(Clone, Debug)]
pub struct Certificates {
    key: channel::Receiver<Option<Arc<ServingKey>>>,
    is_trusted: channel::Receiver<bool>,
    watches: [WatchHealth; 3],
}

struct Keeper {
    secrets: Api<Secret>,
    configurations: [Api<DynamicObject>; 2],
    terms: CertificateSpec,
    lease: Lease,
    /// What the watches brought: nothing yet, that there is none, or what there is.
    secret: Option<Option<(Secret, State)>>,
    registered: [Option<Option<Registered>>; 2],
    watches: [WatchHealth; 3],
    /// What was last said to be wrong, so that it is said once.
    complaint: Option<String>,
    key: channel::Sender<Option<Arc<ServingKey>>>,
    is_trusted: channel::Sender<bool>,
}

// === impl Certificates ===

impl Certificates {
    /// Keeps the certificates in the Secret `muslin-certificates` of this namespace, and the CAs in the webhook configurations
    /// `muslin.dev`, by a task of its own for as long as the process lives. Needs the rights list, watch and update on these three.
    pub fn keep(client: Client, namespace: &str, terms: CertificateSpec, lease: Lease) -> Self {
        let (key, key_receiver) = channel::channel(None);
        let (is_trusted, is_trusted_receiver) = channel::channel(false);
        let watches =
            ["certificates", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"].map(WatchHealth::new);
        let configurations = registered::resources();
        let keeper = Keeper {
            secrets: Api::namespaced(client.clone(), namespace),
            configurations: configurations.map(|resource| Api::all_with(client.clone(), &resource)),
            terms,
            lease,
            secret: None,
            registered: [None, None],
            watches: watches.clone(),
            complaint: None,
            key,
            is_trusted,
        };
        tokio::spawn(keeper.run());
        Self { key: key_receiver, is_trusted: is_trusted_receiver, watches }
    }

    /// The serving key, now and whenever it changes.
    pub fn key(&self) -> channel::Receiver<Option<Arc<ServingKey>>> {
        self.key.clone()
    }

    /// Whether there is a key that API servers are told to trust. Once it is so it stays so: whoever takes its CA out of a
    /// configuration takes the calls away, and a replica that is not ready when the CA is back would only be missed for longer.
    pub fn is_ready(&self) -> bool {
        *self.is_trusted.borrow()
    }

    /// How the watches of the Secret and the configurations are.
    pub fn health(&self) -> [WatchHealth; 3] {
        self.watches.clone()
    }
}

impl std::fmt::Debug for ServingKey {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingKey").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("there is no Secret {SECRET}: apply the manifests, which bring it")]
    NoSecret,
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error("cannot write the state: {0}")]
    Write(#[from] serde_json::Error),
    #[error("{what}: {source}")]
    Api { what: &'static str, source: Box<kube::Error> },
    #[error("{what}: the API server does not answer")]
    Late { what: &'static str },
}

// === impl Keeper ===

impl Keeper {
    async fn run(mut self) {
        let [mutating, validating] = self.configurations.clone();
        let mut secret = pin!(watch_object(self.secrets.clone(), SECRET).default_backoff());
        let mut mutating = pin!(watch_object(mutating, CONFIGURATION).default_backoff());
        let mut validating = pin!(watch_object(validating, CONFIGURATION).default_backoff());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(event) = secret.next() => if let Some(secret) = heard(&self.watches[0], event) {
                    self.secret = Some(secret.map(|secret| {
                        let state = stored::read(&secret);
                        (secret, state)
                    }));
                },
                Some(event) = mutating.next() => if let Some(object) = heard(&self.watches[1], event) {
                    self.registered[0] = Some(object.map(Registered::new));
                },
                Some(event) = validating.next() => if let Some(object) = heard(&self.watches[2], event) {
                    self.registered[1] = Some(object.map(Registered::new));
                },
                _ = tick.tick() => {}
            }
            self.tell();
            if self.lease.is_held() {
                let complaint = self.step().await.err().map(|error| error.to_string());
                if let Some(error) = complaint.as_ref().filter(|_| self.complaint != complaint) {
                    tracing::warn!(error, "the certificates cannot be kept in order; tried again");
                }
                self.complaint = complaint;
            }
        }
    }

    /// Hands the key on, and whether it is trusted.
    fn tell(&self) {
        let Some(Some((_, state))) = &self.secret else { return };
        let State { leaf: Some(leaf), authority: Some(authority), .. } = state else { return };
        if !leaf.certificate.is_valid(Timestamp::now()) {
            return;
        }
        let key = ServingKey { certificate: leaf.certificate.pem.clone(), key: leaf.key.clone() };
        self.key.send_if_modified(|known| {
            let changes = known.as_deref() != Some(&key);
            if changes {
                *known = Some(Arc::new(key));
            }
            changes
        });
        let [Some(mutating), Some(validating)] = &self.registered else { return };
        let mut there = mutating.iter().chain(validating).peekable();
        if there.peek().is_some() && there.all(|registered| registered.trusts(&authority.certificate)) {
            self.is_trusted.send_if_modified(|before| !std::mem::replace(before, true));
        }
    }

    /// Does what is to be done next, if anything. Its outcome is seen when the watch brings it.
    async fn step(&self) -> Result<(), StepError> {
        let (Some(secret), [Some(mutating), Some(validating)]) = (&self.secret, &self.registered) else {
            return Ok(());
        };
        let (secret, state) = secret.as_ref().ok_or(StepError::NoSecret)?;
        let registered = [mutating.clone(), validating.clone()];
        let publication = registered::publication(&registered, state);
        let now = Timestamp::now();
        match state.next_step(&publication, &self.terms, now) {
            Step::Rest => Ok(()),
            Step::Publish => self.publish(&registered, state).await,
            step => {
                let after = stored::written(secret, &state.after(step, &publication, &self.terms, now)?)?;
                if written("writing the certificates", &self.secrets, SECRET, &after).await? {
                    tracing::info!(?step, "the certificates move on");
                }
                Ok(())
            }
        }
    }

    async fn publish(&self, registered: &[Option<Registered>; 2], state: &State) -> Result<(), StepError> {
        let wanted = state.trusted();
        for (api, registered) in self.configurations.iter().zip(registered) {
            let Some(registered) = registered.as_ref().filter(|registered| !registered.is_right(&wanted)) else {
                continue;
            };
            let object = registered.with(state);
            if written("writing the CAs into a webhook configuration", api, CONFIGURATION, &object).await? {
                let kind = object.types.as_ref().map(|types| types.kind.as_str());
                tracing::info!(kind, trusted = wanted.len(), "published the CAs");
            }
        }
        Ok(())
    }
}

/// What a watch brings. One that broke is begun again with a growing pause, and what is known stays.
fn heard<T>(watch: &WatchHealth, event: Result<Option<T>, watcher::Error>) -> Option<Option<T>> {
    watch.record(event.is_ok());
    event
        .inspect_err(|error| tracing::warn!(resource = watch.resource(), %error, "a watch broke and is begun again"))
        .ok()
}

/// Whether the API server took a write. One that was made from less than the newest is refused, and made anew from what the watch
/// brings.
async fn written<K>(what: &'static str, api: &Api<K>, name: &str, object: &K) -> Result<bool, StepError>
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match timeout(WRITE_MAX, api.replace(name, &parameters, object)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {
            tracing::debug!(what, "overtaken by another write");
            Ok(false)
        }
        Ok(Err(source)) => Err(StepError::Api { what, source: Box::new(source) }),
        Err(_) => Err(StepError::Late { what }),
    }
}
