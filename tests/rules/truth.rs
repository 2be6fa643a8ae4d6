//! All rules on all known images, with all options that were measured and under every policy: each fires exactly where
//! it is true by the account below, which rests on the lists of images and releases and not on the code.

use muslin::image;
use muslin::policy::{Level, Mode};
use muslin::resolver::Family;
use muslin::rules::RULES;
use serde_json::{Value, json};

use super::planned;

/// Columns: reference, C library, distribution, evidence. The first two hold no comma.
const IMAGES: &str = include_str!("../data/images.csv");

/// An image, and what is true of it.
struct Image {
    reference: String,
    /// The resolver that was read in the image: a C library, `go` for a Go program without cgo, `go-any` for one that may have it,
    /// `static`; `unsuggested` where its reference suggests nothing, so that nothing may be
    /// said of it.
    libc: String,
    /// The branch of Alpine that the reference tells: 19 for 3.19.
    alpine: Option<u16>,
}

/// The options of a pod.
#[derive(Default)]
struct Set {
    options: &'static [(&'static str, &'static str)],
    searches: &'static [&'static str],
    nameservers: &'static [&'static str],
}

/// Where the kubelet starts from.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    Cluster,
    Node,
    Nothing,
}

/// `dnsPolicy`, `hostNetwork`, and what they mean together.
const POLICIES: [(&str, bool, Start); 5] = [
    ("ClusterFirst", false, Start::Cluster),
    ("ClusterFirstWithHostNet", true, Start::Cluster),
    ("ClusterFirst", true, Start::Node),
    ("Default", false, Start::Node),
    ("None", false, Start::Nothing),
];

const fn options(options: &'static [(&'static str, &'static str)]) -> Set {
    Set { options, searches: &[], nameservers: &[] }
}

/// 240 bytes, so that the options line has over 254.
const LONG_OPTION: &str = concat!(
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxx",
);

/// Over 255 bytes without the cluster's own names.
const LONG_SEARCHES: &[&str] = &[
    "one.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example.com",
    "two.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example.com",
    "three.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example.com",
    "four.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example.com",
];

/// The measured options, the default first. An empty value means no option.
const SETS: [Set; 28] = [
    options(&[]),
    options(&[("timeout", "1")]),
    options(&[("attempts", "5")]),
    options(&[("timeout", "2"), ("attempts", "5")]),
    options(&[("timeout", "3"), ("attempts", "6")]),
    options(&[("timeout", "5"), ("attempts", "5")]),
    options(&[("timeout", "5"), ("attempts", "10")]),
    options(&[("timeout", "1"), ("attempts", "3")]),
    options(&[("timeout", "2"), ("attempts", "10")]),
    options(&[("single-request", "")]),
    options(&[("single-request-reopen", "")]),
    options(&[("use-vc", "")]),
    options(&[("no-aaaa", "")]),
    options(&[("ndots", "1")]),
    options(&[("ndots", "2")]),
    options(&[("ndots", "3")]),
    options(&[("ndots", "4")]),
    options(&[("ndots", "5")]),
    options(&[("ndots", "5"), ("ndots", "1")]),
    options(&[("attempts", "0")]),
    options(&[("timeout", "0")]),
    options(&[("timeout", "1.5")]),
    options(&[(LONG_OPTION, "")]),
    // With the cluster's three names, seven.
    Set { options: &[], searches: &["a.test", "b.test", "c.test", "d.test"], nameservers: &[] },
    Set { options: &[], searches: LONG_SEARCHES, nameservers: &[] },
    Set { options: &[], searches: &["."], nameservers: &[] },
    Set { options: &[], searches: &[], nameservers: &["10.0.0.2", "10.0.0.3"] },
    Set { options: &[], searches: &[], nameservers: &["169.254.20.10", "10.0.0.3"] },
];

