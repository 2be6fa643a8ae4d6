//! Wrong answers: invented, faked, truncated, or false for AAAA.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use hickory_proto::op::ResponseCode;

use super::{EXTERNAL, NAME, Probed, cluster, pod, probe, probe_of};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::server::{Cut, EdnsManners, Script, Tcp, Then, Transport, aaaa, addresses, any, code, truth};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    reports_fake_addresses_and_interception,
    reports_interception_alone,
    accepts_a_private_address_of_an_own_zone,
    reports_addresses_of_names_that_do_not_exist,
    accepts_a_wildcard_of_one_domain,
    reports_each_wrong_answer_to_aaaa,
    accepts_an_empty_answer_to_aaaa,
    reports_a_truncated_answer_without_tcp,
    reports_dropped_and_refused_edns,
    reports_lost_packets_over_the_safe_size,
    accepts_a_server_without_edns_or_with_tcp,
    reports_a_wildcard_in_a_search_domain,
    reports_a_search_domain_that_ends_musls_search,
    accepts_an_empty_search_domain,
    reports_a_wrong_clock_by_signatures,
    accepts_a_clock_within_the_leeway
];

const QUIET: &[&str] = &["--no-getaddrinfo"];

fn reports_fake_addresses_and_interception(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let fakes = Script::new().rule(aaaa(), code(ResponseCode::NoError)).rule(any(), addresses(["198.18.0.4"]).ttl(1));
    let _proxy = lab.server(server(9), fakes)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.intercept(server(9))?;
    let probed = probe(&lab.client(&pod([server(1)]))?, QUIET)?;
    let verdict = probed.document["verdicts"].as_array().into_iter().flatten().find(|it| it["verdict"] == "fake-ip");
    let Some(verdict) = verdict else { anyhow::bail!("{:#}", probed.document["verdicts"]) };
    let evidence = Probed::evidence(verdict);
    for sign in ["198.18.0.4", "names that do not exist", "at most 1 s", "192.0.2.1, which no host has"] {
        ensure!(evidence.contains(sign), "{sign}: {evidence}");
    }
    ensure!(verdict["help"][0].as_str().is_some_and(|help| help.contains("198.51.100.1 (port 53)")), "{verdict:#}");
    ensure!(
        verdict["level"] == "deny" && !probed.verdicts().contains(&"nxdomain-hijack"),
        "{:#}",
        probed.document["verdicts"]
    );
    Ok(())
}

fn reports_interception_alone(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    lab.intercept(server(1))?;
    let client = lab.client(&pod([server(1)]))?;
    ensure!(probe(&client, QUIET)?.only("fake-ip")?["level"] == "warn");
    probe(&client, &["--no-getaddrinfo", "--no-interception-query"])?.none()
}

fn accepts_a_private_address_of_an_own_zone(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let script = Script::new().name(NAME, ["10.96.0.1"]).name(EXTERNAL, ["10.8.0.7"]);
    probe_of(&lab, script, QUIET)?.none()
}

fn reports_addresses_of_names_that_do_not_exist(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let page = || addresses(["203.0.113.99"]);
    let script = ["*.com", "*.net", "*.org"]
        .iter()
        .fold(cluster().rule(any().name(EXTERNAL), truth()), |script, below| script.rule(any().name(below), page()));
    let probed = probe_of(&lab, script, QUIET)?;
    ensure!(probed.only("nxdomain-hijack")?["what"] == "names that do not exist resolve to 203.0.113.99");
    Ok(())
}

fn accepts_a_wildcard_of_one_domain(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    probe_of(&lab, cluster().rule(any().name("*.net"), addresses(["203.0.113.99"])), QUIET)?.none()
}

