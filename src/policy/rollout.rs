//! The two settings of a profile while it rolls out, and which of them a pod gets. Must not know where the settings are kept, or who
//! decides about the rollout.
//!
//! A pod is drawn once, when it is created: by its name, or by the review if the API server is to generate a name. (It generates names after
//! the mutating webhooks, and each call of a webhook has a uid of its own: kubernetes
//! `staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/request/admissionreview.go`.) So the draw is recorded in the pod, and a
//! second pass reads the record.

use std::cell::RefCell;
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// The settings that a pod gets from a profile that rolls out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The last promoted settings.
    Stable,
    /// The new settings.
    Canary,
}

/// The draws of one pod, as in the annotation `muslin.dev/rollout`: `web@5f3c2a1b=canary`. Any user who may create a pod can write it, and
/// so chooses between two settings that the administrator wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutRecord(Vec<Draw>);

/// The stage of a pod in one rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Draw {
    profile: String,
    /// Names the new settings.
    revision: String,
    stage: Stage,
}

/// The stages of one pod, by the rules that hold for it.
#[derive(Debug)]
pub struct PodStages<'p> {
    /// The annotation of the pod.
    recorded: Option<&'p str>,
    /// The stage in the rollout of this profile, or of all, whatever the record says.
    forced: Option<(Option<&'p str>, Stage)>,
    /// The texts that tell the pod from others, if it is to be drawn.
    identity: Option<[&'p str; 2]>,
    decided: RefCell<RolloutRecord>,
}

// === impl Stage ===

impl Stage {
    /// Returns the word of the label and of the annotation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        }
    }

    /// Draws the stage of something: the new settings for `percent` of all. A larger share contains a smaller one.
    fn draw(percent: u8, texts: [&str; 4]) -> Self {
        let mut hash = Context::new(&SHA256);
        for text in texts {
            // The length keeps different lists from reading alike.
            hash.update(&(text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        let number = hash.finish().as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        if number % 100 < u64::from(percent) { Self::Canary } else { Self::Stable }
    }
}

// === impl RolloutRecord ===

impl RolloutRecord {
    /// The most draws that are written or read: a pod is in the rollout of its namespace's profile, and of those that add an `ndots`.
    const DRAWS_MAX: usize = 16;

    /// Reads the annotation; malformed draws are skipped.
    pub fn parse(text: &str) -> Self {
        let draw = |word: &str| {
            let (profile, rest) = word.split_once('@')?;
            let (revision, stage) = rest.split_once('=')?;
            let stage = [Stage::Stable, Stage::Canary].into_iter().find(|known| known.name() == stage)?;
            Some(Draw { profile: profile.to_owned(), revision: revision.to_owned(), stage })
        };
        Self(text.split_ascii_whitespace().filter_map(draw).take(Self::DRAWS_MAX).collect())
    }

    /// Returns the stage in the rollout of these settings, if the pod was drawn for it.
    pub fn stage(&self, profile: &str, revision: &str) -> Option<Stage> {
        self.0.iter().find(|draw| draw.profile == profile && draw.revision == revision).map(|draw| draw.stage)
    }

    /// Returns whether the pod is part of no rollout.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of the pod's label: `canary` if one of its draws is that; `None` without a draw.
    pub fn label(&self) -> Option<Stage> {
        let has_canary = self.0.iter().any(|draw| draw.stage == Stage::Canary);
        (!self.is_empty()).then_some(if has_canary { Stage::Canary } else { Stage::Stable })
    }

    fn add(&mut self, profile: &str, revision: &str, stage: Stage) {
        if self.stage(profile, revision).is_none() && self.0.len() < Self::DRAWS_MAX {
            self.0.push(Draw { profile: profile.to_owned(), revision: revision.to_owned(), stage });
        }
    }
}

impl fmt::Display for RolloutRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Draw { profile, revision, stage }) in self.0.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(f, "{space}{profile}@{revision}={}", stage.name())?;
        }
        Ok(())
    }
}

