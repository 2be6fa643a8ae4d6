//! What the C library finds, and what the nameservers say: where they differ.

use anyhow::{Result, ensure};

use super::{Probed, cluster, pod, probe, probe_with};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    udp_that_is_blocked_is_told_with_what_getaddrinfo_finds,
    udp_that_loses_much_is_not_blocked,
    a_hosts_line_without_dns_is_told,
    a_hosts_line_with_more_than_dns_is_no_disagreement
];

fn udp_that_is_blocked_is_told_with_what_getaddrinfo_finds(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.forward("udp dport 53 drop")?;
    let go = world.go()?.program().display().to_string();
    let client = lab.client(&format!("{}options use-vc\n", pod([server(1)])))?;
    let probed = probe_with(&client, &["--binary", &go], &[("GODEBUG", "netdns=cgo")])?;
    let verdict = probed.only("udp53-blocked-tcp-open")?;
    let evidence = Probed::evidence(verdict);
    // glibc asks by TCP, as use-vc says, and finds all.
    ensure!(evidence.contains("getaddrinfo of glibc") && evidence.contains("finds 6 of 6 names"), "{evidence}");
    let help = verdict["help"].to_string();
    ensure!(help.contains("GODEBUG=netdns=cgo, which is set here, has no effect"), "{help}");
    ensure!(help.contains("CGO_ENABLED=1"), "{help}");
    ensure!(probed.code == 1 && verdict["level"] == "deny", "{verdict:#}");
    Ok(())
}

fn udp_that_loses_much_is_not_blocked(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.forward("udp dport 53 numgen inc mod 4 != 1 drop")?;
    let probed = probe(&lab.client(&pod([server(1)]))?, &["--no-getaddrinfo"])?;
    ensure!(!probed.verdicts().contains(&"udp53-blocked-tcp-open"), "{:?}", probed.verdicts());
    ensure!(!probed.verdicts().contains(&"stale-nameserver"), "{:?}", probed.verdicts());
    Ok(())
}

fn a_hosts_line_without_dns_is_told(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    client.write("nsswitch.conf", "hosts: files\n")?;
    let probed = probe(&client, &[])?;
    let verdict = probed.only("libc-disagrees")?;
    ensure!(verdict["sureness"] == "certain" && Probed::evidence(verdict).contains("hosts: files"), "{verdict:#}");
    Ok(())
}

fn a_hosts_line_with_more_than_dns_is_no_disagreement(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    client.write("nsswitch.conf", "hosts: files nosuchmodule [!UNAVAIL=return] dns\n")?;
    probe(&client, &[])?.none()
}
