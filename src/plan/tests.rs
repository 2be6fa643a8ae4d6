//! Tests of plans: the changed pod, and the texts for its author.

use std::net::IpAddr;

use json_patch::patch as apply;
use serde_json::{Value, json};

use super::*;
use crate::image::{self, Evidence};
use crate::pod::Pod;
use crate::policy::{BrokenDomain, CacheFault, Level, Mode, Profile, RolloutRecord};
use crate::resolver::{Family, Version};
use crate::text::Line;

mod annotations;
mod any_pod;
mod options;
mod policy;
mod rollout;
mod search;
mod warnings;

/// A profile with a row for each mix of resolvers: that of 0.1.0, which shows every part of a change.
pub(super) fn quick() -> Profile {
    let row = |options: &[&str]| options.iter().map(|option| (*option).to_owned()).collect();
    Profile {
        name: "quick".to_owned(),
        musl: row(&["timeout:5", "attempts:10"]),
        mixed: row(&["single-request-reopen", "timeout:5", "attempts:5"]),
        ..Profile::nothing()
    }
}

/// A pod as JSON, and the settings for its plan.
struct Case {
    pod: Value,
    mode: Mode,
    profile: Profile,
    cache_fault: Option<CacheFault>,
    cluster_addresses: Vec<IpAddr>,
    broken_domains: Vec<BrokenDomain>,
    cluster_nameservers: usize,
    inspected: bool,
    holder_ignores: Option<&'static str>,
    rollout: Option<RolloutRecord>,
}

/// The planned pod and its plan.
struct Outcome {
    pod: Value,
    plan: Plan,
}

impl Case {
    fn pod(image: &str) -> Self {
        Self::json(json!({
            "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "containers": [{ "name": "app", "image": image }] }
        }))
    }

    fn json(pod: Value) -> Self {
        Self {
            pod,
            mode: Mode::Inject,
            profile: quick(),
            cache_fault: None,
            cluster_addresses: Vec::new(),
            broken_domains: Vec::new(),
            cluster_nameservers: 1,
            inspected: false,
            holder_ignores: None,
            rollout: None,
        }
    }

    fn and(mut self, image: &str) -> Self {
        let containers = self.pod["spec"]["containers"].as_array_mut().unwrap();
        containers.push(json!({ "name": format!("c{}", containers.len()), "image": image }));
        self
    }

    fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    fn profile(mut self, name: &str) -> Self {
        self.profile = Profile::builtin(name).unwrap();
        self
    }

    /// Makes every fingerprint one of an inspected image.
    fn inspected(mut self) -> Self {
        self.inspected = true;
        self
    }

    fn options(self, options: &[(&str, Option<&str>)]) -> Self {
        let options = options.iter().map(|(name, value)| match value {
            Some(value) => json!({ "name": name, "value": value }),
            None => json!({ "name": name }),
        });
        let options: Value = options.collect();
        self.set("/spec/dnsConfig", json!({ "options": options }))
    }

    fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        self.pod.pointer_mut(parent).unwrap()[key] = value;
        self
    }

    fn annotation(mut self, key: &str, value: &str) -> Self {
        self.pod["metadata"]["annotations"][key] = json!(value);
        self
    }

    fn plan(&self, pod: &Value) -> Result<Plan, Skip> {
        let json = pod.to_string();
        let pod: Pod<'_> = serde_json::from_str(&json).unwrap();
        let fingerprints = pod
            .containers()
            .map(|container| {
                let mut fingerprint = image::assume_started(container.image(), container.started().as_deref());
                if self.inspected {
                    fingerprint.evidence = Evidence::Inspected;
                }
                fingerprint
            })
            .collect();
        let context = Context {
            namespace: "shop",
            cluster_domain: "cluster.local",
            cluster_nameservers: self.cluster_nameservers,
            mode: self.mode,
            profile: &self.profile,
            rollout: self.rollout.as_ref(),
            cache_fault: self.cache_fault,
            cluster_addresses: &self.cluster_addresses,
            broken_domains: &self.broken_domains,
            holder_ignores: self.holder_ignores,
            holder_unread: &[],
            trusts_annotation: false,
            texts_from: Level::Info,
        };
        plan(&pod, fingerprints, &context)
    }

    /// Plans the pod, applies the patch, and checks that a second pass changes nothing and has the same warnings.
    fn run(self) -> Outcome {
        let plan = self.plan(&self.pod).unwrap();
        let mut pod = self.pod.clone();
        apply(&mut pod, &plan.patch).unwrap();
        let again = self.plan(&pod).unwrap();
        assert_eq!(again.patch.0, [], "the second pass changes {pod:#}");
        assert_eq!(again.warnings(), plan.warnings());
        Outcome { pod, plan }
    }

    fn skip(self) -> Skip {
        self.plan(&self.pod).unwrap_err()
    }
}

