//! `muslin status` on a real API server: twenty nodes with observations as watchers write them, of which one is odd.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cluster::scan_page::{has_no_dangling_link, is_readable};
use crate::common::browser::Browser;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::schemas::ensure_valid;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_status_points_out_the_odd_node_of_twenty,
    a_caller_without_rights_gets_what_is_not_known,
    an_unreachable_cluster_and_wrong_arguments_have_their_codes
];

/// Texts that an API server takes, and that a page and a terminal must show as they are.
const HOSTILE: &str = "<script>window.hostile=1</script><img src=x onerror=window.hostile=1> \u{1b}[2J \u{202e}";

fn name(index: usize) -> String {
    format!("node-{index:02}")
}

fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

/// Returns the observation of a watcher, written so many minutes ago.
fn observation(index: usize, minutes: i64) -> Value {
    let at = ago(minutes);
    let origin = |address: &str, line: u32| {
        json!({
            "address": address, "file": "/etc/systemd/network/10-eth0.network", "line": line, "mechanism": "systemd-networkd",
            "inUse": true, "persistence": "stored",
        })
    };
    let mut watch = json!({
        "pod": format!("muslin-watch-{index}"), "version": "0.6.0", "checkedAt": at, "rounds": 400, "probedAt": at,
        "verdicts": [], "origins": [origin("192.0.2.1", 5)],
        "nameservers": [
            { "address": "10.96.0.10", "queries": 200, "lost": 0, "p50Milliseconds": 0.4, "p99Milliseconds": 3 },
        ],
    });
    if index == 7 {
        watch["verdicts"] = json!([{
            "verdict": "stale-nameserver", "level": "deny", "subject": "192.0.2.66", "since": ago(18),
            "text": "the nameserver 192.0.2.66 behind CoreDNS answers no query",
        }]);
        watch["origins"] = json!([origin("192.0.2.1", 5), origin("192.0.2.66", 6)]);
    }
    if index == 9 {
        watch["verdicts"] =
            json!([{ "verdict": "x", "level": "info", "subject": HOSTILE, "since": at, "text": HOSTILE }]);
    }
    let domain = json!({ "domain": "corp.example.com", "answer": "NXDOMAIN", "since": at });
    json!({
        "apiVersion": "muslin.dev/v1alpha1", "kind": "DNSObservation", "metadata": { "name": name(index) },
        "spec": {
            "pod": format!("muslin-watch-{index}"), "nameservers": ["10.96.0.10"], "checkedAt": at, "broken": [],
            "domains": [domain], "watch": watch,
        }
    })
}

/// Fills a cluster with twenty nodes: the seventh is odd, the ninth has hostile texts, the eleventh is silent, the twelfth is not watched.
fn fill(cluster: &Cluster) -> Result<()> {
    for index in 1..=20 {
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name(index) } });
        cluster.create(&node)?;
        if index != 12 {
            cluster.create(&observation(index, if index == 11 { 42 } else { 1 }))?;
        }
    }
    // Nodes without a kubelet are not ready.
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } }).to_string();
    kubectl(cluster, &["patch", "node", &name(12), "--subresource=status", "--type=merge", "-p", &ready])?;
    cluster.namespace("status-typo", &[("muslin.dev/mode", "injekt"), ("muslin.dev/profile", "status-gone")])?;
    cluster.namespace("status-shop", &[("muslin.dev/mode", "enforce")])?;
    cluster.create(&pod("status-shop", "unknown", "registry.example.com/status/app:1"))?;
    Ok(())
}

