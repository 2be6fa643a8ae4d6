//! `muslin probe --watch` in the laboratory: faults that begin and end while it watches. Two of them at a short interval, and all of them at
//! the real one on request.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hickory_proto::op::ResponseCode;

use super::{EXTERNAL, NAME, cluster, pod};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::client::Client;
use crate::lab::coredns::CoreDns;
use crate::lab::network::{Lab, server, server_v6};
use crate::lab::process::Process;
use crate::lab::server::{Script, Server, Then, a, aaaa, addresses, any, code};
use crate::lab::world::World;

pub(crate) const TESTS: Topic =
    tests![names_a_wildcard_that_begins_and_ends_at_one_node_alone, names_udp_that_is_dropped_for_a_while];

/// At the real interval each takes minutes.
pub(crate) const BY_HAND: Topic = tests![
    each_fault_is_named_in_two_minutes_and_cleared_in_five,
    a_stale_server_behind_a_real_coredns_is_named_in_two_minutes_and_cleared_in_five,
    a_healthy_network_has_no_verdict_for_five_minutes,
    the_worst_hour_has_at_most_two_queries_a_second,
    a_restart_of_the_nameserver_has_no_verdict,
    a_cluster_of_ipv6_alone_is_watched,
    the_last_of_32_search_domains_is_watched,
    a_watch_follows_resolv_conf_and_goes_on_without_one,
    one_dead_nameserver_of_three_is_named_and_hides_no_other_fault,
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
        Self::start_program(lab, client, interval, env!("CARGO_BIN_EXE_muslin"))
    }

    fn start_program(lab: &Lab<'_>, client: &Client<'_>, interval: &str, program: &str) -> Result<Self> {
        let mut watch = Self(lab.client_program(
            client,
            program,
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

    /// Returns the number of sent queries, by the watch's metrics.
    fn queries(&mut self, client: &Client<'_>) -> Result<usize> {
        let log = self.0.log();
        let address = log.split("serving /metrics at ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let mut command = Command::new("curl");
        command.args(["--silent", "--fail", &format!("http://{}/metrics", address.context("no address")?)]);
        let ran = client.run(&command)?;
        let line = ran.stdout.lines().find_map(|line| line.strip_prefix("muslin_probe_queries_total "));
        Ok(line.with_context(|| ran.stdout.clone())?.parse()?)
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

/// Runs functions at the same time.
fn all<T: Sync>(each: &[T], run: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let runs: Vec<_> = each.iter().map(|one| scope.spawn(|| run(one))).collect();
        runs.into_iter().try_for_each(|run| run.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
    })
}

fn each_fault_is_named_in_two_minutes_and_cleared_in_five(world: &World) -> Result<()> {
    all(&FAULTS, |fault| {
        let lab = Lab::new(world)?;
        let (one, _other) = (lab.server(server(1), cluster())?, lab.server(server(2), cluster())?);
        let (first, second) = (lab.client(&resolv_conf(1))?, lab.client(&resolv_conf(2))?);
        let began = Instant::now();
        let (watch, elsewhere) = (Watch::start(&lab, &first, REAL)?, Watch::start(&lab, &second, REAL)?);
        std::thread::sleep(Duration::from_secs(40));
        (fault.begin)(&lab, &one)?;
        let named = watch.wait_for(&format!("raised {}", fault.verdict), NAMED)?;
        std::thread::sleep(Duration::from_secs(30));
        one.follow(cluster());
        lab.forward_everything()?;
        let cleared = watch.wait_until_clear(CLEARED)?;
        // From the start, with its full probe, until ten minutes have passed.
        std::thread::sleep(Duration::from_secs(600).saturating_sub(began.elapsed()));
        let a_second = one.seen().len() as f64 / began.elapsed().as_secs_f64();
        eprintln!(
            "{}: named after {named:.0?}, cleared after {cleared:.0?}, {a_second:.1} queries a second: {:?}",
            fault.verdict,
            watch.changes()
        );
        // This proxy answers no query for AAAA, which has a verdict of its own.
        ensure!(watch.changes().len() == if fault.verdict == "fake-ip" { 4 } else { 2 }, "{}", watch.0.log());
        ensure!(a_second <= 2.0, "{a_second} queries a second");
        // Dropped UDP reaches every client of this network.
        let is_everywhere = fault.verdict == "udp53-blocked-tcp-open";
        ensure!(is_everywhere || elsewhere.changes().is_empty(), "{}", elsewhere.0.log());
        Ok(())
    })
}

const ALL_SILENT: &str = "both are silent";

/// A change of the two servers behind CoreDNS.
type Begin = fn(&Server, &Server) -> Result<()>;

/// Some ways in which a server behind CoreDNS is stale.
const STALE: [(&str, Begin); 3] = [
    // The health check of CoreDNS queries `.`, and goes on to succeed.
    ("one of two answers nothing but health checks", |_, two| {
        let silent = ["com", "net", "org", EXTERNAL]
            .iter()
            .fold(cluster(), |script, domain| script.rule(any().name(&format!("*.{domain}")), Then::Drop));
        two.follow(silent.rule(any().name(EXTERNAL), Then::Drop));
        Ok(())
    }),
    ("one of two refuses everything", |_, two| {
        two.follow(Script::new().rule(any(), code(ResponseCode::Refused)));
        Ok(())
    }),
    (ALL_SILENT, |one, two| {
        one.follow(Script::dead());
        two.follow(Script::dead());
        Ok(())
    }),
];

fn a_stale_server_behind_a_real_coredns_is_named_in_two_minutes_and_cleared_in_five(world: &World) -> Result<()> {
    all(&STALE, |(name, begin)| {
        let lab = Lab::new(world)?;
        let (one, two) = (lab.server(server(1), cluster())?, lab.server(server(2), cluster())?);
        let _healthy = lab.server(server(3), cluster())?;
        let _dns = [
            CoreDns::start(&lab, server(10), &[server(1), server(2)])?,
            CoreDns::start(&lab, server(11), &[server(3)])?,
        ];
        let (first, second) = (lab.client(&resolv_conf(10))?, lab.client(&resolv_conf(11))?);
        let (watch, elsewhere) = (Watch::start(&lab, &first, REAL)?, Watch::start(&lab, &second, REAL)?);
        std::thread::sleep(Duration::from_secs(40));
        begin(&one, &two)?;
        let named = watch.wait_for("raised stale-nameserver", NAMED)?;
        one.follow(cluster());
        two.follow(cluster());
        let cleared = watch.wait_until_clear(CLEARED)?;
        eprintln!("{name}: named after {named:.0?}, cleared after {cleared:.0?}: {:?}", watch.changes());
        let changes = watch.changes();
        let (of_server, others): (Vec<_>, Vec<_>) = changes.iter().partition(|it| it.ends_with("stale-nameserver"));
        // The search ends at the node's search domain, too: always where nothing outside resolves, and by chance where every second name
        // does.
        let is_of_search = others.len() == 2 && others.iter().all(|change| change.ends_with("search-expansion"));
        let is_expected = is_of_search || (others.is_empty() && *name != ALL_SILENT);
        ensure!(of_server.len() == 2 && is_expected, "{}", watch.0.log());
        ensure!(elsewhere.changes().is_empty(), "{}", elsewhere.0.log());
        Ok(())
    })
}

fn a_healthy_network_has_no_verdict_for_five_minutes(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    // A loss of a thousandth in each direction, of all packets.
    lab.forward("numgen random mod 1000 < 1 drop")?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&resolv_conf(1))?;
    let watches = [Watch::start(&lab, &client, REAL)?, Watch::start(&lab, &client, "5s")?];
    std::thread::sleep(Duration::from_secs(300));
    for watch in watches {
        ensure!(watch.changes().is_empty(), "{}", watch.0.log());
    }
    Ok(())
}

/// A fault that comes and goes, so that full probes follow each other as fast as they may. The limit of queries grows as the interval shrinks:
/// ten minutes at a sixth of it have as many as an hour.
fn the_worst_hour_has_at_most_two_queries_a_second(world: &World) -> Result<()> {
    const HOUR_MAX: usize = 7_200;
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), cluster())?;
    let client = lab.client(&resolv_conf(1))?;
    let began = Instant::now();
    let mut watch = Watch::start(&lab, &client, "5s")?;
    for number in 0_u32.. {
        std::thread::sleep(Duration::from_secs(if number % 3 == 0 { 7 } else { 11 }));
        if began.elapsed() >= Duration::from_secs(600) {
            break;
        }
        dns.follow(if number % 2 == 0 { wildcard() } else { cluster() });
    }
    let (counted, sent) = (dns.seen().len(), watch.queries(&client)?);
    eprintln!("{counted} queries in ten minutes, {sent} by the metric: {:?}", watch.changes());
    ensure!(counted <= HOUR_MAX && counted > HOUR_MAX / 2, "{counted} queries");
    // The metric also counts the queries to TEST-NET-1, one of each full probe.
    ensure!(counted <= sent && sent <= counted + 100, "{counted} queries arrived, and the metric has {sent}");
    Ok(())
}

fn a_restart_of_the_nameserver_has_no_verdict(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), cluster())?;
    let client = lab.client(&resolv_conf(1))?;
    let watch = Watch::start(&lab, &client, "5s")?;
    for number in 0..8_u64 {
        std::thread::sleep(Duration::from_secs(25));
        // As long as one round, at moments that differ.
        dns.follow(if number % 2 == 0 {
            Script::dead()
        } else {
            Script::new().rule(any(), code(ResponseCode::ServFail))
        });
        std::thread::sleep(Duration::from_millis(4_000 + number * 250));
        dns.follow(cluster());
    }
    ensure!(watch.changes().is_empty(), "{}", watch.0.log());
    Ok(())
}

