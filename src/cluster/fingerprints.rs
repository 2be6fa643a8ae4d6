//! Image fingerprints in the cluster: read back when muslin starts, shared by its replicas, and written after an image was inspected.
//! muslin works without them where the resource cannot be read or written. Must not know reviews.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::lease::Lease;
use super::resources::{ImageFingerprint, ImageFingerprintStatus, Seen};
use super::watch::{Watch, WatchFailed, WatchHealth};
use super::writes::{FIELD_MANAGER, write};
use crate::image::Fingerprint;
use crate::image::contents::Invocation;
use crate::registry::{Digest, Image, ImageUse, Images, Platform};
use crate::resolver::Resolver;

/// Limit of uses that wait in the channel, and of images that wait for a write. A lost image is written after its next use.
const QUEUE_MAX: usize = 1024;
/// Pause between two batches of writes.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Limit of images in one batch.
const BATCH_MAX: usize = 20;
/// Pause after a failed write.
const BACK_OFF: Duration = Duration::from_secs(30);
/// Pause between two checks of the number of resources by the leader.
const PRUNE_INTERVAL: Duration = Duration::from_secs(10);
/// Limit of resources that one check deletes.
const PRUNE_BATCH_MAX: usize = 100;
/// Limit of references that the resource of one image lists; the latest stay.
const REFERENCES_MAX: usize = 16;
/// The least time between two writes for uses of the same image.
const USE_GRAIN: SignedDuration = SignedDuration::from_hours(12);
/// Resources in one page of the list; each has some KiB.
const PAGE: u32 = 100;

/// The image fingerprints in the cluster.
#[derive(Clone, Debug)]
pub struct Fingerprints(watch::Receiver<bool>);

struct Keeper {
    api: Api<ImageFingerprint>,
    images: Images,
    lease: Lease,
    /// Limit of resources.
    most: usize,
    /// The resources in the cluster.
    stored: HashMap<Digest, Stored>,
    /// For each reference on each platform, the last time at which it resolved to an image.
    latest: HashMap<(Box<str>, Platform), Timestamp>,
    /// The images to write.
    pending: HashMap<Digest, Pending>,
    /// The end of the pause after a failed write.
    paused_until: Option<Instant>,
    is_listed: watch::Sender<bool>,
}

/// The part of a resource that [`Images`] does not hold.
struct Stored {
    last_used: Option<Timestamp>,
    references: Vec<(Box<str>, Timestamp)>,
    platform: Option<Platform>,
    declared: Option<Resolver>,
    version: Option<String>,
}

/// An image to write, with the references that were used.
struct Pending {
    image: Arc<Image>,
    references: HashMap<Arc<str>, Timestamp>,
}

// === impl Fingerprints ===

impl Fingerprints {
    /// Stores the results of `images` in the cluster, at most `most`, in a task that lives as long as the process. The leader
    /// deletes the least recently used ones. Needs the rights list, watch, create, patch and delete on imagefingerprints, and
    /// patch on their status.
    pub fn keep(client: Client, images: Images, lease: Lease, most: usize) -> Self {
        let (sender, uses) = mpsc::channel(QUEUE_MAX);
        images.notify(sender);
        let (is_listed, receiver) = watch::channel(false);
        let keeper = Keeper {
            api: Api::all(client),
            images,
            lease,
            most,
            stored: HashMap::new(),
            latest: HashMap::new(),
            pending: HashMap::new(),
            paused_until: None,
            is_listed,
        };
        tokio::spawn(keeper.run(uses));
        Self(receiver)
    }

    /// Waits until the cluster's fingerprints are read, or cannot be read.
    pub async fn read_back(&mut self) {
        let _ = self.0.wait_for(|is_listed| *is_listed).await;
    }
}

// === impl Keeper ===