fn images() -> Vec<Image> {
    let listed = IMAGES.lines().skip(1).map(|line| {
        let mut columns = line.split(',');
        let (reference, libc) = (columns.next().unwrap(), columns.next().unwrap());
        let suggests = image::assume(reference).resolver.family != Family::Unknown;
        let libc = if suggests || libc == "unknown" { libc } else { "unsuggested" };
        Image { alpine: alpine(reference), reference: reference.to_owned(), libc: libc.to_owned() }
    });
    let every_alpine = (1..=24).map(|branch| Image {
        reference: format!("alpine:3.{branch}"),
        libc: "musl".to_owned(),
        alpine: Some(branch),
    });
    // muslin leaves pods for Windows alone.
    let is_windows = |image: &Image| image::assume(&image.reference).reason.is_windows();
    listed.chain(every_alpine).filter(|image| !is_windows(image)).collect()
}

/// The branch in `alpine:3.19` and `node:20-alpine3.18`.
fn alpine(reference: &str) -> Option<u16> {
    let (_, behind) = reference.split_once("alpine:3.").or_else(|| reference.split_once("alpine3."))?;
    behind.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().ok()
}

// === impl Set ===

impl Set {
    fn pod(&self, reference: &str, policy: &str, host_network: bool) -> Value {
        let options: Vec<Value> = self
            .options
            .iter()
            .map(
                |(name, value)| {
                    if value.is_empty() { json!({ "name": name }) } else { json!({ "name": name, "value": value }) }
                },
            )
            .collect();
        json!({ "spec": {
            "containers": [{ "name": "app", "image": reference }],
            "dnsPolicy": policy,
            "hostNetwork": host_network,
            "dnsConfig": { "options": options, "searches": self.searches, "nameservers": self.nameservers },
        }})
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == option)
    }

    /// The number that reaches resolv.conf: the last, and the whole part of a fraction.
    fn number(&self, option: &str) -> Option<u32> {
        let (_, value) = self.options.iter().rfind(|(name, _)| *name == option)?;
        value.split('.').next().unwrap().parse().ok()
    }
}

// === impl Image ===

impl Image {
    fn is(&self, libc: &str) -> bool {
        self.libc == libc
    }

    /// musl that is certainly older than that of an Alpine branch.
    fn before(&self, branch: u16) -> bool {
        self.is("musl") && self.alpine.is_some_and(|alpine| alpine < branch)
    }

    /// musl that is certainly that of an Alpine branch or newer.
    fn since(&self, branch: u16) -> bool {
        self.is("musl") && self.alpine.is_some_and(|alpine| alpine >= branch)
    }

    /// musl that has a search list and ndots: all but the oldest.
    fn is_musl_that_searches(&self) -> bool {
        self.is("musl") && !self.before(4)
    }

    /// The queries that the image's musl sends, and the seconds they take; `None` if it crashes or sends nothing.
    fn musl_timing(&self, set: &Set) -> Option<(u32, u32)> {
        let drops_the_line = set.has(LONG_OPTION);
        let number = |option, default| if drops_the_line { default } else { set.number(option).unwrap_or(default) };
        let attempts = match self.alpine {
            Some(4 | 5) => 2,
            Some(..4) => number("attempts", 2).max(1),
            _ => number("attempts", 2),
        };
        let timeout = number("timeout", 5);
        (timeout > 0 && attempts > 0).then_some((timeout, attempts))
    }
}