impl Outcome {
    /// Returns the options of the changed pod.
    fn options(&self) -> Vec<String> {
        let options = self.pod.pointer("/spec/dnsConfig/options").and_then(Value::as_array);
        options
            .into_iter()
            .flatten()
            .map(|option| match option["value"].as_str() {
                Some(value) => format!("{}:{value}", option["name"].as_str().unwrap()),
                None => option["name"].as_str().unwrap().to_owned(),
            })
            .collect()
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"][key].as_str()
    }
}

#[test]
fn skips_pods_by_mode_opt_out_and_kind() {
    assert_eq!(Case::pod("alpine:3.19").mode(Mode::Off).skip(), Skip::Off);
    assert_eq!(Case::pod("alpine:3.19").annotation("muslin.dev/inject", "false").skip(), Skip::OptedOut);
    assert_eq!(Case::pod("alpine:3.19").annotation("kubernetes.io/config.mirror", "x").skip(), Skip::Mirror);
    assert_eq!(Case::pod("alpine:3.19").set("/spec/os", json!({ "name": "windows" })).skip(), Skip::Windows);
    assert_eq!(Case::json(json!({ "spec": { "containers": [] } })).skip(), Skip::Empty);
    assert_eq!(Case::json(json!({})).skip(), Skip::Empty);
}

#[test]
fn an_opt_out_under_enforce_is_ignored_with_a_warning() {
    let outcome = Case::pod("alpine:3.19").annotation("muslin.dev/inject", "false").mode(Mode::Enforce).run();
    assert!(!outcome.options().is_empty());
    assert!(
        outcome.plan.warnings().iter().any(|line| line.contains("is ignored in a namespace")),
        "{:?}",
        outcome.plan.warnings()
    );
}

#[test]
fn an_invalid_opt_out_is_ignored_with_a_warning() {
    let outcome = Case::pod("alpine:3.19").annotation("muslin.dev/inject", "no").run();
    assert!(!outcome.options().is_empty());
    assert!(outcome.plan.warnings().iter().any(|line| line.contains("neither")), "{:?}", outcome.plan.warnings());
}

#[test]
fn each_mode_does_more_than_the_one_before() {
    let audit = Case::pod("alpine:3.19").mode(Mode::Audit).run();
    assert_eq!(audit.plan.patch.0, []);
    assert_eq!(audit.plan.at_least(Level::Warn).count(), 1);

    let warn = Case::pod("alpine:3.19").mode(Mode::Warn).run();
    assert_eq!(warn.pod["metadata"]["labels"]["muslin.dev/libc"], "musl");
    assert!(warn.annotation("muslin.dev/warnings").is_some());
    assert_eq!(warn.pod["spec"].get("dnsConfig"), None);

    let inject = Case::pod("alpine:3.19").mode(Mode::Inject).run();
    assert_eq!(inject.options(), ["single-request-reopen", "timeout:5", "attempts:5"]);
}

#[test]
fn the_audit_log_gets_warnings_and_injected_options() {
    let plan = Case::pod("alpine:3.19").run().plan;
    assert_eq!(
        plan.audit().collect::<Vec<_>>(),
        [
            ("findings", Line::new("musl-slow-retry(app)")),
            ("injected", Line::new("single-request-reopen timeout:5 attempts:5")),
            ("libc", Line::new("musl")),
        ]
    );
}

#[test]
fn the_annotation_has_a_known_version() {
    let outcome = Case::pod("alpine:3.19").and("debian:12").run();
    assert_eq!(outcome.annotation("muslin.dev/resolvers"), Some("app=musl-1.2.4 (assumed), c1=glibc (assumed)"));
    assert_eq!(image::assume("alpine:3.19").resolver, Family::Musl.at(Version::new(1, 2, 4)));
}