fn reports_each_wrong_answer_to_aaaa(world: &World) -> Result<()> {
    let then: [(&str, Then); 4] = [
        ("NXDOMAIN", code(ResponseCode::NXDomain).into()),
        ("SERVFAIL", code(ResponseCode::ServFail).into()),
        ("REFUSED", code(ResponseCode::Refused).into()),
        ("no answer", Then::Drop),
    ];
    let musl = world.musl(|_| true)?;
    let binary = musl.program().display().to_string();
    for (word, then) in then {
        let lab = Lab::new(world)?;
        let dns = lab.server(server(1), cluster().rule(aaaa().name(EXTERNAL), then))?;
        let client = lab.client(&pod([server(1)]))?;
        let probed = probe(&client, &["--no-getaddrinfo", "--binary", &binary])?;
        let verdict = probed.only("aaaa-broken")?;
        ensure!(verdict["what"] == format!("AAAA of example.com gets {word}, while A is answered"), "{verdict:#}");
        ensure!(verdict["level"] == "deny", "a musl here fails: {verdict:#}");
        let found = musl.look_up_one(&client, "example.com.")?;
        ensure!(!found.succeeded(), "{word}: {found:?} {:?}", dns.seen_of(EXTERNAL));
    }
    Ok(())
}

fn accepts_an_empty_answer_to_aaaa(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let empty = cluster().rule(aaaa().name(EXTERNAL), code(ResponseCode::NoError));
    probe_of(&lab, empty.rule(aaaa().name(NAME).nth(3), Then::Drop), QUIET)?.none()
}

fn reports_a_truncated_answer_without_tcp(world: &World) -> Result<()> {
    for tcp in [Tcp::Refuses, Tcp::Hangs] {
        let lab = Lab::new(world)?;
        let script =
            cluster().rule(any().name(EXTERNAL).over(Transport::Udp).edns(false), truth().cut(Cut::Empty)).tcp(tcp);
        let probed = probe_of(&lab, script, QUIET)?;
        ensure!(probed.only("truncation")?["level"] == "deny", "{tcp:?}");
    }
    Ok(())
}

fn reports_dropped_and_refused_edns(world: &World) -> Result<()> {
    for manners in [EdnsManners::Drops, EdnsManners::Refuses] {
        let lab = Lab::new(world)?;
        let probed = probe_of(&lab, cluster().edns(manners), QUIET)?;
        let verdict = probed.only("truncation")?;
        ensure!(verdict["what"].as_str().is_some_and(|what| what.ends_with("queries with EDNS")), "{verdict:#}");
    }
    Ok(())
}

fn reports_lost_packets_over_the_safe_size(world: &World) -> Result<()> {
    let many = (1..=120).map(|number| format!("203.0.113.{number}").parse()).collect::<Result<Vec<_>, _>>()?;
    for drops in [true, false] {
        let lab = Lab::new(world)?;
        let _dns = lab.server(server(1), cluster().name_with("many.example.com", many.clone()))?;
        if drops {
            // The router reassembles fragments before it applies the rule.
            lab.forward("udp sport 53 udp length > 1300 drop")?;
        }
        let probed = probe(&lab.client(&pod([server(1)]))?, &["--no-getaddrinfo", "--large-name", "many.example.com"])?;
        let verdict = probed.only("truncation")?;
        let what = verdict["what"].as_str().unwrap_or_default();
        ensure!(what.starts_with("answers over 1232 bytes") == drops, "{verdict:#}");
        ensure!(verdict["level"] == if drops { "warn" } else { "info" }, "{verdict:#}");
    }
    Ok(())
}

fn accepts_a_server_without_edns_or_with_tcp(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    probe_of(&lab, cluster().edns(EdnsManners::Ignores), QUIET)?.none()?;
    let lab = Lab::new(world)?;
    let cut = cluster().rule(any().name(EXTERNAL), truth().cut(Cut::Empty));
    let probed = probe_of(&lab, cut, QUIET)?;
    ensure!(probed.only("truncation")?["level"] == "info", "only old musl is affected");
    Ok(())
}

/// Probes a pod whose node has a search domain of its own.
fn probe_with_corp(lab: &Lab<'_>, script: Script, arguments: &[&str]) -> Result<Probed> {
    let _dns = lab.server(server(1), script)?;
    let pod = pod([server(1)]).replace(" cluster.local\n", " cluster.local corp.example.net\n");
    probe(&lab.client(&pod)?, arguments)
}

