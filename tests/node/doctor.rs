//! `muslin doctor` in a whole cluster: well after the installation, and right about each fault, one after the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::Topic;
use crate::common::diagnosis::Diagnosis;
use crate::common::harness::tests;
use crate::node::real_node::{Node, REGISTRY, eventually};

/// Takes some minutes: each fault must take effect, and each end of it.
pub(crate) const ON_REQUEST: Topic = tests![the_doctor_finds_nothing_and_then_each_fault];

/// Time limit until a fault, or its end, has taken effect.
const DEADLINE: Duration = Duration::from_secs(180);

/// The rest of a certificate's validity, long enough for replicas to serve with it.
const VALIDITY: Duration = Duration::from_secs(45);

const DAY: Duration = Duration::from_hours(24);

/// A fault, and the checks that name it.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    begin: fn(&Node) -> Result<()>,
    end: fn(&Node) -> Result<()>,
    /// Checks that are wrong meanwhile, each with words of its texts.
    checks: &'static [(&'static str, &'static [&'static str])],
}

/// The faults of any installation.
pub(crate) const FAULTS: [Fault; 6] = [
    Fault {
        name: "The port is blocked",
        begin: |node| block(node, "type filter hook output priority 10", "tcp dport 8443 drop"),
        end: unblock,
        checks: &[("port", &["timeout", "plain port answers", "--platform gke"]), ("call", &["unmarked"])],
    },
    Fault {
        name: "An empty caBundle",
        begin: ca_bundle_emptied,
        end: |node| bind(node, "clusterrolebinding", "muslin-certificates", true),
        checks: &[("ca-bundle", &["pods.muslin.dev", "is empty"]), ("call", &["unmarked"])],
    },
    Fault {
        name: "An expired certificate",
        begin: certificate_about_to_expire,
        end: |node| bind(node, "rolebinding", "muslin-certificates", true),
        // API servers keep the connections that they have, so pods may still be reviewed for a while.
        checks: &[("certificate", &["expired at", "kubectl logs"])],
    },
    Fault {
        name: "A missing image",
        begin: |node| {
            let image = format!("muslin={REGISTRY}/muslin:missing");
            node.kubectl(&["set", "image", "deployment/muslin", "-n", "muslin", &image]).map(drop)
        },
        end: |node| node.kubectl(&["rollout", "undo", "deployment/muslin", "-n", "muslin"]).map(drop),
        checks: &[("pods", &["muslin:missing", "cannot pull", "push the image"])],
    },
    Fault {
        name: "A wrong selector",
        begin: |node| select(node, "webhok"),
        end: |node| select(node, "webhook"),
        checks: &[("service", &["webhok", "does not match", "app.kubernetes.io/component"])],
    },
    Fault {
        name: "No rights for muslin",
        begin: |node| bind(node, "clusterrolebinding", "muslin", false),
        end: |node| bind(node, "clusterrolebinding", "muslin", true),
        checks: &[("rights", &["get namespaces", "muslin install"])],
    },
];

fn the_doctor_finds_nothing_and_then_each_fault(node: &mut Node) -> Result<()> {
    let node = &*node;
    // muslin inspects images here, and the node reaches no other registry than its own.
    eventually(DEADLINE, || {
        diagnosis(node)?.expect("registries", "wrong", &["did not reach the registry docker.io", "NetworkPolicies"])
    })?;
    finds_each(node, &FAULTS, |fault| {
        // The alert's Event shows where an admin looks first.
        if fault.name == FAULTS[0].name { missed_pods_show_on_the_deployment(node) } else { Ok(()) }
    })
}

/// Asserts that the doctor finds nothing, and then each of these faults. `meanwhile` is called while a fault lasts.
pub(crate) fn finds_each(node: &Node, faults: &[Fault], mut meanwhile: impl FnMut(&Fault) -> Result<()>) -> Result<()> {
    is_well(node).context("after the installation")?;
    for fault in faults {
        fault.lasts(node, || meanwhile(fault))?;
        is_well(node).with_context(|| format!("after the end of: {}", fault.name))?;
    }
    Ok(())
}

// === impl Fault ===

impl Fault {
    /// Begins the fault, waits until the doctor names it, and ends it.
    fn lasts(&self, node: &Node, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
        let Self { name, begin, end, checks } = self;
        begin(node).context(*name)?;
        let found = eventually(DEADLINE, || {
            let found = diagnosis(node)?;
            ensure!(found.code == Some(1), "{:?}", found.code);
            checks.iter().try_for_each(|(check, words)| found.expect(check, "wrong", words))
        });
        let found = found.and_then(|()| meanwhile());
        end(node).context(*name)?;
        found.context(*name)
    }
}

/// Returns one run of `muslin doctor` in the node.
fn diagnosis(node: &Node) -> Result<Diagnosis> {
    Diagnosis::of(node.command(env!("CARGO_BIN_EXE_muslin")), &[])
}

