//! Types of a lookup: the image that a reference names, and the limits, credentials and counts of its inspection. Must not know the
//! cache.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::image::contents::ImageFacts;
use crate::registry::digest::Digest;
use crate::registry::http::Credentials;
use crate::registry::platform::Platform;
use crate::resolver::Resolver;

/// Limits on inspections in the background.
#[derive(Clone, Debug)]
pub struct InspectionLimits {
    /// The time for which a tag is assumed to name the same image.
    pub tag_ttl: Duration,
    /// The number of concurrent inspections.
    pub at_once: usize,
    /// The number of concurrent inspections for one namespace.
    pub per_namespace: usize,
    /// The number of concurrent inspections of images of one registry.
    pub per_registry: usize,
    /// The number of waiting inspections; beyond it, the oldest of the namespace with most are dropped.
    pub queue: usize,
    /// The number of waiting inspections of one namespace; beyond it, its oldest are dropped.
    pub queue_per_namespace: usize,
    /// The time after which an inspection ends if others wait.
    pub patience: Duration,
}

/// The pod that a lookup is for.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'r> {
    /// The pod's namespace, which has its own place in the queue.
    pub namespace: &'r str,
    /// The pod's credentials, and with them what they may know.
    pub credentials: Option<&'r Arc<dyn CredentialSource>>,
    /// Is true if the pod will not be created, so that the image is not in use.
    pub is_dry_run: bool,
}

/// An inspected image, for one platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The platform that its configuration names.
    pub platform: Platform,
    /// The facts from its layers and configuration.
    pub facts: ImageFacts,
}

/// The result of looking a reference up for one platform.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// An inspected image.
    Image(Arc<Image>),
    /// The resolver that an administrator declared for an image, and the digest of the declaration.
    Declared(Resolver, Digest),
    /// No image for this platform, so the pod cannot run there.
    NoPlatform,
}

/// A source of credentials, read only if an image has to be inspected.
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// Returns the identity of the credentials, which says nothing about their content: sources with equal identities hold the same
    /// credentials. What they read is known to this identity alone, unless everybody may read it.
    fn identity(&self) -> &str;
    /// Reads the credentials; none if they cannot be read.
    fn credentials(&self) -> BoxFuture<'_, Credentials>;
}

/// A notice that a reference names this image: after its inspection, and then at most every twelve hours while it is looked up.
#[derive(Clone, Debug)]
pub struct ImageUse {
    /// The reference, as pods write it.
    pub reference: Arc<str>,
    /// The namespace of a pod that uses the image.
    pub namespace: Arc<str>,
    /// The identity of the credentials that read the image; `None` if everybody may read it.
    pub reader: Option<Arc<str>>,
    /// The image.
    pub image: Arc<Image>,
}

/// Counts of inspections and lookups since the start.
#[derive(Debug, Default)]
pub struct InspectionCounts {
    /// Inspections that succeeded.
    pub succeeded: AtomicU64,
    /// Inspections that failed.
    pub failed: AtomicU64,
    /// Inspections that were dropped because too many waited.
    pub dropped: AtomicU64,
    /// Lookups with a result.
    pub hits: AtomicU64,
    /// Lookups without a result by their deadline.
    pub misses: AtomicU64,
}

// === impl InspectionLimits ===

impl Default for InspectionLimits {
    fn default() -> Self {
        Self {
            tag_ttl: Duration::from_secs(600),
            at_once: 3,
            per_namespace: 2,
            per_registry: 2,
            queue: 256,
            queue_per_namespace: 32,
            patience: Duration::from_secs(60),
        }
    }
}

// === impl Requester ===

impl<'r> Requester<'r> {
    /// A pod of this namespace without credentials.
    pub const fn of(namespace: &'r str) -> Self {
        Self { namespace, credentials: None, is_dry_run: false }
    }

    /// Returns the identity of the credentials.
    pub(super) fn reader(&self) -> Option<&'r str> {
        self.credentials.map(|credentials| credentials.identity())
    }
}
