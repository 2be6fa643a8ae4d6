//! The rollouts of profiles, collected at scrape time. The profiles are an admin's, and few.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::cluster::{Profiles, RolloutPhase};

/// The phases of all rollouts.
pub(super) struct Rollouts(pub(super) Profiles);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabels {
    profile: String,
    phase: &'static str,
}

// === impl Rollouts ===

impl fmt::Debug for Rollouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rollouts")
    }
}

impl Collector for Rollouts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 for the phase of a profile's rollout, 0 for the others";
        let phases = Family::<PhaseLabels, Gauge>::default();
        for (profile, phase) in self.0.rollouts() {
            for known in RolloutPhase::ALL {
                let labels = PhaseLabels { profile: profile.clone(), phase: known.name() };
                phases.get_or_create(&labels).set(i64::from(known == phase));
            }
        }
        phases.encode(encoder.encode_descriptor("profile_rollout", help, None, phases.metric_type())?)
    }
}