/// Where each rule is true. One arm for each rule, hence its length.
fn is_true(slug: &str, image: &Image, set: &Set, start: Start) -> bool {
    let (musl, glibc, uclibc) = (image.is("musl"), image.is("glibc"), image.is("uclibc"));
    let (go, may_have_cgo) = (image.is("go") || image.is("go-any"), image.is("go-any"));
    // uClibc reads an option only if it is the first of the line, where the kubelet writes its own ndots.
    let first_on_the_line = start != Start::Cluster;
    let ndots = set.number("ndots").unwrap_or(if start == Start::Cluster { 5 } else { 1 });
    let foreign_searches = set.searches.iter().any(|name| *name != ".");
    let drops_searches = set.searches == LONG_SEARCHES;
    let drops_options = set.has(LONG_OPTION);
    // musl asks all nameservers at once, glibc the first one first.
    let asks_a_node_cache = set.nameservers.iter().any(|address| address.starts_with("169.254."));
    let asks_it_first = asks_a_node_cache && start == Start::Nothing;
    match slug {
        "attempts-zero" => set.number("attempts") == Some(0) && (glibc || (musl && !image.before(6))),
        "timeout-zero" => set.number("timeout") == Some(0) && (musl || uclibc),
        "malformed-option" => set.options == [("timeout", "1.5")],
        "duplicate-option" => set.options.len() == 2 && set.options[0].0 == set.options[1].0,
        "search-line-too-long" => {
            let old_glibc = drops_searches || (start == Start::Cluster && set.searches.len() + 3 > 6);
            (image.is_musl_that_searches() && (drops_searches || drops_options))
                || (uclibc && drops_searches)
                || (glibc && old_glibc)
        }
        "search-dot" => set.searches == ["."] && ((image.is_musl_that_searches() && !image.since(18)) || uclibc),
        "ndots-breaks-musl" => {
            let reads = !drops_searches && !drops_options;
            image.is_musl_that_searches() && start == Start::Cluster && ndots < 4 && reads
        }
        "short-total-timeout" => {
            let timeout = set.number("timeout");
            let shorter = |patience: u32| (1..5).contains(&patience);
            (musl && image.musl_timing(set).is_some_and(|(timeout, _)| shorter(timeout)))
                || (glibc
                    && timeout
                        .is_some_and(|timeout| shorter(timeout.max(1) * set.number("attempts").unwrap_or(2).min(5))))
                || (uclibc && first_on_the_line && timeout.is_some_and(shorter))
                // Go gives up on each query after the time-out, which is at least a second.
                || (go && timeout.is_some_and(|timeout| shorter(timeout.max(1))))
        }
        "use-vc-hangs" => glibc && set.has("use-vc"),
        "strict-parser-breaks" => {
            !go && (set.has("no-aaaa") || set.has(LONG_OPTION) || set.options == [("timeout", "1.5")])
        }
        "musl-queries-all-nameservers" => musl && !set.nameservers.is_empty(),
        "musl-attempts-ignored" => matches!(image.alpine, Some(4..=6)) && set.has("attempts"),
        "option-ignored" => {
            let for_glibc =
                ["single-request", "single-request-reopen", "use-vc", "no-aaaa"].iter().any(|name| set.has(name));
            set.has(LONG_OPTION)
                || ((musl || uclibc) && for_glibc)
                || (go && set.has("no-aaaa"))
                || (set.has("ndots") && (uclibc || image.before(4)))
        }
        "musl-slow-retry" => {
            let resends_late = |(timeout, attempts)| attempts == 1 || 3 * timeout > 5 * attempts;
            musl && !asks_a_node_cache && image.musl_timing(set).is_some_and(resends_late)
        }
        "retry-storm" => {
            let feeds = |(timeout, attempts)| attempts >= 4 && 4 * timeout <= 5 * attempts;
            musl && image.musl_timing(set).is_some_and(feeds)
        }
        "single-request-waits" => {
            (glibc || go) && ["single-request", "single-request-reopen"].iter().any(|name| set.has(name))
        }
        "musl-no-tcp" => image.before(18),
        "musl-query-id-collision" => image.before(18) && !asks_a_node_cache,
        "musl-aaaa-all-or-nothing" => musl && !image.before(13),
        "musl-stops-search" => image.is_musl_that_searches() && foreign_searches && !drops_searches,
        "node-resolv-conf" => start == Start::Node,
        // No search domain here is known to be broken.
        "broken-search-domain" => false,
        // No nameserver here is a public one.
        "no-cluster-nameserver" => false,
        "parallel-a-aaaa" => {
            let apart =
                ["single-request", "single-request-reopen", "use-vc", "no-aaaa"].iter().any(|name| set.has(name));
            glibc && !apart && !asks_it_first && set.number("attempts") != Some(0)
        }
        "ndots-amplification" => {
            let searches = start == Start::Cluster && ndots > 2;
            searches && (glibc || go || (image.is_musl_that_searches() && !drops_searches && !drops_options))
        }
        "go-falls-back-to-libc" => may_have_cgo && (set.has("no-aaaa") || set.has(LONG_OPTION)),
        // No container here sets GODEBUG.
        "go-netdns-ineffective" => false,
        // No pod here ignores a rule, or has an annotation of 0.1.0.
        "unknown-rule" | "unread-key" | "outdated-injection" => false,
        other => unreachable!("say here where {other} is true"),
    }
}

