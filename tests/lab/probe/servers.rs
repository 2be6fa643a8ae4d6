//! Nameservers that are dead, slow, or forward to servers that are.

use std::time::Duration;

use anyhow::{Result, ensure};
use hickory_proto::op::ResponseCode;

use super::{EXTERNAL, NAME, Probed, cluster, pod, probe, probe_of};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::coredns::CoreDns;
use crate::lab::network::{Lab, server};
use crate::lab::server::{Script, Tcp, Then, a, any, code, truth};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    a_dead_nameserver_is_stale,
    a_dead_first_nameserver_is_worth_what_a_profile_saves,
    a_nameserver_that_loses_some_is_not_stale,
    a_stale_upstream_of_coredns_is_told_by_the_share_it_fails,
    a_zone_outside_that_fails_is_not_an_upstream,
    nothing_at_all_is_said_to_answer,
    a_slow_nameserver_is_slow,
    a_far_nameserver_with_one_slow_answer_is_not,
    slow_servers_outside_are_told_from_a_slow_nameserver,
    a_rate_limit_shows_in_a_burst,
    a_limit_above_the_burst_does_not
];

fn a_dead_nameserver_is_stale(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let (_alive, _dead) = (lab.server(server(1), cluster())?, lab.server(server(2), Script::dead().tcp(Tcp::Hangs))?);
    let probed = probe(&lab.client(&pod([server(1), server(2)]))?, &[])?;
    let verdict = probed.only("stale-nameserver")?;
    ensure!(verdict["what"] == "198.51.100.2, 1 of 2 nameservers, never answers", "{verdict:#}");
    ensure!(verdict["sureness"] == "certain" && verdict["level"] == "warn", "{verdict:#}");
    Ok(())
}

fn a_dead_first_nameserver_is_worth_what_a_profile_saves(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let (_alive, _dead) = (lab.server(server(1), cluster())?, lab.server(server(2), Script::dead())?);
    let probed = probe(&lab.client(&pod([server(2), server(1)]))?, &[])?;
    let verdict = probed.only("stale-nameserver")?;
    let of = |profile: &str| {
        let changes = verdict["profiles"].as_array().into_iter().flatten();
        changes.filter(|change| change["profile"] == profile).cloned().collect::<Vec<_>>()
    };
    // dns-lab, section 7: 20 s today, 12 s with timeout:3.
    let fast = of("fast");
    ensure!(
        fast.len() == 1 && fast[0]["today_seconds"] == 20.0 && fast[0]["with_profile_seconds"] == 12.0,
        "{verdict:#}"
    );
    ensure!(of("node-local").len() == 1 && of("default").is_empty(), "{verdict:#}");
    // And it is so: a name that the whole search list is tried for takes at least the half of that.
    let slow = probed.document["lookups"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|lookup| lookup["name"] == EXTERNAL && lookup["took_ms"].as_f64().is_some_and(|took| took > 9000.0));
    ensure!(slow, "{:#}", probed.document["lookups"]);
    Ok(())
}

fn a_nameserver_that_loses_some_is_not_stale(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let second = cluster().rule(any().in_all().up_to(5), Then::Drop);
    let (_one, _other) = (lab.server(server(1), cluster())?, lab.server(server(2), second)?);
    probe(&lab.client(&pod([server(1), server(2)]))?, &["--no-getaddrinfo"])?.none()
}

