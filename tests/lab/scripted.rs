//! Tests of the laboratory itself: its servers, router and resolvers do exactly what a test asks for.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use muslin::resolver::musl;

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{CLIENT, CLUSTER_DNS, Lab, server, server_v6};
use crate::lab::resolvers::Program;
use crate::lab::server::{Cut, EdnsManners, Script, Tcp, Then, Transport, When, a, aaaa, addresses, any, code, truth};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    every_resolver_queries_and_accepts_both_families,
    every_program_of_the_proof_finds_addresses,
    a_laboratory_is_invisible_outside,
    a_zone_has_missing_empty_and_wildcard_names,
    musl_resends_after_half_its_timeout,
    delays_an_answer,
    resolvers_with_tcp_fetch_truncated_answers,
    truncates_an_answer_too_large_for_udp,
    treats_edns_as_scripted,
    rewrites_addresses,
    a_rule_matches_the_right_queries,
    a_server_can_change_its_script,
    resolvers_ignore_an_answer_with_a_wrong_id,
    aaaa_alone_can_fail,
    loses_the_same_packets_on_each_run,
    drops_queries_over_the_rate_limit,
    the_router_drops_blocks_and_intercepts,
    the_router_spreads_connections_over_backends,
    the_emulated_race_drops_the_second_of_a_pair
];

const NAME: &str = "www.example.com";
const V4: &str = "203.0.113.7";
const V6: &str = "2001:db8:9::7";

fn zone() -> Script {
    Script::new().name(NAME, [V4, V6])
}

/// Returns a resolv.conf with one nameserver.
fn asking(server: impl std::fmt::Display) -> String {
    format!("nameserver {server}\n")
}

fn every_resolver_queries_and_accepts_both_families(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), zone())?;
    let dns_v6 = lab.server(server_v6(1), zone())?;
    let client = lab.client(&asking(dns.address()))?;
    let client_v6 = lab.client(&asking(dns_v6.address()))?;
    ensure!(world.resolvers().len() > 3, "{:?}", world.resolvers());
    for program in world.resolvers() {
        dns.forget();
        let found = program.look_up_one(&client, NAME)?;
        ensure!(found.families() == (1, 1), "{}: {found:?}", program.resolver);
        let mut kinds: Vec<_> = dns.seen_of(NAME).iter().map(|seen| seen.kind).collect();
        kinds.sort();
        ensure!(kinds == [RecordType::A, RecordType::AAAA], "{}: {:?}", program.resolver, dns.seen());
        ensure!(dns.seen().iter().all(|seen| seen.from.ip() == CLIENT), "{:?}", dns.seen());
        let found = program.look_up_one(&client_v6, NAME)?;
        ensure!(found.families() == (1, 1) && !dns_v6.seen().is_empty(), "{}: {found:?}", program.resolver);
    }
    Ok(())
}

fn every_program_of_the_proof_finds_addresses(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), zone())?;
    let client = lab.client(&asking(dns.address()))?;
    for program in world.programs() {
        dns.forget();
        let found = program.look_up_one(&client, NAME)?;
        ensure!(found.succeeded() && !dns.seen_of(NAME).is_empty(), "{}: {found:?}", program.title);
    }
    // The machine's own glibc and Go need no download.
    ensure!(world.programs().len() > 1, "{:?}", world.programs());
    Ok(())
}

