//! What a pod's images hold, for a review: asked for each platform that the pod may run on, within the time that the review can
//! spare, and by their references alone where that tells nothing. Must not know of HTTP, nor decide about the pod.

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::pull_secrets::PullSecrets;
use crate::image::contents::Invocation;
use crate::image::{self, Evidence, Fingerprint, Reason};
use crate::pod::{Container, Pod};
use crate::registry::{Images, Known, Platform};

/// How images are looked into while pods are reviewed.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What is known of images, and who finds out more.
    pub images: Images,
    /// Who reads the Secrets that pods pull with, where that is allowed.
    pub pull_secrets: Option<PullSecrets>,
    /// The architectures (`amd64`) of the cluster's nodes, for pods that do not say on which they run.
    pub architectures: Vec<String>,
    /// How long a review waits for what is not known yet.
    pub budget: Duration,
}

/// What is known of a pod's images: for each container, on each architecture that the pod may run on.
#[derive(Debug, Default)]
pub struct Answers {
    architectures: Vec<String>,
    /// Container by container.
    known: Vec<Option<Known>>,
}

/// What a container uses on one architecture.
struct OnPlatform<'p> {
    arch: &'p str,
    fingerprint: Fingerprint,
}

// === impl Inspection ===

impl Inspection {
    /// Asks for the images of a pod in this namespace.
    pub async fn ask(&self, pod: &Pod<'_>, namespace: &str, deadline: Instant) -> Answers {
        let platforms = self.platforms(pod);
        let keyring = self.pull_secrets.as_ref().and_then(|secrets| secrets.of(namespace, pod.pull_secrets()));
        let deadline = deadline.min(Instant::now() + self.budget);
        let known = self.images.known(&wanted(pod, &platforms), keyring.as_ref(), deadline).await;
        Answers::new(platforms, known)
    }

    /// What is known of the images of a pod. Nothing is read for it: those who look at many pods would keep reviews waiting.
    pub fn recall(&self, pod: &Pod<'_>) -> Answers {
        let platforms = self.platforms(pod);
        let known = self.images.recalled(&wanted(pod, &platforms));
        Answers::new(platforms, known)
    }

    /// Where the pod may run.
    fn platforms(&self, pod: &Pod<'_>) -> Vec<Platform> {
        let cluster: Vec<&str> = self.architectures.iter().map(String::as_str).collect();
        pod.architectures(&cluster).into_iter().map(Platform::linux).collect()
    }
}

/// The images of a pod, on each platform.
fn wanted<'p>(pod: &'p Pod<'_>, platforms: &'p [Platform]) -> Vec<(&'p str, &'p Platform)> {
    let on_each = |image: &'p str| platforms.iter().map(move |platform| (image, platform));
    pod.containers().flat_map(|container| on_each(container.image())).collect()
}

impl Inspection {
    /// What each container of a pod in this namespace uses, in their order, as far as it is known by the deadline.
    pub async fn fingerprints(&self, pod: &Pod<'_>, namespace: &str, deadline: Instant) -> Vec<Fingerprint> {
        self.ask(pod, namespace, deadline).await.fingerprints(pod).0
    }
}

// === impl Answers ===

impl Answers {
    fn new(platforms: Vec<Platform>, known: Vec<Option<Known>>) -> Self {
        Self { architectures: platforms.into_iter().map(|platform| platform.arch).collect(), known }
    }

    /// What each container of the pod uses, in their order, and what its author should be told about that. Where nothing is known
    /// the reference alone tells.
    pub fn fingerprints(&self, pod: &Pod<'_>) -> (Vec<Fingerprint>, Vec<String>) {
        let Self { architectures, known } = self;
        let mut notes = Vec::new();
        let of_containers = known.chunks(architectures.len().max(1)).chain(std::iter::repeat(&[][..]));
        let fingerprints = pod
            .containers()
            .zip(of_containers)
            .map(|(container, known)| match told(container, architectures, known) {
                Some(told) => settle(container, &told, &mut notes),
                None => image::assume(container.image()),
            })
            .collect();
        (fingerprints, notes)
    }
}

/// What a container uses on each platform that there is an image for; `None` unless all of them tell.
fn told<'p>(
    container: &Container<'_>,
    architectures: &'p [String],
    known: &[Option<Known>],
) -> Option<Vec<OnPlatform<'p>>> {
    // The API server takes lists of strings only.
    let words = |list: Option<&RawValue>| list.and_then(|list| serde_json::from_str::<Vec<String>>(list.get()).ok());
    let (command, args) = (words(container.command), words(container.args));
    let mut told = Vec::with_capacity(known.len());
    for (arch, known) in architectures.iter().zip(known) {
        let fingerprint = match known.as_ref()? {
            Known::NoPlatform => continue,
            Known::Declared(resolver, digest) => {
                let because = format!("it was declared so for {digest}");
                Fingerprint::declared(*resolver, Reason::Text(because.into()))
            }
            Known::Image(image) => {
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
        told.push(OnPlatform { arch, fingerprint });
    }
    (!told.is_empty()).then_some(told)
}

/// One answer for a container that may run on several platforms. Where they differ, it is that of the platform that needs the
/// most care, musl before others, and no more certain than a guess.
fn settle(container: &Container<'_>, told: &[OnPlatform<'_>], notes: &mut Vec<String>) -> Fingerprint {
    let is_musl = |told: &&OnPlatform<'_>| told.fingerprint.resolver.family == crate::resolver::Family::Musl;
    let Some(chosen) = told.iter().find(is_musl).or(told.first()) else { return image::assume(container.image()) };
    if told.iter().all(|other| other.fingerprint.resolver == chosen.fingerprint.resolver) {
        return chosen.fingerprint.clone();
    }
    let each: Vec<String> =
        told.iter().map(|OnPlatform { arch, fingerprint }| format!("{} on {arch}", fingerprint.resolver)).collect();
    let differ = format!("platforms differ: {}", each.join(", "));
    notes.push(format!("muslin: {}: the image's {differ}", container.name.as_deref().unwrap_or_default()));
    Fingerprint::assumed(chosen.fingerprint.resolver, Reason::Text(format!("its {differ}").into()))
}
