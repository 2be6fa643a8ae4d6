//! `manifests/host-network` on a real API server.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::installation::{in_namespace, replica_of};
use crate::common::harness::tests;
use crate::common::registration::MANIFESTS;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_overlay_uses_the_cluster_s_dns_and_one_port_of_a_node_for_each_server,
    a_pod_in_the_host_s_network_is_admitted_by_the_overlay_s_namespace_alone
];

fn built(cluster: &Cluster, folder: &str) -> Result<Vec<Value>> {
    let output = cluster.control_plane.kubectl(&["kustomize", folder], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    output.stdout.split("\n---\n").map(|document| Ok(serde_saphyr::from_str(document)?)).collect()
}

fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Result<&'o Value> {
    objects.iter().find(|object| object["kind"] == kind).with_context(|| format!("no {kind}"))
}

fn the_overlay_uses_the_cluster_s_dns_and_one_port_of_a_node_for_each_server(cluster: &Cluster) -> Result<()> {
    let objects = built(cluster, &format!("{MANIFESTS}/host-network"))?;
    let deployment = of_kind(&objects, "Deployment")?;
    let spec = &deployment["spec"]["template"]["spec"];
    ensure!(spec["hostNetwork"] == true && spec["dnsPolicy"] == "ClusterFirstWithHostNet", "{spec:#}");
    // Otherwise an upgrade would wait for a port that the old pod has.
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    ensure!(*rolling == json!({ "maxUnavailable": 1, "maxSurge": 0 }), "{rolling}");

    let container = &spec["containers"][0];
    let env = |name: &str| {
        let variables = container["env"].as_array().into_iter().flatten();
        variables.filter(|variable| variable["name"] == name).map(|variable| variable["value"].clone()).next_back()
    };
    let base = built(cluster, MANIFESTS)?;
    let usual = &of_kind(&base, "Deployment")?["spec"]["template"]["spec"]["containers"][0]["ports"];
    for (index, variable) in ["MUSLIN_BIND", "MUSLIN_METRICS_BIND"].into_iter().enumerate() {
        let port = &container["ports"][index];
        ensure!(port["name"] == usual[index]["name"], "{port}");
        let listens = env(variable).context("no address")?;
        ensure!(listens == port["containerPort"].to_string().as_str(), "{variable}={listens}, {port}");
    }
    // The Service and the probes go by the names of the ports.
    ensure!(of_kind(&objects, "Service")? == of_kind(&base, "Service")?, "another Service");
    Ok(())
}

fn a_pod_in_the_host_s_network_is_admitted_by_the_overlay_s_namespace_alone(cluster: &Cluster) -> Result<()> {
    const NAMESPACE: &str = "host-dns";
    let folder = in_namespace(NAMESPACE, "host-network", "")?;
    let objects = built(cluster, folder.path().to_str().context("UTF-8")?)?;
    cluster.create(of_kind(&objects, "Namespace")?)?;
    let of_base = in_namespace(NAMESPACE, "base", "")?;
    let restricted = built(cluster, of_base.path().to_str().context("UTF-8")?)?;
    let mut restricted = of_kind(&restricted, "Namespace")?.clone();
    restricted["metadata"]["name"] = json!("host-dns-restricted");
    cluster.create(&restricted)?;
    for namespace in [NAMESPACE, "host-dns-restricted"] {
        cluster.create(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "muslin", "namespace": namespace }
        }))?;
    }

    let deployment = of_kind(&objects, "Deployment")?;
    let create = |namespace: &str| {
        let pod = replica_of(deployment, namespace).to_string();
        cluster.control_plane.kubectl(&["create", "--dry-run=server", "-f", "-"], Some(&pod))
    };
    let created = create(NAMESPACE)?;
    ensure!(created.status.success() && created.stderr.is_empty(), "{}", created.stderr);
    let denied = create("host-dns-restricted")?;
    ensure!(!denied.status.success() && denied.stderr.contains("hostNetwork"), "{}", denied.stderr);
    Ok(())
}
