//! `ndots` by evidence, on a node: workloads look names up, `muslin queries` reads the log of CoreDNS's pods, the profiles that it prints
//! are applied, and new pods ask for less.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::Topic;
use crate::common::harness::tests;
use crate::node::cluster_dns::{self, ClusterDns};
use crate::node::page;
use crate::node::real_node::{Node, eventually};

pub(crate) const ON_REQUEST: Topic = tests![records_a_lower_ndots_in_docs_proof_on_a_node_md];

/// Time limit on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Outside names, and Services by one, two and three labels.
const NAMES: [&str; 6] =
    ["www.example.com", "api.example.com", "eu.cdn.example.com", "local", "db.data", "db.data.svc"];

/// A name with four dots below a search domain of the pod's own.
const DEEP: [&str; 2] = ["www.example.com", "db.eu.west.prod.shop"];

/// The workloads, with the names that they look up.
const WORKLOADS: [(&str, &[&str]); 3] = [("web", &NAMES), ("classic", &NAMES), ("deep", &DEEP)];

/// The number of times that each pod looks each name up.
const ROUNDS: usize = 3;

/// Starts CoreDNS with its log, and the workloads.
fn start(node: &Node) -> Result<ClusterDns<'_>> {
    cluster_dns::push(node, "shop-glibc", "shop-glibc:1.4")?;
    let dns = ClusterDns::start(node, "evidence.yaml")?;
    for (workload, _) in WORKLOADS {
        rolled_out(node, workload)?;
    }
    Ok(dns)
}

fn rolled_out(node: &Node, workload: &str) -> Result<()> {
    let workload = format!("deployment/{workload}");
    node.kubectl(&["rollout", "status", &workload, "-n", "evidence", "--timeout=60s"])?;
    Ok(())
}

/// Returns the pods of a workload that do not end, each with its address.
fn pods(node: &Node, workload: &str) -> Result<Vec<(String, String)>> {
    let label = format!("app={workload}");
    let (list, _) = node.kubectl(&["get", "pods", "-n", "evidence", "-l", &label, "-o", "json"])?;
    let list: Value = serde_json::from_str(&list)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = list["items"].as_array().into_iter().flatten();
    let stay = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    Ok(stay.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["status"]["podIP"]))).collect())
}

/// Looks up the names of a workload in each of its pods, and returns the number of queries that the log has of them.
fn look_up(node: &Node, dns: &ClusterDns<'_>, workload: &str, names: &[&str]) -> Result<usize> {
    let pods = pods(node, workload)?;
    for (pod, _) in &pods {
        for name in names.repeat(ROUNDS) {
            // Fails if the name is not found.
            node.kubectl(&["exec", "-n", "evidence", pod, "--", "/shop", "once", name])
                .with_context(|| format!("{pod} lost {name}"))?;
        }
    }
    let count = || -> Result<usize> {
        let log = dns.log()?;
        let of_pods = |line: &&str| pods.iter().any(|(_, ip)| line.contains(&format!(" {ip}:")));
        Ok(log.lines().filter(of_pods).count())
    };
    // The container runtime writes a line within milliseconds, and the last line is that of the last query.
    let mut before = count()?;
    eventually(DEADLINE, || {
        let now = count()?;
        let is_all = now == before && now > 0;
        before = now;
        ensure!(is_all, "the log grows");
        Ok(now)
    })
}

