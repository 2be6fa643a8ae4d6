//! Certificates and CAs that something else breaks on a real API server.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::certificates::{CONFIGURATIONS, empty, is_fixed, stored, trusted, wait_until_settled};
use crate::cluster::replicas::{Replicas, SECRET, get, patch, wait};
use crate::common::harness::tests;
use crate::common::webhook::{Certificate, Process};
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    a_rival_that_empties_the_ca_bundle_causes_few_writes,
    stored_keys_that_do_not_fit_are_replaced,
    a_given_key_that_does_not_fit_is_not_ready_and_has_an_event,
    a_given_key_that_stops_to_fit_is_not_used_and_has_an_event
];

/// The time for which the rival reverts each write, and the most writes by which muslin may answer: at once twice, then after 0.25, 0.5,
/// 1, 2 and 4 s.
const RIVAL_FOR: Duration = Duration::from_secs(6);
const WRITES_MAX: i64 = 7;

/// The Event's reason for a certificate that API servers cannot trust.
const UNUSABLE: &str = "CertificateUnusable";

/// The number of changes of the first configuration since its creation.
fn generation(cluster: &Cluster) -> Result<i64> {
    let configuration = get(cluster, &[CONFIGURATIONS[0].0, "muslin.dev"])?;
    Ok(configuration["metadata"]["generation"].as_i64().unwrap_or_default())
}

fn a_rival_that_empties_the_ca_bundle_causes_few_writes(cluster: &Cluster) -> Result<()> {
    cluster.namespace("rivalled", &[])?;
    let _replicas = Replicas::start(cluster, 1, &[])?;
    wait_until_settled(cluster)?;
    let before = generation(cluster)?;
    let (kind, webhooks) = CONFIGURATIONS[0];
    let (mut reverted, end) = (0, Instant::now() + RIVAL_FOR);
    while Instant::now() < end {
        if !trusted(cluster)?[0].is_empty() {
            empty(cluster, kind, webhooks)?;
            reverted += 1;
        }
    }
    let written = generation(cluster)? - before - reverted;
    ensure!(reverted > 2, "the rival found only {reverted} bundles");
    ensure!((2..=WRITES_MAX).contains(&written), "{written} writes against {reverted}");
    wait_until_settled(cluster)?;
    is_fixed(cluster, "rivalled", "afterwards")
}

/// Replaces a key of the Secret.
fn store(cluster: &Cluster, name: &str, value: &str) -> Result<()> {
    let value = json!([{ "op": "replace", "path": format!("/data/{name}"), "value": BASE64_STANDARD.encode(value) }]);
    patch(cluster, &["secret", SECRET, "-n", "muslin"], &value)
}

fn stored_keys_that_do_not_fit_are_replaced(cluster: &Cluster) -> Result<()> {
    cluster.namespace("misfit", &[])?;
    let _replicas = Replicas::start(cluster, 2, &["--certificate-overlap", "2"])?;
    for (name, certificate) in [("tls.key", "tls.crt"), ("ca.key", "ca.crt")] {
        wait_until_settled(cluster)?;
        let (foreign, of) = (Certificate::new()?.key, stored(cluster, certificate)?);
        store(cluster, name, &foreign)?;
        wait("replaced", || Ok(stored(cluster, name)? != foreign && stored(cluster, certificate)? != of))?;
        wait_until_settled(cluster)?;
        is_fixed(cluster, "misfit", &format!("after-{}", name.replace('.', "-")))?;
    }
    Ok(())
}

/// Returns the Events about the certificate of this pod of muslin's.
fn events(cluster: &Cluster, pod: &str) -> Result<Vec<Value>> {
    let events = get(cluster, &["events.events.k8s.io", "-n", "muslin"])?;
    let events = events["items"].as_array().cloned().unwrap_or_default();
    Ok(events.into_iter().filter(|event| event["reason"] == UNUSABLE && event["regarding"]["name"] == pod).collect())
}

fn wait_for_the_event(cluster: &Cluster, pod: &str) -> Result<()> {
    wait("reported by an Event", || Ok(!events(cluster, pod)?.is_empty()))?;
    let event = &events(cluster, pod)?[0];
    let note = event["note"].as_str().unwrap_or_default();
    ensure!(event["type"] == "Warning" && note.starts_with("replace the serving certificate: "), "{event:#}");
    Ok(())
}

fn a_given_key_that_does_not_fit_is_not_ready_and_has_an_event(cluster: &Cluster) -> Result<()> {
    let folder = TempDir::new()?;
    let other = Certificate::new()?.key;
    let mut arguments = Certificate { key: other, ..Certificate::new()? }.arguments(folder.path())?;
    arguments.extend(["--identity", "misfit-0"].map(str::to_owned));
    let muslin = Process::start(&cluster.account, &arguments)?;
    // Other reasons come first while muslin starts.
    wait("not ready for its certificate", || {
        let (status, reason) = muslin.get("/readyz")?;
        ensure!(status == "503", "{status} {reason}");
        Ok(reason.contains("cannot trust the serving certificate"))
    })?;
    wait_for_the_event(cluster, "misfit-0")?;
    Certificate::new()?.arguments(folder.path())?;
    wait("ready", || Ok(muslin.get("/readyz")?.0 == "200"))
}

fn a_given_key_that_stops_to_fit_is_not_used_and_has_an_event(cluster: &Cluster) -> Result<()> {
    cluster.namespace("given", &[])?;
    let muslin = cluster.muslin_with(&["--identity".to_owned(), "misfit-1".to_owned()])?;
    fs::write(muslin.certificate_folder().join("tls.key"), Certificate::new()?.key)?;
    wait_for_the_event(cluster, "misfit-1")?;
    ensure!(muslin.process().get("/readyz")?.0 == "200", "the old key is still in use");
    is_fixed(cluster, "given", "with-the-old-key")
}
