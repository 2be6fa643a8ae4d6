//! `muslin status` on a real API server: twenty nodes with observations as watchers write them, of which one is odd.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cluster::scan_page::{has_no_dangling_link, is_readable};
use crate::common::browser::Browser;
use crate::common::control_plane::ControlPlane;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::MANIFESTS;
use crate::common::schemas::ensure_valid;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_status_points_out_the_odd_node_of_twenty,
    a_caller_without_rights_gets_what_is_not_known,
    each_right_of_the_role_is_needed_and_named,
    a_cluster_without_muslin_and_without_nodes_has_a_status,
    an_unreachable_cluster_and_wrong_arguments_have_their_codes
];

/// Texts that an API server takes, and that a page and a terminal must show as they are.
const HOSTILE: &str = "<script>window.hostile=1</script><img src=x onerror=window.hostile=1> \u{1b}[2J \u{202e}";

pub(crate) fn name(index: usize) -> String {
    format!("node-{index:02}")
}

fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

/// Returns the observation of a watcher, written so many minutes ago. The seventh node is odd, the ninth has hostile texts.
pub(crate) fn observation(index: usize, minutes: i64) -> Value {
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
    for shop in ["status-cart", "status-pay", "status-shop"] {
        cluster.namespace(shop, &[("muslin.dev/mode", "enforce"), ("muslin.dev/profile", "ipv6")])?;
    }
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
    points_out_the_odd_node(&text, 18)?;
    is_the_sample(&text)?;
    for wanted in [
        "the watcher of node node-11 has been silent for 42 minutes",
        "no watcher has written from node node-12",
        "the label muslin.dev/profile of namespace status-typo names no profile: status-gone",
        "`injekt` is not a mode",
    ] {
        ensure!(words.contains(wanted), "the status lacks {wanted:?}: {text}");
    }

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
    let groups = document["namespaces"].as_array().context("namespaces")?;
    let group = groups.iter().find(|group| group["mode"] == "enforce" && group["profile"] == "ipv6");
    ensure!(group.is_some_and(|group| group["namespaces"].to_string().contains("status-shop")), "{document:#}");
    ensure!(document["images"]["unknown"].to_string().contains("registry.example.com/status/app:1"), "{document:#}");
    ensure!(document["nameservers"][0]["nodes"] == 18 && document["nameservers"][0]["queries"] == 3600, "{document:#}");

    ensure!(html.status.success() && html.stdout.is_empty(), "{html:?}");
    is_a_good_page(&page)
}

/// Checks that a status for people names the odd node of so many, and only that one.
pub(crate) fn points_out_the_odd_node(shown: &str, nodes: usize) -> Result<()> {
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "deny stale-nameserver (192.0.2.66) on node node-07",
        "192.0.2.66 comes from /etc/systemd/network/10-eth0.network line 6 (systemd-networkd) on node-07, and comes back after a reboot",
        &format!("warn node node-07 uses the nameserver 192.0.2.66, unlike {} other nodes", nodes - 1),
    ] {
        ensure!(words.contains(wanted), "the status lacks {wanted:?}: {shown}");
    }
    let odd = |line: &&str| line.starts_with("warn") && line.contains("uses the nameserver");
    ensure!(shown.lines().filter(odd).count() == 1, "{shown}");
    Ok(())
}

