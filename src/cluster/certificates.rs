//! muslin's own certificates: stored in a Secret, rotated by the leader, watched by every replica. `rotation` decides the next step;
//! this file takes it, one write at a time.
//!
//! Two replicas that both believe to be the leader do no harm. A step is decided from the Secret and the configurations as the watches
//! brought them, and each write names the resource version that it was made from: the API server rejects steps decided from an older
//! version. A configuration also carries the revision of the Secret that its CAs are from, so that a replica with an older Secret does
//! not write older CAs.
//!
//! Must not know how a key is served.

mod certificate;
mod issue;
mod pace;
mod problem_events;
mod registered;
mod rotation;
mod stored;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;
use tokio::time::MissedTickBehavior;

pub use issue::{CertificateSpec, IssueError, Issued};
pub use problem_events::ProblemEvents;

use super::lease::Lease;
use super::watch::{Watch, WatchHealth};
use super::writes::{FIELD_MANAGER, WriteError, write};
use pace::Pace;
use registered::{CONFIGURATION, Registered};
use rotation::{State, Step};
pub(super) use stored::SECRET as CERTIFICATES_SECRET;
use stored::SECRET;
pub(super) use trust::{certificate_facts, trust_in};

/// Pause between two checks for a due step. Changes in the cluster are checked at once.
const TICK: Duration = Duration::from_secs(1);

/// A serving certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ServingKey {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The state of a certificate that muslin is given and does not make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyHealth {
    /// API servers can trust the key that is served.
    pub is_usable: bool,
    /// The reason why they cannot trust the newest one.
    pub problem: Option<String>,
}

/// The serving certificate and its trust, as this replica knows them.
#[derive(Clone, Debug)]
pub struct Certificates(Source);

#[derive(Clone, Debug)]
enum Source {
    /// muslin makes the certificate and keeps it in the cluster.
    Kept {
        key: channel::Receiver<Option<Arc<ServingKey>>>,
        is_trusted: channel::Receiver<bool>,
        health: [WatchHealth; 3],
    },
    /// The certificate comes from elsewhere.
    Given(channel::Receiver<KeyHealth>),
}

struct Keeper {
    secrets: Api<Secret>,
    configurations: [Api<DynamicObject>; 2],
    spec: CertificateSpec,
    lease: Lease,
    /// The watched objects: `None` before the first list, `Some(None)` if the object does not exist.
    secret: Option<Option<(Secret, State)>>,
    registered: [Option<Option<Registered>>; 2],
    /// The pace of writes into each configuration.
    paces: [Pace; 2],
    health: [WatchHealth; 3],
    /// The last logged error, so that it is logged once.
    logged_error: Option<String>,
    key: channel::Sender<Option<Arc<ServingKey>>>,
    is_trusted: channel::Sender<bool>,
}

// === impl Certificates ===

impl Certificates {
    /// Keeps the certificates in the Secret `muslin-certificates` of this namespace, and the CAs in the webhook configurations
    /// `muslin.dev`, in a task that lives as long as the process. Needs the rights list, watch and update on these three.
    pub fn keep(client: Client, namespace: &str, spec: CertificateSpec, lease: Lease) -> Self {
        let (key, key_receiver) = channel::channel(None);
        let (is_trusted, is_trusted_receiver) = channel::channel(false);
        let health =
            ["certificates", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"].map(WatchHealth::new);
        let configurations = registered::resources();
        let keeper = Keeper {
            secrets: Api::namespaced(client.clone(), namespace),
            configurations: configurations.map(|resource| Api::all_with(client.clone(), &resource)),
            spec,
            lease,
            secret: None,
            registered: [None, None],
            paces: Default::default(),
            health: health.clone(),
            logged_error: None,
            key,
            is_trusted,
        };
        tokio::spawn(keeper.run());
        Self(Source::Kept { key: key_receiver, is_trusted: is_trusted_receiver, health })
    }

    /// The certificate in files, with its health. `report` writes an Event for each problem, in a task that lives as long as the process.
    pub fn given(health: channel::Receiver<KeyHealth>, report: Option<ProblemEvents>) -> Self {
        if let Some(report) = report {
            tokio::spawn(report.follow(health.clone()));
        }
        Self(Source::Given(health))
    }

    /// Returns a channel with the serving key and its changes, if muslin makes it.
    pub fn key(&self) -> Option<channel::Receiver<Option<Arc<ServingKey>>>> {
        match &self.0 {
            Source::Kept { key, .. } => Some(key.clone()),
            Source::Given(_) => None,
        }
    }

    /// Returns why no API server can trust the key, if so. Removing the CA from a configuration does not make a replica unready: API
    /// servers do not call it then, and it must be ready when the CA is back.
    pub fn not_ready_because(&self) -> Option<&'static str> {
        match &self.0 {
            Source::Kept { is_trusted, .. } => {
                (!*is_trusted.borrow()).then_some("no webhook configuration trusts the serving certificate yet\n")
            }
            Source::Given(health) => (!health.borrow().is_usable)
                .then_some("API servers cannot trust the serving certificate: see muslin's log and Events\n"),
        }
    }

    /// Returns the health of the watches of the Secret and the configurations.
    pub fn health(&self) -> Vec<WatchHealth> {
        match &self.0 {
            Source::Kept { health, .. } => health.to_vec(),
            Source::Given(_) => Vec::new(),
        }
    }
}

