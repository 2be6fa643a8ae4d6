//! The matrix of faults and verdicts, on real networks with real C libraries.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use hickory_proto::op::ResponseCode;
use muslin::verdicts::matrix::{NETWORK_FAULTS, NetworkFault};

use super::{EXTERNAL, NAME, V4, V6, cluster, pod, probe};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::server::{
    Collisions, Cut, EdnsManners, Reply, Script, Tcp, Then, Transport, a, aaaa, addresses, any, code, truth,
};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![faults_that_no_other_test_has_get_their_verdicts];

pub(crate) const BY_HAND: Topic = tests![every_fault_gets_its_verdicts_and_no_others];

/// The faults of the default run: the others have tests of their own, and all run with `--ignored`.
const DEFAULT: [&str; 8] = [
    "NXDOMAIN for every name of the cluster",
    "SERVFAIL for every name of the cluster",
    "REFUSED for every name",
    "NXDOMAIN for every external name",
    "SERVFAIL for one name without EDNS",
    "a second nameserver without the cluster's zone",
    "a loopback nameserver without a server",
    "a link-local nameserver that is cut off",
];

/// Number of faults that run at once: they wait most of the time.
const AT_ONCE: usize = 4;

/// One network, and the arguments of the probe.
struct Network {
    servers: Vec<Script>,
    nameservers: Vec<Ipv4Addr>,
    /// Rules of the router.
    forward: Option<&'static str>,
    races: bool,
    without_ipv6: bool,
    search: &'static str,
    nsswitch: Option<&'static str>,
    arguments: Vec<&'static str>,
}

// === impl Network ===

impl Network {
    fn of(script: Script) -> Self {
        Self {
            servers: vec![script],
            nameservers: vec![server(1)],
            forward: None,
            races: false,
            without_ipv6: false,
            search: "default.svc.cluster.local svc.cluster.local cluster.local",
            nsswitch: None,
            arguments: Vec::new(),
        }
    }

    fn and_server(mut self, script: Script) -> Self {
        self.servers.push(script);
        self.nameservers.push(server(2));
        self
    }

    fn nameserver(mut self, address: Ipv4Addr) -> Self {
        self.nameservers = vec![address];
        self
    }

    fn forward(mut self, rule: &'static str) -> Self {
        self.forward = Some(rule);
        self
    }