#[test]
fn each_rule_fires_exactly_where_it_is_true() {
    // The contents of the others are unknown.
    let known = images().into_iter().filter(|image| !image.is("unknown"));
    for image in known {
        for set in &SETS {
            for (policy, host_network, start) in POLICIES {
                let plan = planned(&set.pod(&image.reference, policy, host_network), Mode::Warn, "default");
                for rule in RULES {
                    let fired = plan.findings.iter().any(|planned| planned.finding.rule == *rule);
                    let Image { reference, libc, alpine: _ } = &image;
                    let told = format!("{} on {reference} ({libc}) with {:?} and {policy}", rule.slug, set.options);
                    assert_eq!(fired, is_true(rule.slug, &image, set, start), "{told}, searches {:?}", set.searches);
                }
            }
        }
    }
}

#[test]
fn nothing_is_said_of_musl_where_no_name_suggests_it() {
    for image in images().iter().filter(|image| !image.is("musl") && !image.reference.contains("alpine")) {
        for set in &SETS {
            let plan = planned(&set.pod(&image.reference, "ClusterFirst", false), Mode::Warn, "default");
            for finding in plan.findings.iter().map(|planned| &planned.finding) {
                let slug = finding.rule.slug;
                assert!(!slug.contains("musl"), "{slug} on {}", image.reference);
            }
        }
    }
}

#[test]
fn a_pod_that_sets_nothing_gets_no_warning_without_musl_and_at_most_two_with_it() {
    for image in images() {
        let plan = planned(&SETS[0].pod(&image.reference, "ClusterFirst", false), Mode::Warn, "default");
        let warnings: Vec<_> = plan.at_least(Level::Warn).map(|planned| planned.finding.rule.slug).collect();
        let most = if image.is("musl") || image.reference.contains("alpine") { 2 } else { 0 };
        assert!(warnings.len() <= most, "{}: {warnings:?}", image.reference);
        assert!(plan.at_least(Level::Deny).next().is_none(), "{}", image.reference);
    }
}

#[test]
fn no_advice_on_musl_names_what_musl_does_not_do() {
    for image in images().iter().filter(|image| image.is("musl")) {
        for set in &SETS {
            for (policy, host_network, _) in POLICIES {
                let plan = planned(&set.pod(&image.reference, policy, host_network), Mode::Warn, "default");
                for finding in plan.findings.iter().map(|planned| &planned.finding) {
                    let told = format!("{} on {}: {}", finding.rule.slug, image.reference, finding.help);
                    for ignored in ["single-request", "use-vc", "no-aaaa", "rotate", "ndots:2"] {
                        assert!(!finding.help.contains(ignored), "{told}");
                    }
                    // The one on long lines lists what some musl reads.
                    let may_name_attempts =
                        !matches!(image.alpine, Some(4 | 5)) || finding.rule.slug == "search-line-too-long";
                    assert!(may_name_attempts || !finding.help.contains("attempts"), "{told}");
                }
            }
        }
    }
}

#[test]
fn every_message_is_a_short_clause_and_every_help_too() {
    for image in images() {
        for set in &SETS {
            let plan = planned(&set.pod(&image.reference, "ClusterFirst", false), Mode::Warn, "default");
            for finding in plan.findings.iter().map(|planned| &planned.finding) {
                let (slug, message, help) = (finding.rule.slug, &finding.message, &finding.help);
                assert!(message.len() <= 100, "{slug}: {message}");
                assert!(
                    !message.ends_with('.') && !help.ends_with('.') || help.ends_with("www.example.com."),
                    "{slug}: {help}"
                );
                assert!(help.len() <= 120, "{slug}: {help}");
            }
        }
    }
}
