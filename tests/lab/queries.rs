//! `muslin queries` reads what a real CoreDNS writes about the lookups of real resolvers: the `ndots` that it finds loses no name, the
//! next lower one does.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::coredns::CoreDns;
use crate::lab::network::{CLIENT, CLUSTER_DNS, Lab, server};
use crate::lab::process::{POLL, Process};
use crate::lab::resolvers::Program;
use crate::lab::server::Script;
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    the_log_shows_the_lowest_ndots_of_real_resolvers,
    json_shows_the_same,
    the_logs_of_two_replicas_show_the_same_in_any_order,
    dnstap_shows_the_same_through_a_unix_socket,
    dnstap_shows_the_same_over_tcp,
    a_server_that_searches_is_reported
];

/// A name outside, and names of a Service in another namespace with one dot and with two.
const OUTSIDE: &str = "www.example.com";
const ONE_DOT: &str = "kubernetes.default";
const TWO_DOTS: &str = "kubernetes.default.svc";

/// The longest wait for a file, a socket or a log line.
const DEADLINE: Duration = Duration::from_secs(10);

/// Returns the resolv.conf of a pod in the namespace `shop`.
fn pod(ndots: u32) -> String {
    let nameserver = server(10);
    format!(
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver {nameserver}\noptions ndots:{ndots}\n"
    )
}

fn outside() -> Script {
    Script::new().name("*.example.com", ["203.0.113.7", "2001:db8:9::7"])
}

/// A folder with a list of pods, of which one is the laboratory's client.
fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let pod = json!({
        "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "alpine:3.20"}]},
        "status": {"phase": "Running", "podIP": CLIENT.to_string(), "hostIP": "192.0.2.1"},
    });
    std::fs::write(folder.path().join("pods.json"), json!({"items": [pod]}).to_string())?;
    Ok(folder)
}

fn muslin(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    command.args(["queries", "--pods", "pods.json", "-o", "json"]).args(arguments).current_dir(folder);
    command
}

/// Returns the only workload of `muslin queries`' output.
fn workload(output: &std::process::Output) -> Result<(Value, Value)> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{stderr}");
    let json: Value = serde_json::from_slice(&output.stdout).with_context(|| stderr.into_owned())?;
    Ok((json["workloads"][0].clone(), json))
}

/// Returns what a log shows.
fn read_log(log: &str) -> Result<(Value, Value)> {
    let folder = folder()?;
    std::fs::write(folder.path().join("coredns.log"), log)?;
    workload(&muslin(folder.path(), &["coredns.log"]).output()?)
}

/// Looks names up one after the other, and returns the number of those that were found.
fn found(program: &Program, lab: &Lab<'_>, ndots: u32, names: &[&str]) -> Result<usize> {
    let client = lab.client(&pod(ndots))?;
    Ok(program.look_up(&client, names)?.iter().filter(|found| found.succeeded()).count())
}

/// Returns the log's lines after the first `from` bytes, once its last query is for the outside name `last`.
fn lines_until(coredns: &CoreDns, from: usize, last: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        let log = coredns.log();
        let new = log.get(from..).unwrap_or_default();
        if new.matches(&format!(" {last}. ")).count() + new.matches(&format!("\"{last}.\"")).count() >= 2 {
            return Ok(new.to_owned());
        }
        ensure!(began.elapsed() < DEADLINE, "no {last} in {new}");
        std::thread::sleep(POLL);
    }
}

/// A lookup whose lines come last.
const LAST: &str = "last.example.com";

/// Looks names up, and returns the lines about them.
fn lines_about(coredns: &CoreDns, program: &Program, lab: &Lab<'_>, ndots: u32, names: &[&str]) -> Result<String> {
    let from = coredns.log().len();
    ensure!(found(program, lab, ndots, names)? == names.len(), "{}: a name was lost", program.resolver);
    ensure!(found(program, lab, ndots, &[LAST])? == 1, "{}: {LAST} was lost", program.resolver);
    lines_until(coredns, from, LAST)
}