impl std::fmt::Debug for ServingKey {
    /// Omits the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingKey").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The reason why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("there is no Secret {SECRET}: apply muslin's manifests, which contain it")]
    NoSecret,
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error("cannot encode the state: {0}")]
    Encode(#[from] serde_json::Error),
    #[error("cannot write {object}: {source}")]
    Write { object: &'static str, source: WriteError },
}

// === impl Keeper ===

impl Keeper {
    async fn run(mut self) {
        let [mutating, validating] = self.configurations.clone();
        let [secret_health, mutating_health, validating_health] = self.health.clone();
        let meanwhile = "the known certificates stay in use";
        let mut secret = Watch::object(self.secrets.clone(), SECRET, secret_health, meanwhile);
        let mut mutating = Watch::object(mutating, CONFIGURATION, mutating_health, meanwhile);
        let mut validating = Watch::object(validating, CONFIGURATION, validating_health, meanwhile);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Ok(secret) = secret.next() => self.secret = Some(secret.map(|secret| {
                    let state = stored::read_state(&secret);
                    for certificate in stored::unusable(&secret, &state) {
                        tracing::warn!(secret = SECRET, certificate, "a stored certificate is unusable, or does not fit its key or its CA; the leader replaces it");
                    }
                    (secret, state)
                })),
                Ok(object) = mutating.next() => self.registered[0] = Some(object.map(Registered::new)),
                Ok(object) = validating.next() => self.registered[1] = Some(object.map(Registered::new)),
                _ = tick.tick() => {}
            }
            self.update_key();
            if self.lease.is_held() {
                let error = self.step().await.err().map(|error| error.to_string());
                if let Some(error) = error.as_ref().filter(|_| self.logged_error != error) {
                    tracing::warn!(error, "cannot rotate the certificates; retried");
                }
                self.logged_error = error;
            }
        }
    }

    /// Hands the serving key on, and records whether API servers are configured to trust it.
    fn update_key(&self) {
        let Some(Some((_, state))) = &self.secret else { return };
        let known = self.registered.each_ref().map(|registered| registered.clone().flatten());
        let publication = registered::publication(&known, state);
        let Some(leaf) = &state.leaf else { return };
        let Some(issuer) = state.issuer(leaf, &publication, Timestamp::now()) else { return };
        let key = ServingKey { certificate: leaf.certificate.pem.clone(), key: leaf.key.clone() };
        self.key.send_if_modified(|known| {
            let changes = known.as_deref() != Some(&key);
            if changes {
                *known = Some(Arc::new(key));
            }
            changes
        });
        let [Some(mutating), Some(validating)] = &self.registered else { return };
        let mut existing = mutating.iter().chain(validating).peekable();
        if existing.peek().is_some() && existing.all(|registered| registered.trusts(issuer)) {
            self.is_trusted.send_if_modified(|before| !std::mem::replace(before, true));
        }
    }

    /// Takes the next step, if any. The watches bring its effect.
    async fn step(&mut self) -> Result<(), StepError> {
        let (Some(secret), [Some(mutating), Some(validating)]) = (&self.secret, &self.registered) else {
            return Ok(());
        };
        let (secret, state) = secret.as_ref().ok_or(StepError::NoSecret)?;
        let registered = [mutating.clone(), validating.clone()];
        let publication = registered::publication(&registered, state);
        let now = Timestamp::now();
        match state.next_step(&publication, &self.spec, now) {
            Step::Idle => Ok(()),
            Step::Publish => {
                let Self { configurations, paces, .. } = self;
                publish(configurations, paces, &registered, state).await
            }
            step => {
                let after = stored::with_state(secret, &state.after(step, &publication, &self.spec, now)?)?;
                if replace("the certificates", &self.secrets, SECRET, &after).await? {
                    tracing::info!(?step, "took a step of the certificates' rotation");
                }
                Ok(())
            }
        }
    }
}

/// Writes the CAs of a state into the configurations that have others, each at its pace.
async fn publish(
    configurations: &[Api<DynamicObject>; 2],
    paces: &mut [Pace; 2],
    registered: &[Option<Registered>; 2],
    state: &State,
) -> Result<(), StepError> {
    let wanted = state.trusted();
    for ((api, pace), registered) in configurations.iter().zip(paces).zip(registered) {
        let Some(registered) = registered.as_ref().filter(|registered| !registered.is_right(&wanted)) else {
            continue;
        };
        if !pace.allows(&wanted) {
            continue;
        }
        let object = registered.with_cas_of(state);
        if replace("the CAs of a webhook configuration", api, CONFIGURATION, &object).await? {
            let kind = object.types.as_ref().map(|types| types.kind.as_str());
            let pause = pace.wrote(&wanted);
            if pause.is_zero() {
                tracing::info!(kind, trusted = wanted.len(), "published the CAs");
            } else {
                tracing::warn!(
                    kind,
                    ?pause,
                    "published the CAs again, because another writer changes them; the next time after a pause"
                );
            }
        }
    }
    Ok(())
}

/// Replaces an object, and returns whether the API server accepted that. A write from an older version is rejected, and decided anew
/// when the watch brings the newer one.
async fn replace<K>(object: &'static str, api: &Api<K>, name: &str, content: &K) -> Result<bool, StepError>
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match write(api.replace(name, &parameters, content)).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_overtaken() => {
            tracing::debug!(object, "overtaken by another write");
            Ok(false)
        }
        Err(source) => Err(StepError::Write { object, source }),
    }
}