// === impl PodStages ===

impl<'p> PodStages<'p> {
    /// The stages of a pod or a template that is not being created: those of its record, and otherwise the last promoted settings.
    pub fn recorded(annotation: Option<&'p str>) -> Self {
        Self { recorded: annotation, forced: None, identity: None, decided: RefCell::default() }
    }

    /// The stages of a new pod: those of its record, and otherwise drawn. `name` tells the pod from others of the namespace.
    pub fn drawn(annotation: Option<&'p str>, namespace: &'p str, name: &'p str) -> Self {
        Self { identity: Some([namespace, name]), ..Self::recorded(annotation) }
    }

    /// One stage in the rollout of this profile, or of all without a name.
    #[must_use]
    pub fn with(self, profile: Option<&'p str>, stage: Stage) -> Self {
        Self { forced: Some((profile, stage)), ..self }
    }

    /// Returns the pod's stage in the rollout of these settings, and records it.
    pub fn stage(&self, profile: &str, revision: &str, percent: u8) -> Stage {
        let Self { recorded, forced, identity, decided } = self;
        let forced = forced.filter(|(name, _)| name.is_none_or(|name| name == profile)).map(|(_, stage)| stage);
        let recorded = || RolloutRecord::parse((*recorded)?).stage(profile, revision);
        let drawn = || identity.map(|[namespace, name]| Stage::draw(percent, [profile, revision, namespace, name]));
        let stage = forced.or_else(recorded).or_else(drawn).unwrap_or(Stage::Stable);
        decided.borrow_mut().add(profile, revision, stage);
        stage
    }

