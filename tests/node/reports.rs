//! Reports of findings in a whole cluster, whose controllers delete them with their namespaces and with their owner.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::Topic;
use crate::common::harness::tests;
use crate::node::installation::state;
use crate::node::real_node::{Node, eventually};

pub(crate) const ON_REQUEST: Topic = tests![reports_end_with_their_namespace_and_with_the_component];

const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/components/reports/cluster-role.yaml");

/// The resource, with any fields. `tests/cluster/conformance/reports.rs` has the definitions of others.
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: reports.openreports.io}
spec:
  group: openreports.io
  scope: Namespaced
  names: {kind: Report, plural: reports}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// Time limit of a leader that begins and looks at all pods, and of the controllers.
const DEADLINE: Duration = Duration::from_secs(120);

fn reports_end_with_their_namespace_and_with_the_component(node: &mut Node) -> Result<()> {
    let node = &*node;
    let file = node.folder().join("reports.yaml");
    let path = file.to_str().context("UTF-8")?;
    let broken = |namespace: &str| {
        format!(
            "---
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}, labels: {{muslin.dev/mode: audit}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: shop, namespace: {namespace}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: app, image: 'registry.example.com/shop:1.4', args: [shop.shop.svc.cluster.local]}}]
  dnsConfig: {{options: [{{name: attempts, value: '0'}}]}}
"
        )
    };
    fs::write(&file, format!("{DEFINITION}{}{}", broken("reported"), broken("ended")))?;
    node.kubectl(&["apply", "-f", path, "-f", COMPONENT])?;
    restart_with(node, "MUSLIN_REPORTS=true")?;
    eventually(DEADLINE, || {
        let reports = reports(node)?;
        ensure!(
            ["reported", "ended"].iter().all(|namespace| reports.contains(*namespace)),
            "the reports are {reports}"
        );
        Ok(())
    })
    .with_context(|| state(node))?;

    node.kubectl(&["delete", "namespace", "ended", "--timeout=120s"])?;
    let left = reports(node)?;
    ensure!(left.contains("reported") && !left.contains("ended"), "the reports are {left}");

    node.kubectl(&["delete", "-f", COMPONENT])?;
    eventually(DEADLINE, || {
        let left = reports(node)?;
        ensure!(left.is_empty(), "the reports are {left}");
        Ok(())
    })?;
    restart_with(node, "MUSLIN_REPORTS-")?;
    node.kubectl(&["delete", "-f", path, "--ignore-not-found", "--timeout=120s"])?;
    Ok(())
}

/// Returns the namespaces with a report.
fn reports(node: &Node) -> Result<String> {
    Ok(node.kubectl(&["get", "reports.openreports.io", "-A", "-o", "jsonpath={.items[*].metadata.namespace}"])?.0)
}

/// Starts muslin's pods anew with an environment variable, or without it.
fn restart_with(node: &Node, variable: &str) -> Result<()> {
    node.kubectl(&["set", "env", "deployment/muslin", "-n", "muslin", variable])?;
    let status = ["rollout", "status", "deployment/muslin", "-n", "muslin", "--timeout=120s"];
    node.kubectl(&status).with_context(|| state(node)).map(drop)
}
