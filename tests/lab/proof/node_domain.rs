//! A search domain of the node that answers names that do not exist with something else than NXDOMAIN: real resolvers with the search
//! list that the kubelet writes, and with the one of a profile with `search: cluster`. Must not know of other faults.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use hickory_proto::op::ResponseCode;
use muslin::image::{Fingerprint, Reason};
use muslin::plan::{Context, plan};
use muslin::pod::{Base, Pod};
use muslin::policy::{Profile, SearchList};
use muslin::resolver::{Family, Resolver};
use serde_json::{Value, json};

use super::page::{self, Part};
use super::table::seconds;
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::resolvers::{FinishedLookup, Program};
use crate::lab::server::{Script, Then, addresses, any, code};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    a_search_list_without_the_node_s_domains_finds_every_name_on_musl,
    the_page_shows_every_release_of_musl_at_0_percent_without_muslin_and_at_100_percent_with_it
];

/// Run by hand: `cargo test --test lab -- --ignored node_domain`.
pub(crate) const BY_HAND: Topic = tests![writes_the_search_list_to_docs_by_node_domain];

/// The domain that the node's resolv.conf adds.
const DOMAIN: &str = "corp.example.net";

/// The names that are looked up. With two dots they have fewer than `ndots:5`.
const NAMES: &str = "example.com";

/// The address of each name, and the one that the wildcard gives.
const RIGHT: &str = "203.0.113.7";
const WRONG: &str = "198.18.0.4";

/// The delay that a lookup may have beyond its twin on a busy machine.
const NOISE: Duration = Duration::from_millis(450);

/// An answer of the domain to every name, with its title.
#[derive(Clone, Copy)]
struct Says {
    title: &'static str,
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Code(ResponseCode),
    Silence,
    Wildcard,
}

const HEALTHY: Says = Says { title: "NXDOMAIN, as it should", answer: Answer::Code(ResponseCode::NXDomain) };

const FAULTS: [Says; 5] = [
    Says { title: "NODATA", answer: Answer::Code(ResponseCode::NoError) },
    Says { title: "SERVFAIL", answer: Answer::Code(ResponseCode::ServFail) },
    Says { title: "REFUSED", answer: Answer::Code(ResponseCode::Refused) },
    Says { title: "nothing", answer: Answer::Silence },
    Says { title: "an address for every name", answer: Answer::Wildcard },
];

/// The lookups of one program: with the search list of the kubelet, and with muslin's, if it differs.
struct Row<'w> {
    program: &'w Program,
    kubernetes: Vec<FinishedLookup>,
    muslin: Option<Vec<FinishedLookup>>,
}

const PAGE: &str = "
## The search list

A fourth search domain, which comes from the node, answers names that do not exist with something else than NXDOMAIN. The profile has
`search: cluster`: a pod with musl gets `dnsPolicy: None`, the cluster's nameserver, the cluster's three search domains and `ndots:5`. `=`
means that muslin changes nothing. A cell has the share of lookups that found the right address, and their median time in seconds. A program
that brings a resolver along is alone in its pod.

Lost with the profile: names below the node's domain in their short form, in pods with musl (`node-searches-lost`). Not fixed: glibc and Go
in pods without musl, behind a domain that has an address for every name.

`cargo test --test lab -- --ignored node_domain` writes this part of the page (as root, in five minutes). A test that always runs repeats it
with two lookups of each release of musl.
";

fn a_search_list_without_the_node_s_domains_finds_every_name_on_musl(world: &World) -> Result<()> {
    // Most lookups only wait, so the answers take their turns at once.
    thread::scope(|scope| {
        let measured = |says| move || check(says, &measure(world, says, world.musls(), 2)?);
        let answers = [HEALTHY].into_iter().chain(FAULTS);
        let checks: Vec<_> = answers.map(|says| scope.spawn(measured(says))).collect();
        checks.into_iter().try_for_each(|check| check.join().map_err(|_| anyhow!("a measurement panicked"))?)
    })
}

/// The figures on the page differ between machines, but not these.
fn the_page_shows_every_release_of_musl_at_0_percent_without_muslin_and_at_100_percent_with_it(
    _: &World,
) -> Result<()> {
    let page = page::read()?;
    for says in [HEALTHY].into_iter().chain(FAULTS) {
        let heading = format!("\n### The node's domain answers {}\n", says.title);
        let (_, table) = page.split_once(&heading).with_context(|| {
            format!("docs/proof.md lacks {heading:?}: run cargo test --test lab -- --ignored node_domain")
        })?;
        let table = table.split("\n#").next().unwrap_or_default();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| musl ")).collect();
        ensure!(rows.len() >= 4, "{} releases of musl under {:?}", rows.len(), says.title);
        let expected = if says.answer == HEALTHY.answer { "100 % " } else { "0 % " };
        for row in rows {
            let cells: Vec<&str> = row.split(" | ").collect();
            let is_right = matches!(cells[..], [_, kubernetes, muslin] if kubernetes.starts_with(expected) && muslin.starts_with("100 % "));
            ensure!(is_right, "{}: {row}", says.title);
        }
    }
    Ok(())
}

