//! What is known of images, kept in the cluster: read back by a watch when muslin starts, shared by its replicas, and written
//! behind when an image was inspected. Where the resource cannot be read or written, muslin goes on without. Must not know
//! reviews.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::lease::Lease;
use super::resources::{ImageFingerprint, ImageFingerprintStatus, Seen};
use crate::image::Fingerprint;
use crate::image::contents::Invocation;
use crate::registry::{Digest, Image, Images, Platform, Used};
use crate::resolver::Resolver;

/// Who owns what is written, in server-side apply.
const MANAGER: &str = "muslin";
/// How many news wait to be taken up; an image whose news are lost is written when it is found out again.
const NEWS_MAX: usize = 1024;
/// How often what is new is written, and how many at once.
const FLUSH: Duration = Duration::from_secs(1);
const BATCH: usize = 20;
/// How long nothing is written after a failure.
const REST: Duration = Duration::from_secs(30);
/// How long one write may take.
const WRITE_MAX: Duration = Duration::from_secs(5);
/// How often the lease holder looks whether there are too many, and how many it deletes then at most.
const PRUNE: Duration = Duration::from_secs(10);
const PRUNED_AT_ONCE: usize = 100;
/// How many references one image keeps, those found out last.
const REFERENCES_MAX: usize = 16;
/// How much later a use must be to be worth a write.
const USE_GRAIN: SignedDuration = SignedDuration::from_hours(12);
/// How many resources one page of the list has; each takes some KiB.
const PAGE: u32 = 100;

/// What is known of images, kept in the cluster.
#[derive(Clone, Debug)]
pub struct Fingerprints(watch::Receiver<bool>);

struct Keeper {
    api: Api<ImageFingerprint>,
    images: Images,
    lease: Lease,
    /// How many there may be.
    most: usize,
    /// What the cluster has.
    kept: HashMap<Digest, Kept>,
    /// When each reference was last found to mean something, on each platform.
    latest: HashMap<(Box<str>, Platform), Timestamp>,
    /// What is to be written.
    new: HashMap<Digest, New>,
    /// Until when nothing is written.
    resting: Option<Instant>,
    /// Whether the watch is broken, so that it is said once.
    is_broken: bool,
    listed: watch::Sender<bool>,
}

/// A resource, without what only [`Images`] needs.
struct Kept {
    last_used: Option<Timestamp>,
    references: Vec<(Box<str>, Timestamp)>,
    platform: Option<Platform>,
    declared: Option<Resolver>,
    version: Option<String>,
}

struct New {
    image: Arc<Image>,
    references: HashMap<Arc<str>, Timestamp>,
}

// === impl Fingerprints ===

impl Fingerprints {
    /// Keeps what `images` finds out, at most so many, by a task of its own for as long as the process lives; the lease holder
    /// deletes those that were not used for longest. Needs the rights list, watch, create, patch and delete on
    /// imagefingerprints, and patch on their status.
    pub fn keep(client: Client, images: Images, lease: Lease, most: usize) -> Self {
        let (news, used) = mpsc::channel(NEWS_MAX);
        images.tell(news);
        let (listed, receiver) = watch::channel(false);
        let keeper = Keeper {
            api: Api::all(client),
            images,
            lease,
            most,
            kept: HashMap::new(),
            latest: HashMap::new(),
            new: HashMap::new(),
            resting: None,
            is_broken: false,
            listed,
        };
        tokio::spawn(keeper.run(used));
        Self(receiver)
    }

    /// Waits until what the cluster has is read back, or cannot be.
    pub async fn read_back(&mut self) {
        let _ = self.0.wait_for(|listed| *listed).await;
    }
}

// === impl Keeper ===

