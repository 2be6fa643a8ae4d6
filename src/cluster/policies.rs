//! Admission policies beside the webhook: the leader keeps a MutatingAdmissionPolicy and ValidatingAdmissionPolicies for the profiles in
//! use, which know the images of the cluster. API servers change pods with known images by themselves, and the webhook changes all others.
//!
//! The policies mark the pods that they change, and remove that mark from all others (`compilation::marks`). Only when the policies are in
//! place does the webhook get the condition that leaves marked pods out, and it loses the condition first. So a policy that is missing, old
//! or not served leaves pods to the webhook.
//!
//! Two leaders do no harm: each write is an apply of what both compute, or names the resource version that it was decided from. Must not
//! know reviews.

mod image_table;
mod objects;
mod pace;
mod state;
mod wanted;
mod webhooks;
mod withdrawal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::{ApiResource, PostParams};
use kube::core::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, MissedTickBehavior};

pub use image_table::ImageNames;
pub use state::{PolicyCounts, PolicyState};
pub use wanted::PolicySettings;
pub use withdrawal::withdraw_policies;

use super::image_inspection::ImageInspection;
use super::lease::Lease;
use super::namespaces::Namespaces;
use super::profiles::Profiles;
use super::resources::ImageFingerprint;
use super::search_domains::SearchDomains;
use super::warm_up::{images_in_use, keep_inspected};
use super::watch::{Watch, WatchFailed, WatchHealth};
use super::writes::{FIELD_MANAGER, WriteError, write};
use crate::compilation::{ApiVersion, Webhooks};
use crate::registry::Platform;
use image_table::{Facts, ImageTable};
use objects::{Objects, served_version};
use pace::Pace;
use wanted::{CoveredProfile, Ingredients, KnownAnswers, Wanted};
use webhooks::{CONFIGURATION, changed, comes_later, denied, with_condition};

/// Pause between two looks at what the policies are made of.
const TICK: Duration = Duration::from_secs(1);
/// Pause between two looks at the policies in the cluster.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Pause between two questions which policies the API server has, and two lists of all pods.
const SLOW_INTERVAL: Duration = Duration::from_mins(10);
/// Pause between two collections of the same images.
const TABLE_INTERVAL: Duration = Duration::from_mins(1);
/// ImageFingerprints in one page of the list.
const PAGE: u32 = 20;

/// The policies of one process.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    state: Arc<PolicyState>,
    names: ImageNames,
}

/// The parts of the cluster that policies depend on.
pub(super) struct Sources {
    namespaces: Namespaces,
    profiles: Profiles,
    search_domains: SearchDomains,
    inspection: Option<ImageInspection>,
    settings: PolicySettings,
}

/// The table of images, and what it was made of.
#[derive(Default)]
struct Table {
    images: Arc<ImageTable>,
    /// The revision of the names or facts, and the time.
    made: Option<(u64, Instant)>,
}

/// Keeps the policies while this replica is the leader.
struct Keeper {
    client: Client,
    lease: Lease,
    sources: Sources,
    policies: Policies,
    /// The ImageFingerprints, where muslin inspects images.
    facts: Option<Facts>,
    table: Table,
    /// The configurations of mutating webhooks, by name, and muslin's validating ones. `None` before the first list.
    mutating: Option<BTreeMap<String, DynamicObject>>,
    /// The part of a list of them that was read.
    listing: BTreeMap<String, DynamicObject>,
    validating: Option<Option<DynamicObject>>,
    /// Outer `None` before the API server was asked.
    version: Option<Option<ApiVersion>>,
    asked_at: Option<Instant>,
    answers: KnownAnswers,
    made_of: Option<Ingredients>,
    wanted: Wanted,
    objects: Objects,
    checked_at: Option<Instant>,
    condition_set_at: Option<Instant>,
    pace: Pace,
    /// The last logged problem, so that each is logged once.
    logged: Option<String>,
}

// === impl Policies ===

