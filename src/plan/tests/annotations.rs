//! The annotations and the label that muslin writes, and those that it does not trust.

use super::*;
use crate::policy::OnConflict;

#[test]
fn adds_only_what_is_missing_and_overwrites_nothing_of_others() {
    let outcome = Case::pod("alpine:3.19")
        .set("/metadata/labels", json!({ "app": "web" }))
        .annotation("example.com/a~b", "kept")
        .run();
    assert_eq!(outcome.pod["metadata"]["labels"], json!({ "app": "web", "muslin.dev/libc": "musl" }));
    assert_eq!(outcome.annotation("example.com/a~b"), Some("kept"));
}

#[test]
fn adds_missing_parents() {
    let outcome = Case::json(json!({ "spec": { "containers": [{ "name": "app", "image": "alpine:3.19" }] } })).run();
    assert_eq!(outcome.pod["metadata"]["labels"]["muslin.dev/libc"], "musl");
    assert!(outcome.annotation("muslin.dev/injected").is_some());
}

#[test]
fn replaces_null_parents() {
    let outcome = Case::pod("alpine:3.19")
        .set("/metadata/labels", Value::Null)
        .set("/metadata/annotations", Value::Null)
        .set("/spec/dnsConfig", Value::Null)
        .run();
    assert_eq!(outcome.options().len(), 3);
}

#[test]
fn every_line_fits_where_it_is_read() {
    let outcome = Case::pod("alpine:3.19")
        .options(&[("ndots", Some("1")), ("ndots", Some("0")), (&"y".repeat(100), None), ("attempts", Some("0"))])
        .run();
    let annotation = outcome.annotation("muslin.dev/warnings").unwrap();
    assert!(annotation.lines().count() >= 4, "{annotation}");
    assert!(annotation.lines().all(|line| line.len() <= ANNOTATION_LINE_MAX), "{annotation}");
    assert!(outcome.plan.warnings().iter().all(|line| line.len() <= 120 && line.starts_with("muslin: ")));
}

#[test]
fn the_annotation_of_a_plain_alpine_pod_names_the_fixed_problem() {
    let outcome = Case::pod("alpine:3.19").run();
    assert_eq!(
        outcome.annotation("muslin.dev/warnings"),
        Some(
            "musl-slow-retry: app: musl 1.2.4 resends a lost query only after 2.5 s (fixed)\n\
             profile quick accepts retry-storm: app: musl 1.2.4 sends an unanswered query 5 times, each 1 s"
        )
    );
}

#[test]
fn containers_with_the_same_finding_share_a_line() {
    let outcome = (0..99).fold(Case::pod("alpine:3.19"), |case, _| case.and("alpine:3.19")).run();
    assert_eq!(
        outcome.annotation("muslin.dev/warnings"),
        Some(
            "musl-slow-retry: app, c1, c2 and 97 more: musl 1.2.4 resends a lost query only after 2.5 s (fixed)\n\
             profile quick accepts retry-storm: app and 99 more: musl 1.2.4 sends an unanswered query 5 times, each 1 s"
        )
    );
}

#[test]
fn text_of_the_pod_cannot_break_out_of_its_line() {
    let outcome = Case::pod("alpine:3.19").options(&[("ndots\u{1b}[31m\nWarning: forged", Some("2"))]).run();
    let annotation = outcome.annotation("muslin.dev/warnings").unwrap();
    assert!(!annotation.contains('\u{1b}') && !annotation.contains("\nWarning"), "{annotation}");
}

#[test]
fn text_of_the_pod_is_escaped_wherever_it_is_shown() {
    const HOSTILE: &str = "x\n::error::y\u{1b}[2J\u{9b}\u{202e}\u{2028}\u{e0041}##[error]";
    let hostile = |profile: &str| {
        let case = Case::pod("alpine:3.19")
            .options(&[(HOSTILE, Some(HOSTILE)), ("timeout", Some(HOSTILE)), ("timeout", Some("1\u{1b}[2J"))])
            .set("/spec/containers/0/name", json!(HOSTILE))
            .set("/spec/dnsConfig/searches", json!([HOSTILE, "."]))
            .annotation("muslin.dev/inject", HOSTILE)
            .annotation("muslin.dev/ignore", HOSTILE)
            .annotation("muslin.dev/injected", HOSTILE);
        let profile = Profile { on_conflict: OnConflict::Override, ..Profile::builtin(profile).unwrap() };
        Case { profile, ..case }
    };
    let modes = [Mode::Warn, Mode::Inject, Mode::Enforce];
    for (profile, mode) in Profile::NAMES.into_iter().flat_map(|name| modes.map(|mode| (name, mode))) {
        let outcome = hostile(profile).mode(mode).run();
        for key in ["muslin.dev/warnings", "muslin.dev/resolvers", "muslin.dev/injected"] {
            let value = outcome.annotation(key).unwrap_or_default();
            assert!(value.lines().all(|line| Line::new(line.to_owned()) == line), "{profile}: {key}: {value:?}");
        }
        let resolvers = outcome.annotation("muslin.dev/resolvers").unwrap();
        assert!(resolvers.starts_with("x\\n::error::y\\u{1b}"), "{resolvers}");
    }
}

#[test]
fn forged_annotations_and_labels_are_replaced_by_the_truth() {
    let outcome = Case::pod("debian:12")
        .set("/metadata/labels", json!({ "muslin.dev/libc": "musl" }))
        .annotation("muslin.dev/resolvers", "app=musl-9.9.9 (inspected)")
        .annotation("muslin.dev/warnings", "all is well")
        .annotation("muslin.dev/injected", "timeout:5")
        .run();
    assert_eq!(outcome.pod["metadata"]["labels"]["muslin.dev/libc"], "glibc");
    assert_eq!(outcome.annotation("muslin.dev/resolvers"), Some("app=glibc (assumed)"));
    assert_eq!(outcome.annotation("muslin.dev/warnings"), None);
    assert_eq!(outcome.annotation("muslin.dev/injected"), None);
}

#[test]
fn a_forged_claim_on_an_option_of_the_user_s_own_changes_nothing() {
    let options = [("ndots", Some("2")), ("timeout", Some("1"))];
    let honest = Case::pod("alpine:3.19").options(&options).run();
    let forged =
        Case::pod("alpine:3.19").options(&options).annotation("muslin.dev/injected", "ndots:2 timeout:1").run();
    assert_eq!(forged.options(), honest.options());
    assert_eq!(forged.plan.warnings(), honest.plan.warnings());
    assert_eq!(forged.annotation("muslin.dev/injected"), honest.annotation("muslin.dev/injected"));
}

#[test]
fn leaves_out_the_annotations_for_which_the_pod_has_no_room() {
    let full = "x".repeat(256 * 1024 - 200);
    let outcome = Case::pod("alpine:3.19").annotation("big", &full).run();
    let size: usize = outcome.pod["metadata"]["annotations"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| key.len() + value.as_str().unwrap().len())
        .sum();
    assert!(size <= 256 * 1024, "{size}");
    assert_eq!(outcome.options().len(), 3);
    assert!(outcome.annotation("muslin.dev/injected").is_some());
}
