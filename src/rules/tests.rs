//! What tests of rules share: a pod written in one line, and the findings of one rule on it.

use std::borrow::Cow;

use super::{Container, Finding, Ignored, RULES, Subject, check};
use crate::image;
use crate::pod::{Dns, DnsOption, Policy, ResolverEnv};

/// A pod to be checked, with one container `app`.
pub(super) struct Case {
    images: Vec<String>,
    dns: Dns,
    ignored: Vec<Ignored<'static>>,
}

impl Case {
    pub(super) fn pod(image: &str) -> Self {
        Self { images: vec![image.to_owned()], dns: Dns::default(), ignored: Vec::new() }
    }

    pub(super) fn and(mut self, image: &str) -> Self {
        self.images.push(image.to_owned());
        self
    }

    pub(super) fn option(mut self, name: &str, value: Option<&str>) -> Self {
        self.dns.options.push(DnsOption::new(name, value));
        self
    }

    pub(super) fn policy(mut self, policy: Policy) -> Self {
        self.dns.policy = policy;
        self
    }

    pub(super) fn searches<const N: usize>(mut self, searches: [&str; N]) -> Self {
        self.dns.searches = searches.map(str::to_owned).to_vec();
        self
    }

    pub(super) fn ignoring(mut self, slug: &'static str) -> Self {
        self.ignored.push(Ignored { slug, path: "/metadata/annotations/muslin.dev~1ignore" });
        self
    }
}

/// What the rule finds on a pod.
pub(super) fn fires(slug: &str, case: Case) -> Vec<Finding> {
    let env = ResolverEnv::default();
    let containers: Vec<Container<'_>> = case
        .images
        .iter()
        .enumerate()
        .map(|(index, image)| Container {
            name: ["app", "sidecar", "other"][index],
            image,
            fingerprint: image::assume(image),
            env: &env,
            path: Cow::Owned(format!("/spec/containers/{index}")),
        })
        .collect();
    let conf = case.dns.resolv_conf("default", "cluster.local");
    let subject = Subject {
        containers: &containers,
        dns: &case.dns,
        conf: &conf,
        namespace: "default",
        cluster_domain: "cluster.local",
        ignored: &case.ignored,
    };
    check(&subject).into_iter().filter(|finding| finding.rule.slug == slug).collect()
}

#[test]
fn every_rule_is_documented_in_the_same_three_parts() {
    for rule in RULES {
        let documentation = rule.documentation();
        assert!(rule.summary().ends_with('.'), "{}: the first line is one sentence", rule.slug);
        for part in ["\n## Why it matters\n", "\n## How to mend it\n"] {
            assert!(documentation.contains(part), "{}: no {part:?}", rule.slug);
        }
    }
}

#[test]
fn every_rule_is_found_by_its_slug_and_its_file_is_named_for_it() {
    for rule in RULES {
        assert_eq!(super::Rule::named(rule.slug), Some(*rule));
        assert!(
            rule.source.contains(&format!("include_str!(\"{}.rs\")", rule.slug.replace('-', "_"))),
            "{}",
            rule.slug
        );
    }
}

#[test]
fn a_plain_alpine_pod_gets_at_most_two_warnings() {
    let env = ResolverEnv::default();
    let containers = [Container {
        name: "app",
        image: "alpine:3.19",
        fingerprint: image::assume("alpine:3.19"),
        env: &env,
        path: Cow::Borrowed("/spec/containers/0"),
    }];
    let dns = Dns::default();
    let conf = dns.resolv_conf("default", "cluster.local");
    let subject = Subject {
        containers: &containers,
        dns: &dns,
        conf: &conf,
        namespace: "default",
        cluster_domain: "cluster.local",
        ignored: &[],
    };
    let warnings = check(&subject).into_iter().filter(|finding| finding.level >= crate::policy::Level::Warn).count();
    assert!((1..=2).contains(&warnings), "{warnings}");
}
