//! The values that the metrics show of the policies. Must not know how the policies are kept.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::wanted::Wanted;

/// The policies as the leader keeps them; all zeros on other replicas.
#[derive(Debug, Default)]
pub struct PolicyState {
    objects: AtomicUsize,
    images: AtomicUsize,
    left_out: AtomicUsize,
    profiles: AtomicUsize,
    other_profiles: AtomicUsize,
    is_separated: AtomicUsize,
    is_served: AtomicUsize,
    failures: AtomicU64,
    /// The pods that policies changed.
    pods: AtomicU64,
}

/// The values of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyCounts {
    /// The policies and bindings in the cluster.
    pub objects: usize,
    /// The images that the policies know.
    pub images: usize,
    /// The images that they do not know, for want of room or of an answer.
    pub left_out: usize,
    /// The profiles in use with policies.
    pub profiles: usize,
    /// The profiles in use without.
    pub other_profiles: usize,
    /// The webhook is not called for the pods that the policies change.
    pub is_separated: bool,
    /// The API server has MutatingAdmissionPolicy.
    pub is_served: bool,
    /// The problems in keeping the policies.
    pub failures: u64,
    /// The pods that policies changed while this replica was the leader.
    pub pods: u64,
}

// === impl PolicyState ===

impl PolicyState {
    pub(super) fn set(&self, Wanted { objects, images, left_out, .. }: &Wanted, is_separated: bool) {
        self.objects.store(objects.len(), Ordering::Relaxed);
        self.images.store(*images, Ordering::Relaxed);
        self.left_out.store(*left_out, Ordering::Relaxed);
        self.is_separated.store(usize::from(is_separated), Ordering::Relaxed);
    }

    pub(super) fn set_profiles(&self, covered: usize, others: usize) {
        self.profiles.store(covered, Ordering::Relaxed);
        self.other_profiles.store(others, Ordering::Relaxed);
    }

    pub(super) fn set_served(&self, is_served: bool) {
        self.is_served.store(usize::from(is_served), Ordering::Relaxed);
    }

    /// Forgets what only the leader knows.
    pub(super) fn clear(&self) {
        self.set(&Wanted::default(), false);
        self.set_profiles(0, 0);
        self.set_served(false);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a pod with the policies' mark.
    pub(in crate::cluster) fn count_pod(&self) {
        self.pods.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the values.
    pub fn counts(&self) -> PolicyCounts {
        PolicyCounts {
            objects: self.objects.load(Ordering::Relaxed),
            images: self.images.load(Ordering::Relaxed),
            left_out: self.left_out.load(Ordering::Relaxed),
            profiles: self.profiles.load(Ordering::Relaxed),
            other_profiles: self.other_profiles.load(Ordering::Relaxed),
            is_separated: self.is_separated.load(Ordering::Relaxed) > 0,
            is_served: self.is_served.load(Ordering::Relaxed) > 0,
            failures: self.failures.load(Ordering::Relaxed),
            pods: self.pods.load(Ordering::Relaxed),
        }
    }
}