fn a_cluster_of_ipv6_alone_is_watched(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let healthy = || Script::new().name(NAME, ["fd00:10:96::1"]).name(EXTERNAL, [super::V4, super::V6]);
    let dns = lab.server(server_v6(1), healthy())?;
    let client = lab.client(&format!(
        "search default.svc.cluster.local svc.cluster.local cluster.local {CORP}\noptions ndots:5\nnameserver {}\n",
        server_v6(1)
    ))?;
    let watch = Watch::start(&lab, &client, SHORT)?;
    std::thread::sleep(Duration::from_secs(15));
    ensure!(watch.changes().is_empty(), "{}", watch.0.log());
    dns.follow(
        healthy()
            .rule(aaaa().name(&format!("*.{CORP}")), addresses(["2001:db8:9::9"]))
            .rule(a().name(&format!("*.{CORP}")), code(ResponseCode::NoError)),
    );
    watch.wait_for("raised search-expansion", SOON)?;
    dns.follow(healthy());
    watch.wait_until_clear(2 * SOON)?;
    lab.forward("udp dport 53 drop")?;
    watch.wait_for("raised udp53-blocked-tcp-open", SOON)?;
    lab.forward_everything()?;
    watch.wait_until_clear(2 * SOON)?;
    ensure!(watch.changes().len() == 4, "{}", watch.0.log());
    Ok(())
}

