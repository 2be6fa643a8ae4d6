//! The Helm chart: what Helm makes of it is what `muslin install` prints, and it can be installed, upgraded and uninstalled.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cluster::install::{installed, objects};
use crate::common::harness::tests;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_templates_are_up_to_date,
    helm_finds_nothing_wrong_with_the_chart,
    the_chart_gives_what_install_prints,
    values_that_do_not_exist_are_refused
];

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/muslin");

/// The chart's values, and the arguments of `muslin install` that mean the same.
const CHOICES: [(&[&str], &[&str]); 13] = [
    (&[], &[]),
    (&["mode=audit"], &["--mode", "audit"]),
    (
        &["mode=warn", "env.MUSLIN_DOCS_URL=https://docs.example.com/a"],
        &["--mode", "warn", "--env", "MUSLIN_DOCS_URL=https://docs.example.com/a"],
    ),
    (&["mode=enforce"], &["--mode", "enforce"]),
    (&["highAvailability=true", "imageInspection=true"], &["--ha", "--inspect-images"]),
    (&["privateRegistries=true"], &["--private-registries"]),
    (&["pullSecrets=true", "networkPolicy=true"], &["--pull-secrets", "--network-policy"]),
    (&["certManager=true", "monitoring=true"], &["--cert-manager", "--monitoring"]),
    (&["ownCertificate=true", "privateRegistries=true"], &["--own-certificate", "--private-registries"]),
    (&["platform=gke"], &["--platform", "gke"]),
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
