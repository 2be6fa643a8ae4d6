//! The rollout of one profile: which settings new pods get, by the resource alone, and the next status by what was seen. Every replica
//! reads the same resource, so all agree. Must not know who watches or writes the resource.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::decision::{Decision, Evidence, RolloutLimits, decide};
use crate::cluster::resources::{ResolverProfile, ResolverProfileSpec, Rollout, RolloutPhase, RolloutStatus};
use crate::text::Line;

/// The longest message of a status, as in its schema.
const MESSAGE_MAX: usize = 1024;

/// The reason of a rollout of settings that all new pods have already.
pub(super) const NOTHING_TO_ROLL_OUT: &str = "NothingToRollOut";

/// The new pods that get the settings of the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    /// A share, in percent.
    Share(u8),
    /// None: they were rolled back.
    Nobody,
}

/// A rollout as the resource shows it.
#[derive(Clone, Debug)]
pub(super) struct RolloutState {
    pub(super) reach: Reach,
    pub(super) revision: String,
    /// The settings of the other new pods.
    pub(super) stable: ResolverProfileSpec,
}

/// One look at the rollout of these settings: the evidence, or the reason why there is none.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) uid: Option<String>,
    pub(super) revision: String,
    pub(super) at: Timestamp,
    pub(super) seen: Result<Evidence, String>,
}

// === impl RolloutState ===

impl RolloutState {
    /// Reads the state of a profile whose spec is accepted.
    pub(super) fn of(object: &ResolverProfile) -> Self {
        let ResolverProfile { spec, status, .. } = object;
        let revision = spec.revision();
        let recorded = object.stable_settings();
        let stable = recorded.clone().unwrap_or_else(|| spec.without_resource(&object.name_any()));
        let Some(Rollout { percent, .. }) = &spec.rollout else {
            return Self { reach: Reach::All, revision, stable };
        };
        let is_new = status.as_ref().is_none_or(|status| status.observed_generation == 0);
        let generation = object.metadata.generation.unwrap_or_default();
        let is_rolled_back = status.as_ref().and_then(|status| status.rollout.as_ref()).is_some_and(|rollout| {
            rollout.phase() == Some(RolloutPhase::RolledBack)
                && (&rollout.revision, rollout.generation) == (&revision, generation)
        });
        let reach = match recorded {
            Some(recorded) if recorded.has_settings_of(spec) => Reach::All,
            Some(_) if is_rolled_back => Reach::Nobody,
            Some(_) => Reach::Share(*percent),
            None if is_new => Reach::Share(*percent),
            // An earlier release gave the settings to all pods, and recorded none.
            None => Reach::All,
        };
        Self { reach, revision, stable }
    }

    /// Returns what the status shall say of the rollout, and whether the settings of the spec are promoted now.
    pub(super) fn next(
        &self,
        spec: &ResolverProfileSpec,
        generation: i64,
        before: Option<&RolloutStatus>,
        look: Option<&Look>,
        now: Timestamp,
    ) -> (Option<RolloutStatus>, bool) {
        let Some(rollout) = &spec.rollout else { return (None, true) };
        let before = before.filter(|before| before.revision == self.revision);
        match self.reach {
            Reach::All => {
                let promoted = before.filter(|before| before.phase() == Some(RolloutPhase::Promoted)).cloned();
                let message = "the settings are the last promoted ones, so there is nothing to roll out";
                let promoted = promoted.unwrap_or_else(|| RolloutStatus {
                    phase: RolloutPhase::Promoted.name().to_owned(),
                    ..self.begun(generation, now).because(NOTHING_TO_ROLL_OUT, message)
                });
                (Some(RolloutStatus { generation, ..promoted }), true)
            }
            Reach::Nobody => (before.cloned(), false),
            Reach::Share(_) => self.progress(rollout, generation, before, look, now),
        }
    }

