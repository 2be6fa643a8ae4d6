//! muslin in the node, deployed by kubectl from its own image, as documented.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::node::real_node::{Node, REGISTRY, REGISTRY_ADDRESS, eventually, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Time limit until the replicas are ready and the API server calls them: ten seconds on an idle machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Pushes an image of this build's binary to the node's registry, and deploys it.
pub(crate) fn deploy(node: &Node) -> Result<()> {
    let stripped = node.folder().join("muslin");
    let stripped = stripped.to_str().context("the folder's name is not UTF-8")?;
    // The debugging symbols are ten times as large as the rest.
    run("strip", &["-o", stripped, env!("CARGO_BIN_EXE_muslin")])?;
    let layout = node.folder().join("muslin.image");
    run(format!("{ROOT}/scripts/image"), &["layout", layout.to_str().context("UTF-8")?, stripped])?;
    node.push(&layout, &format!("muslin:{}", env!("CARGO_PKG_VERSION")))?;

    let overlay = tempfile::tempdir()?;
    // Kustomize rejects an absolute path to an included folder.
    let root = "../".repeat(overlay.path().components().count() - 1) + ROOT.trim_start_matches('/');
    fs::write(
        overlay.path().join("kustomization.yaml"),
        format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{root}/manifests/base]
components:
  - {root}/manifests/components/high-availability
  - {root}/manifests/components/image-inspection
images: [{{name: muslin, newName: {REGISTRY}/muslin}}]
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: muslin, namespace: muslin}}
      spec:
        template:
          spec:
            containers:
              - name: muslin
                env:
                  - {{name: MUSLIN_PLAIN_HTTP, value: {REGISTRY}}}
                  - {{name: MUSLIN_ALLOW_NETWORK, value: {REGISTRY_ADDRESS}/32}}
"
        ),
    )?;
    let overlay = overlay.path().to_str().context("UTF-8")?;
    node.kubectl(&["apply", "-k", overlay])?;
    let patience = format!("--timeout={}s", DEADLINE.as_secs());
    node.kubectl(&["rollout", "status", "deployment/muslin", "-n", "muslin", &patience])
        .with_context(|| state(node))?;
    // The API server learns of the webhook, and kube-proxy of its replicas, by watches.
    eventually(DEADLINE, || {
        let pod = ["run", "probe", "--image=alpine:3.19", "--dry-run=server", "-o", "yaml"];
        let (answer, _) = node.kubectl(&pod)?;
        ensure!(answer.contains("muslin.dev/libc: musl"), "muslin is not called: {answer}");
        Ok(())
    })
}

/// Returns the state of muslin's pods, for an error message.
pub(crate) fn state(node: &Node) -> String {
    let ask = |arguments: &[&str]| node.kubectl(arguments).map_or_else(|error| error.to_string(), |(answer, _)| answer);
    let pods = ask(&["describe", "pods", "-n", "muslin"]);
    let log = ask(&["logs", "-n", "muslin", "-l", "app.kubernetes.io/name=muslin", "--tail=20"]);
    format!("{pods}\n{log}")
}
