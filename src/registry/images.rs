//! Images that pods ask about: what is known is told at once, and what is not is found out by a task of its own, for which nobody
//! has to wait longer than they like. What was found out is told to whoever keeps it, and can be learned from there again. Must
//! not know Kubernetes, nor what the facts are used for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::credentials::Credentials;
use super::digest::Digest;
use super::error::Error;
use super::inspector::{Depth, Inspection, Inspector, Source};
use super::limits::Limits;
use super::platform::Platform;
use super::remote::Remote;
use crate::image::Reference;
use crate::image::contents::ImageFacts;
use crate::resolver::Resolver;

/// How many images are reckoned with, and how much memory what is known of all of them may take. The facts of one take some KiB.
const IMAGES_ESTIMATE: usize = 10_000;
const IMAGES_BYTES: u64 = 128 << 20;
/// What is kept of layers that several images share.
const LAYERS_BYTES: u64 = 8 << 20;
/// How long an image that could not be read is left alone.
const REST: Duration = Duration::from_secs(60);
/// After how long it is told again that an image is in use.
const TOLD_AGAIN: Duration = Duration::from_secs(12 * 60 * 60);

/// How images are inspected while others wait.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How long a tag is believed to mean the same image.
    pub tag_ttl: Duration,
    /// How many images are inspected at once.
    pub at_once: usize,
    /// How many wait for that; of more, the oldest are given up.
    pub queue: usize,
}

/// What is known of images, and what is being found out.
#[derive(Clone, Debug)]
pub struct Images(Arc<Inner>);

/// One image, for one platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The platform that the image itself names.
    pub platform: Platform,
    /// What is kept of it.
    pub facts: ImageFacts,
}

/// What a reference means on one platform.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// It was read.
    Image(Arc<Image>),
    /// An administrator said what it uses, and of which digest.
    Declared(Resolver, Digest),
    /// There is no image for this platform, so that the pod cannot run on it.
    NoPlatform,
}

/// Who somebody is to registries, found out only if an image has to be read for them.
pub trait Keyring: fmt::Debug + Send + Sync {
    /// Of two with the same name one is as good as the other.
    fn name(&self) -> &str;
    /// What they log in with; none where that cannot be told.
    fn credentials(&self) -> BoxFuture<'_, Credentials>;
}

/// News for whoever keeps what is known: a reference was found to mean this image, or was asked for after a while.
#[derive(Clone, Debug)]
pub struct Used {
    /// As pods write it.
    pub reference: Arc<str>,
    /// What it means.
    pub image: Arc<Image>,
}

/// How inspections went so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Inspections that told something.
    pub read: AtomicU64,
    /// Inspections that failed.
    pub failed: AtomicU64,
    /// Images that were asked about and given up, because too many waited.
    pub given_up: AtomicU64,
    /// Images that were asked about and known.
    pub hits: AtomicU64,
    /// Images that were asked about and not known in time.
    pub misses: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    client: Arc<Client>,
    inspector: Inspector,
    pace: Pace,
    known: Cache<Key, Arc<Entry>, Bytes>,
    declared: RwLock<HashMap<Digest, Resolver>>,
    is_any_declared: AtomicBool,
    asked: Mutex<Asked>,
    permits: Semaphore,
    tally: Tally,
    keeper: OnceLock<mpsc::Sender<Used>>,
    started: Instant,
}

/// A reference, as it is written, on a platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    reference: Arc<str>,
    platform: Platform,
}

/// A [`Key`] that is only looked for. Has its hash.
#[derive(Hash)]
struct Sought<'k> {
    reference: &'k str,
    platform: &'k Platform,
}

/// What was found out of an image.
#[derive(Debug)]
struct Entry {
    meaning: Meaning,
    /// When it is asked anew; never for a digest.
    until: Option<Instant>,
    /// When its use was told last, in seconds since the start.
    told: AtomicU64,
}

/// Weighs what is known by the memory that it takes.
#[derive(Clone, Debug)]
struct Bytes;

#[derive(Clone, Debug)]
enum Meaning {
    Image(Arc<Image>),
    NoPlatform,
    /// It could not be read by whoever has this keyring.
    Unread {
        keyring: Option<Box<str>>,
    },
}

