//! Nameservers that are dead or slow, or forward to servers that are.

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
    reports_a_dead_nameserver,
    shows_what_profiles_save_with_a_dead_first_nameserver,
    accepts_a_nameserver_that_loses_a_few_queries,
    reports_the_failing_share_of_a_stale_upstream,
    accepts_a_failing_external_zone,
    denies_if_no_server_answers,
    reports_a_slow_nameserver,
    accepts_a_distant_nameserver_with_one_slow_answer,
    tells_slow_upstreams_from_a_slow_nameserver,
    reports_a_rate_limit,
    accepts_a_limit_above_the_burst
];

fn reports_a_dead_nameserver(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let (_alive, _dead) = (lab.server(server(1), cluster())?, lab.server(server(2), Script::dead().tcp(Tcp::Hangs))?);
    let probed = probe(&lab.client(&pod([server(1), server(2)]))?, &[])?;
    let verdict = probed.only("stale-nameserver")?;
    ensure!(verdict["what"] == "198.51.100.2, 1 of 2 nameservers, never answers", "{verdict:#}");
    ensure!(verdict["confidence"] == "certain" && verdict["level"] == "warn", "{verdict:#}");
    Ok(())
}

fn shows_what_profiles_save_with_a_dead_first_nameserver(world: &World) -> Result<()> {
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
    // A name that the whole search list is tried for really takes at least half as long.
    let slow = probed.document["lookups"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|lookup| lookup["name"] == EXTERNAL && lookup["took_ms"].as_f64().is_some_and(|took| took > 9000.0));
    ensure!(slow, "{:#}", probed.document["lookups"]);
    Ok(())
}

fn accepts_a_nameserver_that_loses_a_few_queries(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let second = cluster().rule(any().in_all().up_to(5), Then::Drop);
    let (_one, _other) = (lab.server(server(1), cluster())?, lab.server(server(2), second)?);
    probe(&lab.client(&pod([server(1), server(2)]))?, &["--no-getaddrinfo"])?.none()
}

fn reports_the_failing_share_of_a_stale_upstream(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let outside = || Script::new().name(EXTERNAL, ["203.0.113.7", "2001:db8:9::7"]);
    let _alive = lab.server(server(1), outside())?;
    let stale = lab.server(server(2), outside())?;
    let coredns = CoreDns::start(&lab, server(10), &[server(1), server(2)])?;
    // The upstream fails for all names except the one that CoreDNS uses for its health check.
    stale.follow(
        outside()
            .rule(any().name("*.com"), Then::Drop)
            .rule(any().name("*.net"), Then::Drop)
            .rule(any().name("*.org"), Then::Drop),
    );
    // The node now has another nameserver, of which CoreDNS does not know.
    coredns.change_node(&[server(1), server(3)])?;
    let (node, upstream) = (coredns.resolv_conf().display().to_string(), server(2).to_string());
    let client = lab.client(&pod([server(10)]))?;
    let arguments = ["--no-getaddrinfo", "--node-resolv-conf", &node, "--upstream", &upstream];
    let probed = probe(&client, &arguments)?;
    let verdict =
        probed.document["verdicts"].as_array().into_iter().flatten().find(|it| it["verdict"] == "stale-nameserver");
    let Some(verdict) = verdict else { anyhow::bail!("{:#}", probed.document["verdicts"]) };
    let evidence = Probed::evidence(verdict);
    ensure!(verdict["what"].as_str().is_some_and(|what| what.contains("% of the external names")), "{verdict:#}");
    ensure!(evidence.contains("95 % interval"), "{evidence}");
    ensure!(evidence.contains("198.51.100.2, from --upstream: answers 0 of 6"), "{evidence}");
    ensure!(evidence.contains("now names 198.51.100.1 and 198.51.100.3, not 198.51.100.2"), "{evidence}");
    ensure!(verdict["help"].to_string().contains("rollout restart deployment coredns"), "{verdict:#}");
    Ok(())
}

fn accepts_a_failing_external_zone(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let script = cluster().rule(any().name("*.net"), code(ResponseCode::ServFail));
    probe_of(&lab, script, &["--no-getaddrinfo"])?.none()
}

fn denies_if_no_server_answers(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let probed = probe_of(&lab, Script::dead().tcp(Tcp::Refuses), &["--no-getaddrinfo"])?;
    let verdict = probed.only("stale-nameserver")?;
    ensure!(verdict["level"] == "deny" && probed.code == 1, "{verdict:#}");
    Ok(())
}

fn reports_a_slow_nameserver(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let late = || cluster().latency(Duration::from_millis(1200));
    let probed = probe_of(&lab, late(), &["--no-getaddrinfo"])?;
    let verdict = probed.only("slow-server")?;
    ensure!(verdict["level"] == "warn", "{verdict:#}");
    // With this option musl and Go wait 1 s, and miss every answer.
    let client = lab.client(&format!("{}options timeout:1\n", pod([server(2)])))?;
    let _dns = lab.server(server(2), late())?;
    let probed = probe(&client, &["--no-getaddrinfo"])?;
    let verdict = probed.only("slow-server")?;
    ensure!(verdict["level"] == "deny" && Probed::evidence(verdict).contains("musl waits 1.0 s"), "{verdict:#}");
    let found = world.musl(|_| true)?.look_up_one(&client, "kubernetes.default.svc.cluster.local.")?;
    ensure!(!found.succeeded(), "{found:?}");
    Ok(())
}

fn accepts_a_distant_nameserver_with_one_slow_answer(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let far = cluster().latency(Duration::from_millis(40));
    let script = far.rule(a().name(NAME).nth(4), truth().after(Duration::from_secs(2)));
    probe_of(&lab, script, &["--no-getaddrinfo"])?.none()
}

fn tells_slow_upstreams_from_a_slow_nameserver(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let late = || truth().after(Duration::from_millis(1500));
    let script =
        ["*.com", "*.net", "*.org"].iter().fold(cluster(), |script, below| script.rule(any().name(below), late()));
    let probed = probe_of(&lab, script, &["--no-getaddrinfo"])?;
    // The search list's names are quick, but the external name takes 1.5 s with or without it.
    let verdict = probed.only("slow-server")?;
    ensure!(verdict["what"].as_str().is_some_and(|what| what.starts_with("external names take 1.5 s")), "{verdict:#}");
    Ok(())
}

fn reports_a_rate_limit(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let probed =
        probe_of(&lab, cluster().at_most_a_second(300), &["--no-getaddrinfo", "--pairs", "0", "--burst", "800"])?;
    let verdict = probed.only("rate-limited")?;
    ensure!(Probed::evidence(verdict).contains("one at a time, for the same name: 0 of"), "{verdict:#}");
    Ok(())
}

fn accepts_a_limit_above_the_burst(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let arguments = ["--no-getaddrinfo", "--pairs", "0", "--burst", "800"];
    probe_of(&lab, cluster().at_most_a_second(1500), &arguments)?.none()
}
