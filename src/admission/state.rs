//! The state that all hooks share: the admin's settings, the cluster's namespaces, the counters; and the questions that several
//! hooks ask of it. Must not know of HTTP, nor decide about a pod.

use std::any::Any;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::budget::{Budget, Exceeded};
use crate::cluster::{
    Certificates, ImageInspection, ImageNames, LookupError, Namespaces, NoProfile, PodImages, Profiles, SearchDomains,
    SelectedProfile,
};
use crate::image::Fingerprint;
use crate::plan::{Context, Plan, Skip};
use crate::pod::Pod;
use crate::policy::{BrokenDomain, Level, Mode, NamespacePolicy, PodStages, Profile};
use crate::rules::DocsUrl;
use crate::text::one_line;

use super::large_reviews::{LargeReviews, NoTurn};
use super::metrics::Metrics;

/// An admin's settings for the whole cluster.
#[derive(Clone)]
pub struct Settings {
    /// The mode of namespaces without the mode label.
    pub default_mode: Mode,
    /// The name of the profile of namespaces without the profile label.
    pub profile: String,
    /// The known profiles.
    pub profiles: Profiles,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// The number of nameservers of pods that use the cluster's DNS.
    pub cluster_nameservers: usize,
    /// The addresses of the cluster's DNS; empty if they are unknown.
    pub cluster_addresses: Vec<IpAddr>,
    /// The checks of the nodes' search domains.
    pub search_domains: SearchDomains,
    /// muslin's own namespace, which is excluded as `kube-system` is.
    pub own_namespace: Option<String>,
    /// Reads images; without it, muslin goes by image names alone.
    pub inspection: Option<ImageInspection>,
    /// The names of images, for admission policies: reviews add those of their pods.
    pub image_names: Option<ImageNames>,
    /// The address of the pages about rules, for a last line of warnings.
    pub docs_url: Option<DocsUrl>,
    /// The source of the serving certificate; without it, the certificate is there from the start.
    pub certificates: Option<Certificates>,
}

/// The steps of work of one review. 200 containers with 1,000 options and 32 search domains take three quarters of them; a review that
/// takes all holds at most 4 MiB (`src/admission/tests/bounds.rs`) and 50 ms of CPU (`docs/security.md`).
pub(super) const REVIEW_STEPS: u32 = 64_000;

/// The longest note about a profile, in bytes. A note may list many other profiles.
const NOTE_MAX: usize = 250;

/// The function that plans a pod: [`crate::plan::plan`], unless a test needs it to fail.
pub(super) type Planner = for<'p> fn(&'p Pod<'p>, Vec<Fingerprint>, &Context<'p>) -> Result<Plan, Skip>;

/// The steps of a review that need no room: those of a pod with a dozen containers, so that it never waits for larger ones.
pub(super) const ORDINARY_STEPS: u32 = 500;

/// The room for the further steps of all reviews that wait for a policy or for images: what these hold is in proportion.
pub(super) const ROOM_STEPS: u32 = 2 * REVIEW_STEPS;

/// The work on one review.
#[derive(Debug)]
pub(super) struct Effort<'s> {
    /// The size of the body.
    bytes: usize,
    budget: Budget,
    /// The share of [`ROOM_STEPS`].
    room: Option<SemaphorePermit<'s>>,
    /// The object will not be stored, so nothing is written for it.
    pub(super) is_dry_run: bool,
}

/// The reason why a review was not worked on to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undone {
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error(transparent)]
    NoTurn(#[from] NoTurn),
    #[error("too many large objects are being reviewed; try again")]
    NoRoom,
    #[error("muslin failed on it; please report that")]
    Panicked,
}

/// The state that all hooks share.
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) namespaces: Namespaces,
    pub(super) metrics: Arc<Metrics>,
    pub(super) planner: Planner,
    pub(super) large: LargeReviews,
    /// The room for reviews that wait, in steps of work.
    pub(super) room: Semaphore,
}

/// The reason why a namespace's policy is unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PolicyError {
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("no answer from the API server in time")]
    Timeout,
}

// === impl Effort ===

impl Effort<'_> {
    /// The work on a review whose body has so many bytes, before its begin.
    pub(super) const fn new(bytes: usize) -> Self {
        Self { bytes, budget: Budget::new(REVIEW_STEPS), room: None, is_dry_run: false }
    }
}

// === impl State ===

impl State {
    /// Returns whether muslin skips the namespace, whatever its labels.
    pub(super) fn is_excluded(&self, namespace: &str) -> bool {
        crate::policy::is_excluded(namespace, self.settings.own_namespace.as_deref())
    }

    /// Returns what the namespace's labels ask for.
    pub(super) async fn policy(&self, namespace: &str, deadline: Instant) -> Result<NamespacePolicy, PolicyError> {
        Ok(timeout_at(deadline, self.namespaces.policy(namespace)).await.map_err(|_| PolicyError::Timeout)??)
    }

    /// Returns the policy for the hook that only namespaces in mode `enforce` call. If the watch says otherwise, either it or the
    /// API server is behind; then the namespace itself is read.
    pub(super) async fn enforced_policy(
        &self,
        namespace: &str,
        deadline: Instant,
    ) -> Result<NamespacePolicy, PolicyError> {
        let known = self.policy(namespace, deadline).await?;
        if self.mode(&known) == Mode::Enforce {
            return Ok(known);
        }
        Ok(timeout_at(deadline, self.namespaces.fetch(namespace)).await.map_err(|_| PolicyError::Timeout)??)
    }

