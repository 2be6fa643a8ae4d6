//! Differences between the C library and the nameservers.

use anyhow::{Result, ensure};

use super::{Probed, cluster, pod, probe, probe_with};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    reports_blocked_udp_and_the_results_of_getaddrinfo,
    tells_heavy_loss_from_blocked_udp,
    reports_a_hosts_line_without_dns,
    accepts_a_hosts_line_with_more_than_dns
];

fn reports_blocked_udp_and_the_results_of_getaddrinfo(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.forward("udp dport 53 drop")?;
    let go = world.go()?.program().display().to_string();
    let client = lab.client(&format!("{}options use-vc\n", pod([server(1)])))?;
    let probed = probe_with(&client, &["--binary", &go], &[("GODEBUG", "netdns=cgo")])?;
    let verdict = probed.only("udp53-blocked-tcp-open")?;
    let evidence = Probed::evidence(verdict);
    // With use-vc, glibc asks by TCP and finds all names.
    ensure!(evidence.contains("getaddrinfo of glibc") && evidence.contains("finds 6 of 6 names"), "{evidence}");
    let help = verdict["help"].to_string();
    ensure!(help.contains("GODEBUG=netdns=cgo, which is set here, has no effect"), "{help}");
    ensure!(help.contains("CGO_ENABLED=1"), "{help}");
    ensure!(probed.code == 1 && verdict["level"] == "deny", "{verdict:#}");
    Ok(())
}

fn tells_heavy_loss_from_blocked_udp(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.forward("udp dport 53 numgen inc mod 4 != 1 drop")?;
    let probed = probe(&lab.client(&pod([server(1)]))?, &["--no-getaddrinfo"])?;
    ensure!(!probed.verdicts().contains(&"udp53-blocked-tcp-open"), "{:?}", probed.verdicts());
    ensure!(!probed.verdicts().contains(&"stale-nameserver"), "{:?}", probed.verdicts());
    Ok(())
}

fn reports_a_hosts_line_without_dns(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    client.write("nsswitch.conf", "hosts: files\n")?;
    let probed = probe(&client, &[])?;
    let verdict = probed.only("libc-disagrees")?;
    ensure!(verdict["confidence"] == "certain" && Probed::evidence(verdict).contains("hosts: files"), "{verdict:#}");
    Ok(())
}

fn accepts_a_hosts_line_with_more_than_dns(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    client.write("nsswitch.conf", "hosts: files nosuchmodule [!UNAVAIL=return] dns\n")?;
    probe(&client, &[])?.none()
}
