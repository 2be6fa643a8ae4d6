//! The mode that counts for a pod, from the settings that affect it: the table of `docs/policy.md`, tried from the top. Must not know
//! where the settings come from.

use std::fmt;

use super::mode::Mode;

/// The settings that decide the mode of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModeInputs {
    /// The default mode for namespaces without a label: `muslin serve --default-mode`.
    pub default: Mode,
    /// The label `muslin.dev/mode` of the pod's namespace.
    pub namespace: ModeLabel,
    /// The kind of pod.
    pub pod: PodKind,
    /// Is true if the profile exempts the pod's service account, or the images of all its containers.
    pub is_exempt: bool,
    /// The pod's annotation `muslin.dev/inject`.
    pub inject: InjectAnnotation,
}

/// The label `muslin.dev/mode` of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModeLabel {
    /// The namespace has no such label.
    #[default]
    Absent,
    /// The label names a mode.
    Mode(Mode),
    /// The label's value is not a valid mode.
    Invalid,
}

/// A kind of pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodKind {
    /// A pod like most.
    #[default]
    Ordinary,
    /// The mirror of a static pod.
    Mirror,
    /// A pod on Windows.
    Windows,
}

/// The annotation `muslin.dev/inject` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InjectAnnotation {
    /// The pod has no such annotation.
    #[default]
    Absent,
    /// The annotation is `"true"`.
    True,
    /// The annotation is `"false"`: the pod opts out.
    False,
    /// The annotation is neither.
    Invalid,
}

/// The mode that counts for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeDecision {
    /// The mode.
    pub mode: Mode,
    /// Is true if muslin ignores the pod's annotation `muslin.dev/inject`.
    pub ignored_opt_out: bool,
}

/// Why muslin skips a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The mode of its namespace is `off`.
    Off,
    /// The pod's annotation is `muslin.dev/inject: "false"`.
    OptedOut,
    /// The pod mirrors a static pod.
    Mirror,
    /// The pod runs on Windows.
    Windows,
    /// The pod has no container.
    Empty,
    /// The profile exempts the pod's service account, or the images of all its containers.
    Exempt,
}

/// One line of the table.
struct Row {
    /// The condition in words.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the documentation against it"))]
    when: &'static str,
    /// The decision in words.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the documentation against it"))]
    then: &'static str,
    /// The same in code: `None` if the condition does not hold. Gets the mode of the namespace.
    decide: fn(&ModeInputs, Mode) -> Option<Result<ModeDecision, Skip>>,
}

/// The first line whose condition holds decides.
const TABLE: [Row; 7] = [
    Row {
        when: "the namespace's label `muslin.dev/mode` is `off`; or the namespace has no such label, and `--default-mode` is `off`",
        then: "muslin skips the pod",
        decide: |_, mode| (mode == Mode::Off).then_some(Err(Skip::Off)),
    },
    Row {
        when: "the pod mirrors a static pod, or runs on Windows",
        then: "muslin skips the pod",
        decide: |inputs, _| match inputs.pod {
            PodKind::Ordinary => None,
            PodKind::Mirror => Some(Err(Skip::Mirror)),
            PodKind::Windows => Some(Err(Skip::Windows)),
        },
    },
    Row {
        when: "the profile exempts the pod's service account, or the images of all its containers",
        then: "muslin skips the pod, also in an enforcing namespace",
        decide: |inputs, _| inputs.is_exempt.then_some(Err(Skip::Exempt)),
    },
    Row {
        when: "the pod opts out (`muslin.dev/inject: \"false\"`) in an enforcing namespace",
        then: "muslin ignores the opt-out, with a warning; mode `enforce`",
        decide: |inputs, mode| {
            let is_ignored = inputs.inject == InjectAnnotation::False && mode == Mode::Enforce;
            is_ignored.then_some(Ok(ModeDecision { mode, ignored_opt_out: true }))
        },
    },
    Row {
        when: "the pod opts out (`muslin.dev/inject: \"false\"`)",
        then: "muslin skips the pod",
        decide: |inputs, _| (inputs.inject == InjectAnnotation::False).then_some(Err(Skip::OptedOut)),
    },
    Row {
        when: "the pod's annotation `muslin.dev/inject` is neither `\"true\"` nor `\"false\"`",
        then: "muslin ignores the annotation, with a warning; the mode of the namespace",
        decide: |inputs, mode| {
            let is_ignored = inputs.inject == InjectAnnotation::Invalid;
            is_ignored.then_some(Ok(ModeDecision { mode, ignored_opt_out: true }))
        },
    },
    Row {
        when: "otherwise",
        then: "the mode of the namespace: its label; `warn`, with a warning, if the label is not a valid mode; `--default-mode` \
               without a label",
        decide: |_, mode| Some(Ok(ModeDecision { mode, ignored_opt_out: false })),
    },
];

/// Returns the mode that counts for a pod.
///
/// # Errors
/// muslin skips the pod.
pub fn precedence(inputs: &ModeInputs) -> Result<ModeDecision, Skip> {
    let mode = match inputs.namespace {
        ModeLabel::Absent => inputs.default,
        ModeLabel::Mode(mode) => mode,
        // The author may have meant `off`, so nothing is changed; the warnings make the mistake visible.
        ModeLabel::Invalid => Mode::Warn,
    };
    let decision = TABLE.iter().find_map(|Row { when: _, then: _, decide }| decide(inputs, mode));
    decision.unwrap_or(Ok(ModeDecision { mode, ignored_opt_out: false }))
}