/// What is asked and not answered.
#[derive(Debug, Default)]
struct Asked {
    /// Closed when the answer is there, or given up.
    pending: HashMap<Key, watch::Receiver<()>>,
    /// Those whose inspection has not begun, the oldest first.
    waiting: VecDeque<(Key, AbortHandle)>,
}

/// One inspection, told to be over when it is dropped: also when it is given up or panics.
struct Inspecting {
    images: Arc<Inner>,
    key: Key,
    keyring: Option<Arc<dyn Keyring>>,
    _done: watch::Sender<()>,
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self { tag_ttl: Duration::from_secs(600), at_once: 4, queue: 256 }
    }
}

// === impl Images ===

impl Images {
    /// Nothing is known yet, and nothing is asked.
    pub fn new(client: Client, limits: Limits, pace: Pace) -> Self {
        Self(Arc::new(Inner {
            client: Arc::new(client),
            inspector: Inspector::new(limits, LAYERS_BYTES),
            permits: Semaphore::new(pace.at_once),
            pace,
            known: Cache::with_weighter(IMAGES_ESTIMATE, IMAGES_BYTES, Bytes),
            declared: RwLock::default(),
            is_any_declared: AtomicBool::new(false),
            asked: Mutex::default(),
            tally: Tally::default(),
            keeper: OnceLock::new(),
            started: Instant::now(),
        }))
    }

    /// What each reference means on the platform beside it, in order; `None` where that is not known by the deadline. What is not
    /// known is asked with the keyring, and found out also after it.
    pub async fn known(
        &self,
        wanted: &[(&str, &Platform)],
        keyring: Option<&Arc<dyn Keyring>>,
        deadline: Instant,
    ) -> Vec<Option<Known>> {
        let ask = |(reference, platform): &(&str, &Platform)| self.ask(reference, platform, keyring);
        let asked: Vec<_> = wanted.iter().filter_map(ask).collect();
        for mut pending in asked {
            // The sender never sends: it is gone when there is something to know.
            if timeout_at(deadline, pending.changed()).await.is_err() {
                break;
            }
        }
        let known = self.recalled(wanted);
        let hits = known.iter().flatten().count();
        self.0.tally.hits.fetch_add(hits as u64, Ordering::Relaxed);
        self.0.tally.misses.fetch_add((known.len() - hits) as u64, Ordering::Relaxed);
        known
    }

    /// The same, as far as it is known. Nothing is asked.
    pub fn recalled(&self, wanted: &[(&str, &Platform)]) -> Vec<Option<Known>> {
        wanted.iter().map(|(reference, platform)| self.recall(reference, platform)).collect()
    }

    /// Whether something is known of an image already.
    pub fn is_known(&self, reference: &str, platform: &Platform) -> bool {
        self.0.known.contains_key(&Sought { reference, platform })
    }

    /// Has an image inspected, unless it is known, and waits for that as long as it takes.
    pub async fn look_into(&self, reference: &str, platform: &Platform, keyring: Option<&Arc<dyn Keyring>>) {
        if let Some(mut pending) = self.ask(reference, platform, keyring) {
            let _ = pending.changed().await;
        }
    }

    /// Takes over what was found out before, `age` ago, without asking.
    pub fn learn(&self, reference: &str, image: Arc<Image>, age: Duration) {
        let Self(inner) = self;
        let platform = image.platform.without_variant();
        let until = inner.believed_until(reference, age);
        let told = AtomicU64::new(inner.started.elapsed().as_secs());
        let entry = Entry { meaning: Meaning::Image(image), until, told };
        inner.known.insert(Key { reference: reference.into(), platform }, Arc::new(entry));
    }

    /// Forgets what a reference means, so that it is found out again.
    pub fn forget(&self, reference: &str, platform: &Platform) {
        self.0.known.remove(&Sought { reference, platform });
    }

    /// Takes over what administrators say of images, by digest, in place of what they said before.
    pub fn declare(&self, declared: HashMap<Digest, Resolver>) {
        let Self(inner) = self;
        inner.is_any_declared.store(!declared.is_empty(), Ordering::Relaxed);
        *inner.declared.write().unwrap_or_else(PoisonError::into_inner) = declared;
    }

