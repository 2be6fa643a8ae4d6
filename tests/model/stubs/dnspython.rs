//! dnspython, and eventlet on top of it: AAAA, then A, of the name as it stands (search is off unless asked for), each nameserver in
//! turn with growing pauses until a lifetime of 5 s is over (dnspython 2.8.0 dns/resolver.py `_Resolution`, `resolve_name`; eventlet
//! 0.41.3 eventlet/support/greendns.py `_getaddrinfo_lookup`). Of resolv.conf both read `timeout`, `rotate`, `edns0` and `ndots`.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use muslin::resolver::Resolver;
use tokio::time::{Instant, sleep};

use super::{Found, Question, query};
use crate::network::{Code, Network, Query, Reply, Type};

const LIFETIME: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// `resolve_name`: both types share one lifetime, and an error of the first ends the lookup.
pub(super) fn look_up<'n>(
    network: &'n Network,
    question: &'n Question,
    _: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let end = Instant::now() + LIFETIME;
        let Some(aaaa) = resolve(network, question, Type::Aaaa, end).await else { return Found::default() };
        let Some(a) = resolve(network, question, Type::A, end).await else { return Found::default() };
        Found::of([Some(a), Some(aaaa)])
    }
    .boxed_local()
}

/// eventlet's `getaddrinfo`: each type has a lifetime of its own, and one may fail.
pub(super) fn look_up_as_eventlet<'n>(
    network: &'n Network,
    question: &'n Question,
    _: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let aaaa = resolve(network, question, Type::Aaaa, Instant::now() + LIFETIME).await;
        let a = resolve(network, question, Type::A, Instant::now() + LIFETIME).await;
        Found::of([a, aaaa])
    }
    .boxed_local()
}

async fn resolve(network: &Network, question: &Question, kind: Type, end: Instant) -> Option<Reply> {
    let timeout = question.number("timeout").map_or(TIMEOUT, Duration::from_secs);
    let mut servers: Vec<usize> = (0..network.servers()).collect();
    let mut pause = FIRST_PAUSE;
    let mut turn = servers.clone();
    loop {
        if turn.is_empty() {
            if servers.is_empty() {
                return None;
            }
            turn = servers.clone();
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let server = turn.remove(0);
        let now = Instant::now();
        if now >= end {
            return None;
        }
        let deadline = end.min(now + timeout);
        let asked = query(&question.name, kind, server);
        let mut reply = network.exchange(asked.clone(), deadline).await;
        if reply.is_some_and(|reply| reply.is_truncated) {
            reply = network.exchange(Query { is_tcp: true, ..asked }, deadline).await;
        }
        match reply {
            None => {}
            Some(reply) if reply.code == Code::NoError => return Some(reply),
            Some(reply) if reply.code == Code::NxDomain => return None,
            Some(_) => servers.retain(|other| *other != server),
        }
    }
}
