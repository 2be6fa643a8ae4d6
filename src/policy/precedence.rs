//! Who decides how far muslin goes with a pod, where several speak: the table of `docs/policy.md`, walked from the top. Must not know
//! how it is found out what each of them says.

use std::fmt;

use super::Mode;

/// What speaks of how far muslin goes with a pod; the default is silent, and asks for the mode `inject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Says {
    /// The mode of namespaces that say none: `muslin serve --default-mode`.
    pub default: Mode,
    /// The label `muslin.dev/mode` of the pod's namespace.
    pub namespace: Label,
    /// What the pod is.
    pub pod: Nature,
    /// Whether the profile exempts the pod's service account, or the images of all its containers.
    pub is_exempt: bool,
    /// The pod's annotation `muslin.dev/inject`.
    pub inject: Wish,
}

/// A label that names a mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Label {
    /// It is not there.
    #[default]
    Absent,
    /// It names one.
    Names(Mode),
    /// It names none that there is.
    Unclear,
}

/// What a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nature {
    /// A pod as others are.
    #[default]
    Ordinary,
    /// The mirror of a static pod.
    Mirror,
    /// One that runs on Windows.
    Windows,
}

/// What a pod's author asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    #[default]
    None,
    /// To be looked at.
    In,
    /// To be left alone.
    Out,
    /// Something that is neither.
    Unclear,
}

/// How far muslin goes with a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The mode that counts.
    pub mode: Mode,
    /// Whether the pod's author asked for something that does not count.
    pub overrules: bool,
}

/// Why a pod is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The mode of its namespace is `off`.
    Off,
    /// It says `muslin.dev/inject: "false"`.
    OptedOut,
    /// It mirrors a static pod.
    Mirror,
    /// It runs on Windows.
    Windows,
    /// It has no container, so there is nothing to decide.
    Empty,
    /// Its service account, or the images of all its containers, are exempt.
    Exempt,
}

/// One line of the table.
struct Row {
    /// What is asked.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the documentation against it"))]
    when: &'static str,
    /// What follows.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the documentation against it"))]
    then: &'static str,
    /// The same in code: `None` where the next line decides.
    decide: fn(&Says, Mode) -> Option<Result<Decided, Skip>>,
}

/// The first line that fits decides.
const TABLE: [Row; 7] = [
    Row {
        when: "the namespace's label `muslin.dev/mode` is `off`; or it has none, and `--default-mode` is `off`",
        then: "the pod is left alone",
        decide: |_, mode| (mode == Mode::Off).then_some(Err(Skip::Off)),
    },
    Row {
        when: "the pod mirrors a static pod, or runs on Windows",
        then: "it is left alone",
        decide: |says, _| match says.pod {
            Nature::Ordinary => None,
            Nature::Mirror => Some(Err(Skip::Mirror)),
            Nature::Windows => Some(Err(Skip::Windows)),
        },
    },
    Row {
        when: "the profile exempts its service account, or the images of all its containers",
        then: "it is left alone, also where the namespace enforces",
        decide: |says, _| says.is_exempt.then_some(Err(Skip::Exempt)),
    },
    Row {
        when: "its annotation `muslin.dev/inject` is `\"false\"`, and the namespace enforces",
        then: "that does not count, which is said; mode `enforce`",
        decide: |says, mode| {
            (says.inject == Wish::Out && mode == Mode::Enforce).then_some(Ok(Decided { mode, overrules: true }))
        },
    },
    Row {
        when: "its annotation `muslin.dev/inject` is `\"false\"`",
        then: "it is left alone",
        decide: |says, _| (says.inject == Wish::Out).then_some(Err(Skip::OptedOut)),
    },
    Row {
        when: "its annotation `muslin.dev/inject` is neither `\"true\"` nor `\"false\"`",
        then: "that does not count, which is said; the mode of the namespace",
        decide: |says, mode| (says.inject == Wish::Unclear).then_some(Ok(Decided { mode, overrules: true })),
    },
    Row {
        when: "otherwise",
        then: "the mode of the namespace: its label's; `warn` where the label is no mode, which is said; without a label \
               `--default-mode`",
        decide: |_, mode| Some(Ok(Decided { mode, overrules: false })),
    },
];

