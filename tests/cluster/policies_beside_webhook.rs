//! `serve --policies`: pods with known images are changed and denied inside the API server, also while muslin is down; the webhook sees all
//! other pods, and each pod with a forged or an old mark.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::impostor::{Answer, Impostor, add_a_search_domain, add_a_sidecar, replace_the_options};
use crate::cluster::inspection::{Fingerprints, overlay};
use crate::cluster::policies::kubernetes;
use crate::cluster::profiles::{applied, apply};
use crate::cluster::replicas::wait;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::{MUSLIN, Registration};
use crate::common::webhook::{Muslin, Process};
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![policies_and_the_webhook_share_the_pods];

pub(crate) const MARK: &str = "muslin.dev/policies";

/// Images that no registry has. An administrator declares the first ones.
pub(crate) const KNOWN: &str = "registry.example.com/policies/known:1";
pub(crate) const NEW: &str = "registry.example.com/policies/new:1";
pub(crate) const UNKNOWN: &str = "registry.example.com/policies/unknown:1";

/// The profile of the test, and its namespaces.
pub(crate) const PROFILE: &str = "beside";
pub(crate) const NAMESPACE: &str = "beside";
const AUDITED: &str = "beside-audited";
const ENFORCING: &str = "beside-enforcing";
const WITHOUT_PROFILE: &str = "beside-without-profile";

/// The kinds of objects that muslin writes.
const KINDS: &str = "mutatingadmissionpolicies,mutatingadmissionpolicybindings,validatingadmissionpolicies,validatingadmissionpolicybindings";

/// The rights of the component, and what muslin wrote; deleted when dropped, because policies select namespaces of other tests.
pub(crate) struct Rights<'c>(&'c Cluster);

impl<'c> Rights<'c> {
    pub(crate) fn apply(cluster: &'c Cluster) -> Result<Self> {
        let rights = Self(cluster);
        rights.kubectl(&["apply", "-f", &overlay("components/policies/cluster-role.yaml")])?;
        Ok(rights)
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = self.0.control_plane.kubectl(arguments, None)?;
        ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
        Ok(output.stdout)
    }

    /// Returns the names of what muslin wrote.
    pub(crate) fn written(&self) -> Result<Vec<String>> {
        let names = self.kubectl(&["get", KINDS, "-l", "app.kubernetes.io/managed-by=muslin", "-o", "name"])?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}

impl Drop for Rights<'_> {
    fn drop(&mut self) {
        let role = overlay("components/policies/cluster-role.yaml");
        for arguments in [
            &["delete", KINDS, "-l", "app.kubernetes.io/managed-by=muslin"][..],
            &["delete", "--ignore-not-found", "-f", &role][..],
        ] {
            let _ = self.0.control_plane.kubectl(arguments, None);
        }
    }
}

/// Returns the arguments of a muslin that goes by ImageFingerprints, and keeps policies.
pub(crate) fn arguments() -> Vec<String> {
    ["--policies", "--inspect-images", "--inspection-budget", "0"].map(str::to_owned).to_vec()
}

