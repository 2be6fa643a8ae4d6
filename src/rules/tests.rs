//! Helpers for tests of rules: a pod in one line, and the findings of one rule on it.

use std::borrow::Cow;

use super::{Container, Finding, Ignored, RULES, RuleInput, check};
use crate::image::{self, Fingerprint, Reason, SecondResolver};
use crate::pod::{Dns, DnsOption, KeyOwner, KeyPlace, Policy, ResolverEnv, UnreadKey};
use crate::policy::{BrokenDomain, DomainFault, Level};
use crate::resolver::{Family, Resolver, Version, known_option, known_options};

/// A pod to be checked, with one container `app`.
pub(super) struct Case {
    containers: Vec<(String, Fingerprint, ResolverEnv<'static>)>,
    dns: Dns,
    ignored: Vec<Ignored<'static>>,
    unread: Vec<UnreadKey<'static>>,
    broken: Vec<BrokenDomain>,
}

impl Case {
    pub(super) fn pod(image: &str) -> Self {
        Self::empty().and(image)
    }

    /// Returns DNS settings whose containers are unknown.
    pub(super) fn settings() -> Self {
        Self::empty()
    }

    fn empty() -> Self {
        Self {
            containers: Vec::new(),
            dns: Dns::default(),
            ignored: Vec::new(),
            unread: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Returns a pod whose image has a declared resolver.
    pub(super) fn declared(resolver: Resolver) -> Self {
        Self::of(Fingerprint::declared(resolver, Reason::Fixed("an administrator said so")))
    }

    /// Returns a pod whose image has this fingerprint.
    pub(super) fn of(fingerprint: Fingerprint) -> Self {
        let mut pod = Self::empty();
        pod.containers.push(("example.com/app:1".to_owned(), fingerprint, ResolverEnv::default()));
        pod
    }

    pub(super) fn and(mut self, image: &str) -> Self {
        self.containers.push((image.to_owned(), image::assume(image), ResolverEnv::default()));
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

    pub(super) fn nameservers(mut self, nameservers: &[&str]) -> Self {
        self.dns.nameservers = nameservers.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// Returns the pod behind a service mesh's DNS proxy.
    pub(super) fn behind_a_mesh(mut self) -> Self {
        self.dns.mesh_dns_proxy = true;
        self
    }

    pub(super) fn ignoring(mut self, slug: &'static str) -> Self {
        self.ignored.push(Ignored { slug, path: "/metadata/annotations/muslin.dev~1ignore" });
        self
    }

    pub(super) fn unread(mut self, owner: KeyOwner, place: KeyPlace, key: &'static str) -> Self {
        self.unread.push(UnreadKey { owner, place, key });
        self
    }

    /// Returns the pod on nodes with a broken search domain.
    pub(super) fn broken(mut self, domain: &str, fault: DomainFault) -> Self {
        self.broken.push(BrokenDomain { domain: domain.to_owned(), fault });
        self
    }

    /// Gives the last container an environment variable.
    pub(super) fn env(mut self, name: &str, value: &'static str) -> Self {
        if let Some((_, _, env)) = self.containers.last_mut() {
            let value = Some(Cow::Borrowed(value));
            match name {
                "GODEBUG" => env.godebug = value,
                "RES_OPTIONS" => env.res_options = value,
                "LOCALDOMAIN" => env.local_domain = value,
                _ => unreachable!("{name} decides nothing"),
            }
        }
        self
    }

    /// Returns the findings of all rules.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let containers: Vec<Container<'_>> = self
            .containers
            .iter()
            .enumerate()
            .map(|(index, (image, fingerprint, env))| Container {
                name: ["app", "sidecar", "other"].get(index).copied().unwrap_or("more"),
                image,
                fingerprint: fingerprint.clone(),
                env,
                path: Cow::Owned(format!("/spec/containers/{index}")),
            })
            .collect();
        let conf = self.dns.resolv_conf("default", "cluster.local");
        let input = RuleInput::new(&containers, &self.dns, &conf, "default", "cluster.local");
        let input = input.ignoring(&self.ignored).with_unread(&self.unread).with_broken(&self.broken);
        check(&input, &|_, _| true)
    }
}

/// Returns the findings of a rule on a pod.
pub(super) fn fires(slug: &str, case: Case) -> Vec<Finding> {
    case.findings().into_iter().filter(|finding| finding.rule.slug == slug).collect()
}

/// Returns the levels and messages of a rule's findings on a pod.
pub(super) fn says(slug: &str, case: Case) -> Vec<(Level, String)> {
    fires(slug, case).into_iter().map(|finding| (finding.level, finding.message.into_owned())).collect()
}

pub(super) const fn musl(major: u16, minor: u16, patch: u16) -> Resolver {
    Family::Musl.at(Version::new(major, minor, patch))
}

#[test]
fn every_rule_is_documented_in_the_same_three_parts() {
    for rule in RULES {
        let documentation = rule.documentation();
        assert!(rule.summary().ends_with('.'), "{}: the first line is one sentence", rule.slug);
        for part in ["\n## Why it matters\n", "\n## How to fix it\n"] {
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
fn a_plain_alpine_pod_gets_at_most_two_warnings_and_the_most_useful_first() {
    for minor in 1..=30 {
        let findings = Case::pod(&format!("alpine:3.{minor}")).findings();
        let warnings: Vec<_> = findings.iter().filter(|finding| finding.level >= Level::Warn).collect();
        assert!((1..=2).contains(&warnings.len()), "Alpine 3.{minor}: {warnings:?}");
        assert_eq!(warnings[0].rule.slug, "musl-slow-retry", "Alpine 3.{minor}");
    }
}

#[test]
fn of_a_plain_musl_whose_release_is_not_known_nothing_is_said_that_some_releases_do_not_do() {
    let slugs: Vec<_> = Case::pod("alpine").findings().iter().map(|finding| finding.rule.slug).collect();
    assert_eq!(slugs, ["musl-slow-retry", "musl-aaaa-all-or-nothing", "ndots-amplification"]);
}

/// Returns the options that a text recommends, such as `attempts:3` or `single-request-reopen`: not those that it advises to remove, nor
/// those whose effect it only describes.
fn recommended(text: &str) -> Vec<&str> {
    let clauses = text.split([';', ',', ':']).flat_map(|clause| clause.split(" or "));
    let advice = clauses.filter(|clause| {
        let clause = clause.trim_start();
        let starts = ["set ", "use ", "add ", "write ", "give ", "or "].iter().any(|verb| clause.starts_with(verb));
        starts || clause.split_whitespace().count() == 1
    });
    let words = advice.flat_map(|clause| clause.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')));
    words.filter(|word| known_option(word)).collect()
}

#[test]
fn reads_what_a_text_recommends() {
    for (text, options) in [
        ("remove the option, or set attempts to 2 or 3", &["attempts"][..]),
        ("set timeout:5, or more attempts (at most 5)", &["timeout"]),
        ("remove `rotate`", &[]),
        ("set single-request-reopen in its place, which fixes the same race", &["single-request-reopen"]),
        ("use a NodeLocal DNSCache, or, where nameservers are never near their capacity, attempts:3", &["attempts"]),
        (
            "use a newer kernel or a NodeLocal DNSCache; single-request-reopen would slow other resolvers of the pod",
            &[],
        ),
        ("leave ndots out, or write such names in full", &[]),
    ] {
        assert_eq!(recommended(text), options, "{text}");
    }
}

/// Pods of each resolver alone and beside another one, with each option, in `dnsConfig` and in the environment.
#[test]
fn no_advice_names_an_option_that_the_container_s_resolver_ignores() {
    let releases = [musl(1, 1, 12), musl(1, 1, 14), musl(1, 1, 24), musl(1, 2, 3), musl(1, 2, 5)];
    let glibcs =
        [(2, 5), (2, 13), (2, 31), (2, 41)].map(|(major, minor)| Family::Glibc.at(Version::new(major, minor, 0)));
    let others = Family::KNOWN.into_iter().chain([Family::Static, Family::Unknown]).map(Family::unversioned);
    let resolvers: Vec<Resolver> = releases.into_iter().chain(glibcs).chain(others).collect();
    let options = known_options().flat_map(|name| ["", ":0", ":1", ":9"].map(|value| format!("{name}{value}")));
    let options: Vec<String> = options.chain([String::new(), "ndotss".to_owned()]).collect();
    let mut recommendations = 0;
    for resolver in resolvers {
        for policy in [Policy::ClusterFirst, Policy::None, Policy::Default] {
            for option in &options {
                let DnsOption { name, value } = DnsOption::parse(option);
                let alone = || Case::declared(resolver).policy(policy);
                let apart = || alone().option(&name, value.as_deref());
                let cases =
                    [alone().option(option, None), apart(), apart().and("debian:12"), apart().and("alpine:3.19")];
                for finding in cases.iter().flat_map(Case::findings) {
                    if finding.container.as_deref().is_some_and(|name| name != "app") {
                        continue;
                    }
                    for named in recommended(&finding.help).into_iter().chain(recommended(&finding.change)) {
                        recommendations += 1;
                        // Advice about the pod's own option, which the pod's author wrote for some container, is about its spelling.
                        let is_spelling = finding.container.is_none() && (name == named || option.contains(named));
                        assert!(
                            is_spelling || !resolver.support(named).is_ignored(),
                            "{resolver}, {option}: {}: {} / {}",
                            finding.rule.slug,
                            finding.change,
                            finding.help
                        );
                    }
                }
            }
        }
    }
    assert!(recommendations > 100, "{recommendations}");
}

/// Programs that have c-ares beside their C library, with each option.
#[test]
fn no_advice_names_an_option_that_c_ares_beside_the_c_library_ignores() {
    let c_ares = Family::CAres.unversioned();
    let mut recommendations = 0;
    for resolver in
        [musl(1, 2, 3), musl(1, 2, 5), Family::Glibc.at(Version::new(2, 36, 0)), Family::Glibc.unversioned()]
    {
        let second = SecondResolver {
            resolver: c_ares,
            in_program: true,
            reason: Reason::Fixed("`/usr/bin/node` contains c-ares"),
        };
        let fingerprint = Fingerprint::inspected(resolver, Reason::Fixed("it was read"));
        let fingerprint = Fingerprint { beside: Some(second), ..fingerprint };
        for option in known_options().flat_map(|name| ["", ":0", ":1", ":9"].map(|value| format!("{name}{value}"))) {
            let pod = Case::of(fingerprint.clone()).option(&option, None);
            for finding in pod.findings().iter().filter(|finding| finding.container.is_some()) {
                for named in recommended(&finding.help).into_iter().chain(recommended(&finding.change)) {
                    recommendations += 1;
                    let slug = finding.rule.slug;
                    assert!(!c_ares.support(named).is_ignored(), "{resolver}, {option}: {slug}: {}", finding.help);
                }
            }
        }
    }
    assert!(recommendations > 100, "{recommendations}");
}

#[test]
fn the_findings_on_a_pod_that_is_large_in_all_its_parts_stay_in_proportion_to_it() {
    const PARTS: usize = 2000;
    let names: Vec<String> = (0..PARTS).map(|index| format!("{index}attempts:0")).collect();
    let long = "x".repeat(100_000);
    let mut case =
        names.iter().fold(Case::pod("alpine:3.17"), |case, name| case.option(name, None)).option(&long, None);
    case.dns.searches = (0..PARTS).map(|index| format!("s{index}.example.com")).collect();
    for _ in 0..PARTS {
        case = case
            .and("alpine:3.17")
            .and("debian:12")
            .env("RES_OPTIONS", "attempts:0 use-vc")
            .env("LOCALDOMAIN", "a.test");
    }
    let findings = case.findings();
    // Some rules fire once for each container, others once for each option.
    assert!(findings.len() < 10 * PARTS * RULES.len(), "{}", findings.len());
    assert!(findings.iter().all(|finding| finding.message.len() < 200), "a message repeats a long text");
}
