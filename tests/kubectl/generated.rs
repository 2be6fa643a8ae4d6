//! Generated manifests: one value in thousands of layouts. Each is edited in place, and kubectl reads what it read before, with the
//! changes.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::Kubectl;
use crate::edits::fault;

/// Number of generated inputs: as many as take seconds.
const CASES: u32 = 3000;

/// A value to be written in any style.
#[derive(Clone, Debug)]
enum Yaml {
    /// A scalar, as it stands in block style and in flow style.
    Scalar(&'static str),
    /// A text of several lines.
    Text(&'static str),
    List(Vec<Yaml>),
    Map(Vec<(&'static str, Yaml)>),
}

/// The author's choices of style, in order.
struct Choices {
    bytes: Vec<u8>,
    next: usize,
    anchors: usize,
}

// === impl Choices ===

impl Choices {
    fn below(&mut self, bound: u8) -> u8 {
        self.next += 1;
        self.bytes[self.next % self.bytes.len()].wrapping_add((self.next / self.bytes.len()) as u8) % bound
    }

    fn rarely(&mut self) -> bool {
        self.below(8) == 0
    }

    /// Returns what may stand behind a value on its line.
    fn line_end(&mut self) -> &'static str {
        ["", "", "", "", " ", " # c", "   # dnsConfig: x", "\t# tab"][usize::from(self.below(8))]
    }

    /// Returns lines that mean nothing.
    fn nothing(&mut self, indent: usize) -> String {
        match self.below(10) {
            0 => "\n".to_owned(),
            1 => format!("{:indent$}# a comment\n", ""),
            2 => "# a comment in the first column\n".to_owned(),
            3 => format!("{:indent$}# deeper\n\n", "", indent = indent + 3),
            _ => String::new(),
        }
    }

    fn key(&mut self, key: &str) -> String {
        match self.below(12) {
            0 => format!("\"{key}\""),
            1 => format!("'{key}'"),
            _ => key.to_owned(),
        }
    }

    fn anchor(&mut self) -> String {
        if self.below(12) > 0 {
            return String::new();
        }
        self.anchors += 1;
        format!("&a{} ", self.anchors)
    }

    fn flow(&mut self, value: &Yaml, lines: bool) -> String {
        let gap = |choices: &mut Self| {
            if !lines {
                return String::new();
            }
            ["", " ", "\n          ", " # c\n           ", "\n\n\t          "][usize::from(choices.below(5))].to_owned()
        };
        match value {
            Yaml::Scalar(text) => (*text).to_owned(),
            Yaml::Text(text) => format!("{text:?}"),
            Yaml::List(items) => {
                let items: Vec<String> =
                    items.iter().map(|item| format!("{}{}{}", gap(self), self.flow(item, lines), gap(self))).collect();
                let comma = if self.rarely() && !items.is_empty() { ", " } else { "" };
                format!("[{}{comma}]", items.join(","))
            }
            Yaml::Map(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(key, value)| {
                        format!("{}{}: {}{}", gap(self), self.key(key), self.flow(value, lines), gap(self))
                    })
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    /// Returns what stands behind a colon or a dash whose line is indented so far.
    fn behind(&mut self, value: &Yaml, indent: usize, is_item: bool) -> String {
        let is_flow = self.below(6) == 0;
        let anchor = self.anchor();
        match value {
            Yaml::Text(text) if self.below(3) > 0 => {
                let header = ["|", "|-", "|+", ">", ">-"][usize::from(self.below(5))];
                let lines: String = text.lines().map(|line| format!("{:i$}{line}\n", "", i = indent + 2)).collect();
                format!(" {anchor}{header}{}\n{lines}", if self.rarely() { " # c" } else { "" })
            }
            Yaml::List(items) if !is_flow && !items.is_empty() => {
                let indent = indent + if is_item { 2 } else { 2 * usize::from(self.below(2)) };
                let gap = " ".repeat(if self.rarely() { 3 } else { 1 });
                let mut text = format!(" {anchor}{}\n", self.line_end().trim_start_matches('\t'));
                for item in items {
                    text += &self.nothing(indent);
                    let behind = self.behind(item, indent, true);
                    // A map may begin on the line of its dash.
                    let first = behind.trim_start_matches([' ', '\n']);
                    let is_compact =
                        matches!(item, Yaml::Map(_)) && behind.starts_with(" \n") && !first.starts_with('#');
                    if is_compact && gap.len() == 1 && !self.rarely() {
                        text += &format!("{:indent$}- {first}", "");
                    } else {
                        text += &format!("{:indent$}-{behind}", "");
                    }
                }
                text
            }
            Yaml::Map(members) if !is_flow && !members.is_empty() => {
                let indent = indent + if is_item { 2 } else { 1 + usize::from(self.below(4)) };
                let mut text = format!(" {anchor}{}\n", if is_item { "" } else { self.line_end() });
                for (key, value) in members {
                    if !is_item {
                        text += &self.nothing(indent);
                    }
                    let key = self.key(key);
                    text += &format!("{:indent$}{key}:{}", "", self.behind(value, indent, false));
                }
                text
            }
            Yaml::List(_) | Yaml::Map(_) => {
                let lines = self.rarely();
                format!(" {anchor}{}{}\n", self.flow(value, lines), self.line_end())
            }
            Yaml::Scalar("") => format!("{}\n", self.line_end()),
            other => format!(" {anchor}{}{}\n", self.flow(other, false), self.line_end()),
        }
    }

    fn document(&mut self, value: &Yaml) -> String {
        let Yaml::Map(members) = value else { return String::new() };
        if self.rarely() {
            return self.flow(value, true) + "\n";
        }
        let mut text = String::new();
        for (key, value) in members {
            text += &self.nothing(0);
            text += &format!("{}:{}", self.key(key), self.behind(value, 0, false));
        }
        text
    }
}

fn scalar() -> impl Strategy<Value = Yaml> {
    prop::sample::select(vec![
        "x",
        "0400",
        "0_7",
        "0x_1F",
        "1_000.5",
        "1e400",
        "tRue",
        "yes",
        "~",
        "'it''s'",
        "\"\\tx\"",
        "'\tx'",
        "\"a: b # c\"",
        "!!str 5",
        "!x y",
        "http://x:80/y",
        "2001-01-01",
        "-1",
        "\"\"",
        "é",
        "a b",
        "\"0\"",
    ])
    .prop_map(Yaml::Scalar)
}

fn text() -> impl Strategy<Value = Yaml> {
    prop::sample::select(vec!["one\n", "one\ntwo\n", "a: b\n# not a comment\n  deeper\n", "one\n\ntwo\n"])
        .prop_map(Yaml::Text)
}

fn options() -> impl Strategy<Value = Yaml> {
    let name = prop::sample::select(vec!["ndots", "old", "attempts", "use-vc"]);
    let value = prop::sample::select(vec!["\"0\"", "'2'", "\"5\""]);
    let option = (name, prop::option::of(value)).prop_map(|(name, value)| {
        let mut members = vec![("name", Yaml::Scalar(name))];
        members.extend(value.map(|value| ("value", Yaml::Scalar(value))));
        Yaml::Map(members)
    });
    prop_oneof![prop::collection::vec(option, 0..4).prop_map(Yaml::List), Just(Yaml::Scalar(""))]
}

fn pod() -> impl Strategy<Value = Vec<(&'static str, Yaml)>> {
    let labels = prop::collection::vec(scalar(), 0..3)
        .prop_map(|values| Yaml::Map(["app", "a/b", "c.d/e-f"].into_iter().zip(values).collect()));
    let annotations = prop_oneof![text(), scalar()].prop_map(|value| Yaml::Map(vec![("note", value)]));
    let metadata = (prop::option::of(labels), prop::option::of(annotations)).prop_map(|(labels, annotations)| {
        let mut members = vec![("name", Yaml::Scalar("a"))];
        members.extend(labels.map(|labels| ("labels", labels)));
        members.extend(annotations.map(|annotations| ("annotations", annotations)));
        Yaml::Map(members)
    });
    let container = (scalar(), text(), scalar()).prop_map(|(value, script, other)| {
        let env = Yaml::List(vec![Yaml::Map(vec![("name", Yaml::Scalar("A")), ("value", value)])]);
        let args = Yaml::List(vec![Yaml::Scalar("sh"), script]);
        Yaml::Map(vec![("name", Yaml::Scalar("c")), ("args", args), ("env", env), ("other", other)])
    });
    let config = prop_oneof![
        options().prop_map(|options| Yaml::Map(vec![("options", options)])),
        options().prop_map(|options| {
            Yaml::Map(vec![("searches", Yaml::List(vec![Yaml::Scalar("b.c")])), ("options", options)])
        }),
        Just(Yaml::Scalar("")),
        Just(Yaml::Map(vec![])),
    ];
    let containers = prop::collection::vec(container, 0..3);
    (prop::option::of(metadata), containers, prop::option::of(config), scalar(), 0..4_u8).prop_map(
        |(metadata, containers, config, other, order)| {
            let mut spec = vec![("containers", Yaml::List(containers)), ("mode", other)];
            spec.extend(config.map(|config| ("dnsConfig", config)));
            let length = spec.len();
            spec.rotate_left(usize::from(order) % length);
            let mut pod: Vec<_> = metadata.into_iter().map(|metadata| ("metadata", metadata)).collect();
            pod.insert(usize::from(order) % (pod.len() + 1), ("spec", Yaml::Map(spec)));
            pod
        },
    )
}

/// A Pod, a Deployment, or a List.
fn object() -> impl Strategy<Value = Yaml> {
    let with = |api, kind, rest: Vec<(&'static str, Yaml)>| {
        let mut members = vec![("apiVersion", Yaml::Scalar(api)), ("kind", Yaml::Scalar(kind))];
        members.extend(rest);
        Yaml::Map(members)
    };
    let one = (pod(), 0..2_u8).prop_map(move |(pod, is_deployment)| match is_deployment {
        0 => with("v1", "Pod", pod),
        _ => {
            let spec = Yaml::Map(vec![("replicas", Yaml::Scalar("0_2")), ("template", Yaml::Map(pod))]);
            with("apps/v1", "Deployment", vec![("spec", spec)])
        }
    });
    let one = one.boxed();
    let list = prop::collection::vec(one.clone(), 1..3)
        .prop_map(move |items| with("v1", "List", vec![("items", Yaml::List(items))]));
    prop_oneof![3 => one, 1 => list]
}

#[test]
fn generated_manifests_are_edited_in_place() {
    let (kubectl, accepted) = (RefCell::new(Kubectl::start()), Cell::new(0));
    let inputs = (prop::collection::vec(object(), 1..3), prop::collection::vec(any::<u8>(), 7..60), 0..4_u8);
    let mut runner = TestRunner::new_with_rng(
        Config { cases: CASES, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(&inputs, |(objects, bytes, ends)| {
        let mut choices = Choices { bytes, next: 0, anchors: 0 };
        let documents: Vec<String> = objects.iter().map(|object| choices.document(object)).collect();
        let mut text = documents.join("---\n");
        if ends == 0 {
            text = text.replace('\n', "\r\n");
        } else if ends == 1 {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if kubectl.borrow_mut().accepts(&text).is_none() {
            return Ok(());
        }
        accepted.set(accepted.get() + 1);
        match fault(&mut kubectl.borrow_mut(), &text) {
            Some(fault) => Err(TestCaseError::fail(fault)),
            None => Ok(()),
        }
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(accepted.get() > CASES * 3 / 4, "kubectl accepts only {}", accepted.get());
}