fn the_log_shows_the_lowest_ndots_of_real_resolvers(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _upstream = lab.server(server(1), outside())?;
    let coredns = CoreDns::start_with(&lab, server(10), &[server(1)], "log", &[])?;
    for program in [world.glibc()?, world.go()?, world.musl(|_| true)?] {
        for (names, lowest) in [(&[OUTSIDE][..], 1), (&[OUTSIDE, ONE_DOT], 2), (&[TWO_DOTS, OUTSIDE, ONE_DOT], 3)] {
            let before = lines_about(&coredns, program, &lab, 5, names)?;
            let (web, json) = read_log(&before)?;
            ensure!(web["safeNdots"] == lowest && json["isWhole"] == true, "{}: {json:#}\n{before}", program.resolver);
            let after = lines_about(&coredns, program, &lab, lowest, names)?;
            let (then, _) = read_log(&after)?;
            // Each saved query is gone, and there are no others.
            let (queries, saved) = (web["queries"].as_i64(), web["result"]["saved"].as_i64());
            let expected = queries.zip(saved).map(|(queries, saved)| queries - saved);
            ensure!(then["queries"].as_i64() == expected, "{}: {web:#} {then:#}\n{after}", program.resolver);
            if lowest > 1 {
                let is_musl = program.resolver.family.name() == "musl";
                let kept = found(program, &lab, lowest - 1, names)? == names.len();
                ensure!(kept != is_musl, "{} with ndots:{}", program.resolver, lowest - 1);
            }
        }
    }
    Ok(())
}

fn json_shows_the_same(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _upstream = lab.server(server(1), outside())?;
    let coredns = CoreDns::start_with(&lab, server(10), &[server(1)], "log", &["-log-format=json"])?;
    let log = lines_about(&coredns, world.musl(|_| true)?, &lab, 5, &[OUTSIDE, ONE_DOT])?;
    let (web, json) = read_log(&log)?;
    ensure!(web["safeNdots"] == 2 && json["isWhole"] == true && json["from"].is_string(), "{json:#}\n{log}");
    ensure!(web["foundBySearch"][0]["name"] == ONE_DOT, "{web:#}");
    Ok(())
}

/// The Service spreads queries over two replicas, whose logs `kubectl logs` prints one after the other.
fn the_logs_of_two_replicas_show_the_same_in_any_order(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _upstream = lab.server(server(1), outside())?;
    let addresses = [server(10), server(11)];
    let replicas = addresses.map(|address| CoreDns::start_with(&lab, address, &[server(1)], "log", &[]));
    let [one, two] = replicas;
    let (one, two) = (one?, two?);
    lab.balance(CLUSTER_DNS, &addresses)?;
    let program = world.musl(|_| true)?;
    let names: Vec<String> = (0..20).map(|number| format!("n{number}.example.com")).collect();
    let client = lab.client(&pod(5).replace(&server(10).to_string(), &CLUSTER_DNS.to_string()))?;
    let mut found = program.look_up(&client, &names)?.into_iter().chain(program.look_up(&client, &[ONE_DOT])?);
    ensure!(found.all(|found| found.succeeded()), "a name was lost");
    let began = Instant::now();
    // A, and AAAA, of four names for each outside name, and of two for the other.
    let all = 2 * (4 * names.len() + 2);
    let queries = |log: &str| log.lines().filter(|line| line.contains("\" N")).count();
    while queries(&one.log()) + queries(&two.log()) < all {
        ensure!(began.elapsed() < DEADLINE, "{}\n{}", one.log(), two.log());
        std::thread::sleep(POLL);
    }
    // `kubectl logs --prefix` (kubernetes staging/src/k8s.io/kubectl/pkg/cmd/logs/logs.go).
    let prefixed = |name: &str, log: &str| -> String {
        log.lines().map(|line| format!("[pod/coredns-{name}/coredns] {line}\n")).collect()
    };
    let (one, two) = (prefixed("1", &one.log()), prefixed("2", &two.log()));
    for log in [[&*one, &*two].concat(), [&*two, &*one].concat()] {
        let (web, json) = read_log(&log)?;
        ensure!(web["result"]["ndots"] == 2 && json["isWhole"] == true, "{json:#}\n{log}");
    }
    // Each alone lacks queries, and counts what may be a search as one.
    for log in [one, two] {
        let (web, json) = read_log(&log)?;
        ensure!(json["isWhole"] == false && web["result"]["ndots"].as_u64() >= Some(1), "{json:#}\n{log}");
    }
    Ok(())
}