/// How far muslin goes with a pod, by all that speaks of it.
///
/// # Errors
/// The pod is left alone, and why.
pub fn precedence(says: &Says) -> Result<Decided, Skip> {
    let mode = match says.namespace {
        Label::Absent => says.default,
        Label::Names(mode) => mode,
        // Nothing is changed for somebody who may have meant `off`, and everybody is told.
        Label::Unclear => Mode::Warn,
    };
    let decided = TABLE.iter().find_map(|Row { when: _, then: _, decide }| decide(says, mode));
    decided.unwrap_or(Ok(Decided { mode, overrules: false }))
}

// === impl Wish ===

impl Wish {
    /// Reads the words that Kubernetes itself reads as booleans in annotations (Go: `strconv.ParseBool`).
    pub fn read(annotation: Option<&str>) -> Self {
        match annotation {
            None => Self::None,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Self::In,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Self::Out,
            Some(_) => Self::Unclear,
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
            Self::Exempt => "the profile exempts it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTATION: &str = include_str!("../../docs/policy.md");

    /// Everything that can be said.
    fn all() -> impl Iterator<Item = Says> {
        let labels = [Label::Absent, Label::Unclear].into_iter().chain(Mode::ALL.map(Label::Names));
        let labels: Vec<Label> = labels.collect();
        Mode::ALL.into_iter().flat_map(move |default| {
            labels.clone().into_iter().flat_map(move |namespace| {
                [Nature::Ordinary, Nature::Mirror, Nature::Windows].into_iter().flat_map(move |pod| {
                    [false, true].into_iter().flat_map(move |is_exempt| {
                        [Wish::None, Wish::In, Wish::Out, Wish::Unclear].into_iter().map(move |inject| Says {
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

    /// Who has the last word, said the other way round: from what is decided to what must have been said.
    fn follows(says: &Says, decided: Result<Decided, Skip>) -> bool {
        let asked = match (says.namespace, says.default) {
            (Label::Names(mode), _) | (Label::Absent, mode) => mode,
            (Label::Unclear, _) => Mode::Warn,
        };
        let is_ordinary = says.pod == Nature::Ordinary;
        match decided {
            Err(Skip::Off) => asked == Mode::Off,
            Err(Skip::Mirror) => asked != Mode::Off && says.pod == Nature::Mirror,
            Err(Skip::Windows) => asked != Mode::Off && says.pod == Nature::Windows,
            Err(Skip::Exempt) => asked != Mode::Off && is_ordinary && says.is_exempt,
            Err(Skip::OptedOut) => {
                !matches!(asked, Mode::Off | Mode::Enforce)
                    && is_ordinary
                    && !says.is_exempt
                    && says.inject == Wish::Out
            }
            Err(Skip::Empty) => false,
            Ok(Decided { mode, overrules }) => {
                mode == asked
                    && mode != Mode::Off
                    && is_ordinary
                    && !says.is_exempt
                    && (says.inject != Wish::Out || mode == Mode::Enforce)
                    && overrules == matches!(says.inject, Wish::Out | Wish::Unclear)
            }
        }
    }

    #[test]
    fn everything_that_can_be_said_is_decided_as_the_table_has_it() {
        assert_eq!(all().count(), 5 * 7 * 3 * 2 * 4);
        for says in all() {
            let decided = precedence(&says);
            assert!(follows(&says, decided), "{says:?}: {decided:?}");
        }
    }

    #[test]
    fn every_line_of_the_table_decides_something() {
        for (index, row) in TABLE.iter().enumerate() {
            let decides = all().any(|says| {
                let mode = match says.namespace {
                    Label::Names(mode) => mode,
                    _ => says.default,
                };
                TABLE.iter().position(|row| (row.decide)(&says, mode).is_some()) == Some(index)
            });
            assert!(decides, "{}", row.when);
        }
    }

    #[test]
    fn what_was_decided_of_a_namespace_can_be_asked_about_its_pods_later() {
        for says in all() {
            let of_namespace =
                precedence(&Says { default: says.default, namespace: says.namespace, ..Says::default() });
            let default = of_namespace.map_or(Mode::Off, |decided| decided.mode);
            let later = precedence(&Says { default, namespace: Label::Absent, ..says });
            assert_eq!(later, precedence(&says), "{says:?}");
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let table: String =
            TABLE.iter().map(|Row { when, then, decide: _ }| format!("| {when} | {then} |\n")).collect();
        assert!(DOCUMENTATION.contains(&table), "{table}");
    }
}
