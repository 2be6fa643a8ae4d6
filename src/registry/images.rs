//! Images that pods ask about: what is known is told at once, and what is not is found out by a task of its own, for which nobody
//! has to wait longer than they like. Must not know Kubernetes, nor what the facts are used for.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::error::Error;
use super::inspector::{Depth, Inspector, Source};
use super::limits::Limits;
use super::platform::Platform;
use super::remote::Remote;
use crate::image::Reference;
use crate::image::inspect::ImageFacts;

/// How many images are remembered; the facts of one take some KiB.
const IMAGES_MAX: usize = 4096;
/// What is kept of layers that several images share.
const LAYERS_BYTES: u64 = 8 << 20;
/// How long an image that could not be read is left alone.
const REST: Duration = Duration::from_secs(60);

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

#[derive(Debug)]
struct Inner {
    client: Arc<Client>,
    inspector: Inspector,
    platform: Platform,
    pace: Pace,
    known: Cache<Arc<str>, Known>,
    asked: Mutex<Asked>,
    permits: Semaphore,
    given_up: AtomicU64,
}

/// What was found out of an image.
#[derive(Clone, Debug)]
struct Known {
    /// `None` where it could not be read.
    facts: Option<Arc<ImageFacts>>,
    /// When it is asked anew; never for a digest.
    until: Option<Instant>,
}

/// What is asked and not answered.
#[derive(Debug, Default)]
struct Asked {
    /// Closed when the answer is there, or given up.
    pending: HashMap<Arc<str>, watch::Receiver<()>>,
    /// Those whose inspection has not begun, the oldest first.
    waiting: VecDeque<(Arc<str>, AbortHandle)>,
}

/// One inspection, told to be over when it is dropped: also when it is given up or panics.
struct Inspecting {
    images: Arc<Inner>,
    reference: Arc<str>,
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
    pub fn new(client: Client, limits: Limits, platform: Platform, pace: Pace) -> Self {
        Self(Arc::new(Inner {
            client: Arc::new(client),
            inspector: Inspector::new(limits, LAYERS_BYTES),
            platform,
            permits: Semaphore::new(pace.at_once),
            pace,
            known: Cache::new(IMAGES_MAX),
            asked: Mutex::default(),
            given_up: AtomicU64::new(0),
        }))
    }

    /// The facts of each image, in order; `None` where they are not known by the deadline. What is not known is asked, and found
    /// out also after it.
    pub async fn facts(&self, references: &[&str], deadline: Instant) -> Vec<Option<Arc<ImageFacts>>> {
        let asked: Vec<_> = references.iter().filter_map(|reference| self.ask(reference)).collect();
        for mut pending in asked {
            // The sender never sends: it is gone when there is something to know.
            if timeout_at(deadline, pending.changed()).await.is_err() {
                break;
            }
        }
        references.iter().map(|reference| self.0.known.get(*reference).and_then(|known| known.facts)).collect()
    }

    /// How many images were asked about and given up, because too many waited.
    pub fn given_up(&self) -> u64 {
        self.0.given_up.load(Ordering::Relaxed)
    }

    /// Has an image inspected, unless it is known. What comes back closes when there is something to know.
    fn ask(&self, reference: &str) -> Option<watch::Receiver<()>> {
        let Self(inner) = self;
        let now = Instant::now();
        if inner.known.get(reference).is_some_and(|known| known.until.is_none_or(|until| now < until)) {
            return None;
        }
        let mut asked = inner.asked();
        if let Some(pending) = asked.pending.get(reference) {
            return Some(pending.clone());
        }
        let reference: Arc<str> = reference.into();
        let (done, pending) = watch::channel(());
        asked.pending.insert(Arc::clone(&reference), pending.clone());
        let inspecting = Inspecting { images: Arc::clone(inner), reference: Arc::clone(&reference), _done: done };
        let task = tokio::spawn(inspecting.run()).abort_handle();
        asked.waiting.push_back((reference, task));
        let too_many = asked.waiting.len().saturating_sub(inner.pace.queue);
        let given_up: Vec<_> = asked.waiting.drain(..too_many).collect();
        drop(asked);
        for (_, task) in given_up {
            task.abort();
            inner.given_up.fetch_add(1, Ordering::Relaxed);
        }
        Some(pending)
    }
}

// === impl Inner ===

impl Inner {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn inspect(&self, reference: &str) -> Result<ImageFacts, Error> {
        let reference = Reference::parse(reference).map_err(|error| Error::NoImage(error.to_string()))?;
        let source = Source::Remote(Arc::new(Remote::new(Arc::clone(&self.client), &reference)?));
        // A pod may bring a command of its own, so that all of the image is read.
        Ok(self.inspector.inspect(&source, &self.platform, Depth::Whole).await?.facts)
    }
}

// === impl Inspecting ===

impl Inspecting {
    async fn run(self) {
        let Self { images, reference, .. } = &self;
        let Ok(_permit) = images.permits.acquire().await else { return };
        images.asked().waiting.retain(|(waiting, _)| waiting != reference);
        let known = match images.inspect(reference).await {
            Ok(facts) => {
                let is_digest = reference.contains('@');
                let until = (!is_digest).then(|| Instant::now() + images.pace.tag_ttl);
                Known { facts: Some(Arc::new(facts)), until }
            }
            Err(error) => {
                tracing::warn!(image = &**reference, %error, "cannot inspect an image");
                // What was known before is better than nothing: the tag may mean something else by now, or not.
                let facts = images.known.get(&**reference).and_then(|known| known.facts);
                Known { facts, until: Some(Instant::now() + REST) }
            }
        };
        images.known.insert(Arc::clone(reference), known);
    }
}

impl Drop for Inspecting {
    fn drop(&mut self) {
        self.images.asked().pending.remove(&self.reference);
    }
}