    fn progress(
        &self,
        rollout: &Rollout,
        generation: i64,
        before: Option<&RolloutStatus>,
        look: Option<&Look>,
        now: Timestamp,
    ) -> (Option<RolloutStatus>, bool) {
        let going = before.filter(|before| before.phase() == Some(RolloutPhase::Progressing));
        let mut status = going.cloned().unwrap_or_else(|| self.begun(generation, now));
        status.generation = generation;
        // A spec whose soak time cannot be read is not accepted.
        let Ok(soak) = rollout.soak() else { return (Some(status), false) };
        let limits = RolloutLimits { percent: rollout.percent, soak, max_findings: u64::from(rollout.max_findings) };
        let look = look.filter(|look| look.revision == self.revision && look.at >= status.started_at.0);
        let decision = match look {
            None if status.reason.is_empty() => decide(&limits, None, &Evidence::default(), now),
            None => return (Some(status), false),
            Some(Look { seen: Err(problem), .. }) => {
                Decision::Continue("NoEvidence", format!("muslin cannot look at the rollout: {problem}"))
            }
            Some(Look { seen: Ok(evidence), at, .. }) => {
                status.note(evidence);
                decide(&limits, status.soaking_since.as_ref().map(|since| since.0), evidence, *at)
            }
        };
        let (phase, reason, message) = match decision {
            Decision::Continue(reason, message) => (RolloutPhase::Progressing, reason, message),
            Decision::Promote(reason, message) => (RolloutPhase::Promoted, reason, message),
            Decision::RollBack(reason, message) => (RolloutPhase::RolledBack, reason, message),
        };
        status.phase = phase.name().to_owned();
        (Some(status.because(reason, &message)), phase == RolloutPhase::Promoted)
    }

    fn begun(&self, generation: i64, now: Timestamp) -> RolloutStatus {
        RolloutStatus {
            phase: RolloutPhase::Progressing.name().to_owned(),
            revision: self.revision.clone(),
            generation,
            // The resource keeps whole seconds.
            started_at: Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
            soaking_since: None,
            canary_pods: 0,
            stable_pods: 0,
            worse_pods: 0,
            reason: String::new(),
            message: String::new(),
        }
    }
}

// === impl RolloutStatus ===

impl RolloutStatus {
    fn because(self, reason: &str, message: &str) -> Self {
        Self { reason: reason.to_owned(), message: Line::cut(message.to_owned(), MESSAGE_MAX).into_string(), ..self }
    }