    /// Tells this sender from now on what is found out and used. News that it has no room for are dropped. One can be told.
    pub fn tell(&self, keeper: mpsc::Sender<Used>) {
        let _ = self.0.keeper.set(keeper);
    }

    /// How inspections went so far.
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// How many images are remembered, on how many platforms.
    pub fn len(&self) -> usize {
        self.0.known.len()
    }

    /// Whether no image is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.known.len() == 0
    }

    /// How many images wait for their inspection to begin.
    pub fn waiting(&self) -> usize {
        self.0.asked().waiting.len()
    }

    fn recall(&self, reference: &str, platform: &Platform) -> Option<Known> {
        let Self(inner) = self;
        let entry = inner.known.get(&Sought { reference, platform });
        if inner.is_any_declared.load(Ordering::Relaxed)
            && let Some(declared) = inner.declared(reference, entry.as_deref())
        {
            return Some(declared);
        }
        match &entry.as_ref()?.meaning {
            Meaning::Image(image) => {
                inner.used(reference, entry.as_ref()?, image);
                Some(Known::Image(Arc::clone(image)))
            }
            Meaning::NoPlatform => Some(Known::NoPlatform),
            Meaning::Unread { .. } => None,
        }
    }

    /// Has an image inspected, unless it is known. What comes back closes when there is something to know.
    fn ask(
        &self,
        reference: &str,
        platform: &Platform,
        keyring: Option<&Arc<dyn Keyring>>,
    ) -> Option<watch::Receiver<()>> {
        let Self(inner) = self;
        let now = Instant::now();
        let known = inner.known.get(&Sought { reference, platform });
        if known.is_some_and(|known| known.until.is_none_or(|until| now < until) && !known.may_be_read_with(keyring)) {
            return None;
        }
        let mut asked = inner.asked();
        let key = Key { reference: reference.into(), platform: platform.clone() };
        if let Some(pending) = asked.pending.get(&key) {
            return Some(pending.clone());
        }
        let (done, pending) = watch::channel(());
        asked.pending.insert(key.clone(), pending.clone());
        let keyring = keyring.cloned();
        let inspecting = Inspecting { images: Arc::clone(inner), key: key.clone(), keyring, _done: done };
        let task = tokio::spawn(inspecting.run()).abort_handle();
        asked.waiting.push_back((key, task));
        let too_many = asked.waiting.len().saturating_sub(inner.pace.queue);
        let given_up: Vec<_> = asked.waiting.drain(..too_many).collect();
        drop(asked);
        for (_, task) in given_up {
            task.abort();
            inner.tally.given_up.fetch_add(1, Ordering::Relaxed);
        }
        Some(pending)
    }
}

// === impl Inner ===

impl Inner {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn inspect(&self, key: &Key, keyring: Option<&dyn Keyring>) -> Result<Inspection, Error> {
        let Key { reference, platform } = key;
        let reference = Reference::parse(reference).map_err(|error| Error::NoImage(error.to_string()))?;
        let client = match keyring {
            Some(keyring) => Arc::new(self.client.on_behalf_of(keyring.credentials().await)),
            None => Arc::clone(&self.client),
        };
        let source = Source::Remote(Arc::new(Remote::new(client, &reference)?));
        // A pod may bring a command of its own, so that all of the image is read.
        self.inspector.inspect(&source, platform, Depth::Whole).await
    }

    /// Until when a reference that meant an image `age` ago is believed to mean it; for ever where it says the digest.
    fn believed_until(&self, reference: &str, age: Duration) -> Option<Instant> {
        let is_digest = reference.contains('@');
        (!is_digest).then(|| Instant::now() + self.pace.tag_ttl.saturating_sub(age))
    }