fn writes_the_search_list_to_docs_by_node_domain(world: &World) -> Result<()> {
    let _alone = page::turn();
    let mut text = PAGE.to_owned();
    let mut checked = Ok(());
    for says in [HEALTHY].into_iter().chain(FAULTS) {
        let rows = measure(world, says, world.resolvers().iter().chain(world.programs()), 10)?;
        writeln!(text, "\n### The node's domain answers {}\n", says.title)?;
        text.push_str("| program | Kubernetes | muslin |\n|---|---|---|\n");
        for Row { program, kubernetes, muslin } in &rows {
            let muslin = muslin.as_ref().map_or_else(|| "=".to_owned(), |lookups| cell(lookups));
            writeln!(text, "| {} | {} | {muslin} |", program.title, cell(kubernetes))?;
        }
        checked = checked.and_then(|()| check(says, &rows));
    }
    writeln!(text, "\nMeasured on {}.", page::today())?;
    page::replace(Part::Search, &text)?;
    checked
}

/// Checks that each program with muslin's search list finds every name, as fast as before where it was found; and that musl's own resolver
/// found none before. Of those that programs bring along, some go on to the next name.
fn check(says: Says, rows: &[Row<'_>]) -> Result<()> {
    ensure!(!rows.is_empty(), "no program was measured");
    for Row { program, kubernetes, muslin } in rows {
        let place = format!("{}, the node's domain answers {}", program.title, says.title);
        let is_musl = program.resolver.family == Family::Musl;
        ensure!(muslin.is_some() == is_musl, "{place}: the wrong pods are changed");
        let Some(muslin) = muslin else { continue };
        ensure!(right(muslin) == muslin.len(), "{place}: {} of {} found: {muslin:?}", right(muslin), muslin.len());
        if program.title.starts_with("musl ") {
            let expected = if says.answer == HEALTHY.answer { kubernetes.len() } else { 0 };
            let found = right(kubernetes);
            ensure!(found == expected, "{place}: without muslin {found} found: {kubernetes:?}");
        }
        ensure!(median(muslin) < median(kubernetes) + NOISE, "{place}: {muslin:?} is slower than {kubernetes:?}");
    }
    Ok(())
}

fn measure<'w>(
    world: &'w World,
    says: Says,
    programs: impl Iterator<Item = &'w Program>,
    lookups: usize,
) -> Result<Vec<Row<'w>>> {
    let lab = Lab::new(world)?;
    let names: Vec<String> = (0..lookups).map(|number| format!("n{number}.{NAMES}")).collect();
    let address = server(1);
    let _server = lab.server(address, script(says))?;
    let look_up = |program: &Program, conf: &str| {
        let client = lab.client(&format!("nameserver {address}\n{conf}"))?;
        program.look_up(&client, &names).with_context(|| format!("{}, {}", program.title, says.title))
    };
    let row = |program: &'w Program| {
        let (before, after) = confs(program.resolver, address)?;
        let muslin = if before == after { None } else { Some(look_up(program, &after)?) };
        Ok(Row { program, kubernetes: look_up(program, &before)?, muslin })
    };
    programs.map(row).collect()
}

fn script(says: Says) -> Script {
    let below = || any().name(&format!("*.{DOMAIN}"));
    let script = Script::new().name(&format!("*.{NAMES}"), [RIGHT, "2001:db8:9::7"]).latency(Duration::from_millis(4));
    match says.answer {
        Answer::Code(says) => script.rule(below(), code(says)),
        Answer::Silence => script.rule(below(), Then::Drop),
        Answer::Wildcard => script.rule(below(), addresses([WRONG, "2001:db8:9::4"])),
    }
}

/// Returns the search and options lines of a pod with one container: as the kubelet writes them, and as muslin changes them.
fn confs(resolver: Resolver, address: Ipv4Addr) -> Result<(String, String)> {
    let profile = Profile { name: "search".to_owned(), search: SearchList::Cluster, ..Profile::nothing() };
    let mut pod = json!({
        "metadata": { "name": "pod" },
        "spec": { "containers": [{ "name": "app", "image": "registry.example.com/app" }] }
    });
    let before = lines(&pod)?;
    let text = pod.to_string();
    let parsed: Pod<'_> = serde_json::from_str(&text)?;
    let known = Fingerprint::inspected(resolver, Reason::Fixed("the laboratory made it"));
    let cluster_addresses = [IpAddr::V4(address)];
    let context = Context { cluster_addresses: &cluster_addresses, ..Context::usual(&profile) };
    let planned = plan(&parsed, vec![known], &context).map_err(|skip| anyhow!("the pod is left alone: {skip}"))?;
    json_patch::patch(&mut pod, &planned.patch).context("patching the pod")?;
    Ok((before, lines(&pod)?))
}

fn lines(pod: &Value) -> Result<String> {
    let text = pod.to_string();
    let pod: Pod<'_> = serde_json::from_str(&text)?;
    let profile = Profile::nothing();
    let Context { namespace, cluster_domain, .. } = Context::usual(&profile);
    let conf = pod.dns().resolv_conf(namespace, cluster_domain);
    let mut searches = conf.searches;
    if conf.base == Base::Cluster {
        searches.push(DOMAIN.to_owned());
    }
    Ok(format!("search {}\noptions {}\n", searches.join(" "), conf.options.join(" ")))
}

/// Returns the number of lookups that found the right address and no wrong one.
fn right(lookups: &[FinishedLookup]) -> usize {
    let is_wrong = |address: &IpAddr| address.to_string() == WRONG || address.to_string() == "2001:db8:9::4";
    lookups.iter().filter(|lookup| lookup.succeeded() && !lookup.addresses.iter().any(is_wrong)).count()
}

fn median(lookups: &[FinishedLookup]) -> Duration {
    let mut times: Vec<Duration> = lookups.iter().map(|lookup| lookup.took).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn cell(lookups: &[FinishedLookup]) -> String {
    format!("{} % {}", right(lookups) * 100 / lookups.len().max(1), seconds(median(lookups)))
}