    /// Takes over what a round saw. The first pod with the new settings counts for the soak time even when it is gone.
    fn note(&mut self, evidence: &Evidence) {
        let Evidence { canary, stable, first_canary, worse, .. } = evidence;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        (self.canary_pods, self.stable_pods) = (number(canary.total), number(stable.total));
        self.worse_pods = number(*worse);
        let first = first_canary.map(|first| first.max(self.started_at.0));
        let known = self.soaking_since.as_ref().map(|since| since.0);
        self.soaking_since = known.into_iter().chain(first).min().map(Time);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;
    use crate::verdicts::statistics::Rate;

    const OLD: &str = "attempts:3";
    const NEW: &str = "attempts:4";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn settings(option: &str) -> Value {
        json!({ "options": { "mixed": [option] } })
    }

    /// A profile of a generation, whose pods had `OLD` before if there is a status.
    fn object(option: &str, rollout: Value, generation: i64, status: Value) -> ResolverProfile {
        let mut spec = settings(option);
        spec["rollout"] = rollout;
        let object = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile",
            "metadata": { "name": "web", "generation": generation }, "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn ten() -> Value {
        json!({ "percent": 10, "soak": "60s" })
    }

    fn stable(status: Value) -> Value {
        let mut all = json!({ "observedGeneration": 1, "stable": settings(OLD) });
        all["rollout"] = status;
        all
    }

    fn look(object: &ResolverProfile, second: i64, evidence: Evidence) -> Look {
        Look { uid: None, revision: object.spec.revision(), at: at(second), seen: Ok(evidence) }
    }

    fn next(object: &ResolverProfile, look: Option<&Look>, second: i64) -> (Option<RolloutStatus>, bool) {
        let before = object.status.as_ref().and_then(|status| status.rollout.as_ref());
        let generation = object.metadata.generation.unwrap();
        RolloutState::of(object).next(&object.spec, generation, before, look, at(second))
    }

    fn value(status: Option<RolloutStatus>) -> Value {
        serde_json::to_value(status).unwrap()
    }

    #[test]
    fn the_resource_alone_says_who_gets_the_new_settings() {
        let rolled_back = |revision: &str, generation: i64| {
            stable(json!({
                "phase": "RolledBack", "revision": revision, "generation": generation, "startedAt": "2026-01-01T00:00:00Z"
            }))
        };
        let revision = object(NEW, ten(), 2, Value::Null).spec.revision();
        for (case, option, rollout, generation, status, expected) in [
            ("no rollout", NEW, Value::Null, 2, stable(Value::Null), Reach::All),
            ("new settings", NEW, ten(), 2, stable(Value::Null), Reach::Share(10)),
            ("the last promoted settings", OLD, ten(), 2, stable(Value::Null), Reach::All),
            ("a new resource", NEW, ten(), 1, Value::Null, Reach::Share(10)),
            ("an earlier release", NEW, ten(), 2, json!({ "observedGeneration": 1 }), Reach::All),
            (
                "a stable of another release",
                NEW,
                ten(),
                2,
                json!({ "observedGeneration": 1, "stable": { "options": 7 } }),
                Reach::All,
            ),
            ("rolled back", NEW, ten(), 2, rolled_back(&revision, 2), Reach::Nobody),
            ("rolled back, and tried again", NEW, ten(), 3, rolled_back(&revision, 2), Reach::Share(10)),
            ("rolled back, and others now", NEW, ten(), 2, rolled_back("00000000", 2), Reach::Share(10)),
            ("rolled back, and the rollout removed", NEW, Value::Null, 3, rolled_back(&revision, 2), Reach::All),
        ] {
            assert_eq!(RolloutState::of(&object(option, rollout, generation, status)).reach, expected, "{case}");
        }
    }

    #[test]
    fn a_first_rollout_leaves_the_other_pods_as_without_the_resource() {
        let state = RolloutState::of(&object(NEW, ten(), 1, Value::Null));
        assert!(state.stable.has_settings_of(&ResolverProfileSpec::default()));
        let mut fast = object(NEW, ten(), 1, Value::Null);
        fast.metadata.name = Some("fast".to_owned());
        let stable = RolloutState::of(&fast).stable;
        assert_eq!(stable.options.others, ["timeout:3", "attempts:6"]);
    }

    #[test]
    fn a_rollout_begins_soaks_and_is_promoted() {
        let begun = object(NEW, ten(), 2, stable(Value::Null));
        let (status, is_promoted) = next(&begun, None, 1000);
        assert_eq!(
            status.as_ref().map(|status| (&*status.phase, &*status.reason)),
            Some(("Progressing", "WaitingForPods"))
        );
        assert!(!is_promoted);

        let soaking = object(NEW, ten(), 2, stable(value(status)));
        // Pods of before the rollout began do not shorten the soak time.
        let evidence =
            Evidence { canary: Rate { hits: 0, total: 3 }, first_canary: Some(at(990)), ..Evidence::default() };
        let (status, _) = next(&soaking, Some(&look(&soaking, 1030, evidence.clone())), 1031);
        let status = status.unwrap();
        assert_eq!((&*status.reason, status.canary_pods), ("Soaking", 3));
        assert_eq!(status.soaking_since.clone().unwrap().0, at(1000));

        let soaked = object(NEW, ten(), 2, stable(value(Some(status))));
        // The time alone is not enough: a look after its end decides.
        let late = next(&soaked, Some(&look(&soaked, 1059, evidence.clone())), 2000).0.unwrap();
        assert_eq!(late.phase, "Progressing");
        // The first pod is gone.
        let evidence = Evidence { first_canary: Some(at(1050)), ..evidence };
        let (status, is_promoted) = next(&soaked, Some(&look(&soaked, 1060, evidence)), 1061);
        assert_eq!(status.as_ref().map(|status| (&*status.phase, &*status.reason)), Some(("Promoted", "Soaked")));
        assert!(is_promoted);

        let mut promoted = stable(value(status.clone()));
        promoted["stable"] = settings(NEW);
        let promoted = object(NEW, ten(), 2, promoted);
        assert_eq!(RolloutState::of(&promoted).reach, Reach::All);
        assert_eq!(next(&promoted, None, 5000), (status, true));
    }

    #[test]
    fn an_edit_of_the_share_goes_on_and_one_of_the_settings_begins_anew() {
        let (status, _) = next(&object(NEW, ten(), 2, stable(Value::Null)), None, 1000);
        let wider = object(NEW, json!({ "percent": 50, "soak": "30s" }), 3, stable(value(status.clone())));
        let (status, _) = next(&wider, Some(&look(&wider, 1100, Evidence::default())), 1100);
        let status = status.unwrap();
        assert_eq!((status.started_at.0, status.generation), (at(1000), 3));
        assert!(status.message.starts_with("50 % of new pods"), "{}", status.message);
        let other = object("attempts:5", ten(), 4, stable(value(Some(status))));
        // Evidence about the earlier settings does not count.
        let (status, _) = next(&other, Some(&look(&wider, 1200, Evidence { worse: 5, ..Evidence::default() })), 1200);
        assert_eq!(
            status.map(|status| (status.started_at.0, status.phase)),
            Some((at(1200), "Progressing".to_owned()))
        );
    }

    #[test]
    fn a_roll_back_stays_until_the_spec_changes() {
        let (status, _) = next(&object(NEW, ten(), 2, stable(Value::Null)), None, 1000);
        let going = object(NEW, ten(), 2, stable(value(status)));
        let worse = look(&going, 1010, Evidence { worse: 1, ..Evidence::default() });
        let (status, is_promoted) = next(&going, Some(&worse), 1010);
        assert_eq!((status.as_ref().map(|status| &*status.phase), is_promoted), (Some("RolledBack"), false));
        let ended = object(NEW, ten(), 2, stable(value(status.clone())));
        let healthy = look(&ended, 9000, Evidence::default());
        assert_eq!(next(&ended, Some(&healthy), 9000), (status.clone(), false));
        let back = object(OLD, ten(), 3, stable(value(status.clone())));
        let (reverted, is_promoted) = next(&back, None, 9000);
        assert_eq!(
            reverted.map(|status| (status.phase, status.reason)),
            Some(("Promoted".to_owned(), "NothingToRollOut".to_owned()))
        );
        assert!(is_promoted);
        assert_eq!(next(&object(NEW, Value::Null, 3, stable(value(status))), None, 9000), (None, true));
    }

    #[test]
    fn a_look_from_before_the_rollout_does_not_count_and_none_is_no_evidence() {
        let (status, _) = next(&object(NEW, ten(), 2, stable(Value::Null)), None, 1000);
        let going = object(NEW, ten(), 2, stable(value(status.clone())));
        let early = look(&going, 999, Evidence { worse: 1, ..Evidence::default() });
        assert_eq!(next(&going, Some(&early), 1001).0, status);
        let blind = Look { seen: Err("forbidden".to_owned()), ..early };
        let blind = Look { at: at(1000) + SignedDuration::from_hours(1), ..blind };
        let (status, is_promoted) = next(&going, Some(&blind), 5000);
        assert_eq!(status.map(|status| status.reason), Some("NoEvidence".to_owned()));
        assert!(!is_promoted);
    }
}