/// Waits until all checks are well, except for registries that the node does not reach.
pub(crate) fn is_well(node: &Node) -> Result<()> {
    eventually(DEADLINE, || {
        let found = diagnosis(node)?;
        let checks = found.report["checks"].as_array().context("there are no checks")?;
        let is_well = |check: &Value| check["status"] == "ok" || check["status"] == "warning";
        ensure!(checks.iter().all(|check| is_well(check) || check["check"] == "registries"), "{:#}", found.report);
        found.expect("call", "ok", &["came back marked"])?;
        found.expect("port", "ok", &[])
    })
}

/// The leader watches pods, also while API servers do not reach it.
fn missed_pods_show_on_the_deployment(node: &Node) -> Result<()> {
    let mut number = 0;
    eventually(DEADLINE, || {
        // Pods of the leader's first minute do not count.
        number += 1;
        node.kubectl(&["run", &format!("missed-{number}"), &format!("--image={REGISTRY}/missed:1")])?;
        std::thread::sleep(Duration::from_secs(2));
        let (described, _) = node.kubectl(&["describe", "deployment", "muslin", "-n", "muslin"])?;
        ensure!(described.contains("PodsMissed"), "{described}");
        ensure!(described.contains("run `muslin doctor`, which finds the cause"), "{described}");
        Ok(())
    })?;
    let all = ["delete", "pods", "-n", "default", "--all", "--force", "--grace-period=0", "--wait=false"];
    node.kubectl(&all).map(drop)
}

fn nft(node: &Node, rules: &[&str]) -> Result<()> {
    let output = node.command("nft").args(rules).output().context("starting nft")?;
    ensure!(output.status.success(), "nft {rules:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Blocks the packets that a rule matches.
fn block(node: &Node, hook: &str, rule: &str) -> Result<()> {
    nft(node, &["add", "table", "inet", "blocked"])?;
    nft(node, &["add", "chain", "inet", "blocked", "fault", &format!("{{ {hook} ; }}")])?;
    let words: Vec<&str> = rule.split(' ').collect();
    nft(node, &[&["add", "rule", "inet", "blocked", "fault"], &words[..]].concat())
}

fn unblock(node: &Node) -> Result<()> {
    nft(node, &["delete", "table", "inet", "blocked"])
}

/// muslin restores `caBundle` within milliseconds, so it loses the right first.
fn ca_bundle_emptied(node: &Node) -> Result<()> {
    bind(node, "clusterrolebinding", "muslin-certificates", false)?;
    let removal = json!([{ "op": "remove", "path": "/webhooks/0/clientConfig/caBundle" }]).to_string();
    node.kubectl(&["patch", "mutatingwebhookconfiguration", "muslin.dev", "--type=json", "-p", &removal]).map(drop)
}

/// Takes muslin's right to renew its certificate, and gives it one of its own CA that works for some seconds. The clock does the rest.
fn certificate_about_to_expire(node: &Node) -> Result<()> {
    bind(node, "rolebinding", "muslin-certificates", false)?;
    let (secret, _) = node.kubectl(&["get", "secret", "muslin-certificates", "-n", "muslin", "-o", "json"])?;
    let secret: Value = serde_json::from_str(&secret)?;
    let stored = |key: &str| -> Result<String> {
        let text = secret["data"][key].as_str().with_context(|| format!("the Secret has no {key}"))?;
        Ok(String::from_utf8(BASE64_STANDARD.decode(text)?)?)
    };
    let (certificate, key) = short_lived(&stored("ca.crt")?, &stored("ca.key")?)?;
    let text = json!({ "stringData": { "tls.crt": certificate, "tls.key": key } }).to_string();
    node.kubectl(&["patch", "secret", "muslin-certificates", "-n", "muslin", "--type=merge", "-p", &text])?;
    // While it is valid, pods are reviewed.
    eventually(VALIDITY, || {
        let found = diagnosis(node)?;
        found.expect("certificate", "warning", &["expires in 0 days"])?;
        found.expect("ca-bundle", "ok", &[])?;
        found.expect("call", "ok", &["came back marked"])
    })
}

fn select(node: &Node, component: &str) -> Result<()> {
    let patch = json!({ "spec": { "selector": { "app.kubernetes.io/component": component } } }).to_string();
    node.kubectl(&["patch", "service", "muslin", "-n", "muslin", "-p", &patch]).map(drop)
}

/// Gives the right to muslin's service account, or takes it away.
fn bind(node: &Node, kind: &str, name: &str, is_bound: bool) -> Result<()> {
    let account = json!({ "kind": "ServiceAccount", "name": "muslin", "namespace": "muslin" });
    let subjects = if is_bound { json!([account]) } else { json!([]) };
    let patch = json!([{ "op": "replace", "path": "/subjects", "value": subjects }]).to_string();
    node.kubectl(&["patch", kind, name, "-n", "muslin", "--type=json", "-p", &patch])?;
    Ok(())
}

/// Returns a certificate of this CA that expires soon, and its key.
fn short_lived(authority: &str, authority_key: &str) -> Result<(String, String)> {
    let issuer = Issuer::from_ca_cert_pem(authority, KeyPair::from_pem(authority_key)?)?;
    let mut params = CertificateParams::new(vec!["muslin.muslin.svc".to_owned()])?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let year_1970 = date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (year_1970 + (now - DAY), year_1970 + (now + VALIDITY));
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok((certificate, key.serialize_pem()))
}
