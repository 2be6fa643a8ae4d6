//! Image fingerprints in the cluster: read back when muslin starts, shared by its replicas, and written after an image was inspected.
//! muslin works without them where the resource cannot be read or written. Must not know reviews.

mod stored;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

pub use self::stored::FORMAT as FACTS_FORMAT;

use self::stored::{Pending, Reference, Stored, digest_of, name_of};
use super::lease::Lease;
use super::resources::ImageFingerprint;
use super::watch::{Watch, WatchFailed, WatchHealth};
use super::writes::{FIELD_MANAGER, write};
use crate::registry::{Digest, Image, ImageUse, Images, Platform};

/// Limit of resources that are kept in memory, one of some 600 bytes. The leader deletes others.
pub(crate) const STORED_MAX: usize = 10_000;
/// Limit of resources for images of one namespace: most namespaces use fewer than 100 images.
pub(crate) const PER_NAMESPACE_MAX: usize = 500;
/// Limit of references whose latest use is kept in memory.
const LATEST_MAX: usize = 2 * STORED_MAX;
/// The time without a use after which a resource gives way to another image of its namespace.
const REPLACED_AFTER_HOURS: i64 = 24;
/// Limit of uses that wait in the channel, and of images that wait for a write. A lost image is written after its next use.
const QUEUE_MAX: usize = 256;
/// Pause between two batches of writes.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Limit of images in one batch.
const BATCH_MAX: usize = 20;
/// Pause after a failed write.
const BACK_OFF: Duration = Duration::from_secs(30);
/// Pause between two checks of the resources by the leader.
const PRUNE_INTERVAL: Duration = Duration::from_secs(10);
/// Limit of resources that one check deletes.
const PRUNE_BATCH_MAX: usize = 100;
/// Limit of names of resources to delete that are kept.
const UNUSABLE_MAX: usize = 1000;
/// Resources in one page of the list. Each has some KiB, but the API server stores up to 1.5 MiB.
const PAGE: u32 = 20;

