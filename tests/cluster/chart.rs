//! The Helm chart: what Helm makes of it is what `muslin install` prints, and it can be installed, upgraded and uninstalled.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use muslin::compilation::webhook_condition;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::install::{installed, objects};
use crate::cluster::policies_beside_webhook::has_condition;
use crate::cluster::replicas::{patch, wait};
use crate::common::harness::tests;
use crate::common::webhook::{Certificate, Process};
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_templates_are_up_to_date,
    helm_finds_nothing_wrong_with_the_chart,
    the_chart_gives_what_install_prints,
    values_that_do_not_exist_are_refused
];

/// Run after all others: Helm deletes what they use.
pub(crate) const LAST: Topic = tests![the_chart_takes_over_from_the_manifests_of_0_1_0_and_keeps_the_profiles];

/// The manifests of the release 0.1.0, without descriptions.
const MANIFESTS_0_1_0: &str = include_str!("../data/manifests-0.1.0.yaml");

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/muslin");

/// The chart's values, and the arguments of `muslin install` that mean the same.
const CHOICES: [(&[&str], &[&str]); 21] = [
    (&[], &[]),
    (&["mode=audit"], &["--mode", "audit"]),
    (
        &["mode=warn", "env.MUSLIN_DOCS_URL=https://docs.example.com/a"],
        &["--mode", "warn", "--env", "MUSLIN_DOCS_URL=https://docs.example.com/a"],
    ),
    (&["mode=enforce"], &["--mode", "enforce"]),
    (&["highAvailability=true", "imageInspection=true"], &["--ha", "--inspect-images"]),
    (&["privateRegistries=true", "reports=true"], &["--private-registries", "--reports"]),
    (&["pullSecrets=true", "networkPolicy=true"], &["--pull-secrets", "--network-policy"]),
    (&["certManager=true", "monitoring=true"], &["--cert-manager", "--monitoring"]),
    (
        &["monitoring=true", "env.MUSLIN_DOCS_URL=https://docs.example.com/a/"],
        &["--monitoring", "--env", "MUSLIN_DOCS_URL=https://docs.example.com/a/"],
    ),
    (&["ownCertificate=true", "privateRegistries=true"], &["--own-certificate", "--private-registries"]),
    (&["policies=true"], &["--policies"]),
    (&["policies=true", "mode=enforce"], &["--policies", "--mode", "enforce"]),
    (&["platform=gke"], &["--platform", "gke"]),
    (&["watch=nodes", "monitoring=true"], &["--watch", "--monitoring"]),
    (&["watch=nodes", "watchNodeFiles=true"], &["--watch", "--watch-node-files"]),
    (&["watch=zones", "platform=gke"], &["--watch=zones", "--platform", "gke"]),
    (&["hostNetwork=true", "highAvailability=true"], &["--host-network", "--ha"]),
    (&["hostNetwork=true", "platform=gke"], &["--host-network", "--platform", "gke"]),
    (&["platform=eks"], &["--platform", "eks"]),
    (&["platform=aks", "mode=enforce"], &["--platform", "aks", "--mode", "enforce"]),
    (
        &["platform=openshift", "certManager=true", "highAvailability=true"],
        &["--platform", "openshift", "--cert-manager", "--ha"],
    ),
];

fn the_templates_are_up_to_date(_: &Cluster) -> Result<()> {
    for template in muslin::installation::templates()? {
        let path = PathBuf::from(CHART).join("templates").join(&template.file);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(text == template.text, "{} is not up to date: cargo run -- docs .", template.file);
    }
    Ok(())
}

fn helm_finds_nothing_wrong_with_the_chart(_: &Cluster) -> Result<()> {
    let printed = helm(&["lint", "--strict", CHART, "--set", "image.repository=registry.example.com/muslin"])?;
    ensure!(printed.contains("0 chart(s) failed"), "{printed}");
    Ok(())
}

fn the_chart_gives_what_install_prints(_: &Cluster) -> Result<()> {
    for (values, arguments) in CHOICES {
        for namespace in ["muslin", "dns-system"] {
            let values: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
            let image = ["--set", "image.repository=registry.example.com/muslin"];
            let rendered =
                helm(&[&["template", "muslin", CHART, "--namespace", namespace][..], &image, &values].concat())?;
            let installed = installed(&[arguments, &["--namespace", namespace]].concat())?;
            let rendered = rendered.trim_start_matches("---\n");
            let mut rendered: Vec<Value> = objects(rendered)?.into_iter().map(comparable).collect();
            rendered.retain(|object| !object.is_null());
            let installed = objects(&installed)?.into_iter().filter(|object| object["kind"] != "Namespace");
            let installed: Vec<Value> = installed.map(comparable).collect();
            ensure!(rendered.len() == installed.len(), "{values:?}: {} and {}", rendered.len(), installed.len());
            for object in &installed {
                ensure!(
                    rendered.contains(object),
                    "{values:?}: the chart gives another\n{object:#}\n{:#?}",
                    rendered.iter().find(|other| other["kind"] == object["kind"]
                        && other["metadata"]["name"] == object["metadata"]["name"])
                );
            }
        }
    }
    Ok(())
}

fn values_that_do_not_exist_are_refused(_: &Cluster) -> Result<()> {
    for (value, message) in [("mode=of", "mode"), ("platforn=gke", "platforn"), ("image.repository=", "repository")] {
        let output = Command::new(program()?).args(["template", "muslin", CHART, "--set", value]).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && told.contains(message), "{value}: {told}");
    }
    Ok(())
}