fn reports_a_wildcard_in_a_search_domain(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let probed = probe_with_corp(&lab, cluster().name("*.corp.example.net", ["203.0.113.80"]), QUIET)?;
    let verdict = probed.only("search-expansion")?;
    ensure!(verdict["what"] == "the search domain corp.example.net has an address for every name", "{verdict:#}");
    // The external name really resolves to the wrong address.
    let client = lab.client(&format!("search corp.example.net\noptions ndots:5\nnameserver {}\n", server(2)))?;
    let _dns = lab.server(server(2), cluster().name("*.corp.example.net", ["203.0.113.80"]))?;
    let found = world.glibc()?.look_up_one(&client, EXTERNAL)?;
    ensure!(found.addresses.iter().any(|address| address.to_string() == "203.0.113.80"), "{found:?}");
    Ok(())
}

fn reports_a_search_domain_that_ends_musls_search(world: &World) -> Result<()> {
    let musl = world.musl(|_| true)?;
    let binary = musl.program().display().to_string();
    const LATER: &str = "db.later.example.net";
    for (whose, word, answer) in [
        ("the search of musl and glibc", "REFUSED or another error", ResponseCode::Refused),
        ("musl's search", "SERVFAIL", ResponseCode::ServFail),
        ("musl's search", "an empty answer", ResponseCode::NoError),
    ] {
        let lab = Lab::new(world)?;
        let script = || cluster().rule(any().name("*.corp.example.net"), code(answer)).name(LATER, ["203.0.113.81"]);
        let probed = probe_with_corp(&lab, script(), &["--no-getaddrinfo", "--binary", &binary])?;
        let verdict = probed.only("search-expansion")?;
        ensure!(verdict["what"] == format!("{whose} ends at corp.example.net ({word})"), "{verdict:#}");
        ensure!(verdict["level"] == "deny", "{verdict:#}");
        let _dns = lab.server(server(2), script())?;
        let search = "search corp.example.net later.example.net";
        let client = lab.client(&format!("{search}\noptions ndots:5 timeout:1\nnameserver {}\n", server(2)))?;
        ensure!(
            !musl.look_up_one(&client, EXTERNAL)?.succeeded()
                && world.glibc()?.look_up_one(&client, EXTERNAL)?.succeeded()
        );
        // glibc tries the name as given in each case, and the domains behind only if its list goes on.
        let found = world.glibc()?.look_up_one(&client, "db")?;
        ensure!(found.succeeded() == (whose == "musl's search"), "{word}: {found:?}");
    }
    Ok(())
}

fn accepts_an_empty_search_domain(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    probe_with_corp(&lab, cluster(), QUIET)?.none()
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

const DAY: u64 = 86_400;

fn reports_a_wrong_clock_by_signatures(world: &World) -> Result<()> {
    // This machine's clock is right, so the signatures are shifted instead.
    for (word, inception, expiration) in
        [("slow", now()? + 10 * DAY, now()? + 30 * DAY), ("fast", now()? - 30 * DAY, now()? - 10 * DAY)]
    {
        let lab = Lab::new(world)?;
        let probed = probe_of(&lab, cluster().root_signed(inception, expiration), QUIET)?;
        let verdict = probed.only("clock")?;
        let what = verdict["what"].as_str().unwrap_or_default();
        ensure!(what.ends_with(word) && (what.contains("239") || what.contains("240")), "{verdict:#}");
    }
    Ok(())
}

fn accepts_a_clock_within_the_leeway(world: &World) -> Result<()> {
    for (inception, expiration) in
        [(now()? - 10 * DAY, now()? + 10 * DAY), (now()? - 10 * DAY, now()? - 1800), (now()? + 1800, now()? + 10 * DAY)]
    {
        let lab = Lab::new(world)?;
        probe_of(&lab, cluster().root_signed(inception, expiration), QUIET)?.none()?;
    }
    Ok(())
}