type DeleteError = Box<dyn fmt::Display + Send>;

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
    latest: HashMap<(Reference, Platform), Timestamp>,
    /// The images to write.
    pending: HashMap<Digest, Pending>,
    /// Names of resources that are of no use: too many, too large, or in an old format.
    unusable: Vec<String>,
    /// The end of the pause after a failed write.
    paused_until: Option<Instant>,
    is_listed: watch::Sender<bool>,
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
            most: most.min(STORED_MAX),
            stored: HashMap::new(),
            latest: HashMap::new(),
            pending: HashMap::new(),
            unusable: Vec::new(),
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
            Event::Init => {
                self.stored.clear();
                self.unusable.clear();
            }
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
        let (stored, image) = Stored::read(object, &digest);
        let has_room = self.stored.len() < STORED_MAX || self.stored.contains_key(&digest);
        let is_useless = object.status.is_some() && image.is_none() && stored.declared.is_none();
        if !has_room || is_useless {
            self.stored.remove(&digest);
            if self.unusable.len() < UNUSABLE_MAX {
                self.unusable.push(name_of(&digest));
            }
            return;
        }
        if let Some(image) = image {
            self.learn(&image, &stored.references);
        }
        self.stored.insert(digest, stored);
    }

    /// Passes an image on to [`Images`], under each reference for which no later image is known.
    fn learn(&mut self, image: &Arc<Image>, references: &[(Reference, Timestamp)]) {
        if self.latest.len() >= LATEST_MAX {
            self.latest.clear();
        }
        for (reference, at) in references {
            let latest = self.latest.entry((reference.clone(), image.platform.without_variant())).or_insert(*at);
            if *latest <= *at {
                *latest = *at;
                let age = Timestamp::now().duration_since(*at).try_into().unwrap_or_default();
                self.images.restore(&reference.name, Arc::clone(image), reference.reader.as_deref(), age);
            }
        }
    }

    fn forget(&mut self, object: &ImageFingerprint) {
        let Some(stored) = digest_of(object).and_then(|digest| self.stored.remove(&digest)) else { return };
        if let Some(platform) = &stored.platform {
            for (reference, _) in &stored.references {
                self.latest.remove(&(reference.clone(), platform.clone()));
                self.images.forget(&reference.name, platform, reference.reader.as_deref());
            }
        }
        self.update_declarations();
    }

    fn update_declarations(&self) {
        let declared = self.stored.iter().filter_map(|(digest, stored)| Some((digest.clone(), stored.declared?)));
        self.images.set_declared(declared.collect());
    }

    /// Queues the use of an image for writing, if the cluster does not have it already.
    fn queue(&mut self, ImageUse { reference, namespace, reader, image }: ImageUse) {
        let now = Timestamp::now();
        let reference = Reference { name: Box::from(&*reference), reader: reader.as_deref().map(Box::from) };
        let latest = self.latest.get(&(reference.clone(), image.platform.without_variant())).copied();
        let is_stored = self.stored.get(&image.digest).is_some_and(|stored| stored.has(&reference, latest, now));
        if !is_stored && self.pending.len() < QUEUE_MAX {
            let pending = self.pending.entry(image.digest.clone());
            let pending = pending.or_insert_with(|| Pending { image, namespace, references: HashMap::new() });
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
            match self.make_room(&digest, &pending.namespace).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::debug!(%digest, namespace = &*pending.namespace, "a namespace has too many fingerprints");
                    self.pending.remove(&digest);
                    continue;
                }
                Err(error) => return self.back_off(&*error),
            }
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

    /// Returns whether there is room for a fingerprint of a namespace. Deletes one that was not used for a day for it.
    async fn make_room(&self, digest: &Digest, namespace: &str) -> Result<bool, DeleteError> {
        let own = || self.stored.iter().filter(|(_, stored)| *stored.namespace == *namespace);
        if self.stored.contains_key(digest) || own().count() < PER_NAMESPACE_MAX {
            return Ok(true);
        }
        let oldest = own().filter(|(_, stored)| stored.declared.is_none()).min_by_key(|(_, stored)| stored.last_used);
        let Some((oldest, stored)) = oldest else { return Ok(false) };
        if !stored.is_unused_for(REPLACED_AFTER_HOURS, Timestamp::now()) {
            return Ok(false);
        }
        let (name, version) = (name_of(oldest), stored.version.clone());
        self.delete(&name, version).await.map(|()| true)
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
        let mut object = head;
        object["status"] = json!(pending.status(stored));
        self.api.patch_status(&name, &parameters, &Patch::Apply(object)).await?;
        Ok(())
    }

    /// Deletes the unusable resources, and the least recently used ones above the limit, if this replica is the leader.
    async fn prune(&mut self) {
        let too_many = self.stored.len().saturating_sub(self.most);
        if (too_many == 0 && self.unusable.is_empty()) || !self.lease.is_held() {
            return;
        }
        // Declarations belong to administrators and stay.
        let mut oldest: Vec<(&Digest, &Stored)> =
            self.stored.iter().filter(|(_, stored)| stored.declared.is_none()).collect();
        oldest.sort_by_key(|(_, stored)| stored.last_used);
        let oldest =
            oldest.into_iter().take(too_many).map(|(digest, stored)| (name_of(digest), stored.version.clone()));
        let unusable = self.unusable.iter().map(|name| (name.clone(), None));
        let batch: Vec<(String, Option<String>)> = unusable.chain(oldest).take(PRUNE_BATCH_MAX).collect();
        let (mut deleted, all) = (0, batch.len());
        for (name, version) in batch {
            if let Err(error) = self.delete(&name, version).await {
                return tracing::warn!(%error, "cannot delete old fingerprints");
            }
            self.unusable.retain(|unusable| *unusable != name);
            deleted += 1;
        }
        tracing::info!(deleted, all, most = self.most, "deleted fingerprints that are old or of no use");
    }

    /// Deletes a resource, unless another replica has just used it.
    async fn delete(&self, name: &str, version: Option<String>) -> Result<(), DeleteError> {
        let preconditions = Preconditions { resource_version: version, uid: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match write(self.api.delete(name, &parameters)).await {
            Err(error) if !error.is_overtaken() => Err(Box::new(error)),
            _ => Ok(()),
        }
    }
}
