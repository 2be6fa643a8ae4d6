//! A network without faults gets no verdict, and a probe keeps its limits.

use anyhow::{Context as _, Result, ensure};

use super::{EXTERNAL, NAME, Probed, cluster, pod, probe, probe_of};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::coredns::CoreDns;
use crate::lab::network::{CLUSTER_DNS, Lab, server};
use crate::lab::server::Script;
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    a_healthy_network_gets_no_verdict,
    a_healthy_coredns_gets_no_verdict,
    keeps_its_limit_of_queries_and_asks_no_other_server,
    computed_costs_match_measured_ones
];

fn a_healthy_network_gets_no_verdict(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let probed = probe_of(&lab, cluster(), &[])?;
    probed.none()?;
    let lookups = probed.document["lookups"].as_array().context("no lookups")?;
    ensure!(lookups.len() == 6 && lookups.iter().all(|lookup| lookup["addresses"].is_array()), "{lookups:?}");
    let glibc = world.glibc()?.resolver.to_string();
    ensure!(lookups.iter().all(|lookup| lookup["resolver"] == *glibc), "{lookups:?}");
    Ok(())
}

fn a_healthy_coredns_gets_no_verdict(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _upstream = lab.server(server(1), Script::new().name(EXTERNAL, ["203.0.113.7", "2001:db8:9::7"]))?;
    let _coredns = CoreDns::start(&lab, server(10), &[server(1)])?;
    lab.balance(CLUSTER_DNS, &[server(10)])?;
    probe(&lab.client(&pod([CLUSTER_DNS]))?, &[])?.none()
}

fn keeps_its_limit_of_queries_and_asks_no_other_server(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), cluster())?;
    let other = lab.server(server(2), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    let counted = |probed: &Probed| probed.document["summary"]["queries"].as_u64().context("no count");

    let probed = probe(&client, &["--no-getaddrinfo", "--no-interception-query"])?;
    ensure!(
        counted(&probed)? == dns.seen().len() as u64,
        "{} counted, {} received",
        counted(&probed)?,
        dns.seen().len()
    );
    ensure!(counted(&probed)? < 700, "{} queries on a healthy network", counted(&probed)?);

    dns.forget();
    let probed = probe(&client, &["--no-getaddrinfo", "--no-interception-query", "--max-queries", "100"])?;
    ensure!(counted(&probed)? == 100 && dns.seen().len() == 100, "{} and {}", counted(&probed)?, dns.seen().len());

    dns.forget();
    probe(&client, &["--no-getaddrinfo", "--inside-only"])?.none()?;
    ensure!(
        dns.seen()
            .iter()
            .all(|seen| seen.name.is_empty() || seen.name.ends_with("cluster.local") || NAME.starts_with(&seen.name)),
        "{:?}",
        dns.seen()
    );
    ensure!(other.seen().is_empty(), "{:?}", other.seen());
    Ok(())
}

/// The model predicts as many queries as the nameserver receives.
fn computed_costs_match_measured_ones(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    let musl = world.musl(|_| true)?;
    let binary = musl.program().display().to_string();
    let probed = probe(&client, &["--binary", &binary])?;
    let costs = probed.document["costs"].as_array().context("no costs")?;
    for program in [world.glibc()?, world.go()?, musl] {
        let family = program.resolver.family.name();
        let of_family =
            costs.iter().filter(|cost| cost["resolver"].as_str().is_some_and(|name| name.starts_with(family)));
        let of_family: Vec<_> = of_family.collect();
        ensure!(of_family.len() == 6, "{family}: {costs:?}");
        for cost in of_family {
            dns.forget();
            let name = cost["name"].as_str().context("no name")?;
            let found = program.look_up_one(&client, name)?;
            let sent = dns.seen().len() as u64;
            ensure!(cost["queries"] == sent, "{family} sent {sent} for {name}: {cost}");
            ensure!(cost["found"] == found.succeeded(), "{family}: {cost}");
            ensure!((family == "glibc") == cost["measured_seconds"].is_number(), "{cost}");
        }
    }
    Ok(())
}