fn the_last_of_32_search_domains_is_watched(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), cluster())?;
    let others: Vec<String> = (0..28).map(|number| format!("d{number}.x")).collect();
    let client = lab.client(&resolv_conf(1).replace(CORP, &format!("{} {CORP}", others.join(" "))))?;
    let watch = Watch::start(&lab, &client, REAL)?;
    std::thread::sleep(Duration::from_secs(40));
    ensure!(watch.changes().is_empty(), "{}", watch.0.log());
    dns.follow(wildcard());
    let named = watch.wait_for("raised search-expansion", NAMED)?;
    dns.follow(cluster());
    let cleared = watch.wait_until_clear(CLEARED)?;
    eprintln!("named after {named:.0?}, cleared after {cleared:.0?}");
    ensure!(watch.changes().len() == 2, "{}", watch.0.log());
    Ok(())
}

fn a_watch_follows_resolv_conf_and_goes_on_without_one(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let (one, two) = (lab.server(server(1), cluster())?, lab.server(server(2), cluster())?);
    let client = lab.client(&resolv_conf(1))?;
    let mut watch = Watch::start(&lab, &client, SHORT)?;
    std::thread::sleep(Duration::from_secs(10));
    ensure!(two.seen().is_empty(), "{:?}", two.seen());
    client.write("resolv.conf", &resolv_conf(2))?;
    watch.0.wait_until(|process| process.log().contains("resolv.conf has changed") && !two.seen().is_empty())?;
    std::thread::sleep(Duration::from_secs(12));
    one.forget();
    for (text, note) in [
        ("", "has no nameserver"),
        ("search a.example\n", "has no nameserver"),
        ("nameserver \u{0}x\n", "has no nameserver"),
    ] {
        client.write("resolv.conf", text)?;
        watch.0.wait_until(|process| process.log().contains(note))?;
        two.forget();
        std::thread::sleep(Duration::from_secs(3));
        ensure!(two.seen().len() > 10, "no rounds with {text:?}: {}", watch.0.log());
    }
    ensure!(watch.0.log().matches("goes on with the nameservers").count() == 1, "{}", watch.0.log());
    client.write("resolv.conf", &resolv_conf(1))?;
    watch.0.wait_until(|_| one.seen().len() > 100)?;
    ensure!(watch.changes().is_empty(), "{}", watch.0.log());
    Ok(())
}