impl Keeper {
    async fn run(mut self, mut uses: mpsc::Receiver<ImageUse>) {
        let (config, health) = (watcher::Config::default().page_size(PAGE), WatchHealth::new("imagefingerprints"));
        let mut watch = Watch::all(self.api.clone(), config, health, "new fingerprints are not shared");
        let mut flush = tokio::time::interval(FLUSH_INTERVAL);
        let mut prune = tokio::time::interval(PRUNE_INTERVAL);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = watch.next() => match event {
                    Ok(event) => self.apply(event),
                    Err(WatchFailed) => {
                        self.is_listed.send_replace(true);
                    }
                },
                Some(used) = uses.recv() => self.queue(used),
                _ = flush.tick() => self.flush().await,
                _ = prune.tick() => self.prune().await,
            }
        }
    }

    fn apply(&mut self, event: Event<ImageFingerprint>) {
        match event {
            Event::Init => self.stored.clear(),
            Event::InitApply(object) => self.store(&object),
            Event::InitDone => {
                tracing::info!(images = self.stored.len(), "read the fingerprints of images back");
                self.update_declarations();
                self.is_listed.send_replace(true);
            }
            Event::Apply(object) => {
                self.store(&object);
                self.update_declarations();
            }
            Event::Delete(object) => self.forget(&object),
        }
    }

    /// Remembers a resource: the declaration of an administrator, and the results of this or another replica.
    fn store(&mut self, object: &ImageFingerprint) {
        let Some(digest) = digest_of(object) else { return };
        let declared = object.spec.declared.as_deref().and_then(|text| match text.parse() {
            Ok(resolver) => Some(resolver),
            Err(error) => {
                tracing::warn!(name = object.name_any(), %error, "a declaration is invalid");
                None
            }
        });
        let mut stored = Stored {
            last_used: None,
            references: Vec::new(),
            platform: None,
            declared,
            version: object.resource_version(),
        };
        if let Some(status) = &object.status {
            stored.last_used = Some(status.last_used.0);
            stored.references = status.references.iter().map(|seen| (seen.name.as_str().into(), seen.at.0)).collect();
            // Another version of muslin may have written facts that this one cannot read; the image is then inspected again.
            if let (Ok(facts), Ok(platform)) =
                (serde_json::from_value(status.facts.clone()), status.platform.parse::<Platform>())
            {
                stored.platform = Some(platform.without_variant());
                let image = Arc::new(Image { digest: digest.clone(), platform, facts });
                self.learn(&image, &stored.references);
            }
        }
        self.stored.insert(digest, stored);
    }

    /// Passes an image on to [`Images`], under each reference for which no later image is known.
    fn learn(&mut self, image: &Arc<Image>, references: &[(Box<str>, Timestamp)]) {
        for (reference, at) in references {
            let latest = self.latest.entry((reference.clone(), image.platform.without_variant())).or_insert(*at);
            if *latest <= *at {
                *latest = *at;
                let age = Timestamp::now().duration_since(*at);
                self.images.restore(reference, Arc::clone(image), age.try_into().unwrap_or_default());
            }
        }
    }

    fn forget(&mut self, object: &ImageFingerprint) {
        let Some(stored) = digest_of(object).and_then(|digest| self.stored.remove(&digest)) else { return };
        if let Some(platform) = &stored.platform {
            for (reference, _) in &stored.references {
                self.latest.remove(&(reference.clone(), platform.clone()));
                self.images.forget(reference, platform);
            }
        }
        self.update_declarations();
    }

    fn update_declarations(&self) {
        let declared = self.stored.iter().filter_map(|(digest, stored)| Some((digest.clone(), stored.declared?)));
        self.images.set_declared(declared.collect());
    }

    /// Queues the use of an image for writing, if the cluster does not have it already.
    fn queue(&mut self, ImageUse { reference, image }: ImageUse) {
        let now = Timestamp::now();
        let key = (Box::from(&*reference), image.platform.without_variant());
        let latest = self.latest.get(&key).copied();
        let is_stored = self.stored.get(&image.digest).is_some_and(|stored| {
            let at = stored.references.iter().find(|(name, _)| **name == *reference).map(|(_, at)| *at);
            // A tag can move to another image and back.
            let is_latest = at.is_some_and(|at| latest.is_none_or(|latest| latest <= at));
            is_latest && stored.last_used.is_some_and(|used| now.duration_since(used) < USE_GRAIN)
        });
        if !is_stored && self.pending.len() < QUEUE_MAX {
            let pending = self.pending.entry(image.digest.clone());
            let pending = pending.or_insert_with(|| Pending { image, references: HashMap::new() });
            pending.references.insert(reference, now);
        }
    }

    /// Writes a batch of pending images.
    async fn flush(&mut self) {
        if self.pending.is_empty() || self.paused_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let batch: Vec<Digest> = self.pending.keys().take(BATCH_MAX).cloned().collect();
        for digest in batch {
            let Some(pending) = self.pending.get(&digest) else { continue };
            match write(self.write(&digest, pending)).await {
                Ok(()) => {
                    self.pending.remove(&digest);
                }
                Err(error) if error.is_permanent() => {
                    tracing::warn!(%digest, %error, "the API server rejects a fingerprint, which is dropped");
                    self.pending.remove(&digest);
                }
                Err(error) => return self.back_off(&error),
            }
        }
    }

    fn back_off(&mut self, error: &dyn fmt::Display) {
        tracing::warn!(%error, waiting = self.pending.len(), "cannot write the fingerprints of images; retried later");
        self.paused_until = Some(Instant::now() + BACK_OFF);
    }

    async fn write(&self, digest: &Digest, pending: &Pending) -> Result<(), kube::Error> {
        let name = name_of(digest);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let stored = self.stored.get(digest);
        let head = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint", "metadata": { "name": name },
        });
        if stored.is_none() {
            let mut object = head.clone();
            object["spec"] = json!({});
            self.api.patch(&name, &parameters, &Patch::Apply(object)).await?;
        }
        let before = stored.map(|stored| stored.references.as_slice()).unwrap_or_default();
        let mut object = head;
        object["status"] = json!(pending.status(before));
        self.api.patch_status(&name, &parameters, &Patch::Apply(object)).await?;
        Ok(())
    }

    /// Deletes the least recently used resources above the limit, if this replica is the leader.
    async fn prune(&mut self) {
        let too_many = self.stored.len().saturating_sub(self.most);
        if too_many == 0 || !self.lease.is_held() {
            return;
        }
        // Declarations belong to administrators and stay.
        let mut oldest: Vec<(&Digest, &Stored)> =
            self.stored.iter().filter(|(_, stored)| stored.declared.is_none()).collect();
        oldest.sort_by_key(|(_, stored)| stored.last_used);
        let mut deleted = 0;
        for (digest, stored) in oldest.into_iter().take(too_many.min(PRUNE_BATCH_MAX)) {
            // The version guards against deleting a resource that another replica has just used.
            let preconditions = Preconditions { resource_version: stored.version.clone(), uid: None };
            let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match write(self.api.delete(&name_of(digest), &parameters)).await {
                Ok(_) => deleted += 1,
                Err(error) if error.is_overtaken() => {}
                Err(error) => return tracing::warn!(%error, "cannot delete old fingerprints"),
            }
        }
        tracing::info!(deleted, most = self.most, "deleted the least recently used fingerprints");
    }
}