/// Declares the resolver of an image that a pod has used.
pub(crate) fn declare(cluster: &Cluster, digit: char, image: &str, resolver: &str) -> Result<()> {
    let digest = digit.to_string().repeat(64);
    let name = format!("sha256-{digest}");
    let now = jiff::Timestamp::now().to_string();
    let object = json!({
        "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint", "metadata": { "name": name },
        "spec": { "declared": resolver },
    });
    cluster.create(&object)?;
    let status = json!({ "status": {
        "resolver": "unknown", "evidence": "none", "because": "a test", "image": image, "digest": format!("sha256:{digest}"),
        "platform": "linux/amd64", "lastUsed": now, "references": [{ "name": image, "at": now }], "format": 3, "data": "{}",
    } });
    let arguments =
        ["patch", "imagefingerprint", &name, "--subresource=status", "--type=merge", "-p", &status.to_string()];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Returns a pod as the API server would store it, with the warnings to its author; an error if it is denied.
pub(crate) fn dry_run(cluster: &Cluster, pod: &Value) -> Result<(Value, String)> {
    let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
    let output = cluster.control_plane.kubectl(&arguments, Some(&pod.to_string()))?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok((serde_json::from_str(&output.stdout)?, output.stderr))
}

pub(crate) fn mark(pod: &Value) -> &Value {
    &pod["metadata"]["annotations"][MARK]
}

/// Returns the mark of a pod with one container.
pub(crate) fn mark_of(image: &str, options: &str) -> String {
    format!("{image}; ClusterFirst; {options}")
}

/// Returns whether the pod has the mark of one container with this image.
pub(crate) fn is_marked(pod: &Value, image: &str) -> bool {
    mark(pod).as_str().is_some_and(|mark| mark.starts_with(&mark_of(image, "")))
}

pub(crate) fn is_reviewed(pod: &Value) -> bool {
    pod["metadata"]["labels"]["muslin.dev/libc"].is_string()
}

pub(crate) fn options(pod: &Value) -> String {
    let options = pod["spec"]["dnsConfig"]["options"].as_array().into_iter().flatten();
    let text = |option: &Value| format!("{}:{}", option["name"], option["value"]).replace('"', "");
    options.map(text).collect::<Vec<_>>().join(" ")
}

pub(crate) fn has_condition(cluster: &Cluster) -> Result<bool> {
    let place = "jsonpath={.webhooks[0].matchConditions[*].name}";
    let output = cluster
        .control_plane
        .kubectl(&["get", "mutatingwebhookconfiguration", MUSLIN, "--ignore-not-found", "-o", place], None)?;
    Ok(output.stdout.contains("not-changed-by-policies"))
}

/// Sets the failure policy that the component has.
pub(crate) fn let_the_webhook_of_enforce_fail_open(cluster: &Cluster) -> Result<()> {
    let patch = json!([{ "op": "replace", "path": "/webhooks/3/failurePolicy", "value": "Ignore" }]).to_string();
    let names = ["get", "validatingwebhookconfiguration", MUSLIN, "-o", "jsonpath={.webhooks[3].name}"];
    ensure!(cluster.control_plane.kubectl(&names, None)?.stdout == "enforce.muslin.dev", "another order");
    let patched = ["patch", "validatingwebhookconfiguration", MUSLIN, "--type=json", "-p", &patch];
    ensure!(cluster.control_plane.kubectl(&patched, None)?.status.success(), "not patched");
    Ok(())
}

/// Returns the number of pods that the webhook has reviewed.
fn reviews(muslin: &Muslin<'_>) -> Result<u64> {
    let text = muslin.metrics()?;
    let lines = text.lines().filter(|line| line.starts_with("muslin_reviews_total{hook=\"mutate\""));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

/// Waits until the policies change a pod with this image without the webhook.
pub(crate) fn wait_for_mark(cluster: &Cluster, image: &str) -> Result<Duration> {
    let begin = Instant::now();
    let known = pod(NAMESPACE, "awaited", image);
    wait("changed by the policies", || {
        let (pod, _) = dry_run(cluster, &known)?;
        Ok(is_marked(&pod, image) && has_condition(cluster)?)
    })?;
    Ok(begin.elapsed())
}

fn policies_and_the_webhook_share_the_pods(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let _fingerprints = Fingerprints::apply(cluster)?;
    let rights = Rights::apply(cluster)?;
    let (_profile, _) = applied(cluster, PROFILE, &json!({ "options": { "musl": ["timeout:4"] } }))?;
    let profile = ("muslin.dev/profile", PROFILE);
    cluster.namespace(NAMESPACE, &[profile])?;
    cluster.namespace(AUDITED, &[profile, ("muslin.dev/mode", "audit")])?;
    cluster.namespace(ENFORCING, &[profile, ("muslin.dev/mode", "enforce")])?;
    cluster.namespace(WITHOUT_PROFILE, &[("muslin.dev/profile", "there-is-none")])?;
    declare(cluster, '1', KNOWN, "musl 1.2.5")?;

    let mut muslin = cluster.muslin_with(&arguments())?;
    eprintln!("the first policies count after {:?}", wait_for_mark(cluster, KNOWN)?);
    policies_change_known_pods_and_the_webhook_the_others(cluster, &muslin)?;
    a_mark_of_the_author_does_not_count(cluster)?;
    a_sidecar_is_seen(cluster)?;
    dns_settings_of_another_webhook_are_seen(cluster, &muslin)?;
    odd_pods_are_the_webhooks(cluster)?;
    a_new_image_and_a_new_profile_count_within_seconds(cluster)?;
    each_object_belongs_to_the_role(cluster)?;

    let_the_webhook_of_enforce_fail_open(cluster)?;
    muslin.kill()?;
    policies_work_without_muslin(cluster)?;

    // The next leader keeps no policies, and lets the webhook see all pods.
    let before = rights.written()?;
    let certificate = muslin.certificate().arguments(muslin.certificate_folder())?;
    let without = Process::start(&cluster.account, &certificate)?;
    wait("without the condition", || Ok(!has_condition(cluster)?))?;
    drop(without);
    drop(muslin);
    // The one after it takes over what is there.
    let _muslin = cluster.muslin_with(&arguments())?;
    wait_for_mark(cluster, KNOWN)?;
    ensure!(rights.written()? == before, "{before:?}");
    Ok(())
}

fn policies_change_known_pods_and_the_webhook_the_others(cluster: &Cluster, muslin: &Muslin<'_>) -> Result<()> {
    let before = reviews(muslin)?;
    let (known, _) = cluster.created(&pod(NAMESPACE, "known", KNOWN))?;
    ensure!(is_reviewed(&known) && options(&known) == "timeout:4", "{known:#}");
    ensure!(mark(&known) == &json!(mark_of(KNOWN, "timeout:4")), "{known:#}");
    ensure!(reviews(muslin)? == before, "the webhook was called for a pod of the policies");
    let (unknown, _) = cluster.created(&pod(NAMESPACE, "unknown", UNKNOWN))?;
    ensure!(mark(&unknown).is_null() && is_reviewed(&unknown), "{unknown:#}");
    ensure!(reviews(muslin)? == before + 1, "the webhook was not called for another pod");
    // One container that the policies do not know.
    let mut both = pod(NAMESPACE, "both", KNOWN);
    both["spec"]["initContainers"] = json!([{ "name": "init", "image": UNKNOWN }]);
    let (both, _) = cluster.created(&both)?;
    ensure!(mark(&both).is_null() && is_reviewed(&both) && options(&both).is_empty(), "{both:#}");
    // The policies warn of a finding, as the webhook is not called.
    let mut warned = pod(NAMESPACE, "warned", KNOWN);
    warned["spec"]["dnsConfig"] = json!({ "options": [{ "name": "single-request-reopen" }] });
    let (warned, warnings) = dry_run(cluster, &warned)?;
    ensure!(is_marked(&warned, KNOWN) && warnings.contains("[option-ignored]"), "{warnings}{warned:#}");
    ensure!(warnings.matches("[option-ignored]").count() == 1, "{warnings}");
    wait("counted", || {
        let text = muslin.metrics()?;
        Ok(text.contains("\nmuslin_policy_pods_total 1\n") && text.contains("\nmuslin_policies_replace_webhook 1\n"))
    })
}

/// A mark that would be right if the policies had set it.
fn a_mark_of_the_author_does_not_count(cluster: &Cluster) -> Result<()> {
    for namespace in [NAMESPACE, ENFORCING, WITHOUT_PROFILE, AUDITED] {
        let mut forged = pod(namespace, "forged", UNKNOWN);
        forged["metadata"]["annotations"] = json!({ MARK: mark_of(UNKNOWN, "") });
        let (forged, _) = dry_run(cluster, &forged)?;
        ensure!(mark(&forged).is_null(), "{namespace}: {forged:#}");
        ensure!(is_reviewed(&forged) == (namespace != AUDITED), "{namespace}: {forged:#}");
    }
    // A pod for which the expressions cost too much.
    let mut costly = pod(NAMESPACE, "costly", KNOWN);
    let claims = (0..20_000).map(|_| "x").collect::<Vec<_>>().join(" ");
    let options: Vec<String> = (0..2_000).map(|index| format!("o{index}")).collect();
    let forged = mark_of(KNOWN, &options.join(" "));
    costly["metadata"]["annotations"] = json!({ MARK: forged, "muslin.dev/injected": claims });
    costly["spec"]["dnsConfig"] =
        json!({ "options": options.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
    let (costly, _) = dry_run(cluster, &costly)?;
    ensure!(mark(&costly).is_null() && is_reviewed(&costly), "{:#}", costly["metadata"]);
    // A copy of a pod of the policies, with other settings that they do not know.
    let mut copied = pod(NAMESPACE, "copied", KNOWN);
    copied["metadata"]["annotations"] = json!({ MARK: mark_of(KNOWN, "") });
    copied["spec"]["dnsConfig"] = json!({ "searches": ["example.com"] });
    let (copied, _) = dry_run(cluster, &copied)?;
    ensure!(mark(&copied).is_null() && is_reviewed(&copied), "{copied:#}");
    Ok(())
}

fn a_sidecar_is_seen(cluster: &Cluster) -> Result<()> {
    let impostor = Impostor::start(&cluster.runtime, add_a_sidecar)?;
    let with_sidecar = |pod: &Value| pod["spec"]["containers"].as_array().is_some_and(|all| all.len() == 2);
    let resolvers = |pod: &Value| pod["metadata"]["annotations"]["muslin.dev/resolvers"].to_string();
    // API servers call webhooks in the order of their names: this one before muslin's.
    let registration =
        Registration::of_another_called("a-sidecars.example.com", &cluster.control_plane, &impostor.url, &impostor.ca)?;
    registration.wait_until(|_| !impostor.reviews().is_empty())?;
    let (seen, _) = dry_run(cluster, &pod(NAMESPACE, "with-sidecar", KNOWN))?;
    ensure!(with_sidecar(&seen) && resolvers(&seen).contains("sidecar=musl"), "{seen:#}");
    drop(registration);
    // After muslin's: the webhook has to see every pod.
    let registration = Registration::of_another(&cluster.control_plane, &impostor.url, &impostor.ca)?;
    wait("without the condition", || Ok(!has_condition(cluster)?))?;
    wait("seen by the webhook", || {
        let (seen, _) = dry_run(cluster, &pod(NAMESPACE, "with-sidecar", KNOWN))?;
        Ok(with_sidecar(&seen) && resolvers(&seen).contains("sidecar=musl"))
    })?;
    drop(registration);
    wait_for_mark(cluster, KNOWN)?;
    Ok(())
}

/// Other webhooks run after the policies, and API servers ask muslin's webhook whether it wants the pod before they run the policies again.
fn dns_settings_of_another_webhook_are_seen(cluster: &Cluster, muslin: &Muslin<'_>) -> Result<()> {
    for (answer, wanted) in [(replace_the_options as Answer, "ndots:1 timeout:4"), (add_a_search_domain, "timeout:4")] {
        let impostor = Impostor::start(&cluster.runtime, answer)?;
        let registration =
            Registration::of_another_called("a-dns.example.com", &cluster.control_plane, &impostor.url, &impostor.ca)?;
        registration.wait_until(|_| !impostor.reviews().is_empty())?;
        let before = reviews(muslin)?;
        let (changed, _) = dry_run(cluster, &pod(NAMESPACE, "with-dns", KNOWN))?;
        ensure!(options(&changed) == wanted, "{changed:#}");
        ensure!(reviews(muslin)? > before, "the webhook was not called: {changed:#}");
    }
    wait_for_mark(cluster, KNOWN)?;
    Ok(())
}

/// A tenant writes the image in another way, or the pod in one that is seldom seen. No such pod is missed, unless the API server denies it.
fn odd_pods_are_the_webhooks(cluster: &Cluster) -> Result<()> {
    let upper = KNOWN.replace("registry", "REGISTRY");
    let with_port = KNOWN.replace(".com/", ".com:443/");
    let with_digest = format!("{KNOWN}@sha256:{}", "0".repeat(64));
    let images =
        [&*upper, &with_port, &with_digest, "registry.example.com/policies/known", "alpine", "Alpine", "x y; z", "-"];
    let one = images.into_iter().map(|image| json!([{ "name": "app", "image": image }]));
    let all = |number: usize, image: &str| -> Value {
        (0..number).map(|index| json!({ "name": format!("c{index}"), "image": image })).collect()
    };
    let many = [all(17, KNOWN), all(300, KNOWN), all(300, UNKNOWN)];
    for containers in one.chain(many) {
        for is_forged in [false, true] {
            let mut odd = pod(NAMESPACE, "odd", KNOWN);
            odd["spec"]["containers"] = containers.clone();
            if is_forged {
                let names: Vec<&str> =
                    containers.as_array().into_iter().flatten().filter_map(|one| one["image"].as_str()).collect();
                odd["metadata"]["annotations"] = json!({ MARK: mark_of(&names.join(", "), "") });
            }
            let (odd, _) = dry_run(cluster, &odd)?;
            ensure!(mark(&odd).is_null() && is_reviewed(&odd), "{:#}", odd["metadata"]);
        }
    }
    // The policies know this one, whatever its name will be.
    let mut generated = pod(NAMESPACE, "generated", KNOWN);
    generated["metadata"] = json!({ "namespace": NAMESPACE, "generateName": "generated-" });
    let (generated, _) = dry_run(cluster, &generated)?;
    ensure!(is_marked(&generated, KNOWN) && is_reviewed(&generated), "{generated:#}");
    // No API server stores these.
    let debugger = json!([{ "name": "debugger", "image": KNOWN, "terminationMessagePolicy": "File" }]);
    for (pointer, value) in [("/spec/containers/0/image", json!("")), ("/spec/ephemeralContainers", debugger)] {
        let mut refused = pod(NAMESPACE, "refused", KNOWN);
        if pointer.ends_with("image") {
            refused["spec"]["containers"][0]["image"] = value;
        } else {
            refused["spec"]["ephemeralContainers"] = value;
        }
        ensure!(dry_run(cluster, &refused).is_err(), "{pointer}");
    }
    Ok(())
}

fn a_new_image_and_a_new_profile_count_within_seconds(cluster: &Cluster) -> Result<()> {
    let (new, _) = dry_run(cluster, &pod(NAMESPACE, "new", NEW))?;
    ensure!(mark(&new).is_null(), "{new:#}");
    declare(cluster, '2', NEW, "musl 1.2.5")?;
    eprintln!("a new image counts after {:?}", wait_for_mark(cluster, NEW)?);
    let begin = Instant::now();
    let output = apply(cluster, PROFILE, &json!({ "options": { "musl": ["timeout:4", "attempts:3"] } }))?;
    ensure!(output.status.success(), "{}", output.stderr);
    wait("changed by the new profile", || {
        let (pod, _) = dry_run(cluster, &pod(NAMESPACE, "new", NEW))?;
        Ok(options(&pod) == "timeout:4 attempts:3" && is_marked(&pod, NEW))
    })?;
    eprintln!("a new profile counts after {:?}", begin.elapsed());
    Ok(())
}

/// Kubernetes deletes the policies with the role, when muslin is uninstalled or installed without them.
fn each_object_belongs_to_the_role(cluster: &Cluster) -> Result<()> {
    let get = |arguments: &[&str]| -> Result<Value> {
        let output = cluster.control_plane.kubectl(&[arguments, &["-o", "json"]].concat(), None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(serde_json::from_str(&output.stdout)?)
    };
    let role = get(&["get", "clusterrole", "muslin-policies"])?;
    let objects = get(&["get", KINDS, "-l", "app.kubernetes.io/managed-by=muslin"])?;
    let objects = objects["items"].as_array().context("a list")?;
    ensure!(objects.len() > 8, "{objects:#?}");
    for object in objects {
        let owners = object["metadata"]["ownerReferences"].as_array().context("an owner")?;
        ensure!(owners.len() == 1 && owners[0]["uid"] == role["metadata"]["uid"], "{object:#}");
    }
    Ok(())
}

fn policies_work_without_muslin(cluster: &Cluster) -> Result<()> {
    let (known, _) = cluster.created(&pod(NAMESPACE, "without-muslin", KNOWN))?;
    ensure!(is_marked(&known, KNOWN) && options(&known) == "timeout:4 attempts:3", "{known:#}");
    let (unknown, _) = cluster.created(&pod(NAMESPACE, "unknown-without-muslin", UNKNOWN))?;
    ensure!(!is_reviewed(&unknown), "{unknown:#}");
    // Mode enforce: what one option means for one image is judged, whatever else the pod has.
    let with = |image: &str, options: Value, searches: Value| {
        let mut pod = pod(ENFORCING, "enforced", image);
        pod["spec"]["dnsConfig"] = json!({ "options": options, "searches": searches });
        dry_run(cluster, &pod)
    };
    let zero = json!([{ "name": "attempts", "value": "0" }]);
    let (healthy, _) = with(KNOWN, json!([]), json!([]))?;
    ensure!(is_marked(&healthy, KNOWN), "{healthy:#}");
    let (fixed, _) = with(KNOWN, zero.clone(), json!([]))?;
    ensure!(options(&fixed).contains("attempts:3"), "{fixed:#}");
    // The policies leave pods with searches of their own to the webhook, which is down, but deny them.
    with(KNOWN, json!([]), json!(["example.com"]))?;
    let denied = with(KNOWN, zero.clone(), json!(["example.com"])).map(|(pod, _)| pod);
    let denied = format!("{:#}", denied.err().context("a pod with attempts:0 is not denied")?);
    ensure!(
        denied.contains("muslin enforces DNS settings in namespace beside-enforcing: attempts-zero: app"),
        "{denied}"
    );
    // Nothing judges a pod whose image nobody knows.
    with(UNKNOWN, zero, json!(["example.com"]))?;
    Ok(())
}
