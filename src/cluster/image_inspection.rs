//! The fingerprints of a pod's containers: from its images for each platform that the pod may run on, within the time that a review
//! can spare, and from the image names where the images are unknown. Must not know of HTTP, nor decide about the pod.

use std::cell::LazyCell;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::pull_secrets::PullSecrets;
use crate::budget;
use crate::image::contents::Invocation;
use crate::image::{self, Evidence, Fingerprint, Reason};
use crate::pod::{Container, Pod, Variables};
use crate::registry::{Images, Lookup, Platform, Requester};
use crate::resolver::Family;

/// The longest command, and the longest list of arguments, that are followed, in bytes of JSON. Scripts in manifests have some KiB.
const COMMAND_MAX_BYTES: usize = 256 << 10;

/// The inspection of images for reviews.
#[derive(Clone, Debug)]
pub struct ImageInspection {
    /// The known images, which inspect unknown ones on request.
    pub images: Images,
    /// A reader of the pods' image pull secrets, if allowed.
    pub pull_secrets: Option<PullSecrets>,
    /// The architectures (`amd64`) of the cluster's nodes, for pods that may run on any node.
    pub architectures: Vec<String>,
    /// Limit of a review's wait for unknown images.
    pub budget: Duration,
}

/// The known images of a pod.
#[derive(Debug, Default)]
pub struct PodImages {
    /// The architectures that the pod may run on.
    architectures: Vec<String>,
    /// The image of each container on each of the architectures, container by container.
    known: Vec<Option<Lookup>>,
}

/// A command is too long to be followed.
struct TooLong;

/// The fingerprint of a container on one architecture.
struct OnPlatform<'p> {
    arch: &'p str,
    fingerprint: Fingerprint,
}

// === impl ImageInspection ===

impl ImageInspection {
    /// Looks up the images of a pod in this namespace, and waits for unknown ones within the budget. After a dry run, nothing is stored
    /// in the cluster.
    pub async fn lookup(&self, pod: &Pod<'_>, namespace: &str, is_dry_run: bool, deadline: Instant) -> PodImages {
        let platforms = self.platforms(pod);
        let deadline = deadline.min(Instant::now() + self.budget);
        let credentials = match &self.pull_secrets {
            Some(secrets) => timeout_at(deadline, secrets.for_pod(namespace, pod.pull_secrets())).await.ok().flatten(),
            None => None,
        };
        let requester = Requester { namespace, credentials: credentials.as_ref(), is_dry_run };
        let known = self.images.look_up(&images_on(pod, &platforms), &requester, deadline).await;
        PodImages::new(platforms, known)
    }

    /// Returns the known images of a pod, and inspects none: callers look at many pods, which would keep reviews waiting.
    pub fn cached(&self, pod: &Pod<'_>, namespace: &str) -> PodImages {
        let platforms = self.platforms(pod);
        let secrets = self.pull_secrets.as_ref();
        let reader = secrets.and_then(|secrets| secrets.known_identity(namespace, pod.pull_secrets()));
        let known = self.images.cached(&images_on(pod, &platforms), reader.as_deref());
        PodImages::new(platforms, known)
    }

    /// Returns the fingerprint of each container of a pod in this namespace, in their order, as far as known by the deadline.
    pub async fn fingerprints(&self, pod: &Pod<'_>, namespace: &str, deadline: Instant) -> Vec<Fingerprint> {
        self.lookup(pod, namespace, true, deadline).await.fingerprints(pod).0
    }

    /// Returns the platforms that the pod may run on.
    fn platforms(&self, pod: &Pod<'_>) -> Vec<Platform> {
        let cluster: Vec<&str> = self.architectures.iter().map(String::as_str).collect();
        pod.architectures(&cluster).into_iter().map(Platform::linux).collect()
    }
}

/// Returns the images of a pod, each on each platform.
fn images_on<'p>(pod: &'p Pod<'_>, platforms: &'p [Platform]) -> Vec<(&'p str, &'p Platform)> {
    let on_each = |image: &'p str| platforms.iter().map(move |platform| (image, platform));
    pod.containers().flat_map(|container| on_each(container.image())).collect()
}

// === impl PodImages ===

impl PodImages {
    /// The images of a pod on these platforms, container by container.
    pub fn new(platforms: Vec<Platform>, known: Vec<Option<Lookup>>) -> Self {
        Self { architectures: platforms.into_iter().map(|platform| platform.arch).collect(), known }
    }