    /// What an administrator said of the image, or of the digest in the reference, which may be that of an index.
    fn declared(&self, reference: &str, entry: Option<&Entry>) -> Option<Known> {
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        let read = match entry.map(|entry| &entry.meaning) {
            Some(Meaning::Image(image)) => Some(image.digest.clone()),
            _ => None,
        };
        let named = reference.split_once('@').and_then(|(_, digest)| digest.parse().ok());
        [named, read].into_iter().flatten().find_map(|digest: Digest| {
            let resolver = declared.get(&digest)?;
            Some(Known::Declared(*resolver, digest))
        })
    }

    /// Tells the keeper that an image is in use, if that was not told of late.
    fn used(&self, reference: &str, entry: &Entry, image: &Arc<Image>) {
        let Some(keeper) = self.keeper.get() else { return };
        let now = self.started.elapsed().as_secs();
        if now.saturating_sub(entry.told.load(Ordering::Relaxed)) >= TOLD_AGAIN.as_secs() {
            entry.told.store(now, Ordering::Relaxed);
            let _ = keeper.try_send(Used { reference: reference.into(), image: Arc::clone(image) });
        }
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it could not be read, and somebody asks with another keyring.
    fn may_be_read_with(&self, keyring: Option<&Arc<dyn Keyring>>) -> bool {
        let Meaning::Unread { keyring: tried } = &self.meaning else { return false };
        keyring.is_some_and(|keyring| tried.as_deref() != Some(keyring.name()))
    }
}

// === impl Inspecting ===

impl Inspecting {
    async fn run(self) {
        let Self { images, key, keyring, _done } = &self;
        let Ok(_permit) = images.permits.acquire().await else { return };
        images.asked().waiting.retain(|(waiting, _)| waiting != key);
        let outcome = images.inspect(key, keyring.as_deref()).await;
        let tally = if outcome.is_ok() { &images.tally.read } else { &images.tally.failed };
        tally.fetch_add(1, Ordering::Relaxed);
        let (meaning, until) = match outcome {
            Ok(Inspection { manifest: Some(digest), platform, facts, .. }) => {
                let image = Arc::new(Image { digest, platform, facts });
                if let Some(keeper) = images.keeper.get() {
                    let _ = keeper.try_send(Used { reference: Arc::clone(&key.reference), image: Arc::clone(&image) });
                }
                (Meaning::Image(image), images.believed_until(&key.reference, Duration::ZERO))
            }
            Err(Error::NoPlatform { .. }) => {
                (Meaning::NoPlatform, images.believed_until(&key.reference, Duration::ZERO))
            }
            Ok(Inspection { manifest: None, .. }) => (self.unread(), Some(Instant::now() + REST)),
            Err(error) => {
                tracing::warn!(image = &*key.reference, platform = %key.platform, %error, "cannot inspect an image");
                // What was known before is better than nothing: the tag may mean something else by now, or not.
                let before = images.known.get(key).map(|known| known.meaning.clone());
                (
                    before.filter(|before| !matches!(before, Meaning::Unread { .. })).unwrap_or_else(|| self.unread()),
                    Some(Instant::now() + REST),
                )
            }
        };
        let told = AtomicU64::new(images.started.elapsed().as_secs());
        images.known.insert(key.clone(), Arc::new(Entry { meaning, until, told }));
    }

    fn unread(&self) -> Meaning {
        Meaning::Unread { keyring: self.keyring.as_ref().map(|keyring| keyring.name().into()) }
    }
}

impl Drop for Inspecting {
    fn drop(&mut self) {
        self.images.asked().pending.remove(&self.key);
    }
}

// === impl Bytes ===

impl Weighter<Key, Arc<Entry>> for Bytes {
    fn weight(&self, Key { reference, platform: _ }: &Key, entry: &Arc<Entry>) -> u64 {
        // What a map's slot and the smallest entry cost.
        const LEAST: usize = 512;
        let meaning = match &entry.meaning {
            Meaning::Image(image) => image.facts.bytes(),
            Meaning::Unread { keyring } => keyring.as_ref().map_or(0, |keyring| keyring.len()),
            Meaning::NoPlatform => 0,
        };
        (LEAST + reference.len() + meaning) as u64
    }
}

// === impl Sought ===

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, Key { reference, platform }: &Key) -> bool {
        *self.reference == **reference && self.platform == platform
    }
}
