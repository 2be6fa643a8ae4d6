//! `muslin probe --watch` in the laboratory: faults that begin and end while it watches. Two of them at a short interval, and all of them at
//! the real one on request.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hickory_proto::op::ResponseCode;

use super::{EXTERNAL, cluster, pod};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::client::Client;
use crate::lab::network::{Lab, server};
use crate::lab::process::Process;
use crate::lab::server::{Script, Server, Then, a, addresses, any, code};
use crate::lab::world::World;

pub(crate) const TESTS: Topic =
    tests![names_a_wildcard_that_begins_and_ends_at_one_node_alone, names_udp_that_is_dropped_for_a_while];

/// At the real interval each takes minutes.
pub(crate) const BY_HAND: Topic = tests![
    each_fault_is_named_in_two_minutes_and_cleared_in_five,
    a_healthy_network_has_no_verdict_for_five_minutes,
    a_watch_needs_little_memory_and_time
];

/// A node's search domain.
const CORP: &str = "corp.example.net";

/// The real interval, and the times in which a fault must be named and cleared.
const REAL: &str = "30s";
const NAMED: Duration = Duration::from_secs(120);
const CLEARED: Duration = Duration::from_secs(300);

/// An interval for tests. A full probe takes five seconds and more, whatever the interval.
const SHORT: &str = "500ms";
const SOON: Duration = Duration::from_secs(90);

/// Returns resolv.conf of a pod on a node with a search domain of its own.
fn resolv_conf(number: u8) -> String {
    pod([server(number)]).replace(" cluster.local\n", &format!(" cluster.local {CORP}\n"))
}

/// A watch that runs.
struct Watch(Process);

impl Watch {
    fn start(lab: &Lab<'_>, client: &Client<'_>, interval: &str) -> Result<Self> {
        let mut watch = Self(lab.client_program(
            client,
            env!("CARGO_BIN_EXE_muslin"),
            &["probe", "--watch", "--interval", interval, "--metrics-bind", "127.0.0.1:0"],
        )?);
        watch.0.wait_until(|process| process.log().contains("serving /metrics"))?;
        Ok(watch)
    }