/// Runs `muslin queries` on the node with the log, and the pods of the API server.
fn queries(node: &Node, log: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = node.command(env!("CARGO_BIN_EXE_muslin"));
    command.args(["queries", "-n", "evidence"]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(log.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn found(document: &Value, workload: &str) -> Result<Value> {
    let mut all = document["workloads"].as_array().into_iter().flatten();
    let found = all.find(|one| one["name"] == workload).cloned();
    found.with_context(|| format!("no {workload}: {document:#}"))
}

fn records_a_lower_ndots_in_docs_proof_on_a_node_md(node: &mut Node) -> Result<()> {
    let node = &*node;
    let dns = start(node)?;
    let mut before = Vec::new();
    for (workload, names) in WORKLOADS {
        before.push(look_up(node, &dns, workload, names)?);
    }
    let log = dns.log()?;
    let output = queries(node, &log, &["-o", "json"])?;
    let document: Value = serde_json::from_slice(&output.stdout).with_context(|| stderr(&output))?;
    ensure!(document["isWhole"] == true, "{document:#}");
    let table = queries(node, &log, &[])?;
    for (workload, uses, ndots, leaked) in [("web", "musl", 3, 0), ("classic", "glibc", 1, 2), ("deep", "musl", 5, 0)] {
        let one = found(&document, workload)?;
        let result = (&one["uses"][0], &one["result"]["ndots"], &one["result"]["leaked"]);
        ensure!(*result.0 == uses && *result.1 == ndots && *result.2 == leaked, "{one:#}\n{log}");
    }

    let printed = queries(node, &log, &["-o", "profile"])?;
    ensure!(printed.status.success(), "{}", stderr(&printed));
    let says = "no profile for evidence/Deployment/deep: it needs ndots:5";
    ensure!(stderr(&printed).contains(says), "{}", stderr(&printed));
    let profiles = node.folder().join("evidence-profiles.yaml");
    std::fs::write(&profiles, &printed.stdout)?;
    node.kubectl(&["apply", "-f", profiles.to_str().context("UTF-8")?])?;

    let mut rows = String::new();
    for ((workload, names), before) in WORKLOADS.into_iter().zip(before) {
        let one = found(&document, workload)?;
        let ndots = one["result"]["ndots"].as_u64().unwrap_or_default();
        if ndots < 5 {
            let image = if workload == "classic" {
                "registry.example.com/shop-glibc:1.4"
            } else {
                "registry.example.com/shop:1.4"
            };
            renew(node, workload, image, ndots)?;
        }
        let after = look_up(node, &dns, workload, names)?;
        let saved = usize::try_from(one["result"]["saved"].as_i64().unwrap_or_default()).unwrap_or_default();
        let after = if ndots < 5 { after } else { after - before };
        ensure!(after == before - saved, "{workload}: {before} before, {saved} saved, {after} after\n{}", dns.log()?);
        let pods = &one["pods"];
        let resolver = one["uses"][0].as_str().unwrap_or_default();
        let lookups = pods.as_u64().unwrap_or_default() as usize * names.len() * ROUNDS;
        let _ = writeln!(
            rows,
            "| `{workload}` | {resolver} | {} | {pods} | {lookups} | `ndots:{ndots}` | {saved} | {before} | {after} | 0 |",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "),
        );
    }
    judge_a_newer_log(node, &dns, profiles.to_str().context("UTF-8")?)?;
    page::write_section(page::NDOTS, &section(&rows, &String::from_utf8_lossy(&table.stdout)))
}

/// Waits until muslin knows the profile, and replaces the pods of a workload.
fn renew(node: &Node, workload: &str, image: &str, ndots: u64) -> Result<()> {
    eventually(DEADLINE, || {
        let (image, label) = (format!("--image={image}"), format!("--labels=app={workload}"));
        let pod =
            ["run", "trial", &image, &label, "-n", "evidence", "--dry-run=server", "-o", "jsonpath={.spec.dnsConfig}"];
        let (config, _) = node.kubectl(&pod)?;
        ensure!(config.contains(&format!(r#"{{"name":"ndots","value":"{ndots}"}}"#)), "not yet: {config}");
        Ok(())
    })?;
    node.kubectl(&["rollout", "restart", &format!("deployment/{workload}"), "-n", "evidence"])?;
    rolled_out(node, workload)?;
    for (pod, _) in pods(node, workload)? {
        let (file, _) = node.kubectl(&["exec", "-n", "evidence", &pod, "--", "/shop", "show", "/etc/resolv.conf"])?;
        ensure!(file.contains(&format!("ndots:{ndots}")), "{pod}: {file}");
    }
    Ok(())
}

/// The newer log shows that the profiles lose nothing, and that a lower number would.
fn judge_a_newer_log(node: &Node, dns: &ClusterDns<'_>, profiles: &str) -> Result<()> {
    let log = dns.log()?;
    let printed = std::fs::read_to_string(profiles)?;
    let web =
        printed.split("---\n").find(|text| text.contains("evidence.deployment.web")).context("no profile of web")?;
    let path = node.folder().join("evidence-web.yaml");
    for (text, code) in [(web.to_owned(), 0), (web.replace("ndots:3", "ndots:2"), 1)] {
        std::fs::write(&path, text)?;
        let output = queries(node, &log, &["--against", path.to_str().context("UTF-8")?])?;
        ensure!(output.status.code() == Some(code), "{:?}: {}", output.status, stderr(&output));
        ensure!(code == 0 || stderr(&output).contains("musl loses db.data.svc"), "{}", stderr(&output));
    }
    Ok(())
}

fn section(rows: &str, table: &str) -> String {
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    format!(
        "Three workloads look up outside names and Services by one, two and three labels, each name {ROUNDS} times in each pod: `web` on musl
1.2.3, `classic` on glibc 2.36, and `deep` on musl, which finds a name with four dots below a search domain of its own. Two replicas of
CoreDNS with its plugin `log` answer. `kubectl -n kube-system logs -l k8s-app=kube-dns --tail=-1 --prefix --timestamps | muslin queries -n
evidence`, with the pods of the API server, prints:

```
{}
```

The profiles of `-o profile` are applied, and the pods of `web` and `classic` replaced. `deep` gets none: it needs `ndots:5`. The new pods
look up the same names. The test fails if a name is lost, or if the number of queries in CoreDNS's log is not the one that the log before
promised. `muslin queries --against` with the newer log ends with 0, and with 1 for `ndots:2`, with which musl loses `db.data.svc`.

| workload | resolver | names | pods | lookups | found | saved queries promised | queries before | queries after | names lost |
|---|---|---|---|---|---|---|---|---|---|
{rows}",
        table.join("\n").trim_end()
    )
}
