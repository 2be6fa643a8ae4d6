//! `muslin doctor` in a whole cluster: well after the installation, and right about six faults, one after the other.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::json;

use crate::Topic;
use crate::common::diagnosis::Diagnosis;
use crate::common::harness::tests;
use crate::node::real_node::{Node, eventually};

/// Takes some minutes: each fault must take effect, and each end of it.
pub(crate) const ON_REQUEST: Topic = tests![the_doctor_finds_nothing_and_then_each_of_six_faults];

/// Time limit until a fault, or its end, has taken effect.
const DEADLINE: Duration = Duration::from_secs(180);

/// Returns one run of `muslin doctor` in the node.
fn diagnosis(node: &Node) -> Result<Diagnosis> {
    Diagnosis::of(node.command(env!("CARGO_BIN_EXE_muslin")), &[])
}

fn the_doctor_finds_nothing_and_then_each_of_six_faults(node: &mut Node) -> Result<()> {
    let node = &*node;
    is_well(node).context("after the installation")?;
    for (fault, find) in [
        ("the port is blocked", port_blocked as fn(&Node) -> Result<()>),
        ("caBundle is empty", ca_bundle_emptied),
        ("the certificate has expired", certificate_expired),
        ("the image is missing", image_missing),
        ("the Service's selector is wrong", selector_wrong),
        ("muslin has no rights", rights_missing),
    ] {
        find(node).context(fault)?;
        is_well(node).with_context(|| format!("after the end of: {fault}"))?;
    }
    Ok(())
}

fn is_well(node: &Node) -> Result<()> {
    eventually(DEADLINE, || {
        let found = diagnosis(node)?;
        ensure!(found.code == Some(0) && found.report["healthy"] == true, "{:#}", found.report);
        found.expect("call", "ok", &["came back marked"])?;
        found.expect("port", "ok", &[])
    })
}

/// Waits until a run of the doctor has this check.
fn finds(node: &Node, check: &str, words: &[&str]) -> Result<()> {
    eventually(DEADLINE, || {
        let found = diagnosis(node)?;
        ensure!(found.code == Some(1), "{:?}", found.code);
        found.expect(check, "wrong", words)
    })
}

fn port_blocked(node: &Node) -> Result<()> {
    let nft = |rules: &[&str]| -> Result<()> {
        let output = node.command("nft").args(rules).output().context("starting nft")?;
        ensure!(output.status.success(), "nft {rules:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    nft(&["add", "table", "inet", "blocked"])?;
    nft(&["add", "chain", "inet", "blocked", "output", "{ type filter hook output priority 10 ; }"])?;
    nft(&["add", "rule", "inet", "blocked", "output", "tcp", "dport", "8443", "drop"])?;
    let found = finds(node, "port", &["timeout", "plain port answers", "--platform gke"]);
    let call = diagnosis(node)?.expect("call", "wrong", &["unmarked"]);
    nft(&["delete", "table", "inet", "blocked"])?;
    found.and(call)
}

/// muslin restores `caBundle` within milliseconds, so it loses the right first.
fn ca_bundle_emptied(node: &Node) -> Result<()> {
    bind(node, "clusterrolebinding", "muslin-certificates", false)?;
    let removal = json!([{ "op": "remove", "path": "/webhooks/0/clientConfig/caBundle" }]).to_string();
    node.kubectl(&["patch", "mutatingwebhookconfiguration", "muslin.dev", "--type=json", "-p", &removal])?;
    let found = finds(node, "ca-bundle", &["pods.muslin.dev", "is empty"]);
    bind(node, "clusterrolebinding", "muslin-certificates", true)?;
    found
}

fn certificate_expired(node: &Node) -> Result<()> {
    bind(node, "rolebinding", "muslin-certificates", false)?;
    let (authority, certificate, key) = expired()?;
    let text = json!({ "stringData": { "ca.crt": authority, "tls.crt": certificate, "tls.key": key } }).to_string();
    node.kubectl(&["patch", "secret", "muslin-certificates", "-n", "muslin", "--type=merge", "-p", &text])?;
    let found = finds(node, "certificate", &["expired at 2020-02-01"]);
    bind(node, "rolebinding", "muslin-certificates", true)?;
    found
}

fn image_missing(node: &Node) -> Result<()> {
    let (image, _) = node.kubectl(&[
        "get",
        "deployment",
        "muslin",
        "-n",
        "muslin",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].image}",
    ])?;
    let set =
        |image: &str| node.kubectl(&["set", "image", "deployment/muslin", "-n", "muslin", &format!("muslin={image}")]);
    let missing = format!("{image}-missing");
    set(&missing)?;
    let found = finds(node, "pods", &[&missing, "cannot pull", "push the image"]);
    set(&image)?;
    found
}

fn selector_wrong(node: &Node) -> Result<()> {
    let select = |component: &str| {
        let patch = json!({ "spec": { "selector": { "app.kubernetes.io/component": component } } }).to_string();
        node.kubectl(&["patch", "service", "muslin", "-n", "muslin", "-p", &patch])
    };
    select("webhok")?;
    let found = finds(node, "service", &["webhok", "does not match", "app.kubernetes.io/component"]);
    select("webhook")?;
    found
}

fn rights_missing(node: &Node) -> Result<()> {
    bind(node, "clusterrolebinding", "muslin", false)?;
    let found = finds(node, "rights", &["get namespaces", "muslin install"]);
    bind(node, "clusterrolebinding", "muslin", true)?;
    found
}

/// Gives the right to muslin's service account, or takes it away.
fn bind(node: &Node, kind: &str, name: &str, is_bound: bool) -> Result<()> {
    let account = json!({ "kind": "ServiceAccount", "name": "muslin", "namespace": "muslin" });
    let subjects = if is_bound { json!([account]) } else { json!([]) };
    let patch = json!([{ "op": "replace", "path": "/subjects", "value": subjects }]).to_string();
    node.kubectl(&["patch", kind, name, "-n", "muslin", "--type=json", "-p", &patch])?;
    Ok(())
}

/// Returns a CA, a certificate of January 2020, and its key.
fn expired() -> Result<(String, String, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(params, authority_key);
    let mut params = CertificateParams::new(vec!["muslin.muslin.svc".to_owned()])?;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok((authority, certificate, key.serialize_pem()))
}
