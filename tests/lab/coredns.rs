//! A real CoreDNS, as in a cluster: it knows the cluster's own names, and forwards everything else to the nameservers of the
//! resolv.conf that it read when it started.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use hickory_proto::rr::RecordType;

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{CLUSTER_DNS, Lab, server};
use crate::lab::process::Process;
use crate::lab::server::{Script, Then, any};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    coredns_answers_for_the_cluster_and_forwards_the_rest,
    coredns_keeps_the_upstreams_it_started_with,
    a_dead_upstream_slows_a_share_of_external_names_alone
];

/// A name that the cluster has.
pub(crate) const CLUSTER_NAME: &str = "kubernetes.default.svc.cluster.local";

/// A running CoreDNS.
pub(crate) struct CoreDns(Process);

// === impl CoreDns ===

impl CoreDns {
    /// Starts CoreDNS at an address, with these upstream servers in the resolv.conf of its node. Builds it first if it is not in
    /// the cache (two minutes).
    pub(crate) fn start(lab: &Lab<'_>, address: Ipv4Addr, upstreams: &[Ipv4Addr]) -> Result<Self> {
        Self::start_with(lab, address, upstreams, "", &[])
    }

    /// Starts CoreDNS as [`Self::start`] does, with more lines in its Corefile and more arguments.
    pub(crate) fn start_with(
        lab: &Lab<'_>,
        address: Ipv4Addr,
        upstreams: &[Ipv4Addr],
        plugins: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        let program = build()?;
        let mut coredns = Self(lab.program(&program.to_string_lossy(), |folder| {
            std::fs::write(folder.join("resolv.conf"), resolv_conf(upstreams))?;
            // kubeadm's Corefile, except that the `file` plugin replaces `kubernetes`, as there is no API server.
            std::fs::write(folder.join("cluster.local"), zone_file())?;
            let corefile = format!(
                ".:53 {{
                    bind {address}
                    errors
                    {plugins}
                    file {folder}/cluster.local cluster.local
                    forward . {folder}/resolv.conf {{
                        max_concurrent 1000
                    }}
                    cache 30 {{
                        disable success cluster.local
                        disable denial cluster.local
                    }}
                    loop
                    reload
                    loadbalance
                }}\n",
                folder = folder.display()
            );
            let path = folder.join("Corefile");
            std::fs::write(&path, corefile)?;
            let conf = ["-conf".to_owned(), path.display().to_string()];
            Ok(conf.into_iter().chain(arguments.iter().map(|argument| (*argument).to_owned())).collect())
        })?);
        coredns.0.wait_until(|process| process.log().contains("CoreDNS-"))?;
        Ok(coredns)
    }

    /// Returns CoreDNS's output.
    pub(crate) fn log(&self) -> String {
        self.0.log()
    }

    /// Changes the servers in the node's resolv.conf, which CoreDNS does not read again.
    pub(crate) fn change_node(&self, upstreams: &[Ipv4Addr]) -> Result<()> {
        Ok(std::fs::write(self.resolv_conf(), resolv_conf(upstreams))?)
    }

    /// Returns the path of the node's resolv.conf.
    pub(crate) fn resolv_conf(&self) -> PathBuf {
        self.0.folder().join("resolv.conf")
    }
}

fn resolv_conf(upstreams: &[Ipv4Addr]) -> String {
    upstreams.iter().fold(String::new(), |mut text, upstream| {
        let _ = writeln!(text, "nameserver {upstream}");
        text
    })
}

fn zone_file() -> String {
    format!(
        "$ORIGIN cluster.local.
@ 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30
@ 30 IN NS ns.dns.cluster.local.
ns.dns 30 IN A {CLUSTER_DNS}
kubernetes.default.svc 30 IN A 10.96.0.1
"
    )
}