impl Keeper {
    async fn run(mut self, mut used: mpsc::Receiver<Used>) {
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = pin!(watcher(self.api.clone(), config).default_backoff());
        let mut flush = tokio::time::interval(FLUSH);
        let mut prune = tokio::time::interval(PRUNE);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.follow(event),
                    None => return,
                },
                Some(used) = used.recv() => self.note(used),
                _ = flush.tick() => self.flush().await,
                _ = prune.tick() => self.prune().await,
            }
        }
    }

    fn follow(&mut self, event: Result<Event<ImageFingerprint>, watcher::Error>) {
        match event {
            Ok(Event::Init) => self.kept.clear(),
            Ok(Event::InitApply(object)) => self.take_in(&object),
            Ok(Event::InitDone) => {
                tracing::info!(images = self.kept.len(), "read the fingerprints of images back");
                self.is_broken = false;
                self.declare();
                self.listed.send_replace(true);
            }
            Ok(Event::Apply(object)) => {
                self.take_in(&object);
                self.declare();
            }
            Ok(Event::Delete(object)) => {
                let Some(digest) = digest_of(&object) else { return };
                let Some(kept) = self.kept.remove(&digest) else { return };
                for (reference, _) in &kept.references {
                    let Some(platform) = &kept.platform else { continue };
                    self.latest.remove(&(reference.clone(), platform.clone()));
                    self.images.forget(reference, platform);
                }
                self.declare();
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_broken, true) {
                    tracing::warn!(%error, "cannot read the fingerprints of images; what is found out is not kept");
                }
                self.listed.send_replace(true);
            }
        }
    }

    /// Takes over a resource: what administrators declare, and what this or another replica found out.
    fn take_in(&mut self, object: &ImageFingerprint) {
        let Some(digest) = digest_of(object) else { return };
        let declared = object.spec.declared.as_deref().and_then(|text| match text.parse() {
            Ok(resolver) => Some(resolver),
            Err(error) => {
                tracing::warn!(name = object.name_any(), %error, "a declaration is not understood");
                None
            }
        });
        let mut kept = Kept {
            last_used: None,
            references: Vec::new(),
            platform: None,
            declared,
            version: object.resource_version(),
        };
        if let Some(status) = &object.status {
            kept.last_used = Some(status.last_used.0);
            kept.references = status.references.iter().map(|seen| (seen.name.as_str().into(), seen.at.0)).collect();
            // What another version of muslin wrote may not be understood; it is found out again.
            if let (Ok(facts), Ok(platform)) =
                (serde_json::from_value(status.facts.clone()), status.platform.parse::<Platform>())
            {
                kept.platform = Some(platform.without_variant());
                let image = Arc::new(Image { digest: digest.clone(), platform, facts });
                self.learn(&image, &kept.references);
            }
        }
        self.kept.insert(digest, kept);
    }

    fn learn(&mut self, image: &Arc<Image>, references: &[(Box<str>, Timestamp)]) {
        for (reference, at) in references {
            let latest = self.latest.entry((reference.clone(), image.platform.without_variant())).or_insert(*at);
            if *latest <= *at {
                *latest = *at;
                let age = Timestamp::now().duration_since(*at);
                self.images.learn(reference, Arc::clone(image), age.try_into().unwrap_or_default());
            }
        }
    }

    fn declare(&self) {
        let declared = self.kept.iter().filter_map(|(digest, kept)| Some((digest.clone(), kept.declared?)));
        self.images.declare(declared.collect());
    }

    /// Remembers what is to be written, if it is more than what the cluster has.
    fn note(&mut self, Used { reference, image }: Used) {
        let now = Timestamp::now();
        let key = (Box::from(&*reference), image.platform.without_variant());
        let latest = self.latest.get(&key).copied();
        let is_kept = self.kept.get(&image.digest).is_some_and(|kept| {
            let at = kept.references.iter().find(|(name, _)| **name == *reference).map(|(_, at)| *at);
            // A tag that went elsewhere and came back.
            let is_latest = at.is_some_and(|at| latest.is_none_or(|latest| latest <= at));
            is_latest && kept.last_used.is_some_and(|used| now.duration_since(used) < USE_GRAIN)
        });
        if !is_kept && self.new.len() < NEWS_MAX {
            let new = self.new.entry(image.digest.clone());
            new.or_insert_with(|| New { image, references: HashMap::new() }).references.insert(reference, now);
        }
    }

    /// Writes some of what is new.
    async fn flush(&mut self) {
        if self.new.is_empty() || self.resting.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let batch: Vec<Digest> = self.new.keys().take(BATCH).cloned().collect();
        for digest in batch {
            let Some(new) = self.new.get(&digest) else { continue };
            match timeout(WRITE_MAX, self.write(&digest, new)).await {
                Ok(Ok(())) => {
                    self.new.remove(&digest);
                }
                Ok(Err(error)) if is_refused(&error) => {
                    // It would be refused again.
                    tracing::warn!(%digest, %error, "the API server refuses a fingerprint");
                    self.new.remove(&digest);
                }
                Ok(Err(error)) => return self.rest(&error),
                Err(late) => return self.rest(&late),
            }
        }
    }

    fn rest(&mut self, error: &dyn std::fmt::Display) {
        tracing::warn!(%error, waiting = self.new.len(), "cannot keep the fingerprints of images; tried again later");
        self.resting = Some(Instant::now() + REST);
    }

    async fn write(&self, digest: &Digest, new: &New) -> Result<(), kube::Error> {
        let name = name_of(digest);
        let parameters = PatchParams::apply(MANAGER).force();
        let kept = self.kept.get(digest);
        let head = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint", "metadata": { "name": name },
        });
        if kept.is_none() {
            let mut object = head.clone();
            object["spec"] = json!({});
            self.api.patch(&name, &parameters, &Patch::Apply(object)).await?;
        }
        let before = kept.map(|kept| kept.references.as_slice()).unwrap_or_default();
        let mut object = head;
        object["status"] = json!(status(new, before));
        self.api.patch_status(&name, &parameters, &Patch::Apply(object)).await?;
        Ok(())
    }

    /// Deletes what was not used for longest, where there is too much.
    async fn prune(&mut self) {
        let too_many = self.kept.len().saturating_sub(self.most);
        if too_many == 0 || !self.lease.is_held() {
            return;
        }
        // What people wrote is theirs.
        let mut oldest: Vec<(&Digest, &Kept)> = self.kept.iter().filter(|(_, kept)| kept.declared.is_none()).collect();
        oldest.sort_by_key(|(_, kept)| kept.last_used);
        let mut deleted = 0;
        for (digest, kept) in oldest.into_iter().take(too_many.min(PRUNED_AT_ONCE)) {
            // Only as it is known here: somebody may have used it meanwhile.
            let preconditions = Preconditions { resource_version: kept.version.clone(), uid: None };
            let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match timeout(WRITE_MAX, self.api.delete(&name_of(digest), &parameters)).await {
                Ok(Ok(_)) => deleted += 1,
                Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {}
                Ok(Err(error)) => return tracing::warn!(%error, "cannot delete old fingerprints"),
                Err(late) => return tracing::warn!(error = %late, "cannot delete old fingerprints"),
            }
        }
        tracing::info!(deleted, most = self.most, "deleted the fingerprints that were not used for longest");
    }
}

/// What is written of an image, beside what the cluster has of it.
fn status(New { image, references }: &New, before: &[(Box<str>, Timestamp)]) -> ImageFingerprintStatus {
    let mut seen: HashMap<&str, Timestamp> = before.iter().map(|(name, at)| (&**name, *at)).collect();
    seen.extend(references.iter().map(|(name, at)| (&**name, *at)));
    let mut seen: Vec<(&str, Timestamp)> = seen.into_iter().collect();
    seen.sort_unstable_by(|(one, at), (other, other_at)| other_at.cmp(at).then(one.cmp(other)));
    seen.truncate(REFERENCES_MAX);
    let Image { digest, platform, facts } = &**image;
    let Fingerprint { resolver, evidence, reason } = facts.fingerprint(&Invocation::default());
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

/// Whether the API server understood the request and will never take it.
fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 413 | 422))
}

fn name_of(digest: &Digest) -> String {
    digest.as_str().replace(':', "-")
}

fn digest_of(object: &ImageFingerprint) -> Option<Digest> {
    object.metadata.name.as_deref()?.replacen('-', ":", 1).parse().ok()
}