    /// Returns the changes of verdicts so far: `raised fake-ip`.
    fn changes(&self) -> Vec<String> {
        let log = self.0.log();
        let change = |line: &str| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let word = words.next().filter(|word| ["raised", "cleared"].contains(word))?;
            let verdict = words.next()?.split(['[', ']']).nth(1)?;
            Some(format!("{word} {verdict}"))
        };
        log.lines().filter_map(change).collect()
    }

    /// Waits for a change, and returns the time until then.
    fn wait_for(&self, change: &str, limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        while !self.changes().iter().any(|known| known == change) {
            ensure!(began.elapsed() < limit, "not {change} within {limit:?}: {}", self.0.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(began.elapsed())
    }

    /// Waits until no verdict stands, and returns the time until then.
    fn wait_until_clear(&self, limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        let count = |word: &str| self.changes().iter().filter(|change| change.starts_with(word)).count();
        while count("raised") > count("cleared") {
            ensure!(began.elapsed() < limit, "not cleared within {limit:?}: {}", self.0.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(began.elapsed())
    }
}

fn wildcard() -> Script {
    cluster().rule(a().name(&format!("*.{CORP}")), addresses(["203.0.113.9"]))
}

fn names_a_wildcard_that_begins_and_ends_at_one_node_alone(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let (one, _other) = (lab.server(server(1), cluster())?, lab.server(server(2), cluster())?);
    let (first, second) = (lab.client(&resolv_conf(1))?, lab.client(&resolv_conf(2))?);
    let (watch, elsewhere) = (Watch::start(&lab, &first, SHORT)?, Watch::start(&lab, &second, SHORT)?);
    std::thread::sleep(Duration::from_secs(8));
    ensure!(watch.changes().is_empty(), "{}", watch.0.log());
    one.follow(wildcard());
    watch.wait_for("raised search-expansion", SOON)?;
    one.follow(cluster());
    watch.wait_for("cleared search-expansion", SOON)?;
    ensure!(watch.changes().len() == 2 && elsewhere.changes().is_empty(), "{}{}", watch.0.log(), elsewhere.0.log());
    Ok(())
}

fn names_udp_that_is_dropped_for_a_while(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&resolv_conf(1))?;
    let watch = Watch::start(&lab, &client, SHORT)?;
    lab.forward("udp dport 53 drop")?;
    watch.wait_for("raised udp53-blocked-tcp-open", SOON)?;
    lab.forward_everything()?;
    watch.wait_until_clear(2 * SOON)?;
    Ok(())
}

/// A fault that begins and ends, and its verdict.
struct Fault {
    verdict: &'static str,
    begin: fn(&Lab<'_>, &Server) -> Result<()>,
}

const FAULTS: [Fault; 4] = [
    Fault {
        verdict: "stale-nameserver",
        // One of two servers behind the nameserver is gone: every second name takes over two seconds, or fails.
        begin: |_, dns| {
            let outside = ["com", "net", "org", EXTERNAL];
            let stale = outside.iter().fold(cluster(), |script, domain| {
                script.rule(
                    any().name(&format!("*.{domain}")).chance(0.5, 1),
                    code(ResponseCode::ServFail).after(Duration::from_secs(2)),
                )
            });
            dns.follow(stale);
            Ok(())
        },
    },
    Fault { verdict: "udp53-blocked-tcp-open", begin: |lab, _| lab.forward("udp dport 53 drop") },
    Fault {
        verdict: "fake-ip",
        begin: |_, dns| {
            dns.follow(Script::new().rule(a(), addresses(["198.18.0.4"]).ttl(1)).rule(any(), Then::Drop));
            Ok(())
        },
    },
    Fault {
        verdict: "search-expansion",
        begin: |_, dns| {
            dns.follow(wildcard());
            Ok(())
        },
    },
];

fn each_fault_is_named_in_two_minutes_and_cleared_in_five(world: &World) -> Result<()> {
    let of = |fault: &Fault| -> Result<()> {
        let lab = Lab::new(world)?;
        let (one, _other) = (lab.server(server(1), cluster())?, lab.server(server(2), cluster())?);
        let (first, second) = (lab.client(&resolv_conf(1))?, lab.client(&resolv_conf(2))?);
        let (watch, elsewhere) = (Watch::start(&lab, &first, REAL)?, Watch::start(&lab, &second, REAL)?);
        std::thread::sleep(Duration::from_secs(40));
        (fault.begin)(&lab, &one)?;
        let named = watch.wait_for(&format!("raised {}", fault.verdict), NAMED)?;
        std::thread::sleep(Duration::from_secs(30));
        one.follow(cluster());
        lab.forward_everything()?;
        let cleared = watch.wait_until_clear(CLEARED)?;
        eprintln!("{}: named after {named:.0?}, cleared after {cleared:.0?}: {:?}", fault.verdict, watch.changes());
        // Dropped UDP reaches every client of this network.
        let is_everywhere = fault.verdict == "udp53-blocked-tcp-open";
        ensure!(is_everywhere || elsewhere.changes().is_empty(), "{}", elsewhere.0.log());
        Ok(())
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> = FAULTS.iter().map(|fault| scope.spawn(move || of(fault))).collect();
        runs.into_iter().try_for_each(|run| run.join().map_err(|_| anyhow::anyhow!("a fault's thread panicked"))?)
    })
}

fn a_healthy_network_has_no_verdict_for_five_minutes(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster().loses(0.001, 7))?;
    let client = lab.client(&resolv_conf(1))?;
    let watch = Watch::start(&lab, &client, "5s")?;
    std::thread::sleep(Duration::from_secs(300));
    ensure!(watch.changes().is_empty(), "{}", watch.0.log());
    Ok(())
}

/// The limits are those of a release; other builds take more, and only show the numbers.
fn a_watch_needs_little_memory_and_time(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&resolv_conf(1))?;
    let watch = Watch::start(&lab, &client, REAL)?;
    std::thread::sleep(Duration::from_secs(200));
    let id = watch.0.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?.trim();
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    eprintln!("RssAnon {anonymous}; {ticks} hundredths of a second of processor time in 200 s");
    Ok(())
}