/// Checks that the sample of the documentation is what the program shows, in this order, but for the time and the widths of columns. A line
/// `...` leaves out what depends on the other tests of the cluster.
fn is_the_sample(shown: &str) -> Result<()> {
    const PAGE: &str = include_str!("../../docs/status.md");
    let lines = |text: &str| -> Vec<String> {
        let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let words = words.filter(|words| !words.is_empty()).map(|words| words.join(" "));
        words.map(|line| line.split_once(" at 2").map_or(line.clone(), |(before, _)| before.to_owned())).collect()
    };
    let sample =
        PAGE.split_once("$ muslin status\n").and_then(|(_, rest)| rest.split_once("\n```")).context("no sample")?.0;
    let (sample, shown) = (lines(sample), lines(shown));
    let (mut rest, mut may_skip) = (&*shown, false);
    for line in &sample {
        if line == "..." {
            may_skip = true;
            continue;
        }
        let found = rest.iter().position(|shown| shown == line);
        let found =
            found.with_context(|| format!("the status lacks this line of docs/status.md: {line}\n{shown:#?}"))?;
        ensure!(may_skip || found == 0, "docs/status.md lacks {:?} before {line:?}", &rest[..found]);
        (rest, may_skip) = (&rest[found + 1..], false);
    }
    ensure!(may_skip || rest.is_empty(), "docs/status.md lacks {rest:?}");
    Ok(())
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
    ensure!(words.contains("no problem is known"), "{text}");
    // One sentence for all checks that lack rights.
    let checks = "Not known: the checks deployment, pods, service, webhooks, certificate, ca-bundle of muslin itself: you may not";
    ensure!(words.contains(checks) && text.matches("Not known: ").count() == 6, "{text}");
    Ok(())
}

/// The role, and that of the certificate.
const ROLES: [&str; 2] = ["muslin-status", "muslin-status-certificate"];

/// Binds the roles for a status to a service account of a namespace, and returns its kubeconfig.
pub(crate) fn with_the_roles(cluster: &Cluster, namespace: &str) -> Result<PathBuf> {
    cluster.namespace(namespace, &[])?;
    kubectl(cluster, &["create", "serviceaccount", "reader", "-n", namespace])?;
    kubectl(cluster, &["apply", "-k", &format!("{MANIFESTS}/status")])?;
    let bound = format!("--serviceaccount={namespace}:reader");
    let [role, certificate] = ROLES.map(|role| format!("--clusterrole={role}"));
    kubectl(cluster, &["create", "clusterrolebinding", namespace, &role, &bound])?;
    kubectl(cluster, &["create", "rolebinding", namespace, "-n", "muslin", &certificate, &bound])?;
    cluster.control_plane.service_account_kubeconfig(namespace, "reader")
}

/// Returns what a status says is not known.
fn not_known(kubeconfig: &Path) -> Result<Vec<String>> {
    let output = muslin(kubeconfig, &["-o", "json", "--fail-on", "never"])?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    Ok(serde_json::from_value(document["unread"].clone())?)
}

/// With the roles nothing is unknown; without one of their resources, a sentence names it, and the rest is shown.
fn each_right_of_the_role_is_needed_and_named(cluster: &Cluster) -> Result<()> {
    let kubeconfig = with_the_roles(cluster, "status-reader")?;
    let wait_for = |what: &str, is_there: &dyn Fn(&[String]) -> bool| -> Result<()> {
        // The API server learns of a changed role after a moment.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let unread = not_known(&kubeconfig)?;
            if is_there(&unread) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{what}: {unread:#?}");
        }
    };
    wait_for("with all rights something is not known", &<[String]>::is_empty)?;
    for role in ROLES {
        let written = cluster.control_plane.kubectl(&["get", "clusterrole", role, "-o", "json"], None)?;
        let mut written: Value = serde_json::from_str(&written.stdout)?;
        let Some(Value::Array(rules)) = written.get_mut("rules").map(Value::take) else { bail!("{role} has no rules") };
        written["metadata"] = json!({ "name": role });
        for (index, rule) in rules.iter().enumerate() {
            for resource in rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut fewer = rules.clone();
                let resources = fewer[index]["resources"].as_array_mut().context("resources")?;
                resources.retain(|one| one != resource);
                if resources.is_empty() {
                    fewer.remove(index);
                }
                written["rules"] = json!(fewer);
                let applied = cluster.control_plane.kubectl(&["replace", "-f", "-"], Some(&written.to_string()))?;
                ensure!(applied.status.success(), "{}", applied.stderr);
                let names = |unread: &[String]| unread.iter().any(|sentence| names_the_resource(sentence, resource));
                wait_for(&format!("without {resource} nothing says so"), &names)?;
            }
        }
        kubectl(cluster, &["apply", "-k", &format!("{MANIFESTS}/status"), "--server-side", "--force-conflicts"])?;
    }
    kubectl(cluster, &["delete", "clusterrolebinding", "status-reader"])?;
    kubectl(cluster, &["delete", "rolebinding", "status-reader", "-n", "muslin"])
}