fn a_laboratory_is_invisible_outside(world: &World) -> Result<()> {
    let outside = |program: &str, arguments: &[&str]| -> Result<String> {
        Ok(String::from_utf8(Command::new(program).args(arguments).output()?.stdout)?)
    };
    let before = std::fs::read_to_string("/etc/resolv.conf")?;
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), zone())?;
    let client = lab.client(&asking(dns.address()))?;
    let inside = client.run(Command::new("cat").arg("/etc/resolv.conf"))?;
    ensure!(inside.stdout == asking(dns.address()) && inside.took < Duration::from_secs(30), "{inside:?}");
    let inside = client.run(Command::new("ip").args(["-brief", "address"]))?;
    ensure!(inside.stdout.contains("172.30.0.2/25"), "{inside:?}");
    ensure!(std::fs::read_to_string("/etc/resolv.conf")? == before, "the machine's resolv.conf changed");
    for (program, arguments) in [("ip", ["-brief", "address"]), ("nft", ["list", "ruleset"])] {
        let seen = outside(program, &arguments)?;
        ensure!(!seen.contains("172.30.0.") && !seen.contains("table inet lab"), "{seen}");
    }
    Ok(())
}

fn a_zone_has_missing_empty_and_wildcard_names(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let script = Script::new().name("a.b.example.com", [V4]).name("*.wild.example.com", [V4]);
    let dns = lab.server(server(1), script)?;
    let client = lab.client(&asking(dns.address()))?;
    let newest = world.musl(|version| version >= musl::TCP_SINCE)?;
    for (name, error) in [
        ("a.b.example.com", None),
        ("b.example.com", Some("EAI_NODATA")),
        ("c.example.com", Some("EAI_NONAME")),
        ("any.wild.example.com", None),
        ("wild.example.com", Some("EAI_NODATA")),
    ] {
        let found = newest.look_up_one(&client, name)?;
        ensure!(found.error.as_deref() == error, "{found:?}");
    }
    Ok(())
}

fn musl_resends_after_half_its_timeout(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), zone().rule(any().nth(1), Then::Drop))?;
    let client = lab.client(&asking(dns.address()))?;
    let found = world.musl(|version| version < musl::TCP_SINCE)?.look_up_one(&client, NAME)?;
    ensure!(found.succeeded() && (2.4..4.0).contains(&found.took.as_secs_f64()), "{found:?}");
    let seen = dns.seen_of(NAME);
    ensure!(seen.len() == 3 && seen[2].kind == seen[0].kind && seen[2].from == seen[0].from, "{seen:?}");
    Ok(())
}

fn delays_an_answer(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let late = Duration::from_millis(700);
    let script = zone().latency(Duration::from_millis(100)).rule(a(), truth().after(late));
    let dns = lab.server(server(1), script)?;
    let client = lab.client(&asking(dns.address()))?;
    let found = world.glibc()?.look_up_one(&client, NAME)?;
    ensure!(found.families() == (1, 1) && (0.8..2.0).contains(&found.took.as_secs_f64()), "{found:?}");
    Ok(())
}

fn resolvers_with_tcp_fetch_truncated_answers(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let cut = || zone().rule(any(), truth().cut(Cut::Empty));
    let dns = lab.server(server(1), cut())?;
    let client = lab.client(&asking(dns.address()))?;
    for program in world.resolvers() {
        dns.forget();
        let found = program.look_up_one(&client, NAME)?;
        let by_tcp = dns.seen().iter().filter(|seen| seen.transport == Transport::Tcp).count();
        let has_tcp = !world.musls().any(|musl| musl.resolver == program.resolver)
            || program.resolver.version >= Some(musl::TCP_SINCE);
        ensure!(found.succeeded() == has_tcp, "{}: {found:?}", program.resolver);
        ensure!((by_tcp > 0) == has_tcp, "{}: {:?}", program.resolver, dns.seen());
    }
    let newest = world.musl(|version| version >= musl::TCP_SINCE)?;
    for (tcp, number, at_least) in [(Tcp::Refuses, 2, 0.0), (Tcp::Hangs, 3, 4.0)] {
        let dns = lab.server(server(number), cut().tcp(tcp))?;
        let client = lab.client(&asking(dns.address()))?;
        let found = newest.look_up_one(&client, NAME)?;
        ensure!(!found.succeeded() && found.took.as_secs_f64() >= at_least, "{tcp:?}: {found:?}");
    }
    Ok(())
}

