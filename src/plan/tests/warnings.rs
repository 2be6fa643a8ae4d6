//! The warnings: the change before the reason, in 120 bytes, and nothing about what is fixed.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::rules::{CHANGE_MAX, DOCS_URL_MAX, DocsUrl, InvalidDocsUrl, RULES, Rule};

/// Returns the change and the slug of a warning.
fn parts(line: &str) -> (&str, &str) {
    let rest = line.strip_prefix("muslin: ").unwrap();
    let (rest, slug) = rest.strip_suffix(']').unwrap().rsplit_once(" [").unwrap();
    (rest, slug)
}

#[test]
fn a_warning_says_what_to_change_and_then_why() {
    let musl = Case::pod("alpine:3.17").inspected().run().plan.warnings();
    assert_eq!(
        musl[0],
        "muslin: app: use Alpine 3.18+ (musl 1.2.3 cannot ask by TCP: answers over 512 bytes are cut or lost) [musl-no-tcp]"
    );
    let pod = Case::pod("debian:12").options(&[("ndotss", Some("2"))]).run().plan.warnings();
    assert_eq!(pod[0], "muslin: write `ndots` (no resolver knows the option `ndotss`) [option-ignored]");
}

#[test]
fn what_is_fixed_gets_no_warning_and_stays_in_annotation_and_audit_log() {
    let outcome = Case::pod("alpine:3.19").options(&[("attempts", Some("0"))]).profile("default").run();
    assert!(outcome.plan.findings.iter().any(|planned| planned.fixed));
    assert_eq!(outcome.plan.warnings(), [""; 0]);
    assert!(outcome.annotation("muslin.dev/warnings").unwrap().starts_with("attempts-zero: app: "));
    assert!(outcome.plan.audit().any(|(key, value)| key == "findings" && value.contains("attempts-zero(app)")));
    let docs: DocsUrl = "https://docs.example.com".parse().unwrap();
    assert_eq!(outcome.plan.page_warning(&docs), None);
    let warned = Case::pod("alpine:3.19").options(&[("attempts", Some("0"))]).mode(Mode::Warn).run().plan;
    assert_eq!(parts(&warned.warnings()[0]).1, "attempts-zero");
    assert_eq!(warned.page_warning(&docs).unwrap(), "muslin: https://docs.example.com/rules/attempts-zero.md");
}

/// Each pod of a profile that accepts a risk would get the warning, and no author can change it.
#[test]
fn what_a_profile_accepts_is_in_the_annotation_and_no_warning() {
    for (profile, slug, image) in
        [("fast", "retry-storm", "alpine:3.19"), ("single-request-reopen", "single-request-waits", "traefik:v3.0")]
    {
        let outcome = Case::pod(image).and(image).and(image).inspected().profile(profile).run();
        let lines = outcome.plan.warnings();
        assert!(!lines.iter().any(|line| line.contains(" accepts ") || line.contains(slug)), "{lines:#?}");
        let annotation = outcome.annotation("muslin.dev/warnings").unwrap();
        let notes: Vec<_> = annotation.lines().filter(|line| line.contains(" accepts ")).collect();
        assert_eq!(notes.len(), 1, "{annotation}");
        assert!(notes[0].starts_with(&format!("profile {profile} accepts {slug}: ")), "{annotation}");
    }
}

#[test]
fn the_most_serious_finding_comes_first_and_notes_last() {
    let options = [("ndotss", None), ("attempts", Some("0"))];
    let case = Case::pod("alpine:3.17").options(&options).annotation("muslin.dev/inject", "no").mode(Mode::Warn);
    let lines = case.run().plan.warnings();
    let slugs: Vec<_> = lines[..lines.len() - 1].iter().map(|line| parts(line).1).collect();
    assert_eq!(slugs, ["attempts-zero", "option-ignored", "musl-no-tcp"]);
    assert!(lines.last().unwrap().contains("neither"), "{lines:#?}");
}

#[test]
fn containers_of_one_rule_share_a_line() {
    let pod = Case::pod("alpine:3.17").and("alpine:3.17").and("alpine:3.17").and("alpine:3.17").inspected();
    let line = "muslin: app, c1, c2 and 1 more: use Alpine 3.18+ (musl 1.2.3 cannot ask by TCP: answers over \
                512…) [musl-no-tcp]";
    assert_eq!(pod.run().plan.warnings()[0], line);
    // The reason is true for one of two releases.
    let pod = Case::pod("alpine:3.17").and("alpine:3.12").inspected().run().plan;
    let lines: Vec<_> = pod.warnings().into_iter().filter(|line| line.contains("[musl-no-tcp]")).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].starts_with("muslin: app, c1: use Alpine 3.18+ (app: musl 1.2.3 cannot"), "{lines:#?}");
}