    /// Returns the fingerprint of each container of the pod, in their order, and notes for the pod's author. For an unknown image the
    /// fingerprint is assumed from the image name.
    pub fn fingerprints(&self, pod: &Pod<'_>) -> (Vec<Fingerprint>, Vec<String>) {
        let Self { architectures, known } = self;
        let mut notes = Vec::new();
        let of_containers = known.chunks(architectures.len().max(1)).chain(std::iter::repeat(&[][..]));
        let fingerprints = pod
            .containers()
            .zip(of_containers)
            .map(|(container, known)| match on_platforms(container, architectures, known) {
                Some(fingerprints) => most_careful(container, &fingerprints, &mut notes),
                None => image::assume_started(container.image(), container.started().as_deref()),
            })
            .collect();
        (fingerprints, notes)
    }
}

/// Returns the words of a command or its arguments, with references to variables replaced. The API server accepts lists of strings only.
///
/// # Errors
/// The list is longer than a command that is followed, or beyond the work budget.
fn words(
    list: Option<&RawValue>,
    variables: &LazyCell<Variables, impl FnOnce() -> Variables>,
) -> Result<Option<Vec<String>>, TooLong> {
    let Some(list) = list.map(RawValue::get) else { return Ok(None) };
    if list.len() > COMMAND_MAX_BYTES || budget::charge_text(list.len()).is_err() {
        return Err(TooLong);
    }
    let Ok(mut words) = serde_json::from_str::<Vec<String>>(list) else { return Ok(None) };
    let mut bytes = 0;
    for word in words.iter_mut().filter(|word| word.contains('$')) {
        *word = variables.expand(word).map_err(|_| TooLong)?.into_owned();
        bytes += word.len();
        if bytes > COMMAND_MAX_BYTES || budget::charge_text(word.len()).is_err() {
            return Err(TooLong);
        }
    }
    Ok(Some(words))
}

/// Returns the fingerprint of a container on each platform for which its image exists; `None` unless all of them are known.
fn on_platforms<'p>(
    container: &Container<'_>,
    architectures: &'p [String],
    known: &[Option<Lookup>],
) -> Option<Vec<OnPlatform<'p>>> {
    let variables = LazyCell::new(|| container.variables());
    let (Ok(command), Ok(args)) = (words(container.command, &variables), words(container.args, &variables)) else {
        return None;
    };
    let mut fingerprints = Vec::with_capacity(known.len());
    for (arch, known) in architectures.iter().zip(known) {
        let fingerprint = match known.as_ref()? {
            Lookup::NoPlatform => continue,
            Lookup::Declared(resolver, digest) => {
                let reason = format!("it was declared so for {digest}");
                Fingerprint::declared(*resolver, Reason::Text(reason.into()))
            }
            Lookup::Image(image) => {
                let env = |name: &str| container.env.get(name);
                image.facts.fingerprint(&Invocation {
                    command: command.as_deref(),
                    args: args.as_deref(),
                    working_dir: container.working_dir.as_deref(),
                    env: &env,
                })
            }
        };
        if fingerprint.evidence == Evidence::None {
            return None;
        }
        fingerprints.push(OnPlatform { arch, fingerprint });
    }
    (!fingerprints.is_empty()).then_some(fingerprints)
}

/// Returns one fingerprint for a container that may run on several platforms. If they differ, the result is the one that needs the most
/// care, musl before others, with no more evidence than an assumption.
fn most_careful(container: &Container<'_>, fingerprints: &[OnPlatform<'_>], notes: &mut Vec<String>) -> Fingerprint {
    let is_musl = |one: &&OnPlatform<'_>| one.fingerprint.resolver.family == Family::Musl;
    let Some(OnPlatform { fingerprint: chosen, .. }) = fingerprints.iter().find(is_musl).or(fingerprints.first())
    else {
        return image::assume_started(container.image(), container.started().as_deref());
    };
    let holds_java = fingerprints.iter().any(|other| other.fingerprint.holds_java);
    if fingerprints.iter().all(|other| other.fingerprint.resolver == chosen.resolver) {
        return Fingerprint { holds_java, ..chosen.clone() };
    }
    let each: Vec<String> = fingerprints
        .iter()
        .map(|OnPlatform { arch, fingerprint }| format!("{} on {arch}", fingerprint.resolver))
        .collect();
    let differ = format!("platforms differ: {}", each.join(", "));
    notes.push(format!("muslin: {}: the image's {differ}", container.name.as_deref().unwrap_or_default()));
    Fingerprint::assumed(chosen.resolver, Reason::Text(format!("its {differ}").into()))
}
