//! Asks `plan` what muslin does with a pod in a situation. Must not know policies.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::images::Kind;
use super::vocabulary::Situation;
use crate::plan::{Context, Planned, findings_as_is, plan};
use crate::pod::{INJECTED_ANNOTATION, LIBC_LABEL, Pod, RESOLVERS_ANNOTATION, WARNINGS_ANNOTATION};
use crate::policy::{Level, Mode, Profile};
use crate::rules::{Finding, RULES};

const SHORT_NAMESPACE: &str = "n";

/// The longest name of a namespace, in bytes (RFC 1123).
const NAMESPACE_MAX: usize = 63;

/// The engine, with the settings that hold for all pods.
pub(super) struct Engine<'p> {
    pub(super) profile: &'p Profile,
    pub(super) cluster_domain: &'p str,
    pub(super) cluster_nameservers: usize,
}

/// A question: a pod with a container of each of some kinds, in a situation.
pub(super) struct Question<'q> {
    /// `warn` or `inject`.
    pub(super) mode: Mode,
    /// The options that the profile has for the pod.
    pub(super) row: &'q [String],
    pub(super) situation: &'q Situation,
    pub(super) kinds: &'q [&'q Kind],
}

/// The engine's answer for the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The options that are added, in order.
    pub(super) added: Vec<String>,
    /// The options with another number than the author's.
    pub(super) replaced: Vec<String>,
    /// The annotations.
    pub(super) injected: Option<String>,
    pub(super) warnings: Option<String>,
    pub(super) resolvers: String,
    /// The label.
    pub(super) libc: String,
    /// The findings of level `warn` and above, in order.
    pub(super) findings: Vec<Found>,
    pub(super) notes: Vec<String>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) slug: &'static str,
    /// The index of the container; `None` for a finding about the pod.
    pub(super) container: Option<usize>,
    pub(super) message: String,
    pub(super) change: String,
    pub(super) help: String,
    pub(super) is_fixed: bool,
}

/// The place of a finding among others: findings of several containers with the same place belong together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    level: Reverse<Level>,
    /// The index of the rule.
    rule: usize,
    /// The option that is the cause, or the path of the cause without that of the container.
    path: String,
}

// === impl Engine ===

impl Engine<'_> {
    /// Returns the answer; `None` if policies cannot say it, or if it depends on what they do not know: the namespace's name and the
    /// order of the options.
    pub(super) fn ask(&self, question: &Question<'_>) -> Option<Answer> {
        let answer = self.answer(question, SHORT_NAMESPACE, false)?;
        let other = self.answer(question, &"n".repeat(NAMESPACE_MAX), true)?;
        (answer == other).then_some(answer)
    }

    /// Returns the answer for one namespace, with the options in order.
    pub(super) fn ask_once(&self, question: &Question<'_>) -> Option<Answer> {
        self.answer(question, SHORT_NAMESPACE, false)
    }

    /// Returns the answer for one namespace, with the options in order or in reverse.
    fn answer(&self, question: &Question<'_>, namespace: &str, is_reversed: bool) -> Option<Answer> {
        let Question { mode, row, situation: _, kinds } = question;
        let profile = with_row(self.profile, row);
        let text = pod_of(question, is_reversed).to_string();
        let pod: Pod<'_> = serde_json::from_str(&text).ok()?;
        let context = Context { mode: *mode, ..self.context(&profile, namespace) };
        let plan = plan(&pod, kinds.iter().map(|kind| kind.fingerprint.clone()).collect(), &context).ok()?;
        let options = options_of(question, is_reversed);
        let findings = plan.at_least(Level::Warn);
        let mut answer = Answer {
            added: Vec::new(),
            replaced: Vec::new(),
            injected: None,
            warnings: None,
            resolvers: String::new(),
            libc: plan.libc.name().to_owned(),
            findings: findings.map(|Planned { finding, fixed }| found(finding, *fixed, &options)).collect(),
            notes: plan.all_notes().cloned().collect(),
        };
        let patch = serde_json::to_value(&plan.patch).ok()?;
        for operation in patch.as_array()? {
            answer.read(operation, &options)?;
        }
        Some(answer)
    }

    /// Returns the findings of level `deny` on a pod that nothing changes.
    pub(super) fn denials(&self, situation: &Situation, kind: &Kind) -> Vec<Found> {
        let question = Question { mode: Mode::Enforce, row: &[], situation, kinds: &[kind] };
        let text = pod_of(&question, false).to_string();
        let Ok(pod) = serde_json::from_str::<Pod<'_>>(&text) else { return Vec::new() };
        let context = Context { mode: Mode::Enforce, ..self.context(self.profile, SHORT_NAMESPACE) };
        let found = findings_as_is(&pod, vec![kind.fingerprint.clone()], &context).unwrap_or_default();
        let denials = found.iter().filter(|finding| finding.level >= Level::Deny);
        denials.map(|finding| self::found(finding, false, &situation.options)).collect()
    }

    fn context<'c>(&'c self, profile: &'c Profile, namespace: &'c str) -> Context<'c> {
        let Self { profile: _, cluster_domain, cluster_nameservers } = self;
        let usual = Context::usual(profile);
        Context { namespace, cluster_domain, cluster_nameservers: *cluster_nameservers, ..usual }
    }
}

