//! The lease: of all replicas one does what one is enough for. Two can believe to hold it at once, as after a pause of the whole
//! process. So whatever is done by the holder must be safe to be done by another one, too: it can be done twice, or names the resource
//! version that it was decided from. Must not know what it is.

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

/// How long a holder that says nothing is believed to live (as kube-controller-manager, `--leader-elect-lease-duration`).
const DURATION: Duration = Duration::from_secs(15);
/// How often the holder says that it lives, and the others look.
const RENEWAL: Duration = Duration::from_secs(5);

/// Whether this replica holds the lease.
#[derive(Clone)]
pub struct Lease {
    held: watch::Receiver<bool>,
    candidate: Arc<Candidate>,
}

struct Candidate {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    /// It takes part no longer.
    is_retired: AtomicBool,
}

/// The lease of another holder, as it was first seen so.
struct Seen {
    version: Option<String>,
    at: Instant,
}

// === impl Lease ===

impl Lease {
    /// Takes part in who holds the lease of this name, by a task of its own for as long as the process lives. Needs the rights
    /// get, create and update on leases in the namespace. `identity` names the replica, and no other.
    pub fn take_part(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        let (name, identity) = (name.to_owned(), identity.to_owned());
        let candidate = Arc::new(Candidate { api, name, identity, is_retired: AtomicBool::new(false) });
        let (sender, held) = watch::channel(false);
        tokio::spawn(Arc::clone(&candidate).run(sender));
        Self { held, candidate }
    }

    /// Waits until this replica holds it.
    pub async fn wait(mut self) {
        let _ = self.held.wait_for(|held| *held).await;
    }

    /// Whether this replica holds it now.
    pub fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Takes part no longer, and gives it up if it is held, so that another need not wait until it has run out.
    pub async fn retire(self) {
        let Self { held, candidate } = self;
        candidate.is_retired.store(true, Ordering::Relaxed);
        if *held.borrow()
            && let Ok(Err(error)) = tokio::time::timeout(RENEWAL, candidate.give_up()).await
        {
            tracing::warn!(%error, lease = candidate.name, "cannot give the lease up; it runs out by itself");
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
        let mut seen = None;
        let mut is_broken = false;
        while !self.is_retired.load(Ordering::Relaxed) {
            let attempt = tokio::time::timeout(RENEWAL, self.hold(&mut seen)).await;
            let now = Instant::now();
            let has_failed = !matches!(attempt, Ok(Ok(_)));
            match attempt {
                Ok(Ok(true)) => renewed = Some(now),
                Ok(Ok(false)) => renewed = None,
                // Said once, as it may be so for as long as muslin runs.
                Ok(Err(_)) | Err(_) if is_broken => {}
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "cannot renew the lease"),
                Err(_) => tracing::warn!(lease = self.name, "the API server does not answer about the lease"),
            }
            is_broken = has_failed;
            // Whoever cannot renew it gives it up before others may take it.
            let holds = renewed.is_some_and(|at| now.duration_since(at) < DURATION - RENEWAL);
            held.send_if_modified(|before| {
                if *before != holds {
                    tracing::info!(lease = self.name, holds, "the lease changed hands");
                }
                std::mem::replace(before, holds) != holds
            });
            tokio::time::sleep(RENEWAL).await;
        }
    }

    /// Renews the lease, or takes it if nobody holds it; whether it is held then. Of two that try at once the API server refuses
    /// one, by the resource's version.
    async fn hold(&self, seen: &mut Option<Seen>) -> Result<bool, kube::Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = LeaseObject { metadata, spec: Some(self.spec(LeaseSpec::default(), now)) };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let is_own = spec.holder_identity.as_deref() == Some(&*self.identity);
        let lifetime = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or_default().into());
        let is_over = spec.renew_time.as_ref().is_none_or(|MicroTime(renewed)| *renewed + lifetime < now)
            || spec.holder_identity.as_deref().is_none_or(str::is_empty);
        if !is_own && !is_over && !Self::is_silent(seen, lease.metadata.resource_version.clone()) {
            return Ok(false);
        }
        lease.spec = Some(self.spec(spec, now));
        won(self.api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    /// Whether its holder has said nothing for as long as this replica's own clock has run: the holder's may be far ahead.
    fn is_silent(seen: &mut Option<Seen>, version: Option<String>) -> bool {
        match seen {
            Some(seen) if seen.version == version => seen.at.elapsed() > DURATION,
            _ => {
                *seen = Some(Seen { version, at: Instant::now() });
                false
            }
        }
    }

    /// Names nobody as its holder. A renewal that is under way at the same time fails by the resource's version, or makes this one
    /// fail, and it runs out.
    async fn give_up(&self) -> Result<(), kube::Error> {
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

/// Whether the API server took it; of a conflict another one is the winner.
fn won(written: Result<LeaseObject, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