#[test]
fn the_longest_names_lose_their_ends_and_the_change_stays() {
    let name = |letter: &str| letter.repeat(63);
    let (long, other) = (name("a"), name("b"));
    let one = warning(&[&long], "use Alpine 3.18+", "musl 1.2.3 cannot ask by TCP", "musl-no-tcp");
    assert_eq!(one, &*format!("muslin: {long}: use Alpine 3.18+ [musl-no-tcp]"));
    let two = warning(&[&long, &other], "use Alpine 3.18+", "musl 1.2.3 cannot ask by TCP", "musl-no-tcp");
    assert_eq!(two, &*format!("muslin: {long} and 1 more: use Alpine 3.18+ [musl-no-tcp]"));
    let cut = warning(&[&long], &"c".repeat(CHANGE_MAX), "", "musl-queries-all-nameservers");
    assert!(cut.len() <= WARNING_MAX && cut.starts_with("muslin: aaa") && cut.contains("…: ccc"), "{cut}");
}

#[test]
fn the_longest_address_and_the_longest_slug_fit_in_a_warning() {
    let longest = format!("https://{}", "x".repeat(DOCS_URL_MAX - "https://".len()));
    let docs: DocsUrl = longest.parse().unwrap();
    let lengths = RULES.iter().map(|rule| page_warning(&docs, rule.slug).len());
    assert_eq!(lengths.max(), Some(WARNING_MAX));
    assert_eq!(format!("{longest}x").parse::<DocsUrl>(), Err(InvalidDocsUrl::Length(DOCS_URL_MAX + 1)));
}

/// A text of the pod as an attacker, or a hurried author, may write it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9-]{1,63}",
        "(\\PC|[\u{1b}\u{202e}\u{e0041}\n#:\\[ ]){1,63}",
        "[ß大🦀]{1,30}",
        select(vec!["ndots", "attempts", "timeout", "use-vc", "single-request", "rotate", "edns0", "ndotss"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Pods with many containers, long names, hostile and multi-byte texts: each warning on a finding is one line of 120 bytes with its
    /// change and its rule.
    #[test]
    fn every_warning_has_a_change_and_a_slug_in_120_bytes(
        names in prop::collection::vec(text(), 1..6),
        images in prop::collection::vec(select(vec!["alpine:3.4", "alpine:3.17", "alpine:3.19", "debian:12", "alpine", "x"]), 6),
        options in prop::collection::vec((text(), prop::option::of(prop_oneof![text(), "[0-9]{1,2}"])), 0..5),
        searches in prop::collection::vec(text(), 0..3),
        ignored in prop::option::of(text()),
        label in prop::option::of(text()),
        warn: bool,
    ) {
        let containers: Vec<Value> = names.iter().zip(&images).map(|(name, image)| json!({ "name": name, "image": image })).collect();
        let options: Vec<Value> = options.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let mut pod = json!({
            "metadata": { "labels": {}, "annotations": {} },
            "spec": { "containers": containers, "dnsConfig": { "options": options, "searches": searches } }
        });
        if let Some(ignored) = ignored {
            pod["metadata"]["annotations"]["muslin.dev/ignore"] = json!(ignored);
        }
        if let Some(label) = label {
            pod["metadata"]["labels"][format!("muslin.dev/{label}")] = json!("true");
        }
        let case = Case::json(pod).mode(if warn { Mode::Warn } else { Mode::Inject });
        let plan = case.plan(&case.pod).unwrap();
        let open = plan.findings.iter().filter(|planned| !planned.fixed && planned.finding.level >= Level::Warn);
        let open: Vec<_> = open.map(|planned| &planned.finding).collect();
        for finding in plan.findings.iter().map(|planned| &planned.finding) {
            prop_assert!((1..=CHANGE_MAX).contains(&finding.change.len()), "{}: {}", finding.rule.slug, finding.change);
        }
        let lines = plan.warnings();
        for (index, line) in lines.iter().enumerate() {
            prop_assert!(line.len() <= WARNING_MAX && line.starts_with("muslin: "), "{line}");
            prop_assert!(!line.contains('\n'), "{line}");
            let is_of = |finding: &&&crate::rules::Finding| {
                line.ends_with(&format!(" [{}]", finding.rule.slug)) && line.contains(&*finding.change)
            };
            let is_finding = open.iter().any(|finding| is_of(&finding));
            let is_last = index + 1 == lines.len() && line.ends_with(" more findings");
            let is_note = plan.author_notes.iter().any(|note| line.starts_with(Line::cut(format!("muslin: {note}"), 60).trim_end_matches('…')));
            prop_assert!(is_finding || is_last || is_note, "{line} of {open:#?}");
        }
        // The first warning is about the most serious finding.
        if let (Some(first), Some(line)) = (open.first(), lines.first()) {
            prop_assert!(line.ends_with(&format!(" [{}]", first.rule.slug)), "{line}");
            prop_assert!(Rule::named(parts(line).1).is_some());
        }
    }

    #[test]
    fn any_names_any_reason_and_any_change_fit(
        names in prop::collection::vec(text(), 0..5), change in text(), reason in "\\PC{0,300}", rule in select(RULES.to_vec()),
    ) {
        let change = Line::cut(change, CHANGE_MAX);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let line = warning(&names, &change, &reason, rule.slug);
        prop_assert!(line.len() <= WARNING_MAX, "{line}");
        prop_assert!(line.contains(&*change) && line.ends_with(&format!(" [{}]", rule.slug)), "{line}");
    }
}