fn build() -> Result<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/control-plane/build");
    let built = Command::new(script).arg("coredns").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let built = built.with_context(|| format!("running {script}"))?;
    ensure!(built.status.success(), "{script} ended with {}; see its messages above", built.status);
    Ok(PathBuf::from(String::from_utf8(built.stdout)?.trim_end()).join("coredns"))
}

/// Returns the resolv.conf that the kubelet writes for a pod.
fn pod(nameserver: Ipv4Addr) -> String {
    format!(
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver {nameserver}\noptions ndots:5\n"
    )
}

fn external() -> Script {
    Script::new().name("*.example.com", ["203.0.113.7", "2001:db8:9::7"])
}

fn coredns_answers_for_the_cluster_and_forwards_the_rest(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let upstream = lab.server(server(1), external())?;
    let _coredns = CoreDns::start(&lab, server(10), &[server(1)])?;
    lab.balance(CLUSTER_DNS, &[server(10)])?;
    let client = lab.client(&pod(CLUSTER_DNS))?;
    for program in [world.glibc()?, world.go()?, world.musl(|_| true)?] {
        let found = program.look_up(&client, &["kubernetes", CLUSTER_NAME, "www.example.com"])?;
        ensure!(found.iter().all(|found| found.succeeded()), "{}: {found:?}", program.resolver);
    }
    // CoreDNS queries `.` to find loops, and forwards no cluster name.
    let seen = upstream.seen();
    ensure!(!seen.iter().any(|seen| seen.name.ends_with("cluster.local")), "{seen:?}");
    ensure!(seen.iter().any(|seen| seen.name == "www.example.com" && seen.kind == RecordType::A), "{seen:?}");
    Ok(())
}

fn coredns_keeps_the_upstreams_it_started_with(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let old = lab.server(server(1), external())?;
    let new = lab.server(server(2), external())?;
    let coredns = CoreDns::start(&lab, server(10), &[server(1)])?;
    let client = lab.client(&pod(server(10)))?;
    let glibc = world.glibc()?;
    ensure!(glibc.look_up_one(&client, "a.example.com")?.succeeded(), "{:?}", old.seen());

    coredns.change_node(&[server(2)])?;
    old.follow(Script::dead());
    client.write("resolv.conf", &format!("nameserver {}\noptions timeout:2 attempts:1\n", server(10)))?;
    ensure!(!glibc.look_up_one(&client, "b.example.com")?.succeeded(), "CoreDNS queried {:?}", old.seen());
    ensure!(glibc.look_up_one(&client, CLUSTER_NAME)?.succeeded(), "the cluster's own names work");
    ensure!(new.seen().is_empty(), "{:?}", new.seen());
    Ok(())
}

fn a_dead_upstream_slows_a_share_of_external_names_alone(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let alive = lab.server(server(1), external())?;
    let dead = lab.server(server(2), external())?;
    let _coredns = CoreDns::start(&lab, server(10), &[server(1), server(2)])?;
    // Only external names fail, so that CoreDNS's health check, which queries `.`, still succeeds.
    dead.follow(Script::new().rule(any().name("*.example.com"), Then::Drop));
    let client = lab.client(&format!("nameserver {}\noptions timeout:1 attempts:1\n", server(10)))?;
    // A lookup fails if both of its queries go to the dead upstream: one in four, as CoreDNS chooses at random (48 of 200, with a
    // standard deviation of 6). Of 40 lookups fewer than an eighth fail by chance alone in 16 of 1,000 runs.
    let names: Vec<String> = (0..200).map(|number| format!("n{number}.example.com")).collect();
    let began = Instant::now();
    let found = world.go()?.look_up(&client, &names)?;
    let failed = found.iter().filter(|found| !found.succeeded()).count();
    ensure!((25..200).contains(&failed), "{failed} of 200 failed within {:?}", began.elapsed());
    ensure!(world.go()?.look_up_one(&client, CLUSTER_NAME)?.succeeded(), "the cluster's own names work");
    ensure!(!alive.seen().is_empty() && !dead.seen().is_empty(), "one upstream got no query");
    Ok(())
}
