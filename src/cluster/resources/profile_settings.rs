//! The settings of a `ResolverProfile` apart from how they roll out: compared, named, and kept in the status. Must not know who decides
//! about a rollout, or by what.

use jiff::SignedDuration;
use serde_json::Value;

use super::profile_conversion::ProfileProblem;
use super::resolver_profile::{ResolverProfile, ResolverProfileSpec};
use super::rollout::Rollout;
use crate::cluster::events::stable_hash;
use crate::policy::Profile;

/// The bounds of a soak time. A shorter one shows nothing; a longer one is forgotten.
const SOAK_MIN: SignedDuration = SignedDuration::from_secs(1);
const SOAK_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The most bytes of settings that the status keeps. etcd stores at most 1.5 MiB of an object (`--max-request-bytes`), which then holds the
/// settings twice.
const SETTINGS_MAX: usize = 512 * 1024;

// === impl Rollout ===

impl Rollout {
    /// Returns the soak time.
    ///
    /// # Errors
    /// The text is no time, or out of bounds. The API server accepts no such text.
    pub(in crate::cluster) fn soak(&self) -> Result<SignedDuration, ProfileProblem> {
        let soak: Option<SignedDuration> = self.soak.parse().ok();
        soak.filter(|soak| (SOAK_MIN..=SOAK_MAX).contains(soak)).ok_or_else(|| {
            let message = format!("`{}` is no time between 1s and 336h, such as 1h or 30m", self.soak);
            ProfileProblem::new("rollout.soak", message)
        })
    }

    /// Returns what is wrong with the rollout of these settings.
    pub(in crate::cluster) fn problem(&self, spec: &ResolverProfileSpec) -> Option<ProfileProblem> {
        let problem = |message: String| Some(ProfileProblem::new("rollout", message));
        if !(1..=100).contains(&self.percent) {
            return problem(format!("percent is {}, and not between 1 and 100", self.percent));
        }
        if let Err(problem) = self.soak() {
            return Some(problem);
        }
        if spec.settings_to_store().is_none() {
            return problem(format!(
                "the profile is too large for a rollout: write less than {} KiB",
                SETTINGS_MAX / 1024
            ));
        }
        None
    }
}

// === impl ResolverProfileSpec ===

impl ResolverProfileSpec {
    /// Returns whether both give pods the same settings: they differ at most in the summary and in how they roll out.
    pub(in crate::cluster) fn has_settings_of(&self, other: &Self) -> bool {
        self.settings() == other.settings()
    }

    /// Returns the name of the settings in pods, equal for equal settings in every process.
    pub(in crate::cluster) fn revision(&self) -> String {
        let text = serde_json::to_string(&self.settings()).unwrap_or_default();
        let hash = stable_hash(&[&text]);
        format!("{:08x}", (hash >> 32) ^ (hash & u64::from(u32::MAX)))
    }

    fn settings(&self) -> Self {
        Self { summary: String::new(), rollout: None, ..self.clone() }
    }

    /// Returns the settings for the status; `None` if they are too large.
    pub(in crate::cluster) fn settings_to_store(&self) -> Option<Value> {
        let settings = serde_json::to_value(Self { rollout: None, ..self.clone() }).ok()?;
        (settings.to_string().len() <= SETTINGS_MAX).then_some(settings)
    }

    /// Returns the settings that pods have without the resource: those of the built-in profile of its name, or none.
    pub(in crate::cluster) fn without_resource(&self, name: &str) -> Self {
        match Profile::builtin(name) {
            Ok(profile) => Self::from_profile(&profile),
            // Pods that the selector leaves out have another profile, with and without the resource.
            Err(_) => Self { pod_selector: self.pod_selector.clone(), ..Self::default() },
        }
    }
}

// === impl ResolverProfile ===

impl ResolverProfile {
    /// Returns the settings that the status keeps as those of all pods outside of a rollout; `None` without any, or if this release cannot
    /// read them.
    pub(in crate::cluster) fn stable_settings(&self) -> Option<ResolverProfileSpec> {
        let stable = self.status.as_ref()?.stable.clone()?;
        serde_json::from_value(stable).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(yaml: &str) -> ResolverProfileSpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn a_soak_time_is_read_as_the_api_server_reads_it_and_has_bounds() {
        let soak = |text: &str| Rollout { percent: 10, soak: text.to_owned(), max_findings: 0 }.soak().ok();
        assert_eq!(soak("1h"), Some(SignedDuration::from_hours(1)));
        assert_eq!(soak("1h30m"), Some(SignedDuration::from_mins(90)));
        assert_eq!(soak("90m"), Some(SignedDuration::from_mins(90)));
        assert_eq!(soak("336h"), Some(SOAK_MAX));
        for text in ["", "0s", "337h", "-1h", "soon", "10", "99999999999999999999h"] {
            assert_eq!(soak(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_changes_a_pod_makes_other_settings() {
        let one = spec("{options: {musl: ['attempts:3']}}");
        let same = spec("{summary: x, options: {musl: ['attempts:3']}, rollout: {percent: 10}}");
        assert!(one.has_settings_of(&same) && one.revision() == same.revision());
        assert_eq!(one.revision().len(), 8);
        let other = spec("{options: {musl: ['attempts:4']}}");
        assert!(!one.has_settings_of(&other) && one.revision() != other.revision());
    }

    #[test]
    fn settings_survive_the_way_into_the_status() {
        let one = spec(
            "{options: {musl: ['attempts:3'], glibc: []}, podSelector: {matchLabels: {a: b}}, rollout: {percent: 1}}",
        );
        let stored: ResolverProfileSpec = serde_json::from_value(one.settings_to_store().unwrap()).unwrap();
        assert!(stored.has_settings_of(&one) && stored.rollout.is_none());
    }

    #[test]
    fn a_profile_that_etcd_could_not_hold_twice_does_not_roll_out() {
        let mut large = spec("{rollout: {percent: 10}}");
        let rollout = large.rollout.clone().unwrap();
        assert_eq!(rollout.problem(&large), None);
        large.exempt.images = vec!["a".repeat(SETTINGS_MAX)];
        assert!(rollout.problem(&large).unwrap().to_string().contains("too large"));
    }
}
