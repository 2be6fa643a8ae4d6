//! The custom resources of muslin's API, as administrators and `kubectl` see them. Must not know how muslin uses them.

mod dns_observation;
mod image_fingerprint;
mod ndots_evidence;
mod observed_watch;
mod profile_condition;
mod profile_conversion;
mod profile_settings;
mod resolver_profile;
mod rollout;
mod schemas;

pub use dns_observation::{DNSObservation, DNSObservationSpec, ObservedDomain};
pub use image_fingerprint::{ImageFingerprint, ImageFingerprintSpec, ImageFingerprintStatus, Seen};
pub use ndots_evidence::{NDOTS_EVIDENCE_ANNOTATION, NdotsEvidence};
pub use observed_watch::{ObservedOrigin, ObservedRollout, ObservedWatch, StandingVerdict, WatchedNameserver};
pub use profile_conversion::ProfileProblem;
pub use resolver_profile::{ResolverProfile, ResolverProfileSpec, ResolverProfileStatus};
pub use rollout::{Rollout, RolloutPhase, RolloutStatus};

pub(super) use profile_condition::risk_sentence;
pub(super) use resolver_profile::Condition;