/// Returns whether a sentence says that a resource may not be read: by its name in the API, or by its kind and name.
fn names_the_resource(sentence: &str, resource: &str) -> bool {
    sentence.contains("you may not") && sentence.contains(resource)
}

fn a_cluster_without_muslin_and_without_nodes_has_a_status(_: &Cluster) -> Result<()> {
    let bare = ControlPlane::start()?;
    let kubeconfig = bare.admin_kubeconfig();
    let human = muslin(&kubeconfig, &["--fail-on", "warn"])?;
    let text = String::from_utf8(human.stdout)?;
    ensure!(human.status.success() && human.stderr.is_empty(), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in ["DNS of 0 nodes", "muslin's webhook is not installed", "no node is watched", "not installed"] {
        ensure!(words.contains(wanted), "the status lacks {wanted:?}: {text}");
    }
    // No namespace has a mode, and no part is wrong.
    ensure!(["Not known", "MODE", "check"].iter().all(|word| !text.contains(word)), "{text}");
    let info = muslin(&kubeconfig, &["--fail-on", "info", "-o", "json"])?;
    ensure!(info.status.code() == Some(1), "{info:?}");
    let document: Value = serde_json::from_slice(&info.stdout)?;
    ensure_valid("status", &document)?;
    ensure!(document["totals"]["all"] == 0 && document["images"]["pods"] == 0, "{document:#}");
    let page = String::from_utf8(muslin(&kubeconfig, &["-o", "html"])?.stdout)?;
    ensure!(page.starts_with("<!DOCTYPE html>") && page.contains("not installed"), "{page}");
    Ok(())
}

fn an_unreachable_cluster_and_wrong_arguments_have_their_codes(cluster: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(cluster.control_plane.admin_kubeconfig())?;
    let mut config: Value = serde_json::from_str(&text)?;
    // The port 1 is closed, and no name ends with `.invalid`.
    for server in ["https://127.0.0.1:1", "https://muslin.invalid"] {
        config["clusters"][0]["cluster"]["server"] = json!(server);
        std::fs::write(&file, config.to_string())?;
        let output = muslin(&file, &["-o", "json"])?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(3) && stderr.contains("cannot reach the API server"), "{stderr}");
        ensure!(output.stdout.is_empty(), "{output:?}");
    }
    for missing in [folder.path().join("none"), folder.path().to_owned()] {
        let output = muslin(&missing, &[])?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2) && stderr.contains("--kubeconfig"), "{output:?}");
    }
    let odd = "a \u{1b}[2J<blink>\u{202e}";
    let mut config: Value = serde_json::from_str(&text)?;
    config["contexts"][0]["name"] = json!(odd);
    config["current-context"] = json!(odd);
    std::fs::write(&file, config.to_string())?;
    for format in ["human", "html"] {
        let output = muslin(&file, &["--no-images", "--fail-on", "never", "-o", format])?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(text.contains("\\u{1b}[2J") && !text.contains(['\u{1b}', '\u{202e}']), "{text}");
        ensure!(format == "human" || !text.contains("<blink>"), "{text}");
    }
    let admin = cluster.control_plane.admin_kubeconfig();
    let wrong = [
        ["--fail-on", "often"],
        ["--context", "none"],
        ["--output-file", "/nowhere/x.html"],
        ["-o", "yaml"],
        ["--profile", "quick"],
    ];
    for wrong in wrong {
        let output = muslin(&admin, &wrong)?;
        ensure!(output.status.code() == Some(2), "{wrong:?}: {output:?}");
    }
    Ok(())
}