fn truncates_an_answer_too_large_for_udp(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let many = (1..=60).map(|number| format!("203.0.113.{number}").parse()).collect::<Result<_, _>>()?;
    let dns = lab.server(server(1), Script::new().name_with(NAME, many).rule(aaaa(), code(ResponseCode::NoError)))?;
    let client = lab.client(&asking(dns.address()))?;
    let old = world.musl(|version| version < musl::TCP_SINCE)?.look_up_one(&client, NAME)?;
    let whole = world.glibc()?.look_up_one(&client, NAME)?;
    let (old, whole) = (old.addresses.len(), whole.addresses.len());
    // 512 bytes hold 29 records of 16 bytes after a header and this question.
    ensure!((20..=30).contains(&old) && whole == 60, "{old} and {whole} addresses");
    Ok(())
}

fn treats_edns_as_scripted(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let go = world.go()?;
    for (number, manners) in (1..).zip([EdnsManners::Honours, EdnsManners::Ignores, EdnsManners::Refuses]) {
        let dns = lab.server(server(number), zone().edns(manners))?;
        let client = lab.client(&asking(dns.address()))?;
        let found = go.look_up_one(&client, NAME)?;
        ensure!(dns.seen().iter().all(|seen| seen.edns.is_some()), "Go sends EDNS: {:?}", dns.seen());
        ensure!(found.succeeded() == (manners != EdnsManners::Refuses), "{manners:?}: {found:?}");
    }
    let dns = lab.server(server(9), zone().edns(EdnsManners::Drops))?;
    let client = lab.client(&format!("{}options timeout:1 attempts:1\n", asking(dns.address())))?;
    ensure!(!go.look_up_one(&client, NAME)?.succeeded(), "{:?}", dns.seen());
    ensure!(world.glibc()?.look_up_one(&client, NAME)?.succeeded(), "{:?}", dns.seen());
    Ok(())
}

fn rewrites_addresses(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), zone().rule(a(), addresses(["198.18.0.4"]).ttl(1)))?;
    let client = lab.client(&asking(dns.address()))?;
    let found = world.go()?.look_up_one(&client, NAME)?;
    ensure!(found.addresses.iter().any(|address| address.to_string() == "198.18.0.4"), "{found:?}");
    ensure!(!found.addresses.iter().any(|address| address.to_string() == V4), "{found:?}");
    Ok(())
}

/// Each rule marks the queries it matches with a special address.
fn a_rule_matches_the_right_queries(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), Script::new())?;
    let client = lab.client(&asking(dns.address()))?;
    let (go, glibc) = (world.go()?, world.glibc()?);
    let mark = |when: When| dns.follow(zone().name("www.example.net", [V4]).rule(when, addresses(["203.0.113.99"])));
    let is_marked = |program: &Program, name: &str| -> Result<bool> {
        let found = program.look_up_one(&client, name)?;
        Ok(found.addresses.iter().any(|address| address.to_string() == "203.0.113.99"))
    };
    for (when, marked) in [
        (a().name("*.example.com"), [true, true, true]),
        (a().name("www.example.net"), [false, false, false]),
        (a().up_to(2), [true, true, false]),
        (a().after(1), [false, true, true]),
        (a().nth(2), [false, true, false]),
        (a().in_all().nth(3), [false, false, true]),
        // Each lookup uses a new socket.
        (any().kind(RecordType::A).per_socket().nth(1), [true, true, true]),
        (a().over(Transport::Udp), [true, true, true]),
        (a().over(Transport::Tcp), [false, false, false]),
        (a().edns(true), [false, false, false]),
        (a().edns(false), [true, true, true]),
    ] {
        mark(when.clone());
        for (lookup, marked) in marked.into_iter().enumerate() {
            ensure!(is_marked(glibc, NAME)? == marked, "{when:?}: lookup {lookup}");
        }
    }
    mark(a().edns(true));
    ensure!(is_marked(go, NAME)?, "Go sends EDNS");
    dns.follow(zone().rule(any(), truth().without_edns().cut(Cut::Full)));
    let found = go.look_up_one(&client, NAME)?;
    ensure!(found.families() == (1, 1), "{found:?}");
    ensure!(dns.seen().iter().filter(|seen| seen.transport == Transport::Tcp).count() == 2, "{:?}", dns.seen());
    Ok(())
}

