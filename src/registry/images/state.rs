//! The state that lookups and inspections share: the cache, the declarations, and the inspections in flight. Must not know the tasks
//! that inspect.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::cache::{
    CacheEntry, CacheValue, ContentCache, ContentKey, Key, KeyRef, LookupCache, new_contents, new_lookups,
};
use super::lookup::{CredentialSource, Image, ImageUse, InspectionCounts, InspectionLimits, Lookup};
use super::queue::Queue;
use crate::image::Reference;
use crate::registry::digest::Digest;
use crate::registry::error::{Error, ErrorSubject};
use crate::registry::http::{Client, Credentials};
use crate::registry::inspector::{Depth, ImageSource, Inspector, LayerScope};
use crate::registry::limits::Limits;
use crate::registry::remote::Remote;
use crate::resolver::Resolver;

/// The memory for facts of layers that several images share, in bytes.
pub(super) const LAYERS_MAX_BYTES: u64 = 6 << 20;
/// The memory for one inspection, in bytes: the facts of the layers that were read and of the next one (4 MiB, [`Limits::small`]), a
/// window of zstd (8 MiB), and a header of tar. A Debian base needs 0.4 MB.
pub(super) const INSPECTION_MAX_BYTES: u64 = 13 << 20;
/// The same for an image that needs more facts (18 MiB). Only one such image is inspected at a time.
pub(super) const LARGE_INSPECTION_MAX_BYTES: u64 = 27 << 20;
/// The time for the question whether everybody may read an image.
const PUBLIC_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which an image in use is notified again.
const NOTIFY_AGAIN: Duration = Duration::from_secs(12 * 60 * 60);
/// The time between two looks at the queue by an inspection that takes long.
const PATIENCE_TICK: Duration = Duration::from_millis(500);

/// The shared state.
#[derive(Debug)]
pub(super) struct State {
    client: Client,
    inspector: Inspector,
    registry_limits: Limits,
    pub(super) limits: InspectionLimits,
    pub(super) lookups: LookupCache,
    pub(super) contents: ContentCache,
    declared: RwLock<HashMap<Digest, Resolver>>,
    is_any_declared: AtomicBool,
    queue: Mutex<Queue>,
    /// The place for one large image.
    large: Semaphore,
    pub(super) counts: InspectionCounts,
    pub(super) subscriber: OnceLock<mpsc::Sender<ImageUse>>,
    started: Instant,
}

/// The result of an inspection.
pub(super) struct Found {
    /// The identity of the credentials that read the image; `None` if everybody may read it.
    pub(super) reader: Option<Arc<str>>,
    pub(super) content: ContentKey,
    pub(super) image: Arc<Image>,
}

/// Returns the key of an image in the repository of a reference.
pub(super) fn content_key(reference: &Reference<'_>, digest: &Digest) -> ContentKey {
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    ContentKey { repository: repository.into(), digest: digest.clone() }
}

// === impl State ===

