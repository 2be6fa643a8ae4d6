//! Lost packets: by the race of old kernels, by chance, and by a server that takes equal ids for repetitions.

use anyhow::{Result, bail, ensure};

use muslin::resolver::musl;
use serde_json::Value;

use super::{EXTERNAL, Probed, cluster, pod, probe, probe_of};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::coarse_clock::with_coarse_clock;
use crate::lab::network::{Lab, server};
use crate::lab::server::{Collisions, Then, any};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    reports_the_race_of_old_kernels_with_its_rate,
    tells_a_lossy_path_from_the_race,
    one_or_two_lost_packets_get_no_verdict,
    a_server_that_answers_one_query_per_socket_is_not_a_race,
    reports_equal_ids_that_get_lost_or_swapped,
    equal_ids_fail_lookups_of_old_musl_alone,
    tells_the_race_from_an_id_collision
];

fn reports_the_race_of_old_kernels_with_its_rate(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.race(server(1))?;
    let musl = world.musl(|_| true)?.program().display().to_string();
    let probed = probe(&lab.client(&pod([server(1)]))?, &["--binary", &musl])?;
    let verdict = probed.only("conntrack-race")?;
    let evidence = Probed::evidence(verdict);
    ensure!(evidence.contains("from one socket, at once:") && evidence.contains("95 % interval"), "{evidence}");
    ensure!(evidence.contains("getaddrinfo waited for a lost packet"), "{evidence}");
    let helps = |profile: &str, resolver: &str| {
        let changes = verdict["profiles"].as_array().into_iter().flatten();
        changes
            .filter(|it| it["profile"] == profile)
            .any(|it| it["resolver"].as_str().is_some_and(|name| name.starts_with(resolver)))
    };
    ensure!(helps("three-attempts", "musl") && !helps("single-request-reopen", "musl"), "{verdict:#}");
    ensure!(helps("single-request-reopen", "glibc") && !helps("three-attempts", "glibc"), "{verdict:#}");
    // The profile really helps as much as the verdict says.
    let client = lab.client(&format!("{}options single-request-reopen\n", pod([server(1)])))?;
    let found = world.glibc()?.look_up_one(&client, "kubernetes.default")?;
    ensure!(found.succeeded() && found.took.as_secs() < 2, "{found:?}");
    Ok(())
}

fn tells_a_lossy_path_from_the_race(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.forward("udp dport 53 numgen random mod 100 < 10 drop")?;
    let probed = probe(&lab.client(&pod([server(1)]))?, &["--no-getaddrinfo"])?;
    let verdict = probed.only("lossy-path")?;
    ensure!(verdict["profiles"].as_array().is_some_and(|profiles| !profiles.is_empty()), "{verdict:#}");
    Ok(())
}

fn one_or_two_lost_packets_get_no_verdict(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.forward("udp dport 53 numgen inc mod 400 == 250 drop")?;
    probe(&lab.client(&pod([server(1)]))?, &["--no-getaddrinfo"])?.none()
}

fn a_server_that_answers_one_query_per_socket_is_not_a_race(world: &World) -> Result<()> {
    let mut verdicts = Value::Null;
    // A new socket can have the port of an earlier one, for which the server answers no more: some two of four hundred, and by chance five.
    for _ in 0..3 {
        let lab = Lab::new(world)?;
        let script = cluster().rule(any().per_socket().after(1), Then::Drop);
        let probed = probe_of(&lab, script, &["--no-getaddrinfo"])?;
        ensure!(!probed.verdicts().contains(&"conntrack-race"), "{:#}", probed.document["verdicts"]);
        ensure!(!probed.verdicts().contains(&"id-collision"), "{:#}", probed.document["verdicts"]);
        if !probed.verdicts().contains(&"lossy-path") {
            return Ok(());
        }
        verdicts = probed.document["verdicts"].clone();
    }
    bail!("{verdicts:#}")
}

fn reports_equal_ids_that_get_lost_or_swapped(world: &World) -> Result<()> {
    for collisions in [Collisions::Lost, Collisions::Swapped] {
        let lab = Lab::new(world)?;
        let probed = probe_of(&lab, cluster().collisions(collisions), &["--no-getaddrinfo"])?;
        let verdict = probed.only("id-collision")?;
        ensure!(verdict["level"] == "info", "no program here sends such pairs: {verdict:#}");
        ensure!(Probed::evidence(verdict).contains("with two ids, also from one socket: 0 of"), "{verdict:#}");
    }
    Ok(())
}

/// With a coarse clock, musl before 1.2.4 really fails as the verdict says.
fn equal_ids_fail_lookups_of_old_musl_alone(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster().collisions(Collisions::Lost))?;
    let client = lab.client(&format!("nameserver {}\noptions timeout:1\n", server(1)))?;
    let folder = tempfile::tempdir()?;
    let old = world.musl(|version| version < musl::DISTINCT_IDS_SINCE && version >= musl::ALL_OR_NOTHING_SINCE)?;
    let old = with_coarse_clock(old, folder.path())?;
    // The clock can tick between the two queries, so not every pair has one id.
    let failed = (0..10)
        .map(|_| old.look_up_one(&client, EXTERNAL))
        .filter(|found| found.as_ref().is_ok_and(|found| !found.succeeded()));
    ensure!(failed.count() >= 5, "{} is not affected", old.resolver);
    let new = world.musl(|version| version >= musl::DISTINCT_IDS_SINCE)?;
    let found = new.look_up_one(&client, EXTERNAL)?;
    ensure!(found.families() == (1, 1), "{found:?}");
    Ok(())
}

fn tells_the_race_from_an_id_collision(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.race(server(1))?;
    let probed = probe(&lab.client(&pod([server(1)]))?, &["--no-getaddrinfo"])?;
    probed.only("conntrack-race").map(drop)
}
