//! Names that do not resolve, what a stopped probe shows, and the resolvers that refuse or lose an answer.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use muslin::resolver::{Family, Version, musl};

use super::{EXTERNAL, cluster, pod, probe, probe_of};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::client::{Client, FinishedProgram};
use crate::lab::network::{Lab, server};
use crate::lab::server::{Script, Server, Tcp, aaaa, any, code, truth};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    names_every_requested_name_that_fails,
    the_table_shows_failed_lookups_in_80_columns,
    a_stopped_probe_shows_what_it_found,
    recent_glibc_alone_refuses_a_renamed_answer,
    old_musl_alone_loses_an_oversized_answer
];

/// The first release of glibc whose branch refuses an answer for another name.
const REFUSES_SINCE: Version = Version::new(2, 34, 0);
const OWNER: &str = "web.shop.svc.cluster.local";

fn names_every_requested_name_that_fails(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let arguments = ["--name", "kubernetes.default.svc.cluster.local", "--name", "web.shop.svc.cluster.local"];
    let arguments = [&arguments[..], &["--external-name", EXTERNAL, "--external-name", "no.example.net"]].concat();
    let probed = probe_of(&lab, cluster(), &arguments)?;
    let verdict = probed.only("name-fails")?;
    ensure!(verdict["level"] == "deny", "{verdict:#}");
    let names: Vec<&str> =
        verdict["failing_names"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    ensure!(names == ["web.shop.svc.cluster.local", "no.example.net"], "{verdict:#}");
    Ok(())
}

/// Returns the lines of the table in a report for people.
fn table(report: &str) -> Vec<&str> {
    let lines = report.lines().skip_while(|line| !line.trim_start().starts_with("RESOLVER"));
    lines.take_while(|line| !line.is_empty()).collect()
}

fn the_table_shows_failed_lookups_in_80_columns(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let long = format!("{}.{}.svc.cluster.local", "a".repeat(60), "b".repeat(60));
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    let report = client.run(command.args(["probe", "--name", &long]))?.stdout;
    let lines = table(&report);
    ensure!(lines.len() > 10 && lines.iter().all(|line| line.chars().count() <= 80), "{report}");
    let failed = lines.iter().filter(|line| line.contains("glibc") && line.contains("FAILED")).count();
    ensure!(failed == 4 && lines.iter().any(|line| line.contains("not found")), "{report}");
    Ok(())
}

/// Runs a probe, and sends it the signal of Ctrl-C some time after its first query.
fn stop_after(client: &Client<'_>, dns: &Server, wait: Duration, arguments: &[&str]) -> Result<FinishedProgram> {
    let folder = tempfile::tempdir()?;
    let id = folder.path().join("id");
    let mut command = Command::new("sh");
    command.args(["-ec", r#"echo $$ > "$0"; exec "$@""#]).arg(&id).arg(env!("CARGO_BIN_EXE_muslin"));
    command.args(["probe", "--timeout", "30"]).args(arguments);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| -> Result<()> {
            while dns.seen().is_empty() && !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(wait);
            let sent = Command::new("kill").args(["-INT", std::fs::read_to_string(&id)?.trim()]).status()?;
            ensure!(sent.success() || ended.load(Ordering::Relaxed), "kill: {sent}");
            Ok(())
        });
        let ran = client.run(&command);
        ended.store(true, Ordering::Relaxed);
        stopped.join().map_err(|_| anyhow::anyhow!("the thread that stops the probe panicked"))??;
        ran
    })
}

fn a_stopped_probe_shows_what_it_found(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dead = lab.server(server(1), Script::dead().tcp(Tcp::Refuses))?;
    // The first queries wait for three seconds, and those after them too, so the silence is known by then.
    let client = lab.client(&pod([server(1)]))?;
    let ran = stop_after(&client, &dead, Duration::from_secs(8), &["-o", "json"])?;
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).with_context(|| format!("{ran:?}"))?;
    ensure!(document["summary"]["stopped"] == true, "{:#}", document["summary"]);
    let verdicts = &document["verdicts"];
    ensure!(verdicts[0]["verdict"] == "stale-nameserver" && ran.status.code() == Some(1), "{verdicts:#} {ran:?}");

    // A stopped probe without a verdict says nothing about health.
    let dns = lab.server(server(2), cluster())?;
    let client = lab.client(&pod([server(2)]))?;
    let ran = stop_after(&client, &dns, Duration::from_millis(200), &[])?;
    ensure!(ran.status.code() == Some(3) && ran.stderr.contains("stopped"), "{ran:?}");
    ensure!(ran.stdout.is_empty() || ran.stdout.contains("stopped, no verdict so far"), "{ran:?}");
    Ok(())
}

/// `renamed-answer` says so.
fn recent_glibc_alone_refuses_a_renamed_answer(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster().rule(any().name(EXTERNAL), truth().owner(OWNER)))?;
    let client = lab.client(&format!("nameserver {}\n", server(1)))?;
    let of_glibc = world.programs().iter().filter(|program| program.resolver.family == Family::Glibc);
    for program in world.resolvers().iter().chain(of_glibc) {
        let found = program.look_up_one(&client, EXTERNAL)?;
        let refuses = program.resolver.family == Family::Glibc && program.resolver.version >= Some(REFUSES_SINCE);
        ensure!(found.succeeded() != refuses, "{}: {found:?}", program.resolver);
    }
    let probed = probe(&lab.client(&pod([server(1)]))?, &[])?;
    let verdict = probed.only("renamed-answer")?;
    ensure!(verdict["evidence"].to_string().contains(OWNER), "{verdict:#}");
    Ok(())
}

/// `oversized-answer` says so.
fn old_musl_alone_loses_an_oversized_answer(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let many = (1..=40).map(|number| format!("203.0.113.{number}").parse()).collect::<Result<Vec<_>, _>>()?;
    let script = cluster()
        .name_with("many.example.com", many)
        .rule(aaaa(), code(hickory_proto::op::ResponseCode::NoError))
        .rule(any().name("many.example.com"), truth().oversized());
    let _dns = lab.server(server(1), script)?;
    let client = lab.client(&format!("nameserver {}\noptions timeout:1\n", server(1)))?;
    for program in world.resolvers() {
        let found = program.look_up_one(&client, "many.example.com")?;
        let is_old = program.resolver.family == Family::Musl && program.resolver.version < Some(musl::TCP_SINCE);
        let expected = if is_old { 30 } else { 40 };
        ensure!(found.addresses.len() == expected, "{}: {found:?}", program.resolver);
    }
    let old = world.musl(|version| version < musl::TCP_SINCE)?.program().display().to_string();
    let arguments = ["--external-name", "many.example.com", "--no-getaddrinfo", "--binary", &old];
    let probed = probe(&lab.client(&pod([server(1)]))?, &arguments)?;
    ensure!(probed.only("oversized-answer")?["level"] == "warn");
    Ok(())
}