impl Policies {
    /// Returns what the metrics show.
    pub fn state(&self) -> &Arc<PolicyState> {
        &self.state
    }

    /// Returns the names of images, to which reviews add those of their pods.
    pub fn names(&self) -> &ImageNames {
        &self.names
    }

    /// Keeps the policies in tasks that live as long as the process, while this replica is the leader. Needs the rights of
    /// `manifests/components/policies`.
    #[expect(clippy::too_many_arguments, reason = "each is another part of the server")]
    pub fn keep(
        &self,
        client: Client,
        lease: Lease,
        namespaces: Namespaces,
        profiles: Profiles,
        search_domains: SearchDomains,
        inspection: Option<ImageInspection>,
        settings: PolicySettings,
    ) {
        let facts = inspection.as_ref().map(|_| Facts::default());
        let sources = Sources { namespaces, profiles, search_domains, inspection, settings };
        let keeper = Keeper {
            client,
            lease,
            sources,
            policies: self.clone(),
            facts,
            table: Table::default(),
            mutating: None,
            listing: BTreeMap::new(),
            validating: None,
            version: None,
            asked_at: None,
            answers: KnownAnswers::new(),
            made_of: None,
            wanted: Wanted::default(),
            objects: Objects::default(),
            checked_at: None,
            condition_set_at: None,
            pace: Pace::default(),
            logged: None,
        };
        keeper.refresh_images();
        tokio::spawn(keeper.run());
    }
}

// === impl Keeper ===

impl Keeper {
    /// Keeps what is known of the images in use up to date, in a task: no review sees the pods that policies change.
    fn refresh_images(&self) {
        let (client, lease) = (self.client.clone(), self.lease.clone());
        if let Some(ImageInspection { images, pull_secrets, architectures, .. }) = &self.sources.inspection {
            let platforms = architectures.iter().map(|arch| Platform::linux(arch)).collect();
            keep_inspected(client, images.clone(), platforms, pull_secrets.clone(), lease, SLOW_INTERVAL);
            return;
        }
        let names = self.policies.names.clone();
        tokio::spawn(async move {
            loop {
                lease.clone().wait().await;
                match images_in_use(client.clone(), None).await {
                    Ok(images) => names.replace(images.keys().map(|(image, _)| image.as_str())),
                    Err(error) => tracing::warn!(%error, "cannot list the pods, whose images the policies should know"),
                }
                tokio::time::sleep(SLOW_INTERVAL).await;
            }
        });
    }

    async fn run(mut self) {
        loop {
            self.lease.clone().wait().await;
            if !self.lease.is_held() {
                // The lease's own task has ended.
                return;
            }
            // Another leader may have written since.
            self.objects.forget();
            (self.made_of, self.checked_at, self.asked_at) = (None, None, None);
            self.lead().await;
            self.policies.state.clear();
        }
    }

    /// Follows the cluster until the lease is lost.
    async fn lead(&mut self) {
        let resources = configuration_resources();
        let [mutating, validating] =
            resources.map(|resource| Api::<DynamicObject>::all_with(self.client.clone(), &resource));
        let meanwhile = "the policies stay as they are";
        let health = |resource| WatchHealth::new(resource);
        let config = watcher::Config::default();
        let mut mutating = Watch::all(mutating, config.clone(), health("mutatingwebhookconfigurations"), meanwhile);
        let validating_health = health("validatingwebhookconfigurations");
        let mut validating = Watch::object(validating, CONFIGURATION, validating_health, meanwhile);
        let fingerprints: Api<ImageFingerprint> = Api::all(self.client.clone());
        let config = config.page_size(PAGE);
        let mut fingerprints = Watch::all(fingerprints, config, health("imagefingerprints"), meanwhile);
        let has_facts = self.facts.is_some();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.lease.is_held() {
            tokio::select! {
                Ok(event) = mutating.next() => self.note_configuration(event),
                Ok(object) = validating.next() => self.validating = Some(object),
                event = fingerprints.next(), if has_facts => if let Some(facts) = &mut self.facts {
                    match event {
                        Ok(event) => facts.apply(event),
                        Err(WatchFailed) => facts.is_settled = true,
                    }
                },
                _ = tick.tick() => {
                    let problem = self.step().await.err().map(|error| error.to_string());
                    self.report(problem);
                }
            }
        }
    }