/// Returns the profile with one row for every pod.
fn with_row(profile: &Profile, row: &[String]) -> Profile {
    let row = row.to_vec();
    Profile {
        musl: row.clone(),
        musl_releases: Vec::new(),
        mixed: row.clone(),
        glibc: None,
        go: None,
        others: row,
        ..profile.clone()
    }
}

fn options_of(question: &Question<'_>, is_reversed: bool) -> Vec<String> {
    let mut options = question.situation.options.clone();
    if is_reversed {
        options.reverse();
    }
    options
}

/// Returns the pod, whose containers have the names `c0`, `c1` and so on.
fn pod_of(question: &Question<'_>, is_reversed: bool) -> Value {
    let Question { situation: Situation { policy, .. }, kinds, .. } = question;
    let containers: Vec<Value> =
        kinds.iter().enumerate().map(|(index, kind)| json!({ "name": name(index), "image": kind.image })).collect();
    let options: Vec<Value> = options_of(question, is_reversed).iter().map(|text| option(text)).collect();
    json!({
        "metadata": { "labels": {}, "annotations": {} },
        "spec": {
            "containers": containers,
            "dnsPolicy": policy.name,
            "hostNetwork": policy.has_host_network,
            "dnsConfig": { "options": options },
        },
    })
}

/// Returns the name of a container of the question.
pub(super) fn name(index: usize) -> String {
    format!("c{index}")
}

fn option(text: &str) -> Value {
    match text.split_once(':') {
        Some((name, value)) => json!({ "name": name, "value": value }),
        None => json!({ "name": text }),
    }
}

fn found(finding: &Finding, is_fixed: bool, options: &[String]) -> Found {
    let Finding { rule, level, container, message, change, help, path } = finding;
    let container = container.as_deref().and_then(|name| name.strip_prefix('c')?.parse().ok());
    let own = container.map(|index: usize| format!("/spec/containers/{index}/")).unwrap_or_default();
    let option =
        path.strip_prefix("/spec/dnsConfig/options/").and_then(|index| options.get(index.parse::<usize>().ok()?));
    let path = option.map_or_else(|| path.strip_prefix(&own).unwrap_or(path).to_owned(), Clone::clone);
    let rule_index = RULES.iter().position(|other| other == rule).unwrap_or(RULES.len());
    Found {
        place: Place { level: Reverse(*level), rule: rule_index, path },
        slug: rule.slug,
        container,
        message: message.to_string(),
        change: change.to_string(),
        help: help.to_string(),
        is_fixed,
    }
}

// === impl Answer ===

impl Answer {
    /// Reads one operation of a patch; `None` for a change that policies do not make.
    fn read(&mut self, operation: &Value, options: &[String]) -> Option<()> {
        let (path, value) = (operation["path"].as_str()?, &operation["value"]);
        if operation["op"] != "add" {
            return None;
        }
        if let Some(key) = path.strip_prefix("/metadata/annotations/") {
            let text = value.as_str()?.to_owned();
            match key.replace("~1", "/").as_str() {
                INJECTED_ANNOTATION => self.injected = Some(text),
                WARNINGS_ANNOTATION => self.warnings = Some(text),
                RESOLVERS_ANNOTATION => self.resolvers = text,
                _ => return None,
            }
            return Some(());
        }
        if path.strip_prefix("/metadata/labels/").is_some_and(|key| key.replace("~1", "/") == LIBC_LABEL) {
            return Some(());
        }
        match path.strip_prefix("/spec/dnsConfig/options/")?.split_once('/') {
            None => {
                let name = value["name"].as_str()?;
                let number = value["value"].as_str().map(|number| format!(":{number}")).unwrap_or_default();
                self.added.push(format!("{name}{number}"));
            }
            Some((index, "value")) => {
                let option = options.get(index.parse::<usize>().ok()?)?;
                self.replaced.push(format!("{}:{}", option.split(':').next()?, value.as_str()?));
            }
            Some(_) => return None,
        }
        self.replaced.sort_unstable();
        Some(())
    }
}
