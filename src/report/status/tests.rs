//! A status in each format.

use jiff::Timestamp;

use super::{StatusView, human_status, json_status, status_page};
use crate::doctor::{self, Check};
use crate::policy::Level;
use crate::status::{
    Images, Kind, Muslin, NameserverRow, NamespaceGroup, NodeState, NodeTotals, Problem, State, Status, UnknownImage,
};

const HOSTILE: &str = "\u{1b}[2J<script>alert(1)</script>\n::error::x\u{202e}";

fn problem(level: Level, title: &str, details: &[&str]) -> Problem {
    Problem {
        level,
        kind: Kind::Verdict,
        name: None,
        title: title.to_owned(),
        details: details.iter().map(|detail| (*detail).to_owned()).collect(),
        nodes: vec!["n07".to_owned()],
        since: None,
    }
}

/// A status with a text in each place.
fn status(text: &str) -> Status {
    let node = NodeState {
        node: text.to_owned(),
        state: State::Unwatched,
        ready: Some(false),
        watch: None,
        cluster_dns: Vec::new(),
        search_domains: Vec::new(),
    };
    let row = NameserverRow {
        address: text.to_owned(),
        nodes: 20,
        queries: 2_000,
        lost: 3,
        p50_milliseconds: Some(0.42),
        p99_milliseconds: Some(1_999.6),
        slowest_node: Some(text.to_owned()),
    };
    let group = |mode| NamespaceGroup {
        mode,
        profile: text.to_owned(),
        namespaces: vec![text.to_owned(), "b".repeat(63), "c".repeat(63), "d".to_owned()],
    };
    let check = Check { check: "pods", status: doctor::Status::Ok, message: text.to_owned(), fix: None };
    let image = UnknownImage { image: text.to_owned(), pods: 3, namespace: text.to_owned() };
    Status {
        time: Timestamp::UNIX_EPOCH,
        problems: vec![problem(Level::Deny, text, &[text, &"word ".repeat(60)]), problem(Level::Info, "b", &[])],
        problems_left_out: 7,
        unread: vec![text.to_owned()],
        muslin: Muslin { namespace: "muslin".to_owned(), checks: vec![check], certificate_days: Some(57) },
        totals: NodeTotals { all: 1, unwatched: 1, ..NodeTotals::default() },
        nodes: vec![node],
        nameservers: vec![row; 20],
        namespaces: Some(vec![group("inject"), group("enforce")]),
        images: Some(Images { pods: 3, images: 1, unknown_images: 1, unknown: vec![image] }),
    }
}

fn view() -> StatusView {
    StatusView { context: Some("kind".to_owned()), version: "1".to_owned() }
}

#[test]
fn a_line_fits_80_columns_and_a_text_of_the_cluster_stays_a_text() {
    let long = format!("{HOSTILE} {}", "long-name-".repeat(24));
    for text in [HOSTILE, "2001:db8:1111:2222:3333:4444:5555:6666", &long] {
        let shown = human_status(&status(text), &view());
        let plain = anstream::adapter::strip_str(shown.as_str()).to_string();
        let is_short = |line: &&str| line.chars().count() <= 80 || line.contains("long-name");
        assert!(plain.lines().all(|line| is_short(&line)), "{plain}");
        assert!(!plain.contains(['\u{202e}', '\u{1b}']), "{plain}");
        assert!(!plain.lines().any(|line| line.trim_start().starts_with("::")), "{plain}");
    }
}

#[test]
fn the_worst_comes_first_and_what_is_left_out_is_counted() {
    let shown = human_status(&status("a"), &view());
    let plain = anstream::adapter::strip_str(shown.as_str()).to_string();
    let lines: Vec<&str> = plain.lines().collect();
    assert_eq!(lines[0], "DNS of 1 node in context kind at 1970-01-01 00:00 UTC: 1 deny, 1 info");
    assert_eq!(lines[2..4], ["deny  a", "      a"]);
    assert!(plain.contains("\nAnd 7 more problems: "), "{plain}");
    assert!(plain.contains("\na           20     0.1%  0.4 ms  2000 ms\n"), "{plain}");
    assert!(plain.contains("\nAnd 8 more nameservers: "), "{plain}");
    assert!(plain.ends_with("certificate valid for 57 days\nNot known: a\n"), "{plain}");
}

#[test]
fn a_muslin_without_checks_is_not_installed_and_what_is_not_known_is_no_sound_cluster() {
    let mut absent = status("a");
    (absent.muslin.checks, absent.problems) = (Vec::new(), Vec::new());
    let shown = human_status(&absent, &view());
    let plain = anstream::adapter::strip_str(shown.as_str()).to_string();
    assert!(plain.contains(": no problem is known\n") && plain.contains("\nmuslin itself: not installed\n"), "{plain}");
    let page = status_page(&absent, &view());
    assert!(page.as_str().contains("No problem is known.") && page.as_str().contains("It is not installed."));
}

#[test]
fn a_text_of_the_cluster_cannot_become_markup() {
    let page = status_page(&status(HOSTILE), &view());
    let page = page.as_str();
    assert!(!page.contains("<script"), "{page}");
    assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count(), 51, "{page}");
    assert!(!page.contains(['\u{202e}', '\u{1b}']), "{page}");
    assert!(page.contains("<h1>DNS of the cluster in kind</h1>"), "{page}");
}

#[test]
fn the_json_has_its_version_and_every_part() {
    let json: serde_json::Value = serde_json::from_str(json_status(&status("a"), &view()).as_str()).unwrap();
    assert_eq!(
        (&json["schemaVersion"], &json["context"], &json["problems"][0]["level"]),
        (&1.into(), &"kind".into(), &"deny".into())
    );
    assert_eq!((&json["totals"]["unwatched"], &json["problemsLeftOut"]), (&1.into(), &7.into()));
    assert_eq!((&json["nodes"][0]["state"], &json["time"]), (&"unwatched".into(), &"1970-01-01T00:00:00Z".into()));
}