fn a_stale_upstream_of_coredns_is_told_by_the_share_it_fails(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let outside = || Script::new().name(EXTERNAL, ["203.0.113.7", "2001:db8:9::7"]);
    let _alive = lab.server(server(1), outside())?;
    let stale = lab.server(server(2), outside())?;
    let coredns = CoreDns::start(&lab, server(10), &[server(1), server(2)])?;
    // It fails for all names but the one by which CoreDNS looks after its health.
    stale.follow(
        outside()
            .rule(any().name("*.com"), Then::Drop)
            .rule(any().name("*.net"), Then::Drop)
            .rule(any().name("*.org"), Then::Drop),
    );
    // The node has a new nameserver in its place, of which CoreDNS knows nothing.
    coredns.change_node(&[server(1), server(3)])?;
    let (node, upstream) = (coredns.resolv_conf().display().to_string(), server(2).to_string());
    let client = lab.client(&pod([server(10)]))?;
    let arguments = ["--no-getaddrinfo", "--node-resolv-conf", &node, "--upstream", &upstream];
    let probed = probe(&client, &arguments)?;
    let verdict =
        probed.document["verdicts"].as_array().into_iter().flatten().find(|it| it["verdict"] == "stale-nameserver");
    let Some(verdict) = verdict else { anyhow::bail!("{:#}", probed.document["verdicts"]) };
    let evidence = Probed::evidence(verdict);
    ensure!(verdict["what"].as_str().is_some_and(|what| what.contains("% of the names outside")), "{verdict:#}");
    ensure!(evidence.contains("95 % interval"), "{evidence}");
    ensure!(evidence.contains("198.51.100.2, of --upstream: answers 0 of 6"), "{evidence}");
    ensure!(evidence.contains("names 198.51.100.1 and 198.51.100.3 now, and not 198.51.100.2"), "{evidence}");
    ensure!(verdict["help"].to_string().contains("rollout restart deployment coredns"), "{verdict:#}");
    Ok(())
}

fn a_zone_outside_that_fails_is_not_an_upstream(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let script = cluster().rule(any().name("*.net"), code(ResponseCode::ServFail));
    probe_of(&lab, script, &["--no-getaddrinfo"])?.none()
}

fn nothing_at_all_is_said_to_answer(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let probed = probe_of(&lab, Script::dead().tcp(Tcp::Refuses), &["--no-getaddrinfo"])?;
    let verdict = probed.only("stale-nameserver")?;
    ensure!(verdict["level"] == "deny" && probed.code == 1, "{verdict:#}");
    Ok(())
}

fn a_slow_nameserver_is_slow(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let late = || cluster().latency(Duration::from_millis(1200));
    let probed = probe_of(&lab, late(), &["--no-getaddrinfo"])?;
    let verdict = probed.only("slow-server")?;
    ensure!(verdict["level"] == "warn", "{verdict:#}");
    // musl and Go wait 1 s with this option, and hear nothing.
    let client = lab.client(&format!("{}options timeout:1\n", pod([server(2)])))?;
    let _dns = lab.server(server(2), late())?;
    let probed = probe(&client, &["--no-getaddrinfo"])?;
    let verdict = probed.only("slow-server")?;
    ensure!(verdict["level"] == "deny" && Probed::evidence(verdict).contains("musl waits 1.0 s"), "{verdict:#}");
    let found = world.musl(|_| true)?.look_up_one(&client, "kubernetes.default.svc.cluster.local.")?;
    ensure!(!found.succeeded(), "{found:?}");
    Ok(())
}

fn a_far_nameserver_with_one_slow_answer_is_not(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let far = cluster().latency(Duration::from_millis(40));
    let script = far.rule(a().name(NAME).nth(4), truth().after(Duration::from_secs(2)));
    probe_of(&lab, script, &["--no-getaddrinfo"])?.none()
}

fn slow_servers_outside_are_told_from_a_slow_nameserver(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let late = || truth().after(Duration::from_millis(1500));
    let script =
        ["*.com", "*.net", "*.org"].iter().fold(cluster(), |script, below| script.rule(any().name(below), late()));
    let probed = probe_of(&lab, script, &["--no-getaddrinfo"])?;
    // The search list's own names are quick, but the name outside takes 1.5 s with or without it.
    let verdict = probed.only("slow-server")?;
    ensure!(verdict["what"].as_str().is_some_and(|what| what.starts_with("names outside take 1.5 s")), "{verdict:#}");
    Ok(())
}

fn a_rate_limit_shows_in_a_burst(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let probed =
        probe_of(&lab, cluster().at_most_a_second(300), &["--no-getaddrinfo", "--pairs", "0", "--burst", "800"])?;
    let verdict = probed.only("rate-limited")?;
    ensure!(Probed::evidence(verdict).contains("one after the other: 0 of"), "{verdict:#}");
    Ok(())
}

fn a_limit_above_the_burst_does_not(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let arguments = ["--no-getaddrinfo", "--pairs", "0", "--burst", "800"];
    probe_of(&lab, cluster().at_most_a_second(1500), &arguments)?.none()
}
