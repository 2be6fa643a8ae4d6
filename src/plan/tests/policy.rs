//! Settings of admins and authors for findings: levels, declarations, ignored rules.

use super::*;
use crate::policy::LevelOverride;

const IGNORE: &str = "muslin.dev/ignore";

/// Returns the rules with findings of level `warn` or above.
fn slugs(plan: &Plan) -> Vec<&'static str> {
    plan.at_least(Level::Warn).map(|planned| planned.finding.rule.slug).collect()
}

fn with_level(mut case: Case, slug: &str, strictness: LevelOverride) -> Case {
    case.profile.rules.set(slug, strictness);
    case
}

#[test]
fn a_rule_that_is_off_reports_nothing_and_the_options_are_still_set() {
    let outcome = with_level(Case::pod("alpine:3.19"), "musl-slow-retry", LevelOverride::Off).run();
    assert_eq!(slugs(&outcome.plan), [""; 0]);
    assert_eq!(outcome.options().len(), 3);
}

#[test]
fn an_overridden_level_changes_the_order_of_findings() {
    let case = Case::pod("alpine:3.19").options(&[("attempts", Some("0")), ("ndots", Some("1"))]);
    let case = with_level(case, "attempts-zero", LevelOverride::At(Level::Info));
    let plan = with_level(case, "ndots-breaks-musl", LevelOverride::At(Level::Deny)).run().plan;
    let levels: Vec<_> =
        plan.findings.iter().map(|planned| (planned.finding.rule.slug, planned.finding.level)).collect();
    assert_eq!(levels[0], ("ndots-breaks-musl", Level::Deny));
    assert!(levels.contains(&("attempts-zero", Level::Info)), "{levels:?}");
    assert!(levels.is_sorted_by(|(_, one), (_, other)| one >= other), "{levels:?}");
}

#[test]
fn a_declared_image_has_the_declared_resolver() {
    let mut case = Case::pod("registry.example.com/team/app:1");
    case.profile.images.declare("registry.example.com/team/", "musl 1.2.5".parse().unwrap()).unwrap();
    let outcome = case.run();
    assert_eq!(outcome.annotation("muslin.dev/resolvers"), Some("app=musl-1.2.5 (declared)"));
    assert_eq!(outcome.options(), ["timeout:5", "attempts:10"]);
}

#[test]
fn an_ignored_rule_reports_nothing() {
    let outcome = Case::pod("alpine:3.19").annotation(IGNORE, "musl-slow-retry, option-ignored").run();
    assert_eq!(slugs(&outcome.plan), [""; 0]);
    let warnings = outcome.annotation("muslin.dev/warnings").unwrap_or_default();
    assert!(!warnings.contains("musl-slow-retry:"), "{warnings}");
}

#[test]
fn a_workload_silences_rules_for_its_pods() {
    let mut case = Case::pod("alpine:3.19");
    case.holder_ignores = Some("musl-slow-retry");
    assert_eq!(slugs(&case.run().plan), [""; 0]);
}

#[test]
fn an_unknown_ignored_rule_is_a_finding_at_its_annotation() {
    let mut case = Case::pod("debian:12").annotation(IGNORE, "no-such-rule,parallel-a-aaaa");
    case.holder_ignores = Some("nor-this");
    let plan = case.run().plan;
    let found: Vec<_> =
        plan.at_least(Level::Warn).map(|planned| (planned.finding.rule.slug, &*planned.finding.path)).collect();
    assert_eq!(
        found,
        [
            ("unknown-rule", "/metadata/annotations/muslin.dev~1ignore"),
            ("unknown-rule", "../metadata/annotations/muslin.dev~1ignore"),
        ]
    );
}

#[test]
fn a_denied_finding_cannot_be_ignored_under_enforce() {
    let case = |mode| {
        Case::pod("debian:12").options(&[("attempts", Some("0"))]).annotation(IGNORE, "attempts-zero").mode(mode)
    };
    assert!(!slugs(&case(Mode::Inject).run().plan).contains(&"attempts-zero"));
    let plan = case(Mode::Enforce).run().plan;
    assert!(slugs(&plan).contains(&"attempts-zero"));
    assert_eq!(plan.author_notes, ["attempts-zero cannot be ignored in a namespace of mode enforce"]);
}

#[test]
fn a_pod_with_all_options_of_its_profile_has_no_finding_on_ignored_ones() {
    let given = [("single-request-reopen", None), ("timeout", Some("5")), ("attempts", Some("5"))];
    assert_eq!(slugs(&Case::pod("alpine:3.19").options(&given).run().plan), [""; 0]);
    let relied_on = Case::pod("alpine:3.19").options(&given[..1]).run().plan;
    assert!(slugs(&relied_on).contains(&"option-ignored"));
}

/// musl crashes over the zero, so that the author's short timeout shows only once it is fixed.
#[test]
fn no_profile_accepts_what_the_author_wrote() {
    let options = [("timeout", Some("1")), ("attempts", Some("0"))];
    let outcome = Case::pod("alpine:3.19").options(&options).profile("default").run();
    assert_eq!(outcome.options(), ["timeout:1", "attempts:2"]);
    assert_eq!(outcome.plan.notes, [""; 0]);
}

#[test]
fn a_pod_for_windows_is_left_alone_by_its_selector_and_by_its_image() {
    let pods = [
        json!({ "spec": { "nodeSelector": { "kubernetes.io/os": "windows" }, "containers": [{ "name": "a", "image": "x" }] } }),
        json!({ "spec": { "containers": [{ "name": "a", "image": "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022" }] } }),
    ];
    for pod in pods {
        let json = pod.to_string();
        let pod: Pod<'_> = serde_json::from_str(&json).unwrap();
        let fingerprints = pod.containers().map(|container| image::assume(container.image())).collect();
        for name in Profile::NAMES {
            let profile = Profile::builtin(name).unwrap();
            let skip = plan(&pod, Vec::clone(&fingerprints), &Context::usual(&profile)).map(|_| ()).unwrap_err();
            assert_eq!(skip, Skip::Windows, "{name}: {json}");
        }
    }
}
