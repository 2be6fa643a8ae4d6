//! `muslin probe` in the laboratory: for each verdict, a network with exactly this fault and one that looks similar. The real
//! program runs as in a pod, and the tests read its output.

pub(crate) mod answers;
pub(crate) mod getaddrinfo;
pub(crate) mod healthy;
pub(crate) mod libraries;
pub(crate) mod losses;
pub(crate) mod matrix;
pub(crate) mod names;
pub(crate) mod release;
pub(crate) mod servers;
pub(crate) mod watch;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::schemas::ensure_valid;
use crate::lab::client::Client;
use crate::lab::network::Lab;
use crate::lab::server::Script;

/// Names that a cluster's nameserver knows, inside and outside the cluster.
const NAME: &str = "kubernetes.default.svc.cluster.local";
const EXTERNAL: &str = "example.com";
/// An address of TEST-NET-3, as no global address may be written here.
const V4: &str = "203.0.113.7";
const V6: &str = "2001:db8:9::7";

/// Extra time for starting the program and for its report. Both take a second of processor time in this build, which other programs can
/// make ten.
const WORKING: Duration = Duration::from_secs(30);

/// Returns the script of a cluster's healthy nameserver.
fn cluster() -> Script {
    Script::new().name(NAME, ["10.96.0.1"]).name(EXTERNAL, [V4, V6])
}

/// Returns the resolv.conf that the kubelet writes for a pod, with these nameservers.
fn pod<const N: usize>(servers: [std::net::Ipv4Addr; N]) -> String {
    let mut text = "search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n".to_owned();
    servers.iter().for_each(|server| text.push_str(&format!("nameserver {server}\n")));
    text
}

/// The output of a probe.
struct Probed {
    document: Value,
    code: i32,
}

/// Runs the probe in a pod, with these arguments.
fn probe(client: &Client<'_>, arguments: &[&str]) -> Result<Probed> {
    probe_with(client, arguments, &[])
}

fn probe_with(client: &Client<'_>, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Probed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    command.envs(environment.iter().copied());
    probe_by(client, command, arguments)
}

/// Runs the probe by this command of muslin, with these arguments.
fn probe_by(client: &Client<'_>, mut command: Command, arguments: &[&str]) -> Result<Probed> {
    command.args(["probe", "-o", "json"]).args(arguments);
    let ran = client.run(&command)?;
    let document: Value = serde_json::from_str(&ran.stdout).with_context(|| format!("{}{}", ran.stderr, ran.stdout))?;
    ensure_valid("probe", &document)?;
    let code = ran.status.code().context("the probe was killed")?;
    let probed = Probed { document, code };
    let bound = |name: &str, default: u64| {
        let value = arguments.iter().skip_while(|argument| **argument != name).nth(1);
        value.map_or(Ok(default), |value| value.parse())
    };
    ensure!(ran.took <= Duration::from_secs(bound("--timeout", 10)?) + WORKING, "the probe took {:?}", ran.took);
    let sent = probed.document["summary"]["queries"].as_u64().context("no count of queries")?;
    ensure!(sent <= bound("--max-queries", 2000)?, "{sent} queries");
    probed.names_every_failed_lookup()?;
    Ok(probed)
}

/// Probes a pod whose nameserver follows a script.
fn probe_of(lab: &Lab<'_>, script: Script, arguments: &[&str]) -> Result<Probed> {
    let _dns = lab.server(crate::lab::network::server(1), script)?;
    probe(&lab.client(&pod([crate::lab::network::server(1)]))?, arguments)
}

// === impl Probed ===

impl Probed {
    /// Fails if a lookup of a requested name failed, through a C library or by the model, and no verdict of level `warn` or above names
    /// it.
    fn names_every_failed_lookup(&self) -> Result<()> {
        let array = |field: &str| self.document[field].as_array().into_iter().flatten();
        let named: Vec<&str> = array("verdicts")
            .filter(|verdict| verdict["level"] != "info")
            .flat_map(|verdict| verdict["failing_names"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let failed = array("lookups").filter(|lookup| !lookup["addresses"].is_array());
        for lookup in failed.chain(array("costs").filter(|cost| cost["found"] == false)) {
            let spelling = lookup["name"].as_str().context("a lookup without a name")?;
            let is_of =
                |name: &&&str| spelling.trim_end_matches('.') == **name || name.starts_with(&format!("{spelling}."));
            ensure!(named.iter().any(|name| is_of(&name)), "{lookup:#} is not named: {:#}", self.document["verdicts"]);
        }
        Ok(())
    }

    /// Returns the slugs of all verdicts.
    fn verdicts(&self) -> Vec<&str> {
        let verdicts = self.document["verdicts"].as_array().into_iter().flatten();
        verdicts.filter_map(|verdict| verdict["verdict"].as_str()).collect()
    }

    /// Returns the verdict of this slug; fails if there are others.
    fn only(&self, slug: &str) -> Result<&Value> {
        ensure!(
            self.verdicts_besides_slowness(slug) == [slug],
            "{slug} is not the only one: {:#}",
            self.document["verdicts"]
        );
        let verdicts = self.document["verdicts"].as_array().into_iter().flatten();
        let verdict = verdicts.into_iter().find(|verdict| verdict["verdict"] == slug).context("no verdict")?;
        ensure!(self.code == i32::from(verdict["level"] == "deny"), "{}: {verdict:#}", self.code);
        for field in ["evidence", "help"] {
            ensure!(verdict[field].as_array().is_some_and(|lines| !lines.is_empty()), "{field}: {verdict:#}");
        }
        let helped = verdict["profiles"].as_array().is_some_and(|profiles| !profiles.is_empty());
        ensure!(helped != verdict["no_profile_because"].is_string(), "{verdict:#}");
        Ok(verdict)
    }

    /// Fails if there is any verdict.
    fn none(&self) -> Result<()> {
        let is_silent = self.verdicts_besides_slowness("").is_empty();
        ensure!(is_silent && self.code == 0, "{}: {:#}", self.code, self.document["verdicts"]);
        Ok(())
    }

    /// Returns the verdicts without the advice about a slow search list, unless that is expected or this machine answers quickly: if it is so
    /// busy that two queries on a network without latency take 20 ms, the advice is right.
    fn verdicts_besides_slowness(&self, expected: &str) -> Vec<&str> {
        const BUSY: u32 = 20;
        let takes = |verdict: &Value| -> Option<u32> {
            verdict["what"].as_str()?.rsplit_once("instead of ")?.1.strip_suffix(" ms")?.parse().ok()
        };
        let counts = |verdict: &&Value| {
            let is_advice = verdict["verdict"] == "search-expansion" && verdict["level"] == "info";
            !is_advice || expected == "search-expansion" || takes(verdict).is_none_or(|time| time < BUSY)
        };
        let verdicts = self.document["verdicts"].as_array().into_iter().flatten().filter(counts);
        verdicts.filter_map(|verdict| verdict["verdict"].as_str()).collect()
    }

    /// Returns the evidence of a verdict, as one text.
    fn evidence(verdict: &Value) -> String {
        let lines = verdict["evidence"].as_array().into_iter().flatten();
        lines.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }
}