    /// Returns the mode of a namespace with this policy.
    pub(super) fn mode(&self, policy: &NamespacePolicy) -> Mode {
        policy.mode(self.settings.default_mode)
    }

    /// Returns what is known of the pod's images, and waits a little for unknown ones. In mode `off`, and for a pod beyond the budget, no
    /// image is looked up.
    pub(super) async fn images(
        &self,
        pod: &Pod<'_>,
        namespace: &str,
        mode: Mode,
        effort: &Effort<'_>,
        deadline: Instant,
    ) -> PodImages {
        let is_asked = mode != Mode::Off && effort.budget.check().is_ok();
        match self.settings.inspection.as_ref().filter(|_| is_asked) {
            Some(inspection) => inspection.lookup(pod, namespace, effort.is_dry_run, deadline).await,
            None => PodImages::default(),
        }
    }

    /// Returns what is known of the pod's images, without waiting.
    pub(super) fn known_images(&self, pod: &Pod<'_>, namespace: &str) -> PodImages {
        self.settings
            .inspection
            .as_ref()
            .map_or_else(PodImages::default, |inspection| inspection.cached(pod, namespace))
    }

    /// Returns the profile that the namespace asks for; adds a note if another one takes its place.
    pub(super) fn namespace_profile(&self, policy: &NamespacePolicy, notes: &mut Vec<String>) -> SelectedProfile {
        let Settings { profile: default, profiles, .. } = &self.settings;
        let (chosen, problems) = profiles.for_namespace(policy.profile(), default);
        let note = |problem: &NoProfile| format!("muslin: the profile default is used: {problem}");
        notes.extend(problems.iter().map(|problem| one_line(&note(problem), NOTE_MAX).into_owned()));
        chosen
    }

    /// Returns the profile of one pod: its namespace's, or the cluster's default if that one selects other pods, with the `ndots` that other
    /// profiles set for the pod. `new` is a profile that is not stored yet. `stages` decides about profiles that roll out.
    pub(super) fn pod_profile(
        &self,
        namespace: &str,
        chosen: &SelectedProfile,
        new: Option<&SelectedProfile>,
        pod: &Pod<'_>,
        stages: &PodStages<'_>,
    ) -> Arc<Profile> {
        self.settings.profiles.for_pod(namespace, chosen, &self.settings.profile, new, || pod.labels(), stages)
    }

    /// Returns the broken search domains of nodes, for a plan.
    pub(super) fn broken_domains(&self) -> Arc<[BrokenDomain]> {
        self.settings.search_domains.broken()
    }

    /// Returns the context of a plan for a pod in this namespace.
    pub(super) fn context<'c>(
        &'c self,
        namespace: &'c str,
        mode: Mode,
        profile: &'c Profile,
        broken_domains: &'c [BrokenDomain],
    ) -> Context<'c> {
        let Settings { cluster_domain, cluster_nameservers, cluster_addresses, profiles, .. } = &self.settings;
        Context {
            namespace,
            cluster_domain,
            cluster_nameservers: *cluster_nameservers,
            cluster_addresses,
            broken_domains,
            mode,
            profile,
            rollout: None,
            cache_fault: profile.node_local.as_ref().and_then(|cache| profiles.cache_fault(cache.address)),
            holder_ignores: None,
            holder_unread: &[],
            trusts_annotation: false,
            texts_from: Level::Warn,
        }
    }

    /// Does a part of the work on a review: in its turn if the review is large, and within its budget.
    ///
    /// # Errors
    /// The budget is exceeded, the deadline comes before the turn, or the work panics.
    pub(super) async fn work<T>(
        &self,
        uid: &str,
        effort: &mut Effort<'_>,
        deadline: Instant,
        work: impl FnOnce() -> T,
    ) -> Result<T, Undone> {
        effort.budget.check()?;
        let done = self.run(uid, effort, deadline, work).await?;
        effort.budget.check()?;
        Ok(done)
    }

    /// Reads the review, and takes the room that it needs while it waits. The budget may be exceeded: the answer that says so needs the
    /// name of the review.
    ///
    /// # Errors
    /// The deadline comes before the turn or before there is room, or the reading panics.
    pub(super) async fn read<'s, T>(
        &'s self,
        effort: &mut Effort<'s>,
        deadline: Instant,
        read: impl FnOnce() -> T,
    ) -> Result<T, Undone> {
        let review = self.run("unknown", effort, deadline, read).await?;
        let steps = effort.budget.spent().saturating_sub(ORDINARY_STEPS);
        if steps > 0 {
            let room = timeout_at(deadline, self.room.acquire_many(steps)).await;
            effort.room = Some(room.ok().and_then(Result::ok).ok_or(Undone::NoRoom)?);
        }
        Ok(review)
    }

    async fn run<T>(
        &self,
        uid: &str,
        effort: &mut Effort<'_>,
        deadline: Instant,
        work: impl FnOnce() -> T,
    ) -> Result<T, Undone> {
        let Effort { bytes, budget, room: _, is_dry_run: _ } = effort;
        let done = self.large.run(*bytes, deadline, || self.catch(uid, || budget.run(work))).await?;
        done.ok_or(Undone::Panicked)
    }

    /// Runs code that handles other people's input; a panic in it is logged and counted, and gives `None`.
    pub(super) fn catch<T>(&self, uid: &str, run: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|panic| self.count_panic(&*panic, uid)).ok()
    }

    fn count_panic(&self, panic: &(dyn Any + Send), uid: &str) {
        let message = panic.downcast_ref::<&str>().copied();
        let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        tracing::error!(uid, panic = message, "muslin failed on a review");
        self.metrics.count_panic();
    }
}
