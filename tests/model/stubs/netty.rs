//! Netty's `DnsNameResolver`: A and AAAA beside each other, each nameserver once, and a budget of queries that `attempts` replaces
//! (netty resolver-dns DnsResolveContext.java; UnixResolverOptions.java: `attempts` 16, `timeout` 5 s). A time-out ends the search.

use std::cell::Cell;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join_all};
use muslin::resolver::Resolver;
use tokio::time::Instant;

use super::{Found, PAIR, Question, query};
use crate::network::{Code, Network, Query, Reply, Type};
use crate::servers::link_name;

const QUERIES: u64 = 16;
const TIMEOUT: u64 = 5;

/// The end of the queries for one name.
enum Resolved {
    Found(Found),
    /// No time-out was among the failures: the search goes on.
    NotFound,
    TimedOut,
}

pub(super) fn look_up<'n>(
    network: &'n Network,
    question: &'n Question,
    _: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    search(network, question, &PAIR).boxed_local()
}

/// On a host without an IPv6 address of global scope Netty asks for A alone.
pub(super) fn look_up_v4<'n>(
    network: &'n Network,
    question: &'n Question,
    _: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    search(network, question, &PAIR[..1]).boxed_local()
}

async fn search(network: &Network, question: &Question, types: &[Type]) -> Found {
    let ndots = question.number("ndots").unwrap_or(1);
    let dots = question.name.bytes().filter(|byte| *byte == b'.').count() as u64;
    let below = question.search.iter().map(|domain| format!("{}.{domain}", question.name));
    let mut names: Vec<String> = below.collect();
    let as_is = question.name.to_string();
    if dots >= ndots {
        names.insert(0, as_is)
    } else {
        names.push(as_is)
    }
    for name in names {
        match resolve(network, question, &name, types).await {
            Resolved::Found(found) => return found,
            Resolved::NotFound => {}
            Resolved::TimedOut => return Found::default(),
        }
    }
    Found::default()
}

async fn resolve(network: &Network, question: &Question, name: &str, types: &[Type]) -> Resolved {
    let budget = Cell::new(question.number("attempts").unwrap_or(QUERIES));
    let timed_out = Cell::new(false);
    let replies =
        join_all(types.iter().map(|kind| one_type(network, question, name, *kind, &budget, &timed_out))).await;
    let mut found = Found::default();
    for (kind, reply) in types.iter().zip(replies) {
        let addresses = reply.map_or(0, |reply| reply.addresses);
        match kind {
            Type::A => found.v4 = addresses,
            Type::Aaaa => found.v6 = addresses,
        }
    }
    match (found.any(), timed_out.get()) {
        (true, _) => Resolved::Found(found),
        (false, true) => Resolved::TimedOut,
        (false, false) => Resolved::NotFound,
    }
}

async fn one_type(
    network: &Network,
    question: &Question,
    name: &str,
    kind: Type,
    budget: &Cell<u64>,
    timed_out: &Cell<bool>,
) -> Option<Reply> {
    let timeout = Duration::from_secs(question.number("timeout").unwrap_or(TIMEOUT));
    let mut name = name.to_owned();
    let mut server = 0;
    while server < network.servers() && budget.get() > 0 {
        budget.set(budget.get() - 1);
        let asked = query(&name, kind, server);
        server += 1;
        let mut reply = network.exchange(asked.clone(), Instant::now() + timeout).await;
        if reply.is_some_and(|reply| reply.is_truncated) {
            reply = network.exchange(Query { is_tcp: true, ..asked }, Instant::now() + timeout).await;
        }
        timed_out.set(reply.is_none());
        match reply.filter(|reply| reply.code == Code::NoError) {
            // An alias is followed from the first server on (`followCname`).
            Some(Reply { alias: Some(link), .. }) => (name, server) = (link_name(link), 0),
            Some(reply) => return Some(reply),
            None => {}
        }
    }
    None
}
