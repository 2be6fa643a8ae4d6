//! The lease that makes one replica the leader. Two replicas can believe to be the leader at once, for example after a pause of the
//! whole process. So the leader's work must be safe when another replica does it too: it can be repeated, or each write names the
//! resource version that it was decided from. Must not know the leader's work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;

/// Time after which a silent holder counts as gone (as in kube-controller-manager, `--leader-elect-lease-duration`).
const DURATION: Duration = Duration::from_secs(15);
/// Pause between two renewals by the holder, and between two checks by the others.
const RENEWAL: Duration = Duration::from_secs(5);

/// This replica's part in the lease.
#[derive(Clone)]
pub struct Lease {
    held: watch::Receiver<bool>,
    candidate: Arc<Candidate>,
}

struct Candidate {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    /// This replica no longer takes part.
    is_retired: AtomicBool,
}

/// The first sight of a version of the lease that another replica holds.
struct Sighting {
    version: Option<String>,
    at: Instant,
}

// === impl Lease ===

impl Lease {
    /// Competes for the lease of this name in a task that lives as long as the process. Needs the rights get, create and update on
    /// leases in the namespace. `identity` must be unique to the replica.
    pub fn take_part(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        let (name, identity) = (name.to_owned(), identity.to_owned());
        let candidate = Arc::new(Candidate { api, name, identity, is_retired: AtomicBool::new(false) });
        let (sender, held) = watch::channel(false);
        tokio::spawn(Arc::clone(&candidate).run(sender));
        Self { held, candidate }
    }

    /// Waits until this replica is the leader.
    pub async fn wait(mut self) {
        let _ = self.held.wait_for(|held| *held).await;
    }

    /// Returns whether this replica is the leader now.
    pub(super) fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Stops competing, and releases a held lease, so that another replica need not wait until it expires.
    pub async fn retire(self) {
        let Self { held, candidate } = self;
        candidate.is_retired.store(true, Ordering::Relaxed);
        if *held.borrow()
            && let Ok(Err(error)) = tokio::time::timeout(RENEWAL, candidate.release()).await
        {
            tracing::warn!(%error, lease = candidate.name, "cannot release the lease; it expires by itself");
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("is_held", &self.is_held()).finish_non_exhaustive()
    }
}

// === impl Candidate ===

impl Candidate {
    async fn run(self: Arc<Self>, held: watch::Sender<bool>) {
        let mut renewed = None;
        let mut sighting = None;
        let mut has_failed = false;
        while !self.is_retired.load(Ordering::Relaxed) {
            let attempt = tokio::time::timeout(RENEWAL, self.try_to_hold(&mut sighting)).await;
            let now = Instant::now();
            let fails = !matches!(attempt, Ok(Ok(_)));
            match attempt {
                Ok(Ok(true)) => renewed = Some(now),
                Ok(Ok(false)) => renewed = None,
                // Logged once: the failure may last as long as muslin runs.
                Ok(Err(_)) | Err(_) if has_failed => {}
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "cannot renew the lease"),
                Err(_) => tracing::warn!(lease = self.name, "the API server does not answer about the lease"),
            }
            has_failed = fails;
            // A leader that cannot renew stops before others may take the lease.
            let holds = renewed.is_some_and(|at| now.duration_since(at) < DURATION - RENEWAL);
            held.send_if_modified(|before| {
                if *before != holds {
                    tracing::info!(lease = self.name, holds, "leadership changed");
                }
                std::mem::replace(before, holds) != holds
            });
            tokio::time::sleep(RENEWAL).await;
        }
    }

    /// Renews the lease, or takes a free one, and returns whether this replica holds it. If two replicas try at once, the API server
    /// rejects one by the resource version.
    async fn try_to_hold(&self, sighting: &mut Option<Sighting>) -> Result<bool, kube::Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = LeaseObject { metadata, spec: Some(self.spec(LeaseSpec::default(), now)) };
            return is_won(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let is_own = spec.holder_identity.as_deref() == Some(&*self.identity);
        let lifetime = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or_default().into());
        let is_over = spec.renew_time.as_ref().is_none_or(|MicroTime(renewed)| *renewed + lifetime < now)
            || spec.holder_identity.as_deref().is_none_or(str::is_empty);
        if !is_own && !is_over && !Self::is_silent(sighting, lease.metadata.resource_version.clone()) {
            return Ok(false);
        }
        lease.spec = Some(self.spec(spec, now));
        is_won(self.api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    /// Returns whether the holder was silent for the lease's lifetime by this replica's own clock: the holder's may be far ahead.
    fn is_silent(sighting: &mut Option<Sighting>, version: Option<String>) -> bool {
        match sighting {
            Some(seen) if seen.version == version => seen.at.elapsed() > DURATION,
            _ => {
                *sighting = Some(Sighting { version, at: Instant::now() });
                false
            }
        }
    }

    /// Removes this replica as the holder. If a renewal is under way, one of the two writes fails by the resource version; then the
    /// lease expires.
    async fn release(&self) -> Result<(), kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let Some(spec) = lease.spec.as_mut() else { return Ok(()) };
        if spec.holder_identity.as_deref() != Some(&*self.identity) {
            return Ok(());
        }
        spec.holder_identity = None;
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
    }

    fn spec(&self, before: LeaseSpec, now: Timestamp) -> LeaseSpec {
        let is_own = before.holder_identity.as_deref() == Some(&*self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: Some(MicroTime(now)),
            acquire_time: if is_own { before.acquire_time } else { Some(MicroTime(now)) },
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!is_own)),
            ..before
        }
    }
}

/// Returns whether the API server accepted a write; on a conflict another replica won.
fn is_won(written: Result<LeaseObject, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
