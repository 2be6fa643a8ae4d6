//! The dashboard and the metrics of a running muslin: each names exactly what the other has, and a real Prometheus answers each query.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::enforcement::pod_of;
use crate::cluster::profiles::applied;
use crate::cluster::prometheus::Prometheus;
use crate::cluster::replicas::wait;
use crate::common::dns_server::{DnsServer, Manners};
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::MANIFESTS;
use crate::common::webhook::Muslin;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    dashboard_alerts_and_docs_name_exactly_the_existing_metrics,
    prometheus_answers_every_query_of_the_dashboard
];

/// The labels that the PodMonitor gives to muslin's metrics, and a label of Prometheuses of several clusters.
const TARGET: [(&str, &str); 3] = [("cluster", "test"), ("namespace", "muslin"), ("pod", "muslin-0")];

fn dashboard() -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(format!("{MANIFESTS}/monitoring/dashboard.json"))?)?)
}

/// Collects the texts below a key anywhere in a document.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| match value.as_str() {
            Some(text) if name == key => found.push(text),
            _ => texts(value, key, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

/// Returns the names of muslin's metrics, and of those of its process, in expressions.
fn metrics(expressions: &[&str]) -> BTreeSet<String> {
    let words = expressions.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with("muslin_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// Starts a muslin that has every metric.
pub(crate) fn muslin_with_every_metric(cluster: &Cluster) -> Result<Muslin<'_>> {
    cluster.muslin_with(&["--inspect-images", "--inspection-budget", "0", "--policies", "--reports"].map(str::to_owned))
}

/// A watch of a nameserver with a closed port and of one that answers, which has every metric.
struct DnsWatch {
    child: std::process::Child,
    address: String,
    _server: DnsServer,
    _folder: TempDir,
}

impl DnsWatch {
    fn start() -> Result<Self> {
        let server = DnsServer::start([127, 53, 0, 11].into(), Manners::HealthySearchDomain)?;
        let folder = TempDir::new()?;
        let (conf, log) = (folder.path().join("resolv.conf"), folder.path().join("log"));
        fs::write(&conf, "search corp.example.com\n")?;
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_muslin"));
        command.args(["probe", "--watch", "--interval", "500ms", "--no-interception-query", "--no-cluster"]);
        command.args([
            "--server",
            "127.53.0.10:9",
            "--server",
            "127.53.0.11",
            "--metrics-bind",
            "127.0.0.1:0",
            "--node",
            "worker-1",
            "--resolv-conf",
        ]);
        let child = command.arg(&conf).stdout(std::process::Stdio::null()).stderr(fs::File::create(&log)?).spawn()?;
        let mut watch = Self { child, address: String::new(), _server: server, _folder: folder };
        wait("the watch's metrics", || {
            let text = fs::read_to_string(&log)?;
            watch.address = text
                .lines()
                .find_map(|line| line.rsplit_once("/metrics at "))
                .map_or("", |(_, address)| address)
                .to_owned();
            Ok(!watch.address.is_empty() && watch.metrics()?.contains("muslin_probe_search_domain{"))
        })?;
        Ok(watch)
    }

    fn metrics(&self) -> Result<String> {
        let mut stream = std::net::TcpStream::connect(&self.address)?;
        std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text)?;
        Ok(text.split_once("\r\n\r\n").context("no answer")?.1.to_owned())
    }
}

impl Drop for DnsWatch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a profile with a cache on the node, for which muslin has a metric. Nothing listens there.
pub(crate) fn cache() -> Value {
    let risks = ["node-searches-lost", "nameserver-blocked", "cache-missing", "loopback-nameserver"];
    json!({ "nodeLocal": { "address": "127.53.0.9" }, "acceptRisk": risks, "rollout": { "percent": 50 } })
}

fn dashboard_alerts_and_docs_name_exactly_the_existing_metrics(cluster: &Cluster) -> Result<()> {
    let muslin = muslin_with_every_metric(cluster)?;
    cluster.namespace("measured", &[])?;
    cluster.created(&pod("measured", "web", "alpine:3.19"))?;
    let (_profile, _) = applied(cluster, "measured", &cache())?;
    for metric in ["muslin_node_local_reachable{", "muslin_profile_rollout{"] {
        wait("the trial of the cache and the rollout", || Ok(muslin.metrics()?.contains(metric)))?;
    }
    let watch = DnsWatch::start()?;
    let text = muslin.metrics()? + &watch.metrics()?;
    let there: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let dashboard = dashboard()?;
    let rules: Value =
        serde_saphyr::from_str(&fs::read_to_string(format!("{MANIFESTS}/monitoring/prometheus-rule.yaml"))?)?;
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    texts(&rules, "expr", &mut expressions);
    ensure!(expressions.len() > 15, "{expressions:?}");
    let shown = metrics(&expressions);
    for metric in &shown {
        ensure!(there.contains(metric.as_str()), "there is no {metric} in\n{text}");
    }
    // No panel uses the sum or the count of a histogram, or each number of the process.
    let read =
        |metric: &&&str| !metric.ends_with("_sum") && !metric.ends_with("_count") && !metric.starts_with("process_");
    for metric in there.iter().filter(read) {
        ensure!(shown.contains(*metric), "{metric} is neither in the dashboard nor in an alert");
    }
    let list = include_str!("../../docs/metrics.md");
    let listed: BTreeSet<&str> = list.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let parts = ["_bucket", "_sum", "_count"];
    let whole = |metric: &&'_ str| parts.iter().find_map(|part| metric.strip_suffix(part)).unwrap_or(metric).to_owned();
    let whole: BTreeSet<String> = there.iter().map(whole).collect();
    ensure!(whole.iter().map(String::as_str).eq(listed.iter().copied()), "{whole:#?}\n{listed:#?}");
    for counted in [
        r#"muslin_reviews_total{hook="mutate",outcome="changed",mode="inject"} "#,
        r#"muslin_findings_total{rule="musl-slow-retry",level="warn",fixed="#,
        r#"muslin_namespace_findings_total{pod_namespace="measured",level="warn",fixed="#,
        r#"muslin_injected_options_total{option="attempts"} "#,
        r#"muslin_watch_lag_seconds{resource="namespaces"} "#,
        r#"muslin_watch_lag_seconds{resource="resolverprofiles"} "#,
        r#"muslin_watch_lag_seconds{resource="pods"} "#,
    ] {
        ensure!(text.lines().any(|line| line.starts_with(counted)), "no {counted}in\n{text}");
    }
    // Prometheus itself sets the labels `pod` and `namespace`, and would rename muslin's.
    for forbidden in [",pod=", "{pod=", "image=", ",namespace=", "{namespace="] {
        ensure!(!text.contains(forbidden), "a label is unbounded: {forbidden}\n{text}");
    }
    Ok(())
}

/// The API server counts a call that failed only after muslin is gone, so the queries are asked then; Prometheus keeps what it read before.
fn prometheus_answers_every_query_of_the_dashboard(cluster: &Cluster) -> Result<()> {
    let mut muslin = muslin_with_every_metric(cluster)?;
    cluster.namespace("graphed", &[])?;
    cluster.namespace("guarded", &[("muslin.dev/mode", "enforce")])?;
    let (_profile, _) = applied(cluster, "graphed", &cache())?;
    let folder = TempDir::new()?;
    let api_server = api_server_target(cluster, folder.path())?;
    let labels: BTreeMap<_, _> = TARGET.into_iter().collect();
    let own = json!({
        "job_name": "muslin",
        "static_configs": [{ "targets": [muslin.process().metrics], "labels": &labels }],
    });
    let watch = DnsWatch::start()?;
    let of_nodes = json!({
        "job_name": "watch",
        "static_configs": [{ "targets": [&watch.address], "labels": &labels }],
    });
    let prometheus = Prometheus::start(&[own, of_nodes, api_server])?;
    let dashboard = dashboard()?;
    let review = |round: usize| -> Result<()> {
        // One finding that muslin leaves, one that it fixes, and one for which it denies a pod.
        let mut web = pod("graphed", &format!("web-{round}"), "alpine:3.17");
        web["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "0" }] });
        cluster.created(&web)?;
        ensure!(cluster.create(&pod_of("guarded", "web", &["debian:12"])).is_err(), "not denied");
        Ok(())
    };
    let own = |query: &&String| !query.contains("apiserver_");
    // A rate needs reviews between two readings.
    let queries: Vec<String> = queries(&dashboard, &TARGET)?;
    let mut round = 0;
    wait("data for each query about muslin", || {
        round += 1;
        review(round)?;
        let missing = prometheus.without_data(queries.iter().filter(own))?;
        Ok(missing.is_empty())
    })
    .with_context(|| format!("no data: {:#?}", prometheus.without_data(queries.iter().filter(own))))?;
    muslin.kill()?;
    cluster.created(&pod("graphed", "missed", "alpine:3.17"))?;
    wait("data for each query about API servers", || {
        Ok(prometheus.without_data(queries.iter().filter(|query| !own(query)))?.is_empty())
    })
    .with_context(|| format!("no data: {:#?}", prometheus.without_data(queries.iter())))?;
    ensure!(queries.len() > 40, "{}", queries.len());
    cluster.delete_pods("graphed")
}

/// Returns the queries of all panels and variables, with these values of the dashboard's variables.
fn queries(dashboard: &Value, values: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut expressions = Vec::new();
    texts(dashboard, "expr", &mut expressions);
    let variables = dashboard["templating"]["list"].as_array().context("there are no variables")?;
    let mut queries: Vec<String> = expressions.into_iter().map(str::to_owned).collect();
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let query = variable["query"].as_str().context("a variable has no query")?;
        let arguments = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (series, label) = arguments.and_then(|rest| rest.rsplit_once(", ")).context("not label_values")?;
        queries.push(format!("count by ({label}) ({series}) unless on ({label}) vector(1)"));
    }
    let value = |label: &str| values.iter().find(|(name, _)| *name == label).map_or(".*", |(_, value)| *value);
    let replaced = [
        ("$pod_namespace", ".*"),
        ("$cluster", value("cluster")),
        ("$namespace", value("namespace")),
        ("$replica", value("pod")),
        ("$node", ".*"),
        ("$__rate_interval", "10s"),
        ("$__range", "1m"),
    ];
    for query in &mut queries {
        for (variable, value) in replaced {
            *query = query.replace(variable, value);
        }
        ensure!(!query.contains('$'), "the dashboard has another variable: {query}");
    }
    Ok(queries)
}

/// Returns a target for the API server's own metrics, with the certificate of an admin.
fn api_server_target(cluster: &Cluster, folder: &Path) -> Result<Value> {
    let config: Value = serde_json::from_slice(&fs::read(cluster.control_plane.admin_kubeconfig())?)?;
    let file = |value: &Value, name: &str| -> Result<String> {
        let path = folder.join(name);
        fs::write(&path, BASE64_STANDARD.decode(value.as_str().context("not in the kubeconfig")?)?)?;
        Ok(path.display().to_string())
    };
    let (server, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
    let address = server["server"].as_str().and_then(|url| url.strip_prefix("https://")).context("no address")?;
    Ok(json!({
        "job_name": "apiserver",
        "scheme": "https",
        "tls_config": {
            "ca_file": file(&server["certificate-authority-data"], "ca.crt")?,
            "cert_file": file(&user["client-certificate-data"], "admin.crt")?,
            "key_file": file(&user["client-key-data"], "admin.key")?,
        },
        "static_configs": [{ "targets": [address], "labels": { "cluster": "test" } }],
    }))
}
