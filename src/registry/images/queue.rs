//! The inspections that wait and run: fair to namespaces, which take turns, and to registries, of which none gets all places. Must not
//! know how an image is inspected, nor for what.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::cache::Key;
use super::lookup::{CredentialSource, InspectionLimits, Requester};

/// The inspections that have not ended.
#[derive(Debug, Default)]
pub(super) struct Queue {
    jobs: HashMap<Key, Job>,
    /// The keys that each namespace waits for, the oldest first. Several namespaces may wait for one key.
    waiting: HashMap<Arc<str>, VecDeque<Key>>,
    /// The namespaces that wait, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    running: Vec<Place>,
}

/// One inspection that waits or runs.
#[derive(Debug)]
struct Job {
    registry: Arc<str>,
    credentials: Option<Arc<dyn CredentialSource>>,
    /// The namespace of the first pod that really uses the image.
    user: Option<Arc<str>>,
    is_running: bool,
    /// The number of namespaces that wait for the inspection.
    places: usize,
    done: watch::Sender<()>,
}

/// For whom a running inspection counts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    key: Key,
    namespace: Arc<str>,
    registry: Arc<str>,
}

/// An inspection to run.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) key: Key,
    pub(super) credentials: Option<Arc<dyn CredentialSource>>,
}

// === impl Queue ===

impl Queue {
    /// Adds an inspection for a namespace, unless it waits there already or runs. Returns a receiver that closes when the inspection ends
    /// or is dropped, and the number of inspections that were dropped for want of room.
    pub(super) fn add(
        &mut self,
        key: &Key,
        registry: &str,
        requester: &Requester<'_>,
        limits: &InspectionLimits,
    ) -> (watch::Receiver<()>, usize) {
        let Requester { namespace, credentials, is_dry_run } = requester;
        let namespace: Arc<str> = (*namespace).into();
        let job = self.jobs.entry(key.clone()).or_insert_with(|| Job {
            registry: registry.into(),
            credentials: credentials.cloned(),
            user: None,
            is_running: false,
            places: 0,
            done: watch::channel(()).0,
        });
        if !is_dry_run && job.user.is_none() {
            job.user = Some(Arc::clone(&namespace));
        }
        let receiver = job.done.subscribe();
        if job.is_running {
            return (receiver, 0);
        }
        let own = self.waiting.entry(Arc::clone(&namespace)).or_default();
        if own.contains(key) {
            return (receiver, 0);
        }
        if own.is_empty() {
            self.turns.push_back(Arc::clone(&namespace));
        }
        own.push_back(key.clone());
        job.places += 1;
        let excess = own.len().saturating_sub(limits.queue_per_namespace);
        let mut dropped: Vec<Key> = own.drain(..excess).collect();
        let all: usize = self.waiting.values().map(VecDeque::len).sum();
        for _ in limits.queue..all {
            // The namespace that waits for most gives way.
            let longest = self.waiting.values_mut().max_by_key(|waiting| waiting.len());
            dropped.extend(longest.and_then(VecDeque::pop_front));
        }
        let count = dropped.iter().filter(|key| self.leave(key)).count();
        (receiver, count)
    }

    /// Returns the next inspection to run, if there is a free place for one: namespaces take turns.
    pub(super) fn next(&mut self, limits: &InspectionLimits) -> Option<Started> {
        let Self { jobs, waiting, turns, running } = self;
        if running.len() >= limits.at_once {
            return None;
        }
        for _ in 0..turns.len() {
            let namespace = turns.pop_front()?;
            let Some(own) = waiting.get_mut(&namespace) else { continue };
            own.retain(|key| jobs.get(key).is_some_and(|job| !job.is_running));
            let count = |of: &dyn Fn(&Place) -> bool| running.iter().filter(|place| of(place)).count();
            let is_in_turn = count(&|place| place.namespace == namespace) < limits.per_namespace;
            let has_room = |key: &Key| {
                jobs.get(key).is_some_and(|job| count(&|place| place.registry == job.registry) < limits.per_registry)
            };
            let at = own.iter().position(has_room).filter(|_| is_in_turn);
            let key = at.and_then(|at| own.remove(at));
            if own.is_empty() {
                waiting.remove(&namespace);
            } else {
                turns.push_back(Arc::clone(&namespace));
            }
            if let Some(key) = key
                && let Some(job) = jobs.get_mut(&key)
            {
                job.is_running = true;
                running.push(Place { key: key.clone(), namespace, registry: Arc::clone(&job.registry) });
                return Some(Started { key, credentials: job.credentials.clone() });
            }
        }
        None
    }

    /// Ends an inspection for those who wait.
    pub(super) fn end(&mut self, key: &Key) {
        self.running.retain(|place| place.key != *key);
        self.jobs.remove(key);
    }

