//! CoreDNS as pods behind the cluster's DNS Service, in place of the node's own CoreDNS. Must not know what they answer.

use std::io::Write as _;

use anyhow::{Context as _, Result};

use crate::node::real_node::{Node, run};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node");

/// The cluster's DNS Service with the pods of CoreDNS behind it; the node's own CoreDNS is back when dropped.
pub(crate) struct ClusterDns<'n>(&'n Node);

// === impl ClusterDns ===

impl<'n> ClusterDns<'n> {
    /// Starts the Deployment `coredns` of a manifest next to this file.
    pub(crate) fn start(node: &'n Node, manifest: &str) -> Result<Self> {
        push(node, "coredns", "coredns:1.15")?;
        node.kubectl(&["apply", "-f", &format!("{FOLDER}/{manifest}")])?;
        node.kubectl(&["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=60s"])?;
        let dns = Self(node);
        node.kubectl(&["delete", "endpointslice", "kube-dns", "-n", "kube-system"])?;
        dns.select(r#"{"k8s-app": "kube-dns"}"#)?;
        Ok(dns)
    }

    fn select(&self, selector: &str) -> Result<()> {
        let patch = format!(r#"{{"spec": {{"selector": {selector}}}}}"#);
        self.0.kubectl(&["patch", "service", "kube-dns", "-n", "kube-system", "--type=merge", "-p", &patch])?;
        Ok(())
    }

    /// Returns the logs of all replicas, one after the other, as `kubectl logs` prints them.
    pub(crate) fn log(&self) -> Result<String> {
        let arguments =
            ["logs", "-n", "kube-system", "-l", "k8s-app=kube-dns", "--tail=-1", "--prefix", "--timestamps"];
        Ok(self.0.kubectl(&arguments)?.0)
    }

    fn restore(&self) -> Result<()> {
        self.select("null")?;
        let of_service = "kubernetes.io/service-name=kube-dns";
        self.0.kubectl(&["delete", "endpointslice", "-n", "kube-system", "-l", of_service])?;
        self.0.kubectl(&["apply", "-f", &format!("{FOLDER}/dns.yaml")])?;
        Ok(())
    }
}

impl Drop for ClusterDns<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            let _ = writeln!(std::io::stderr(), "the cluster's DNS Service is not as before: {error:#}");
        }
    }
}

/// Makes an image (`image`), and pushes it to the node's registry.
pub(crate) fn push(node: &Node, image: &str, name: &str) -> Result<()> {
    let layout = node.folder().join(format!("{image}.image"));
    if !layout.exists() {
        run(format!("{FOLDER}/image"), &[image, layout.to_str().context("UTF-8")?])?;
    }
    node.push(&layout, name)
}