/// CoreDNS's plugin `autopath` answers an outside name below the pod's first domain.
fn a_server_that_searches_is_reported(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _upstream = lab.server(server(1), outside())?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), "search shop.svc.cluster.local svc.cluster.local cluster.local\n")?;
    let plugins = format!("log\nautopath {}", file.path().display());
    let coredns = CoreDns::start_with(&lab, server(10), &[server(1)], &plugins, &[])?;
    let from = coredns.log().len();
    ensure!(found(world.musl(|_| true)?, &lab, 5, &[OUTSIDE])? == 1, "{OUTSIDE} was lost: {}", coredns.log());
    let log = lines_until(&coredns, from, "www.example.com.shop.svc.cluster.local")?;
    let (web, json) = read_log(&log)?;
    ensure!(web["searchedByServer"] == "www.example.com.shop.svc.cluster.local", "{json:#}\n{log}");
    ensure!(web["result"].is_null() && web["safeNdots"].is_null(), "{json:#}");
    Ok(())
}

fn dnstap_shows_the_same_over_tcp(world: &World) -> Result<()> {
    const PORT: u16 = 6000;
    let lab = Lab::new(world)?;
    let _upstream = lab.server(server(1), outside())?;
    let folder = folder()?;
    let pods = folder.path().join("pods.json").display().to_string();
    let address = format!("{}:{PORT}", server(10));
    let source = format!("tcp:{address}");
    let mut listener = lab.program(env!("CARGO_BIN_EXE_muslin"), |_| {
        Ok(["queries", "--pods", &pods, "-o", "json", "--dnstap", &source].map(str::to_owned).to_vec())
    })?;
    let listens = |process: &Process| {
        let sockets = std::fs::read_to_string(format!("/proc/{}/net/tcp", process.id())).unwrap_or_default();
        // In the state LISTEN, with the port in hexadecimal.
        sockets.lines().any(|line| line.contains(&format!(":{PORT:04X} ")) && line.contains(" 0A "))
    };
    listener.wait_until(listens)?;
    let plugins = format!("log\ndnstap tcp://{address} full");
    let coredns = CoreDns::start_with(&lab, server(10), &[server(1)], &plugins, &[])?;
    lines_about(&coredns, world.musl(|_| true)?, &lab, 5, &[OUTSIDE, ONE_DOT])?;
    std::thread::sleep(Duration::from_secs(2));
    drop(coredns);
    ensure!(Command::new("kill").args(["-INT", &listener.id().to_string()]).status()?.success(), "kill failed");
    let began = Instant::now();
    while !listener.log().ends_with("}\n") {
        ensure!(began.elapsed() < DEADLINE, "no result: {}", listener.log());
        std::thread::sleep(POLL);
    }
    let log = listener.log();
    let document = log.find("{\n").and_then(|begin| log.get(begin..)).context("no JSON")?;
    let json: Value = serde_json::from_str(document).with_context(|| log.clone())?;
    let web = &json["workloads"][0];
    ensure!(web["result"]["ndots"] == 2 && json["isWhole"] == true, "{json:#}");
    ensure!(web["foundBySearch"][0]["queries"] == 1, "{web:#}");
    Ok(())
}

fn dnstap_shows_the_same_through_a_unix_socket(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _upstream = lab.server(server(1), outside())?;
    let folder = folder()?;
    let socket = folder.path().join("tap.sock");
    let source = format!("unix:{}", socket.display());
    let mut listener = muslin(folder.path(), &["--dnstap", &source]);
    let listener = listener.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    wait_for(&socket)?;
    let plugins = format!("log\ndnstap unix://{} full", socket.display());
    let coredns = CoreDns::start_with(&lab, server(10), &[server(1)], &plugins, &[])?;
    lines_about(&coredns, world.musl(|_| true)?, &lab, 5, &[OUTSIDE, ONE_DOT])?;
    // CoreDNS sends frames within a second (plugin/dnstap/io.go `flushTimeout`); ending it sends what is left.
    std::thread::sleep(Duration::from_secs(2));
    drop(coredns);
    // Ctrl-C ends the listener with a report.
    ensure!(Command::new("kill").args(["-INT", &listener.id().to_string()]).status()?.success(), "kill failed");
    let (web, json) = workload(&listener.wait_with_output()?)?;
    ensure!(web["safeNdots"] == 2 && json["isWhole"] == true && json["from"].is_string(), "{json:#}");
    // The name that has only A answers AAAA without a record, which dnstap shows.
    ensure!(web["foundBySearch"][0]["queries"] == 1, "{web:#}");
    Ok(())
}

fn wait_for(path: &Path) -> Result<()> {
    let began = Instant::now();
    while !path.exists() {
        if began.elapsed() > DEADLINE {
            bail!("{} does not appear", path.display());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}
