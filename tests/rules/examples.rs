//! The examples beside this file.

use std::fs;
use std::path::{Path, PathBuf};

use muslin::plan::{Planned, WARNING_MAX};
use muslin::policy::{Level, Mode, Profile};
use muslin::rules::{RULES, Rule};
use serde_json::Value;

use super::{changed, planned, pods};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules")
}

fn text(rule: &Rule, file: &str) -> String {
    let path = folder().join(rule.slug).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| unreachable!("{}: {error}", path.display()))
}

/// The example that fires, those near it, and the fixed one.
fn files(rule: &Rule) -> Vec<String> {
    let entries = fs::read_dir(folder().join(rule.slug)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

/// The one pod of an example.
fn pod(rule: &Rule, file: &str) -> Value {
    let mut pods = pods(&text(rule, file));
    assert_eq!(pods.len(), 1, "{}/{file} is about one pod", rule.slug);
    pods.remove(0)
}

/// Returns the findings on an example.
fn findings(rule: &Rule, file: &str) -> Vec<Planned> {
    planned(&pod(rule, file), Mode::Warn, "default").findings
}

fn slugs(findings: &[Planned], level: Level) -> Vec<&'static str> {
    let findings = findings.iter().map(|planned| &planned.finding);
    findings.filter(|finding| finding.level >= level).map(|finding| finding.rule.slug).collect()
}

#[test]
fn every_rule_has_a_folder_and_every_folder_a_rule() {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<String> = entries
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    folders.sort();
    let mut slugs: Vec<&str> = RULES.iter().map(|rule| rule.slug).collect();
    slugs.sort_unstable();
    assert_eq!(folders, slugs);
    for rule in RULES {
        let is_near = |file: &String| file.starts_with("near-") && file.ends_with(".yaml");
        let (more, files): (Vec<_>, Vec<_>) = files(rule).into_iter().partition(is_near);
        assert_eq!(files, ["fires.yaml", "fixed.yaml", "near.yaml"], "{}, beside {more:?}", rule.slug);
    }
}

#[test]
fn each_rule_fires_on_its_trouble_and_neither_near_it_nor_after_the_fix() {
    for rule in RULES {
        for file in files(rule) {
            let findings = slugs(&findings(rule, &file), Level::Info);
            assert_eq!(findings.contains(&rule.slug), file == "fires.yaml", "{}/{file}: {findings:?}", rule.slug);
        }
    }
}

#[test]
fn the_profile_with_a_cache_on_the_node_fixes_what_lost_packets_cost() {
    for slug in ["musl-slow-retry", "parallel-a-aaaa", "musl-query-id-collision"] {
        let rule = Rule::named(slug).unwrap();
        let plan = planned(&pod(rule, "fires.yaml"), Mode::Inject, "node-local");
        let fixed = plan.findings.iter().filter(|planned| planned.finding.rule == rule).map(|planned| planned.fixed);
        assert_eq!(fixed.collect::<Vec<_>>(), [true], "{slug}");
    }
}

#[test]
fn no_fix_brings_a_new_warning() {
    for rule in RULES {
        let before = slugs(&findings(rule, "fires.yaml"), Level::Warn);
        let after = slugs(&findings(rule, "fixed.yaml"), Level::Warn);
        assert!(after.iter().all(|slug| before.contains(slug)), "{}: {before:?} became {after:?}", rule.slug);
    }
}

#[test]
fn a_second_pass_over_a_fixed_pod_changes_nothing_more() {
    for rule in RULES {
        for profile in Profile::NAMES {
            let once = changed(&pod(rule, "fixed.yaml"), profile);
            assert_eq!(planned(&once, Mode::Inject, profile).patch.0, [], "{} with profile {profile}", rule.slug);
        }
    }
}

#[test]
fn each_finding_points_at_the_cause_or_the_place_of_the_fix() {
    for rule in RULES {
        let pod = pod(rule, "fires.yaml");
        for Planned { finding, .. } in findings(rule, "fires.yaml").iter().filter(|it| it.finding.rule == *rule) {
            let is_there = pod.pointer(&finding.path).is_some();
            // A missing place means a default that the pod should not have: options, or a policy.
            let is_default = ["/spec/dnsConfig/options", "/spec/dnsPolicy"].contains(&&*finding.path);
            assert!(is_there || is_default, "{}: {}", rule.slug, finding.path);
        }
    }
}

/// The example, with its containers named as an author may name them, and with two more of each.
fn variants(pod: &Value) -> Vec<Value> {
    let renamed = |name: &dyn Fn(usize) -> String, copies: usize| {
        let mut pod = pod.clone();
        let containers = pod["spec"]["containers"].as_array_mut().unwrap();
        *containers = containers.iter().flat_map(|container| vec![container.clone(); copies]).collect();
        for (index, container) in containers.iter_mut().enumerate() {
            container["name"] = name(index).into();
        }
        pod
    };
    vec![
        pod.clone(),
        renamed(&|index| format!("{}{index}", "x".repeat(62)), 1),
        renamed(&|index| format!("{}{index}", "x".repeat(62)), 3),
        renamed(&|index| format!("app-{index}"), 3),
        renamed(&|index| format!("größe-大丈夫-🦀-{index}"), 3),
        renamed(&|_| "\u{202e}\u{1b}[2J\n".repeat(9), 3),
    ]
}

/// A warning on a finding: `muslin: NAMES: CHANGE (REASON) [RULE]`.
fn is_about(line: &str, Planned { finding, fixed }: &Planned) -> bool {
    !fixed && line.contains(&*finding.change) && line.ends_with(&format!(" [{}]", finding.rule.slug))
}

#[test]
fn each_warning_has_its_change_and_its_rule_in_120_bytes() {
    let cases =
        RULES.iter().flat_map(|rule| variants(&pod(rule, "fires.yaml")).into_iter().map(move |pod| (rule, pod)));
    for (rule, pod) in cases {
        for (mode, profile) in
            [Mode::Warn, Mode::Inject].into_iter().flat_map(|mode| Profile::NAMES.map(|name| (mode, name)))
        {
            let plan = planned(&pod, mode, profile);
            let place = format!("{} with {profile} in {mode}", rule.slug);
            let lines = plan.warnings();
            for line in &lines {
                assert!(line.len() <= WARNING_MAX && line.starts_with("muslin: "), "{place}: {line}");
                assert!(!line.contains(|c: char| c.is_control()), "{place}: {line}");
                let is_count = line.starts_with("muslin: and ") && line.ends_with(" more findings");
                let is_note = plan
                    .author_notes
                    .iter()
                    .any(|note| line.starts_with(&format!("muslin: {}", &note[..note.floor_char_boundary(16)])));
                let is_finding = plan.findings.iter().any(|planned| is_about(line, planned));
                assert!(is_count || is_note || is_finding, "{place}: {line}");
            }
            let is_open = |planned: &&Planned| planned.finding.level >= Level::Warn && !planned.fixed;
            if let Some(first) = plan.findings.iter().find(is_open) {
                assert!(is_about(&lines[0], first), "{place}: {lines:#?}");
            }
        }
    }
}

#[test]
fn the_examples_get_no_warning_about_what_is_fixed_and_each_has_a_reason() {
    let (mut whole, mut cut) = (0, Vec::new());
    for rule in RULES {
        let plan = planned(&pod(rule, "fires.yaml"), Mode::Inject, "default");
        for line in plan.warnings() {
            let fixed = plan
                .findings
                .iter()
                .filter(|planned| planned.fixed)
                .find(|planned| line.contains(planned.finding.rule.slug));
            assert!(fixed.is_none(), "{line}");
            assert!(line.contains(" ("), "{line}");
            if line.contains('…') { cut.push(line) } else { whole += 1 }
        }
    }
    assert!(whole > cut.len(), "{whole} whole, cut: {cut:#?}");
}

#[test]
fn each_example_is_a_manifest_as_people_write_it() {
    for rule in RULES {
        for file in &files(rule) {
            let text = text(rule, file);
            let place = format!("{}/{file}", rule.slug);
            assert_eq!(text.starts_with("# "), *file != "fixed.yaml", "{place}: the first line says why");
            assert_eq!(text.matches("#").count(), usize::from(*file != "fixed.yaml"), "{place}: and nothing else does");
            assert!(text.contains(&format!("\n  name: {}\n", rule.slug)), "{place}: it is named for the rule");
            assert!(!text.contains("namespace:"), "{place}: it can be tried in any namespace");
            assert_eq!(pod(rule, file)["spec"]["automountServiceAccountToken"], false, "{place}");
        }
    }
}