impl State {
    pub(super) fn new(client: Client, limits: Limits, inspections: InspectionLimits) -> Self {
        Self {
            client,
            inspector: Inspector::new(limits, LAYERS_MAX_BYTES),
            registry_limits: limits,
            limits: inspections,
            lookups: new_lookups(),
            contents: new_contents(),
            declared: RwLock::default(),
            is_any_declared: AtomicBool::new(false),
            queue: Mutex::default(),
            large: Semaphore::new(1),
            counts: InspectionCounts::default(),
            subscriber: OnceLock::new(),
            started: Instant::now(),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inspects an image. A large one is read again when there is room for it.
    pub(super) async fn inspect(&self, key: &Key, credentials: Option<&dyn CredentialSource>) -> Result<Found, Error> {
        let reference = Reference::parse(&key.reference)?;
        let credentials = match credentials.filter(|_| key.reader.is_some()) {
            Some(source) => Some(source.credentials().await).filter(|own| Remote::is_covered(&reference, own)),
            None => None,
        };
        match self.inspect_within(&Limits::small(&self.registry_limits), key, &reference, credentials.as_ref()).await {
            Err(Error::Facts(_) | Error::TooLarge { subject: ErrorSubject::Facts, .. }) => {
                let _place = self.large.acquire().await;
                self.inspect_within(&self.registry_limits, key, &reference, credentials.as_ref()).await
            }
            result => result,
        }
    }

    /// Inspects an image with the given credentials, or else muslin's own. What muslin's own read is for everybody.
    async fn inspect_within(
        &self,
        limits: &Limits,
        key: &Key,
        reference: &Reference<'_>,
        credentials: Option<&Credentials>,
    ) -> Result<Found, Error> {
        let client = match credentials {
            Some(credentials) => self.client.with_credentials(credentials.clone()),
            None => self.client.shared(),
        };
        let source = ImageSource::Remote(Arc::new(Remote::new(Arc::new(client.with_limits(*limits)), reference)?));
        let inspection = async {
            let selected = self.inspector.select(&source, &key.platform).await?;
            let digest = selected.digest().ok_or(Error::Cancelled)?.clone();
            let is_public = credentials.is_none() || self.is_public(reference, &digest).await;
            let content = content_key(reference, &digest);
            let reader = key.reader.clone().filter(|_| !is_public);
            // Who can read the manifest may know the image.
            if let Some(image) = self.contents.get(&content) {
                return Ok(Found { reader, content, image });
            }
            let scope = if is_public {
                LayerScope::Public(reference.registry().into())
            } else {
                LayerScope::Private(Arc::clone(&content.repository))
            };
            // A pod may bring a command of its own, so the whole image is read.
            let read = self.inspector.read_layers(&source, selected, Depth::Whole, &scope, limits).await?;
            let image = Arc::new(Image { digest, platform: read.platform, facts: read.facts });
            Ok(Found { reader, content, image })
        };
        let limit = limits.total;
        let late = || Error::Slow { what: "the inspection".to_owned(), limit };
        timeout(limit, inspection).await.map_err(|_| late())?
    }

    /// Returns whether an image can be read without a pod's credentials.
    async fn is_public(&self, reference: &Reference<'_>, digest: &Digest) -> bool {
        let Ok(remote) = Remote::new(Arc::new(self.client.shared()), reference) else { return false };
        timeout(PUBLIC_TIMEOUT, remote.has_manifest(digest)).await.unwrap_or(false)
    }

    /// Returns after the time that an inspection may take, as soon as others wait.
    pub(super) async fn run_out_of_patience(&self) -> Error {
        tokio::time::sleep(self.limits.patience).await;
        while self.queue().waiting() == 0 {
            tokio::time::sleep(PATIENCE_TICK).await;
        }
        Error::Slow { what: "the inspection, for which others wait,".to_owned(), limit: self.limits.patience }
    }

    /// Caches a lookup. Its use is notified later, unless it `is_notified` already.
    pub(super) fn store(&self, key: Key, value: CacheValue, until: Option<Instant>, is_notified: bool) {
        let notified = if is_notified { self.seconds_since_start() + 1 } else { 0 };
        self.lookups.insert(key, Arc::new(CacheEntry { value, until, notified: notified.into() }));
    }

    /// Returns the time until which a reference that named an image `age` ago is assumed to name it; `None`, for ever, with a digest that
    /// everybody may read. Others may lose the right to read it.
    pub(super) fn valid_until(&self, Key { reference, platform: _, reader }: &Key, age: Duration) -> Option<Instant> {
        let is_for_ever = reference.contains('@') && reader.is_none();
        (!is_for_ever).then(|| Instant::now() + self.limits.tag_ttl.saturating_sub(age))
    }

    /// Replaces the declarations.
    pub(super) fn set_declared(&self, declared: HashMap<Digest, Resolver>) {
        self.is_any_declared.store(!declared.is_empty(), Ordering::Relaxed);
        *self.declared.write().unwrap_or_else(PoisonError::into_inner) = declared;
    }

    /// Returns the declaration for the digest in the reference, which may be that of an index, or else for the image's digest.
    pub(super) fn declared(&self, reference: &str, entry: Option<&CacheEntry>) -> Option<Lookup> {
        if !self.is_any_declared.load(Ordering::Relaxed) {
            return None;
        }
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        let inspected = match entry.map(|entry| &entry.value) {
            Some(CacheValue::Image(content)) => Some(content.digest.clone()),
            _ => None,
        };
        let named = reference.split_once('@').and_then(|(_, digest)| digest.parse().ok());
        [named, inspected].into_iter().flatten().find_map(|digest: Digest| {
            let resolver = declared.get(&digest)?;
            Some(Lookup::Declared(*resolver, digest))
        })
    }

    /// Notifies the subscriber that an image is in use in this namespace, unless that happened of late.
    pub(super) fn notify_use(&self, key: KeyRef<'_>, entry: &CacheEntry, namespace: &str, image: &Arc<Image>) {
        if self.subscriber.get().is_none() {
            return;
        }
        let (now, notified) = (self.seconds_since_start() + 1, entry.notified.load(Ordering::Relaxed));
        if notified == 0 || now.saturating_sub(notified) >= NOTIFY_AGAIN.as_secs() {
            entry.notified.store(now, Ordering::Relaxed);
            self.notify(&key.to_key(), namespace.into(), image);
        }
    }

    /// Notifies the subscriber, if there is one and it has room.
    pub(super) fn notify(&self, key: &Key, namespace: Arc<str>, image: &Arc<Image>) {
        if let Some(subscriber) = self.subscriber.get() {
            let Key { reference, platform: _, reader } = key.clone();
            let _ = subscriber.try_send(ImageUse { reference, namespace, reader, image: Arc::clone(image) });
        }
    }

    fn seconds_since_start(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}