fn the_chart_takes_over_from_the_manifests_of_0_1_0_and_keeps_the_profiles(cluster: &Cluster) -> Result<()> {
    const PROFILE: &str = "apiVersion: muslin.dev/v1alpha1\nkind: ResolverProfile\nmetadata: {name: kept}\n\
                           spec: {summary: kept, options: {others: ['timeout:3']}}\n";
    let kubectl = |arguments: &[&str], input: Option<&str>| -> Result<String> {
        let output = cluster.control_plane.kubectl(arguments, input)?;
        ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
        Ok(output.stdout)
    };
    let kubeconfig = cluster.control_plane.admin_kubeconfig();
    let kubeconfig = kubeconfig.to_str().context("the kubeconfig's path is not UTF-8")?;
    let release = |arguments: &[&str]| helm(&[arguments, &["-n", "muslin", "--kubeconfig", kubeconfig]].concat());
    let image = ["--set", "image.repository=registry.example.com/muslin"];

    kubectl(&["apply", "-f", "-"], Some(MANIFESTS_0_1_0))?;
    kubectl(&["wait", "--for=condition=Established", "crd/resolverprofiles.muslin.dev"], None)?;
    kubectl(&["apply", "-f", "-"], Some(PROFILE))?;
    let uid = || kubectl(&["get", "resolverprofile", "kept", "-o", "jsonpath={.metadata.uid}"], None);
    let before = uid()?;
    release(&[&["install", "muslin", CHART, "--take-ownership", "--force-conflicts"][..], &image].concat())?;
    let definition = kubectl(&["get", "crd", "dnsobservations.muslin.dev", "-o", "name"], None)?;
    ensure!(definition.contains("dnsobservations"), "the new definition is missing: {definition}");
    ensure!(uid()? == before, "the profile was deleted");

    release(
        &[&["upgrade", "muslin", CHART, "--force-conflicts", "--set", "highAvailability=true"][..], &image].concat(),
    )?;
    let replicas = kubectl(&["get", "deployment", "muslin", "-n", "muslin", "-o", "jsonpath={.spec.replicas}"], None)?;
    ensure!(replicas == "2", "{replicas} replicas");
    policies_come_and_go(cluster, |policies| {
        let upgrade = ["upgrade", "muslin", CHART, "--force-conflicts", "--set", policies];
        release(&[&upgrade[..], &image].concat()).map(drop)
    })?;

    release(&["uninstall", "muslin"])?;
    ensure!(uid()? == before, "the profile was deleted");
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration", "clusterrole"] {
        let left = kubectl(&["get", kind, "-o", "name"], None)?;
        // Another test made the role `muslin-scan`.
        let mut names = left.lines().filter_map(|line| line.rsplit('/').next());
        ensure!(names.all(|name| !["muslin", "muslin.dev", "muslin-certificates"].contains(&name)), "left: {left}");
    }
    Ok(())
}

/// An upgrade to `policies: false` takes the rights away, and lets the webhook fail closed again. Helm keeps the condition that the leader with
/// policies has set; the next leader removes it.
fn policies_come_and_go(cluster: &Cluster, upgrade: impl Fn(&str) -> Result<()>) -> Result<()> {
    let read = |arguments: &[&str]| anyhow::Ok(cluster.control_plane.kubectl(arguments, None)?.stdout);
    let role = || read(&["get", "clusterrole,clusterrolebinding", "-o", "name"]);
    let path = "jsonpath={.webhooks[?(@.name==\"enforce.muslin.dev\")].failurePolicy}";
    let fails = || read(&["get", "validatingwebhookconfiguration", "muslin.dev", "-o", path]);
    let variables = || read(&["get", "deployment", "muslin", "-n", "muslin", "-o", "yaml"]);
    upgrade("policies=true")?;
    ensure!(role()?.matches("/muslin-policies\n").count() == 2, "{}", role()?);
    ensure!(fails()? == "Ignore" && variables()?.contains("MUSLIN_POLICIES"), "{}", fails()?);
    let condition = json!([{ "op": "add", "path": "/webhooks/0/matchConditions", "value": [webhook_condition()] }]);
    patch(cluster, &["mutatingwebhookconfiguration", "muslin.dev"], &condition)?;
    ensure!(has_condition(cluster)?, "no condition");

    upgrade("policies=false")?;
    ensure!(!role()?.contains("/muslin-policies\n"), "{}", role()?);
    ensure!(fails()? == "Fail" && !variables()?.contains("MUSLIN_POLICIES"), "{}", fails()?);
    read(&["delete", "lease", "muslin", "-n", "muslin", "--ignore-not-found"])?;
    let folder = TempDir::new()?;
    // The chart has made the service account anew, which the fixture's token does not know.
    let account = cluster.control_plane.service_account_kubeconfig("muslin", "muslin")?;
    let _muslin = Process::start(&account, &Certificate::new()?.arguments(folder.path())?)?;
    wait("without the condition", || Ok(!has_condition(cluster)?))
}

/// Returns an object without what differs on purpose: Helm keeps definitions, and a patched webhook or variable comes first in kustomize.
fn comparable(mut object: Value) -> Value {
    if object["kind"] == "CustomResourceDefinition"
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        metadata.remove("annotations");
    }
    for list in [
        "/webhooks",
        "/spec/template/spec/containers/0/env",
        "/spec/template/spec/containers/0/volumeMounts",
        "/spec/template/spec/volumes",
    ] {
        if let Some(Value::Array(items)) = object.pointer_mut(list) {
            items.sort_by_key(|item| item["name"].to_string());
        }
    }
    object
}

fn helm(arguments: &[&str]) -> Result<String> {
    let output = Command::new(program()?).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn program() -> Result<String> {
    let built = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helm/build")).output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(String::from_utf8(built.stdout)?.trim().to_owned())
}
