//! The memory of `muslin serve`: everything that clients, tenants and images can make it hold, added up. The sum is less than half of the
//! limit in `manifests/base/deployment.yaml`; the other half is for what no program sees of itself: the kernel's buffers for the
//! connections, which count as the pod's, and the allocator's gaps. `tests/attacks` measures both within that limit.

use super::large_reviews::AT_ONCE;
use super::serving::{BODY_BYTES_MAX, BUFFER_MAX, CONNECTIONS_MAX, PROBE_CONNECTIONS_MAX};
use super::state::{ORDINARY_STEPS, ROOM_STEPS};
use crate::registry::{Images, InspectionLimits};

/// The memory limit in the manifests.
const LIMIT: usize = 512 * MIB;

/// The threads that serve reviews. A review takes some 50 µs, so that four can do more than an API server asks; each may hold a review
/// of its own, and an allocator's arena.
pub(crate) const THREADS: usize = 4;

/// The memory of one review that is worked on (`tests/bounds.rs`).
pub(super) const REVIEW_MAX: usize = 4 * MIB;

/// The program itself, with the namespaces of a large cluster: 5,000 take 2 MB.
const PROGRAM: usize = 24 * MIB;

/// The bytes of a connection: its buffer, TLS, and the tasks of hyper and tokio.
const CONNECTION: usize = BUFFER_MAX + 40 * 1024;

/// The bytes that a review holds for each step of its work (`tests/bounds.rs`).
const STEP: usize = 64;

/// The memory limit in the manifests with the component `policies`.
const LIMIT_WITH_POLICIES: usize = 640 * MIB;

/// The admission policies, with `--policies`: what is known of 5,000 images, the answers for four profiles and their objects. `muslin compile
/// default` takes 50 MiB in all for one profile with 428 images.
const POLICIES: usize = 40 * MIB;

const MIB: usize = 1024 * 1024;

/// The most that each part holds, in bytes: the program, what is known of images and is being read of them, connections, the bodies of
/// requests, reviews that wait for a policy or for images, and reviews that are worked on.
const PARTS: [usize; 6] = [
    PROGRAM,
    Images::memory_max_bytes(InspectionLimits::AT_ONCE) as usize,
    (CONNECTIONS_MAX + PROBE_CONNECTIONS_MAX) * CONNECTION,
    BODY_BYTES_MAX,
    (ROOM_STEPS as usize + CONNECTIONS_MAX * ORDINARY_STEPS as usize) * STEP,
    (THREADS + AT_ONCE) * REVIEW_MAX,
];

const _: () = {
    let (mut sum, mut part) = (0, 0);
    while part < PARTS.len() {
        sum += PARTS[part];
        part += 1;
    }
    assert!(2 * sum < LIMIT, "muslin may hold more than half of its memory limit");
    assert!(
        2 * (sum + POLICIES) < LIMIT_WITH_POLICIES,
        "muslin with policies may hold more than half of its memory limit"
    );
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_manifest_s() {
        const MANIFEST: &str = include_str!("../../manifests/base/deployment.yaml");
        const POLICIES: &str = include_str!("../../manifests/components/policies/deployment.yaml");
        let limits = MANIFEST.split("limits:").nth(1).unwrap();
        assert!(limits.contains(&format!("memory: {}Mi\n", LIMIT / MIB)), "{limits}");
        assert!(POLICIES.contains(&format!("memory: {}Mi\n", LIMIT_WITH_POLICIES / MIB)), "{POLICIES}");
    }
}