fn a_server_can_change_its_script(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), Script::dead())?;
    let client = lab.client(&format!("{}options timeout:1 attempts:1\n", asking(dns.address())))?;
    let glibc = world.glibc()?;
    ensure!(!glibc.look_up_one(&client, NAME)?.succeeded(), "{:?}", dns.seen());
    dns.follow(zone());
    ensure!(glibc.look_up_one(&client, NAME)?.succeeded(), "{:?}", dns.seen());
    Ok(())
}

fn resolvers_ignore_an_answer_with_a_wrong_id(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dns = lab.server(server(1), zone().rule(any(), truth().wrong_id()))?;
    let client = lab.client(&format!("{}options timeout:1 attempts:2\n", asking(dns.address())))?;
    for program in [world.glibc()?, world.musl(|_| true)?] {
        let found = program.look_up_one(&client, NAME)?;
        ensure!(found.error.as_deref() == Some("EAI_AGAIN"), "{}: {found:?}", program.resolver);
    }
    Ok(())
}

/// Section 5 of dns-lab.
fn aaaa_alone_can_fail(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let newest = world.musl(|_| true)?;
    for (number, then, musl_finds) in [
        (1, code(ResponseCode::NoError).into(), true),
        (2, code(ResponseCode::NXDomain).into(), false),
        (3, code(ResponseCode::ServFail).into(), false),
        (4, code(ResponseCode::Refused).into(), false),
        (5, Then::Drop, false),
    ] {
        let dns = lab.server(server(number), zone().rule(aaaa(), then))?;
        let client = lab.client(&format!("{}options timeout:1\n", asking(dns.address())))?;
        let found = newest.look_up_one(&client, NAME)?;
        ensure!(found.succeeded() == musl_finds, "{number}: {found:?}");
        let found = world.glibc()?.look_up_one(&client, NAME)?;
        ensure!(found.families() == (1, 0), "{number}: {found:?}");
    }
    Ok(())
}

fn loses_the_same_packets_on_each_run(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let names: Vec<String> = (0..200).map(|number| format!("n{number}.example.com")).collect();
    let script = |seed| Script::new().name("*.example.com", [V4]).loses(0.2, seed);
    let musl = world.musl(|_| true)?;
    let resent = |number, seed| -> Result<Vec<String>> {
        let dns = lab.server(server(number), script(seed))?;
        let client = lab.client(&format!("{}options timeout:2 attempts:4\n", asking(dns.address())))?;
        musl.look_up(&client, &names)?;
        Ok(names.iter().filter(|name| dns.seen_of(name).len() > 2).cloned().collect())
    };
    let (one, again, other) = (resent(1, 7)?, resent(2, 7)?, resent(3, 8)?);
    ensure!(one == again && one != other, "{one:?}\n{again:?}\n{other:?}");
    // 36 % of the pairs lose one or both; three standard deviations of 200 are 20.
    ensure!((52..=92).contains(&one.len()), "{}", one.len());
    Ok(())
}

fn drops_queries_over_the_rate_limit(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let names: Vec<String> = (0..60).map(|number| format!("n{number}.example.com")).collect();
    let dns = lab.server(server(1), Script::new().name("*.example.com", [V4]).at_most_a_second(20))?;
    let client = lab.client(&format!("{}options timeout:1 attempts:1\n", asking(dns.address())))?;
    let found = world.go()?.look_up(&client, &names)?;
    let failed = found.iter().filter(|found| !found.succeeded()).count();
    // 120 queries within 1.2 s, so the first ten lookups of each second are answered.
    ensure!((15..=50).contains(&failed), "{failed} failed");
    Ok(())
}