    fn arguments(mut self, arguments: &[&'static str]) -> Self {
        self.arguments = arguments.to_vec();
        self
    }
}

/// Answers so for all names of the cluster.
fn cluster_gets(reply: ResponseCode) -> Script {
    let script = cluster().rule(any().name("cluster.local"), code(reply));
    script.rule(any().name("*.cluster.local"), code(reply))
}

fn external_gets(then: impl Into<Then>) -> Script {
    let then = then.into();
    ["*.com", "*.net", "*.org"].iter().fold(cluster(), |script, below| script.rule(any().name(below), then.clone()))
}

fn invented_get(reply: &Reply) -> Script {
    let known = cluster().rule(any().name(EXTERNAL), truth());
    ["*.com", "*.net", "*.org"].iter().fold(known, |script, below| script.rule(any().name(below), reply.clone()))
}

fn search_domain_gets(reply: Reply) -> Network {
    let mut network = Network::of(cluster().rule(any().name("*.corp.example.net"), reply));
    network.search = "default.svc.cluster.local svc.cluster.local cluster.local corp.example.net";
    network
}

/// Returns the fault of the nameservers' answers.
fn of_answers(title: &str) -> Option<Network> {
    use ResponseCode::{NXDomain, NoError, Refused, ServFail};
    let one = || any().name(EXTERNAL);
    Some(match title {
        "none" => Network::of(cluster()),
        "NXDOMAIN for every name of the cluster" => Network::of(Script::new().name(EXTERNAL, [V4, V6])),
        "REFUSED for every name of the cluster" => Network::of(cluster_gets(Refused)),
        "SERVFAIL for every name of the cluster" => Network::of(cluster_gets(ServFail)),
        "NXDOMAIN for every name" => Network::of(Script::new()),
        "REFUSED for every name" => Network::of(Script::new().rule(any(), code(Refused))),
        "SERVFAIL for every name" => Network::of(Script::new().rule(any(), code(ServFail))),
        "an empty answer for every name" => Network::of(Script::new().rule(any(), code(NoError))),
        "NXDOMAIN for every external name" => Network::of(Script::new().name(NAME, ["10.96.0.1"])),
        "REFUSED for every external name" => Network::of(external_gets(code(Refused))),
        "SERVFAIL for every external name" => Network::of(external_gets(code(ServFail))),
        "no answer for any external name" => Network::of(external_gets(Then::Drop)),
        "NXDOMAIN for one external name" => Network::of(cluster().rule(one(), code(NXDomain))),
        "SERVFAIL for one name without EDNS" => Network::of(cluster().rule(one().edns(false), code(ServFail))),
        "no answer for one external name" => Network::of(cluster().rule(one(), Then::Drop)),
        "SERVFAIL in a third of the answers for one name" => {
            Network::of(cluster().rule(one().chance(0.33, 7), code(ServFail)))
        }
        "a second nameserver that knows no name" => {
            Network::of(cluster()).and_server(Script::new().rule(any(), code(Refused)))
        }
        "a second nameserver without the cluster's zone" => {
            Network::of(cluster()).and_server(Script::new().name(EXTERNAL, [V4, V6]))
        }
        "SERVFAIL for AAAA of a name" => Network::of(cluster().rule(aaaa().name(EXTERNAL), code(ServFail))),
        "no answer for AAAA of a name" => Network::of(cluster().rule(aaaa().name(EXTERNAL), Then::Drop)),
        "no answer for any AAAA" => Network::of(cluster().rule(aaaa(), Then::Drop)),
        "addresses of 198.18.0.0/15 for external names" => {
            Network::of(cluster().rule(a().name(EXTERNAL), addresses(["198.18.0.4"]).ttl(1)))
        }
        "an address for every name that does not exist" => Network::of(invented_get(&addresses(["203.0.113.99"]))),
        "the addresses belong to another name" => {
            Network::of(cluster().rule(one(), truth().owner("web.shop.svc.cluster.local")))
        }
        "external answers take 1.5 s" => {
            Network::of(external_gets(truth().after(Duration::from_millis(1500)))).arguments(&["--no-getaddrinfo"])
        }
        "every answer takes 1.2 s" => {
            Network::of(cluster().latency(Duration::from_millis(1200))).arguments(&["--no-getaddrinfo"])
        }
        "a search domain answers REFUSED" => search_domain_gets(code(Refused)),
        "a search domain has an address for every name" => search_domain_gets(addresses(["203.0.113.80"])),
        _ => return None,
    })
}

/// Returns the fault of the path, of packets' sizes, and of the machine.
fn of_path(title: &str) -> Result<Network> {
    let cut = || cluster().rule(any().name(EXTERNAL).over(Transport::Udp).edns(false), truth().cut(Cut::Empty));
    let network = Network::of(cluster());
    Ok(match title {
        "one lost query" => network.forward("udp dport 53 numgen inc mod 400 == 250 drop"),
        "a dead second nameserver" => network.and_server(Script::dead().tcp(Tcp::Hangs)),
        "a dead only nameserver" => Network::of(Script::dead().tcp(Tcp::Refuses)),
        "a loopback nameserver without a server" => network.nameserver(Ipv4Addr::new(127, 0, 0, 53)),
        "a link-local nameserver that is cut off" => network.nameserver(Ipv4Addr::new(169, 254, 20, 10)),
        "UDP is dropped, TCP is not" => network.forward("udp dport 53 drop"),
        "a truncated answer, TCP is closed" => Network::of(cut().tcp(Tcp::Refuses)),
        "a truncated answer, TCP has the rest" => Network::of(cut()),
        "queries with EDNS are dropped" => Network::of(cluster().edns(EdnsManners::Drops)),
        "UDP answers over 512 bytes without EDNS" => {
            let many = (1..=40).map(|number| format!("203.0.113.{number}").parse()).collect::<Result<Vec<_>, _>>()?;
            let script = cluster().name_with(EXTERNAL, many);
            Network::of(script.rule(any().name(EXTERNAL).over(Transport::Udp).edns(false), truth().oversized()))
        }
        "IPv6 addresses without an IPv6 route" => Network { without_ipv6: true, ..network },
        "the second packet of a pair from one socket is lost" => Network { races: true, ..network },
        "pairs with one id lose a query" => Network::of(cluster().collisions(Collisions::Lost)),
        "queries over a limit are dropped" => Network::of(cluster().at_most_a_second(300)).arguments(&[
            "--no-getaddrinfo",
            "--pairs",
            "0",
            "--burst",
            "800",
        ]),
        "a tenth of all packets is lost" => {
            network.forward("udp dport 53 numgen random mod 100 < 10 drop").arguments(&["--no-getaddrinfo"])
        }
        "nsswitch.conf without dns" => Network { nsswitch: Some("hosts: files\n"), ..network },
        "no search list" => Network { search: "", ..network },
        "signatures of the future" => {
            const DAY: u64 = 86_400;
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            Network::of(cluster().root_signed(now + 10 * DAY, now + 30 * DAY))
        }
        _ => bail!("the laboratory has no such fault: {title}"),
    })
}

fn check(world: &World, fault: &NetworkFault) -> Result<()> {
    let network = of_answers(fault.title).map_or_else(|| of_path(fault.title), Ok)?;
    let lab = Lab::new(world)?;
    let servers = (1..).zip(network.servers).map(|(number, script)| lab.server(server(number), script));
    let _servers = servers.collect::<Result<Vec<_>>>()?;
    network.forward.map_or(Ok(()), |rule| lab.forward(rule))?;
    if network.races {
        lab.race(server(1))?;
    }
    if network.without_ipv6 {
        lab.without_ipv6()?;
    }
    let kubelets = "default.svc.cluster.local svc.cluster.local cluster.local";
    let conf = network.nameservers.iter().fold(pod([]), |conf, address| format!("{conf}nameserver {address}\n"));
    let conf = match network.search {
        "" => conf.replace(&format!("search {kubelets}\n"), ""),
        search => conf.replace(kubelets, search),
    };
    let client = lab.client(&conf)?;
    network.nsswitch.map_or(Ok(()), |text| client.write("nsswitch.conf", text))?;
    let program = world.lookup_program().display().to_string();
    let mut arguments = network.arguments.clone();
    if !arguments.contains(&"--no-getaddrinfo") && network.nsswitch.is_none() {
        arguments.extend(["--lookup-program", &program]);
    }
    let probed = probe(&client, &arguments)?;
    let (mut given, mut expected) = (probed.verdicts(), fault.verdicts.to_vec());
    given.sort_unstable();
    expected.sort_unstable();
    ensure!(given == expected, "{given:?} instead of {expected:?}: {:#}", probed.document["verdicts"]);
    Ok(())
}

fn check_all(world: &World, faults: &[&NetworkFault]) -> Result<()> {
    let size = faults.len().div_ceil(AT_ONCE).max(1);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = faults
            .chunks(size)
            .map(|faults| {
                scope.spawn(move || {
                    let checked = faults.iter().map(|fault| (fault.title, check(world, fault)));
                    let failed = checked.filter_map(|(title, checked)| Some(format!("{title}: {:?}", checked.err()?)));
                    failed.collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|_| vec!["a panic".to_owned()])).collect()
    });
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

fn faults_that_no_other_test_has_get_their_verdicts(world: &World) -> Result<()> {
    let find = |title| NETWORK_FAULTS.iter().find(|fault| fault.title == title).context(title);
    check_all(world, &DEFAULT.map(find).into_iter().collect::<Result<Vec<_>>>()?)
}

fn every_fault_gets_its_verdicts_and_no_others(world: &World) -> Result<()> {
    check_all(world, &NETWORK_FAULTS.iter().collect::<Vec<_>>())
}