/// Deletes what would count in other tests.
fn empty(cluster: &Cluster) -> Result<()> {
    let names: Vec<String> = (1..=20).map(name).collect();
    for kind in ["node", "dnsobservation"] {
        let names = names.iter().map(String::as_str);
        kubectl(cluster, &["delete", kind, "--ignore-not-found"].into_iter().chain(names).collect::<Vec<_>>())?;
    }
    kubectl(cluster, &["delete", "pod", "-n", "status-shop", "unknown", "--force", "--grace-period=0"])?;
    kubectl(cluster, &["label", "namespace", "status-typo", "muslin.dev/mode-", "muslin.dev/profile-"])
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Result<()> {
    let output = cluster.control_plane.kubectl(arguments, None)?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
    Ok(())
}

fn muslin(kubeconfig: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    Ok(command.arg("status").args(arguments).arg("--kubeconfig").arg(kubeconfig).output()?)
}

fn the_status_points_out_the_odd_node_of_twenty(cluster: &Cluster) -> Result<()> {
    fill(cluster)?;
    let kubeconfig = cluster.control_plane.admin_kubeconfig();
    let shown = muslin(&kubeconfig, &[])?;
    let json = muslin(&kubeconfig, &["-o", "json", "--fail-on", "never"])?;
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("status.html");
    let html =
        muslin(&kubeconfig, &["-o", "html", "--fail-on", "never", "--output-file", &page.display().to_string()])?;
    empty(cluster)?;

    let text = String::from_utf8(shown.stdout)?;
    ensure!(shown.status.code() == Some(1), "{:?}: {text}", shown.status);
    ensure!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    ensure!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "deny stale-nameserver (192.0.2.66) on node node-07",
        "192.0.2.66 comes from /etc/systemd/network/10-eth0.network line 6 (systemd-networkd) on node-07, and comes back after a reboot",
        "warn node node-07 uses the nameserver 192.0.2.66, unlike 17 other nodes",
        "the watcher of node node-11 has been silent for 42 minutes",
        "no watcher has written from node node-12",
        "the label muslin.dev/profile of namespace status-typo names no profile: status-gone",
        "`injekt` is not a mode",
    ] {
        ensure!(words.contains(wanted), "the status lacks {wanted:?}: {text}");
    }
    let odd = |line: &str| line.starts_with("warn") && line.contains("uses the nameserver");
    ensure!(text.lines().filter(|line| odd(line)).count() == 1, "{text}");

    let document: Value = serde_json::from_slice(&json.stdout).with_context(|| format!("{json:?}"))?;
    ensure_valid("status", &document)?;
    ensure!(json.status.success() && json.stderr.is_empty(), "{json:?}");
    let state = |node: &str| {
        let found = document["nodes"].as_array()?.iter().find(|one| one["node"] == node)?;
        found["state"].as_str()
    };
    let states = ["node-07", "node-09", "node-11", "node-12", "node-20"].map(state);
    let wanted = ["verdict", "verdict", "silent", "unwatched", "healthy"].map(Some);
    ensure!(states == wanted, "{states:?}");
    let group =
        document["namespaces"].as_array().context("namespaces")?.iter().find(|group| group["mode"] == "enforce");
    ensure!(group.is_some_and(|group| group["namespaces"].to_string().contains("status-shop")), "{document:#}");
    ensure!(document["images"]["unknown"].to_string().contains("registry.example.com/status/app:1"), "{document:#}");
    ensure!(document["nameservers"][0]["nodes"] == 18 && document["nameservers"][0]["queries"] == 3600, "{document:#}");

    ensure!(html.status.success() && html.stdout.is_empty(), "{html:?}");
    is_a_good_page(&page)
}

fn is_a_good_page(page: &Path) -> Result<()> {
    let mut browser = Browser::start()?;
    browser.open(page)?;
    ensure!(browser.requests.iter().all(|url| url.starts_with("file://")), "{:?}", browser.requests);
    ensure!(browser.value("window.hostile === undefined")? == true, "a text of the cluster ran as a script");
    let foreign =
        browser.value("document.querySelectorAll('script, img, iframe, object, embed, link, form').length")?;
    ensure!(foreign == 0, "{foreign}");
    // The cluster of the tests has no pod of muslin, which is a problem, too.
    let problems =
        browser.value("[...document.querySelectorAll('#problems ~ .findings > li')].map((one) => one.innerText)")?;
    let problems = problems.as_array().context("no problem")?.iter().filter_map(Value::as_str);
    let odd = problems
        .take(8)
        .any(|one| one.starts_with("deny") && one.contains("stale-nameserver (192.0.2.66) on node node-07"));
    ensure!(odd, "the odd node is not among the first problems");
    browser.value("document.querySelectorAll('details').forEach((details) => { details.open = true })")?;
    let text = browser.value("document.body.innerText")?;
    let text = text.as_str().context("no text")?;
    for shown in [
        "<script>window.hostile=1</script><img src=x onerror=window.hostile=1> \\u{1b}[2J \\u{202e}",
        "/etc/systemd/network/10-eth0.network line 6",
        "node-20",
        "registry.example.com/status/app:1",
        "enforce",
    ] {
        ensure!(text.contains(shown), "the page lacks {shown}: {text}");
    }
    has_no_dangling_link(&mut browser)?;
    is_readable(&mut browser, "status")
}

fn a_caller_without_rights_gets_what_is_not_known(cluster: &Cluster) -> Result<()> {
    cluster.namespace("status-poor", &[])?;
    let kubeconfig = cluster.control_plane.service_account_kubeconfig("status-poor", "default")?;
    let output = muslin(&kubeconfig, &["--fail-on", "info"])?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{:?}: {text}", output.status);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in ["nodes", "dnsobservations", "namespaces", "resolverprofiles", "pods"] {
        ensure!(words.contains(&format!("Not known: you may not list {wanted}: ")), "no word of {wanted}: {text}");
    }
    ensure!(words.contains("Not known: check certificate: you may not read the Secret"), "{text}");
    Ok(())
}

fn an_unreachable_cluster_and_wrong_arguments_have_their_codes(cluster: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(cluster.control_plane.admin_kubeconfig())?;
    let mut config: Value = serde_json::from_str(&text)?;
    // The port 1 is closed.
    config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    std::fs::write(&file, config.to_string())?;
    let output = muslin(&file, &["-o", "json"])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3) && stderr.contains("cannot reach the API server"), "{stderr}");
    ensure!(output.stdout.is_empty(), "{output:?}");
    let admin = cluster.control_plane.admin_kubeconfig();
    for wrong in
        [&["--fail-on", "often"][..], &["--context", "none"], &["--output-file", "/nowhere/x.html"], &["-o", "yaml"]]
    {
        let output = muslin(&admin, wrong)?;
        ensure!(output.status.code() == Some(2), "{wrong:?}: {output:?}");
    }
    Ok(())
}