fn the_router_drops_blocks_and_intercepts(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let (lossy, blocked, other) = (server(1), server(2), server(3));
    let lossy_dns = lab.server(lossy, zone())?;
    let blocked_dns = lab.server(blocked, zone())?;
    lab.forward(&format!("ip daddr {lossy} udp dport 53 numgen inc mod 3 == 0 drop"))?;
    lab.forward(&format!("ip daddr {blocked} udp dport 53 drop"))?;
    let options = "options timeout:1 attempts:2\n";

    let client = lab.client(&format!("{}{options}", asking(lossy)))?;
    let found = world.musl(|_| true)?.look_up_one(&client, NAME)?;
    ensure!(found.succeeded() && found.took.as_secs_f64() > 0.4, "{found:?}");
    ensure!(lossy_dns.seen().len() == 2, "{:?}", lossy_dns.seen());

    client.write("resolv.conf", &format!("{}{options}", asking(blocked)))?;
    let glibc = world.glibc()?;
    ensure!(!glibc.look_up_one(&client, NAME)?.succeeded(), "{:?}", blocked_dns.seen());
    ensure!(blocked_dns.seen().is_empty(), "{:?}", blocked_dns.seen());
    client.write("resolv.conf", &format!("{}options use-vc\n", asking(blocked)))?;
    ensure!(glibc.look_up_one(&client, NAME)?.succeeded(), "TCP is open: {:?}", blocked_dns.seen());

    // No server has the address that is queried now.
    lab.intercept(lossy)?;
    let elsewhere = lab.server(other, zone())?;
    client.write("resolv.conf", &format!("{}{options}", asking("192.0.2.53")))?;
    ensure!(glibc.look_up_one(&client, NAME)?.succeeded(), "{:?}", lossy_dns.seen());
    ensure!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
    Ok(())
}

fn the_router_spreads_connections_over_backends(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let backends = [server(1), server(2)];
    let one = lab.server(backends[0], Script::new().name("*.example.com", [V4]))?;
    let two = lab.server(backends[1], Script::new().name("*.example.com", [V4]))?;
    lab.balance(CLUSTER_DNS, &backends)?;
    let client = lab.client(&asking(CLUSTER_DNS))?;
    let names: Vec<String> = (0..40).map(|number| format!("n{number}.example.com")).collect();
    let found = world.musl(|_| true)?.look_up(&client, &names)?;
    ensure!(found.iter().all(|found| found.succeeded()), "{found:?}");
    // Each lookup uses one socket, so one connection: both queries go to one backend.
    for (name, seen) in names.iter().map(|name| (name, [one.seen_of(name).len(), two.seen_of(name).len()])) {
        ensure!(seen == [2, 0] || seen == [0, 2], "{name}: {seen:?}");
    }
    ensure!(one.seen().len() > 10 && two.seen().len() > 10, "{} and {}", one.seen().len(), two.seen().len());
    let connections = lab.connections()?;
    ensure!(connections.contains(&format!("dst={CLUSTER_DNS}")), "{connections}");
    Ok(())
}

fn the_emulated_race_drops_the_second_of_a_pair(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    // Without latency, the answer could come before the second query and save it.
    let dns = lab.server(server(1), zone().latency(Duration::from_millis(50)))?;
    lab.race(server(1))?;
    let client = lab.client(&format!("{}options timeout:2\n", asking(dns.address())))?;
    for (program, seconds) in [(world.musl(|_| true)?, 1.0), (world.glibc()?, 2.0), (world.go()?, 0.0)] {
        dns.forget();
        let found = program.look_up_one(&client, NAME)?;
        ensure!(found.families() == (1, 1), "{}: {found:?}", program.resolver);
        ensure!((seconds..seconds + 0.9).contains(&found.took.as_secs_f64()), "{}: {found:?}", program.resolver);
    }
    Ok(())
}