// === impl Pending ===

impl Pending {
    /// Returns the status to write. `before` has the references that the cluster has.
    fn status(&self, before: &[(Box<str>, Timestamp)]) -> ImageFingerprintStatus {
        let Self { image, references } = self;
        let mut seen: HashMap<&str, Timestamp> = before.iter().map(|(name, at)| (&**name, *at)).collect();
        seen.extend(references.iter().map(|(name, at)| (&**name, *at)));
        let mut seen: Vec<(&str, Timestamp)> = seen.into_iter().collect();
        seen.sort_unstable_by(|(one, at), (other, other_at)| other_at.cmp(at).then(one.cmp(other)));
        seen.truncate(REFERENCES_MAX);
        let Image { digest, platform, facts } = &**image;
        let Fingerprint { resolver, evidence, reason, .. } = facts.fingerprint(&Invocation::default());
        ImageFingerprintStatus {
            resolver: resolver.family.name().to_owned(),
            version: resolver.version.map(|version| version.to_string()),
            evidence: evidence.name().to_owned(),
            because: reason.to_string(),
            image: seen.first().map(|(name, _)| (*name).to_owned()).unwrap_or_default(),
            digest: digest.to_string(),
            platform: platform.to_string(),
            last_used: Time(seen.first().map_or_else(Timestamp::now, |(_, at)| *at)),
            references: seen.into_iter().map(|(name, at)| Seen { name: name.to_owned(), at: Time(at) }).collect(),
            facts: json!(facts),
        }
    }
}

fn name_of(digest: &Digest) -> String {
    digest.as_str().replace(':', "-")
}

fn digest_of(object: &ImageFingerprint) -> Option<Digest> {
    object.metadata.name.as_deref()?.replacen('-', ":", 1).parse().ok()
}