fn one_dead_nameserver_of_three_is_named_and_hides_no_other_fault(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dead = lab.server(server(1), Script::dead())?;
    let (two, three) = (lab.server(server(2), cluster())?, lab.server(server(3), cluster())?);
    let text = pod([server(1), server(2), server(3)]).replace(" cluster.local\n", &format!(" cluster.local {CORP}\n"));
    let client = lab.client(&text)?;
    let watch = Watch::start(&lab, &client, "2s")?;
    watch.wait_for("raised stale-nameserver", SOON)?;
    std::thread::sleep(Duration::from_secs(120));
    ensure!(watch.changes().len() == 1, "{}", watch.0.log());
    two.follow(wildcard());
    three.follow(wildcard());
    watch.wait_for("raised search-expansion", SOON)?;
    two.follow(cluster());
    three.follow(cluster());
    watch.wait_for("cleared search-expansion", 2 * SOON)?;
    ensure!(watch.changes().len() == 3, "{}", watch.0.log());
    Ok(())
}

/// `MUSLIN_BINARY` names the program of a release; without it, this build runs, takes more, and only shows the numbers.
fn a_watch_needs_little_memory_and_time(world: &World) -> Result<()> {
    const SECONDS: u64 = 600;
    let release = std::env::var("MUSLIN_BINARY").ok();
    let program = release.as_deref().unwrap_or(env!("CARGO_BIN_EXE_muslin"));
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let client = lab.client(&resolv_conf(1))?;
    let watch = Watch::start_program(&lab, &client, REAL, program)?;
    std::thread::sleep(Duration::from_secs(SECONDS));
    let id = watch.0.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?.trim();
    let kilobytes: u64 = anonymous.trim_end_matches(" kB").parse()?;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let millicores = ticks as f64 * 10.0 / SECONDS as f64;
    eprintln!("RssAnon {anonymous}; {millicores:.2} thousandths of a processor over {SECONDS} s; release: {release:?}");
    ensure!(release.is_none() || (kilobytes <= 8 << 10 && millicores <= 2.0), "{anonymous}, {millicores}");
    Ok(())
}