    /// Returns the stages that were asked for, to record them in the pod.
    pub fn decided(self) -> RolloutRecord {
        self.decided.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(percent: u8, names: impl Iterator<Item = String>) -> usize {
        let stage = |name: String| PodStages::drawn(None, "shop", &name).stage("web", "5f3c2a1b", percent);
        names.map(stage).filter(|stage| *stage == Stage::Canary).count()
    }

    #[test]
    fn a_share_of_many_pods_has_the_new_settings_whatever_their_names() {
        // The deviation of 10,000 draws is at most 50; five of them are one error in a million.
        for percent in [1, 10, 25, 50, 90] {
            let expected = usize::from(percent) * 100;
            let ordinals = share(percent, (0..10_000).map(|number| format!("web-{number}")));
            let uids =
                share(percent, (0..10_000).map(|number| format!("0b4c-{:08x}-11ee", number * 2_654_435_761_u64)));
            assert!(ordinals.abs_diff(expected) < 250 && uids.abs_diff(expected) < 250, "{percent}: {ordinals} {uids}");
        }
        assert_eq!(share(100, (0..1000).map(|number| format!("web-{number}"))), 1000);
    }

    #[test]
    fn pods_of_each_replica_set_have_their_share_in_any_order_and_at_each_retry() {
        // Names as the API server generates them: five of these letters (k8s.io/apimachinery pkg/util/rand/rand.go).
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let suffix = |number: usize| -> String {
            let digit = |place: u32| char::from(LETTERS[(number * 7_919 / 27_usize.pow(place)) % 27]);
            (0..5).map(digit).collect()
        };
        let canary = |set: usize, number: usize| {
            let name = format!("web-{set:x}9f8c6b5-{}", suffix(number));
            PodStages::drawn(None, "shop", &name).stage("web", "5f3c2a1b", 10) == Stage::Canary
        };
        let mut outside = 0;
        for set in 0..1_000 {
            let one: Vec<bool> = (0..100).map(|number| canary(set, number)).collect();
            let mut other: Vec<bool> = (0..100).rev().map(|number| canary(set, number)).collect();
            other.reverse();
            assert_eq!(one, other);
            let share = one.iter().filter(|is_canary| **is_canary).count();
            outside += usize::from(!(2..=20).contains(&share));
        }
        // Of 1,000 sets of 100 pods, 1.1 have another share than 2 to 20 on average; more than 10 do in one of a million cases.
        assert!(outside <= 10, "{outside}");
    }

    #[test]
    fn a_larger_share_keeps_the_pods_of_a_smaller_one() {
        for name in (0..1000).map(|number| format!("web-{number}")) {
            let stage = |percent| PodStages::drawn(None, "shop", &name).stage("web", "5f3c2a1b", percent);
            assert!(stage(10) == Stage::Stable || stage(30) == Stage::Canary, "{name}");
        }
    }

    #[test]
    fn other_settings_and_other_namespaces_draw_anew() {
        let names: Vec<String> = (0..1000).map(|number| format!("web-{number}")).collect();
        let draws = |namespace: &str, revision: &str| -> Vec<Stage> {
            let stage = |name: &String| PodStages::drawn(None, namespace, name).stage("web", revision, 50);
            names.iter().map(stage).collect()
        };
        let same = |one: &[Stage], other: &[Stage]| one.iter().zip(other).filter(|(one, other)| one == other).count();
        let first = draws("shop", "5f3c2a1b");
        assert_eq!(first, draws("shop", "5f3c2a1b"));
        for other in [draws("shop", "00000001"), draws("blog", "5f3c2a1b")] {
            assert!((400..600).contains(&same(&first, &other)));
        }
    }

    #[test]
    fn a_second_pass_keeps_the_draw_of_the_first_though_its_review_has_another_uid() {
        for number in 0..100 {
            let (first, second) = (format!("uid-{number}"), format!("uid-{}", number + 1000));
            let stages = PodStages::drawn(None, "shop", &first);
            let stage = stages.stage("web", "5f3c2a1b", 50);
            let record = stages.decided().to_string();
            let again = PodStages::drawn(Some(&record), "shop", &second);
            assert_eq!(again.stage("web", "5f3c2a1b", 50), stage);
            assert_eq!(again.decided().to_string(), record);
        }
    }

    #[test]
    fn a_record_of_other_settings_does_not_count() {
        let record = "web@00000001=canary blog@5f3c2a1b=canary";
        assert_eq!(PodStages::recorded(Some(record)).stage("web", "5f3c2a1b", 100), Stage::Stable);
        assert_eq!(PodStages::recorded(Some(record)).stage("blog", "5f3c2a1b", 1), Stage::Canary);
        assert_eq!(PodStages::recorded(None).stage("web", "5f3c2a1b", 100), Stage::Stable);
    }

    #[test]
    fn a_stage_can_be_forced_in_one_rollout_alone() {
        let record = Some("web@1=canary ndots@2=canary");
        let stages = PodStages::recorded(record).with(Some("web"), Stage::Stable);
        assert_eq!((stages.stage("web", "1", 50), stages.stage("ndots", "2", 50)), (Stage::Stable, Stage::Canary));
        let stages = PodStages::recorded(record).with(None, Stage::Stable);
        assert_eq!((stages.stage("web", "1", 50), stages.stage("ndots", "2", 50)), (Stage::Stable, Stage::Stable));
    }

    #[test]
    fn whatever_is_written_into_the_annotation_is_bounded() {
        for text in ["", "web", "web@1", "web@1=", "web@1=maybe", "@=canary=", "=@canary", "web@1=Canary"] {
            assert_eq!(RolloutRecord::parse(text).stage("web", "1"), None, "{text}");
        }
        let many: String = (0..1000).map(|number| format!("web-{number}@1=canary ")).collect();
        assert_eq!(RolloutRecord::parse(&many).to_string().split(' ').count(), RolloutRecord::DRAWS_MAX);
        let record = RolloutRecord::parse("web@1=stable\n ndots@2=canary");
        assert_eq!(record.to_string(), "web@1=stable ndots@2=canary");
        assert_eq!((record.label(), RolloutRecord::default().label()), (Some(Stage::Canary), None));
    }
}
