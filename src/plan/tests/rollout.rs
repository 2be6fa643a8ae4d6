//! The annotation and the label of a pod that is created while a profile rolls out.

use super::*;

fn drawn(record: &str) -> Case {
    Case { rollout: Some(RolloutRecord::parse(record)), ..Case::pod("alpine:3.19") }
}

#[test]
fn a_pod_of_a_rollout_gets_its_stage_as_label_and_annotation() {
    let outcome = drawn("web@5f3c2a1b=canary").run();
    assert_eq!(outcome.annotation("muslin.dev/rollout"), Some("web@5f3c2a1b=canary"));
    assert_eq!(outcome.pod["metadata"]["labels"], json!({ "muslin.dev/libc": "musl", "muslin.dev/rollout": "canary" }));
    let beside = drawn("web@5f3c2a1b=stable").set("/metadata/labels", json!({ "app": "web" })).run();
    assert_eq!(
        beside.pod["metadata"]["labels"],
        json!({ "app": "web", "muslin.dev/libc": "musl", "muslin.dev/rollout": "stable" })
    );
}

#[test]
fn what_an_earlier_rollout_or_a_copied_pod_left_is_replaced() {
    let outcome = drawn("web@5f3c2a1b=stable")
        .annotation("muslin.dev/rollout", "web@00000001=canary")
        .set("/metadata/labels", json!({ "muslin.dev/rollout": "canary" }))
        .run();
    assert_eq!(outcome.annotation("muslin.dev/rollout"), Some("web@5f3c2a1b=stable"));
    assert_eq!(outcome.pod["metadata"]["labels"]["muslin.dev/rollout"], "stable");
}

#[test]
fn a_pod_outside_of_every_rollout_keeps_what_it_has_and_no_rule_reports_it() {
    let outcome = Case::pod("alpine:3.19")
        .annotation("muslin.dev/rollout", "web@00000001=canary")
        .set("/metadata/labels", json!({ "muslin.dev/rollout": "canary" }))
        .run();
    assert_eq!(outcome.annotation("muslin.dev/rollout"), Some("web@00000001=canary"));
    assert_eq!(outcome.pod["metadata"]["labels"]["muslin.dev/rollout"], "canary");
    assert!(outcome.plan.findings.iter().all(|planned| planned.finding.rule.slug != "unread-key"));
}

#[test]
fn mode_audit_writes_no_record() {
    let plan = drawn("web@5f3c2a1b=canary").mode(Mode::Audit);
    assert!(plan.plan(&plan.pod).unwrap().patch.is_empty());
}