// === impl InjectAnnotation ===

impl InjectAnnotation {
    /// The words for true.
    pub(crate) const TRUE: [&str; 6] = ["1", "t", "T", "true", "TRUE", "True"];
    const FALSE: [&str; 6] = ["0", "f", "F", "false", "FALSE", "False"];

    /// Returns the meaning of the annotation's value, by the words that Kubernetes itself reads as booleans in annotations (Go:
    /// `strconv.ParseBool`).
    pub fn from_value(annotation: Option<&str>) -> Self {
        match annotation {
            None => Self::Absent,
            Some(word) if Self::TRUE.contains(&word) => Self::True,
            Some(word) if Self::FALSE.contains(&word) => Self::False,
            Some(_) => Self::Invalid,
        }
    }
}

// === impl Skip ===

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "the namespace's mode is off",
            Self::OptedOut => "the pod opted out",
            Self::Mirror => "the pod mirrors a static pod",
            Self::Windows => "the pod runs on Windows",
            Self::Empty => "the pod has no container",
            Self::Exempt => "the profile exempts the pod",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTATION: &str = include_str!("../../docs/policy.md");

    /// Returns every combination of settings.
    fn all() -> impl Iterator<Item = ModeInputs> {
        let labels = [ModeLabel::Absent, ModeLabel::Invalid].into_iter().chain(Mode::ALL.map(ModeLabel::Mode));
        let labels: Vec<ModeLabel> = labels.collect();
        Mode::ALL.into_iter().flat_map(move |default| {
            labels.clone().into_iter().flat_map(move |namespace| {
                [PodKind::Ordinary, PodKind::Mirror, PodKind::Windows].into_iter().flat_map(move |pod| {
                    [false, true].into_iter().flat_map(move |is_exempt| {
                        [
                            InjectAnnotation::Absent,
                            InjectAnnotation::True,
                            InjectAnnotation::False,
                            InjectAnnotation::Invalid,
                        ]
                        .into_iter()
                        .map(move |inject| ModeInputs {
                            default,
                            namespace,
                            pod,
                            is_exempt,
                            inject,
                        })
                    })
                })
            })
        })
    }

    /// Returns whether the settings allow the decision: the table the other way round.
    fn follows(inputs: &ModeInputs, decided: Result<ModeDecision, Skip>) -> bool {
        let asked = match (inputs.namespace, inputs.default) {
            (ModeLabel::Mode(mode), _) | (ModeLabel::Absent, mode) => mode,
            (ModeLabel::Invalid, _) => Mode::Warn,
        };
        let is_ordinary = inputs.pod == PodKind::Ordinary;
        match decided {
            Err(Skip::Off) => asked == Mode::Off,
            Err(Skip::Mirror) => asked != Mode::Off && inputs.pod == PodKind::Mirror,
            Err(Skip::Windows) => asked != Mode::Off && inputs.pod == PodKind::Windows,
            Err(Skip::Exempt) => asked != Mode::Off && is_ordinary && inputs.is_exempt,
            Err(Skip::OptedOut) => {
                !matches!(asked, Mode::Off | Mode::Enforce)
                    && is_ordinary
                    && !inputs.is_exempt
                    && inputs.inject == InjectAnnotation::False
            }
            Err(Skip::Empty) => false,
            Ok(ModeDecision { mode, ignored_opt_out }) => {
                mode == asked
                    && mode != Mode::Off
                    && is_ordinary
                    && !inputs.is_exempt
                    && (inputs.inject != InjectAnnotation::False || mode == Mode::Enforce)
                    && ignored_opt_out == matches!(inputs.inject, InjectAnnotation::False | InjectAnnotation::Invalid)
            }
        }
    }

    #[test]
    fn every_combination_is_decided_as_the_table_says() {
        assert_eq!(all().count(), 5 * 7 * 3 * 2 * 4);
        for inputs in all() {
            let decided = precedence(&inputs);
            assert!(follows(&inputs, decided), "{inputs:?}: {decided:?}");
        }
    }

    #[test]
    fn every_line_of_the_table_decides_some_combination() {
        for (index, row) in TABLE.iter().enumerate() {
            let decides = all().any(|inputs| {
                let mode = match inputs.namespace {
                    ModeLabel::Mode(mode) => mode,
                    _ => inputs.default,
                };
                TABLE.iter().position(|row| (row.decide)(&inputs, mode).is_some()) == Some(index)
            });
            assert!(decides, "{}", row.when);
        }
    }

    #[test]
    fn the_mode_of_a_namespace_can_be_the_default_for_its_pods_later() {
        for inputs in all() {
            let of_namespace = precedence(&ModeInputs {
                default: inputs.default,
                namespace: inputs.namespace,
                ..ModeInputs::default()
            });
            let default = of_namespace.map_or(Mode::Off, |decided| decided.mode);
            let later = precedence(&ModeInputs { default, namespace: ModeLabel::Absent, ..inputs });
            assert_eq!(later, precedence(&inputs), "{inputs:?}");
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let table: String =
            TABLE.iter().map(|Row { when, then, decide: _ }| format!("| {when} | {then} |\n")).collect();
        assert!(DOCUMENTATION.contains(&table), "{table}");
    }
}