    /// Returns the namespace of a pod that uses the image; `None` if all requests were dry runs.
    pub(super) fn user(&self, key: &Key) -> Option<Arc<str>> {
        self.jobs.get(key)?.user.clone()
    }

    /// Returns the number of inspections that have not begun.
    pub(super) fn waiting(&self) -> usize {
        self.jobs.len().saturating_sub(self.running.len())
    }

    /// Takes one namespace off an inspection, and drops the inspection if no other waits. Returns whether it was dropped.
    fn leave(&mut self, key: &Key) -> bool {
        let Some(job) = self.jobs.get_mut(key).filter(|job| !job.is_running) else { return false };
        job.places = job.places.saturating_sub(1);
        let is_dropped = job.places == 0;
        if is_dropped {
            self.jobs.remove(key);
        }
        is_dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Platform;

    fn limits() -> InspectionLimits {
        InspectionLimits { at_once: 4, per_namespace: 2, per_registry: 3, ..InspectionLimits::default() }
    }

    fn add(queue: &mut Queue, namespace: &str, image: &str) -> (watch::Receiver<()>, usize) {
        let registry = image.split('/').next().unwrap_or_default();
        queue.add(&key(image), registry, &Requester::of(namespace), &limits())
    }

    fn key(image: &str) -> Key {
        Key { reference: image.into(), platform: Platform::linux("amd64"), reader: None }
    }

    fn next(queue: &mut Queue) -> Option<String> {
        queue.next(&limits()).map(|started| started.key.reference.to_string())
    }

    #[test]
    fn namespaces_take_turns() {
        let mut queue = Queue::default();
        for number in 0..30 {
            add(&mut queue, "many", &format!("r{number}/many"));
        }
        add(&mut queue, "one", "r/one");
        assert_eq!(next(&mut queue).as_deref(), Some("r0/many"));
        assert_eq!(next(&mut queue).as_deref(), Some("r/one"));
    }

    #[test]
    fn one_namespace_gets_half_of_the_places() {
        let mut queue = Queue::default();
        for number in 0..30 {
            add(&mut queue, "many", &format!("r{number}/many"));
        }
        assert_eq!([next(&mut queue), next(&mut queue)].iter().flatten().count(), 2);
        assert_eq!(next(&mut queue), None);
        add(&mut queue, "one", "r/one");
        assert_eq!(next(&mut queue).as_deref(), Some("r/one"));
        queue.end(&key("r0/many"));
        assert_eq!(next(&mut queue).as_deref(), Some("r2/many"));
    }

    #[test]
    fn one_registry_gets_all_places_but_one() {
        let mut queue = Queue::default();
        for number in 0..10 {
            add(&mut queue, &format!("n{number}"), &format!("slow/{number}"));
        }
        add(&mut queue, "other", "quick/image");
        let started: Vec<String> = std::iter::from_fn(|| next(&mut queue)).collect();
        assert_eq!(started, ["slow/0", "slow/1", "slow/2", "quick/image"]);
    }

    #[test]
    fn a_namespace_with_too_many_images_loses_its_own_oldest() {
        let mut queue = Queue::default();
        let (other, _) = add(&mut queue, "other", "r/other");
        let mut dropped = 0;
        for number in 0..100 {
            dropped += add(&mut queue, "many", &format!("r/{number}")).1;
        }
        assert_eq!(dropped, 100 - limits().queue_per_namespace);
        assert!(other.has_changed().is_ok(), "the other namespace still waits");
    }

    #[test]
    fn many_namespaces_share_a_bounded_queue() {
        let mut queue = Queue::default();
        for number in 0..4000 {
            add(&mut queue, &format!("n{}", number % 100), &format!("r/{number}"));
        }
        assert_eq!(queue.waiting(), limits().queue);
        assert!(queue.jobs.len() == limits().queue && queue.turns.len() <= 100);
    }

    #[test]
    fn an_image_that_two_namespaces_want_comes_with_the_first_turn() {
        let mut queue = Queue::default();
        for number in 0..5 {
            add(&mut queue, "many", &format!("r/{number}"));
        }
        add(&mut queue, "many", "r/common");
        let (common, _) = add(&mut queue, "one", "r/common");
        assert_eq!(next(&mut queue).as_deref(), Some("r/0"));
        assert_eq!(next(&mut queue).as_deref(), Some("r/common"));
        queue.end(&key("r/common"));
        assert!(common.has_changed().is_err(), "it ended for those who wait");
        assert_eq!(next(&mut queue).as_deref(), Some("r/1"));
    }

    #[test]
    fn only_real_pods_use_an_image() {
        let mut queue = Queue::default();
        let dry = Requester { is_dry_run: true, ..Requester::of("dry") };
        queue.add(&key("r/a"), "r", &dry, &limits());
        assert_eq!(queue.user(&key("r/a")), None);
        add(&mut queue, "real", "r/a");
        assert_eq!(queue.user(&key("r/a")).as_deref(), Some("real"));
    }
}