    fn note_configuration(&mut self, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(object) => drop(self.listing.insert(object.name_any(), object)),
            // A part of a list could lack a webhook that comes later.
            Event::InitDone => self.mutating = Some(std::mem::take(&mut self.listing)),
            Event::Apply(object) => drop(self.mutating.get_or_insert_default().insert(object.name_any(), object)),
            Event::Delete(object) => drop(self.mutating.get_or_insert_default().remove(&object.name_any())),
        }
    }

    /// Logs a problem once, and records whether there is one.
    fn report(&mut self, problem: Option<String>) {
        if let Some(problem) = problem.as_ref().filter(|_| self.logged != problem) {
            tracing::warn!(problem, "cannot keep the admission policies, so the webhook changes more pods; retried");
            self.policies.state.count_failure();
        }
        self.logged = problem;
    }

    /// Takes the next step towards the policies that the cluster should have.
    async fn step(&mut self) -> Result<(), WriteError> {
        if self.asked_at.is_none_or(|at| at.elapsed() > SLOW_INTERVAL) {
            let version = served_version(&self.client).await?;
            match version {
                _ if self.version == Some(version) => {}
                Some(version) => tracing::info!(version = version.name(), "the API server has MutatingAdmissionPolicy"),
                None => tracing::warn!(
                    "the API server does not serve MutatingAdmissionPolicy: the webhook changes all pods, and policies only deny; \
                     Kubernetes 1.36 serves it, and 1.34 with its feature gate and v1beta1 enabled"
                ),
            }
            self.policies.state.set_served(version.is_some());
            (self.version, self.asked_at) = (Some(version), Some(Instant::now()));
        }
        self.update_table();
        let Some(ingredients) = self.ingredients() else { return Ok(()) };
        if !ingredients.webhooks.is_separated {
            // The webhook sees all pods before a policy goes.
            self.set_condition(false).await?;
        }
        let is_new = self.made_of.as_ref() != Some(&ingredients);
        let is_only_images = self.made_of.as_ref().is_some_and(|before| before.differs_in_images_alone(&ingredients));
        if is_new && (!is_only_images || self.pace.allows()) {
            self.compile(ingredients).await;
            if is_only_images {
                self.pace.wrote();
            }
        }
        let Some(made_of) = &self.made_of else { return Ok(()) };
        let (version, is_separated) = (made_of.version, made_of.webhooks.is_separated);
        if self.checked_at.is_none_or(|at| at.elapsed() >= CHECK_INTERVAL) {
            self.objects.make(&self.client, version, &self.wanted.objects).await?;
            self.checked_at = Some(Instant::now());
            self.policies.state.set(&self.wanted, is_separated);
        }
        self.set_condition(is_separated).await
    }

    /// Returns what the policies are made of; `None` while a part is not known.
    fn ingredients(&self) -> Option<Ingredients> {
        let Sources { namespaces, profiles, search_domains, inspection: _, settings } = &self.sources;
        let (Some(configurations), Some(Some(validating)), Some(version)) =
            (&self.mutating, &self.validating, self.version)
        else {
            return None;
        };
        let changed = changed(configurations.get(CONFIGURATION)?)?;
        let is_settled = self.facts.as_ref().is_none_or(|facts| facts.is_settled);
        if !is_settled || !namespaces.is_ready() || !profiles.is_ready() {
            return None;
        }
        let (covered, others) = CoveredProfile::in_use(namespaces, profiles, settings);
        self.policies.state.set_profiles(covered.len(), others);
        let later = configurations.values().filter(|configuration| comes_later(configuration)).count();
        let is_separated = version.is_some()
            && later == 0
            // A broken search domain is a finding of the webhook on any pod.
            && search_domains.broken().is_empty();
        Some(Ingredients {
            version,
            profiles: covered,
            webhooks: Webhooks {
                changed,
                denied: denied(validating)?,
                left: profiles.refined_namespaces().into_iter().collect(),
                is_separated,
            },
            images: Arc::clone(&self.table.images),
        })
    }

    /// Collects the images anew if they changed, and from time to time, because names grow old.
    fn update_table(&mut self) {
        let revision = self.facts.as_ref().map_or_else(|| self.policies.names.revision(), |facts| facts.revision);
        if self.table.made.is_some_and(|(made_of, at)| made_of == revision && at.elapsed() < TABLE_INTERVAL) {
            return;
        }
        let images = match (&self.facts, &self.sources.inspection) {
            (Some(facts), Some(inspection)) => facts.table(&inspection.architectures, Timestamp::now()),
            _ => self.policies.names.table(),
        };
        if *self.table.images != images {
            self.table.images = Arc::new(images);
        }
        self.table.made = Some((revision, Instant::now()));
    }

    /// Makes the objects on a thread of their own, because the engine is asked for many pods.
    async fn compile(&mut self, ingredients: Ingredients) {
        let (settings, mut answers) = (self.sources.settings.clone(), std::mem::take(&mut self.answers));
        let task = tokio::task::spawn_blocking(move || {
            let wanted = ingredients.objects(&settings, &mut answers);
            (ingredients, wanted, answers)
        });
        let Ok((ingredients, wanted, answers)) = task.await else {
            tracing::error!("muslin failed on its admission policies; please report that");
            return;
        };
        let ImageTable { images, left_out } = &*ingredients.images;
        if *left_out > 0 && self.wanted.left_out == 0 {
            tracing::warn!(
                known = images.len(),
                left_out,
                "the policies' table of images is full: the webhook changes pods with the others"
            );
        }
        wanted.problems.iter().for_each(|problem| tracing::warn!(problem, "a profile has no policies"));
        tracing::info!(objects = wanted.objects.len(), images = wanted.images, "made the admission policies");
        (self.made_of, self.wanted, self.answers) = (Some(ingredients), wanted, answers);
        self.checked_at = None;
    }

    /// Adds the webhook's condition, or removes it. Another writer who removes it again and again is answered after a pause: the webhook then
    /// sees all pods, which does no harm.
    async fn set_condition(&mut self, is_wanted: bool) -> Result<(), WriteError> {
        let configuration = self.mutating.as_ref().and_then(|configurations| configurations.get(CONFIGURATION));
        let Some(configuration) = configuration else { return Ok(()) };
        if is_wanted && self.condition_set_at.is_some_and(|at| at.elapsed() < CHECK_INTERVAL) {
            return Ok(());
        }
        if write_condition(&self.client, configuration, is_wanted).await? {
            self.condition_set_at = is_wanted.then(Instant::now);
        }
        Ok(())
    }
}

/// Writes the webhook's condition, if it is not as it should be. Returns whether it was written.
async fn write_condition(client: &Client, configuration: &DynamicObject, is_wanted: bool) -> Result<bool, WriteError> {
    let Some(object) = with_condition(configuration, is_wanted) else { return Ok(false) };
    let [resource, _] = configuration_resources();
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match write(api.replace(CONFIGURATION, &parameters, &object)).await {
        // The watch brings the newer version.
        Err(error) if error.is_overtaken() => Ok(false),
        Err(error) => Err(error),
        Ok(_) => {
            let pods = if is_wanted { "those without the policies' mark" } else { "all" };
            tracing::info!(pods, "set which pods API servers call the webhook for");
            Ok(true)
        }
    }
}

/// Returns the resources of both kinds of configurations. The objects stay untyped, so that a write keeps unknown fields.
fn configuration_resources() -> [ApiResource; 2] {
    [ApiResource::erase::<MutatingWebhookConfiguration>(&()), ApiResource::erase::<ValidatingWebhookConfiguration>(&())]
}
