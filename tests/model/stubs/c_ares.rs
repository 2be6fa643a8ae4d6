//! c-ares: A and AAAA beside each other, each tried on the server that failed least, with time-outs that double after each round
//! over all servers (c-ares 1.34 src/lib/ares_process.c; the jitter is taken at its middle). Measured latency, which sets the first
//! time-out of a channel that has been used, is not modelled: a lookup here is a channel's first.

use std::cell::RefCell;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join};
use muslin::resolver::{Resolver, Settings};
use tokio::time::{Instant, sleep_until};

use super::{Found, PAIR, Question, answer_of, query, search};
use crate::network::{Code, Network, Query, Reply, Type};

/// The longest first time-out (`MAX_TIMEOUT_MS`).
const TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Node makes four tries whatever resolv.conf says (`lib/internal/dns/utils.js`, `tries = 4`).
const NODE_TRIES: u32 = 4;

/// Node looks for queries that timed out once a second (`src/cares_wrap.cc`, `StartTimer`).
const NODE_TICK: Duration = Duration::from_secs(1);

pub(super) fn look_up<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let Some(resolver) = resolver else { return Found::default() };
        let settings = question.settings(resolver);
        search(question, resolver, &settings, |name| async move {
            let failures = RefCell::new(vec![0_u32; network.servers()]);
            let [a, aaaa] = PAIR.map(|kind| one_type(network, settings, name.clone(), kind, &failures, None));
            let replies: [Option<Reply>; 2] = join(a, aaaa).await.into();
            (answer_of(replies), Found::of(replies))
        })
        .await
    }
    .boxed_local()
}

/// `dns.resolve4`: one query of type A for the name as it stands.
pub(super) fn look_up_as_node<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let Some(resolver) = resolver else { return Found::default() };
        let mut settings = question.settings(resolver);
        settings.attempts = NODE_TRIES;
        let failures = RefCell::new(vec![0; network.servers()]);
        let reply = one_type(network, settings, question.name.to_string(), Type::A, &failures, Some(NODE_TICK)).await;
        Found::of([reply, None])
    }
    .boxed_local()
}

async fn one_type(
    network: &Network,
    settings: Settings,
    name: String,
    kind: Type,
    failures: &RefCell<Vec<u32>>,
    tick: Option<Duration>,
) -> Option<Reply> {
    let start = Instant::now();
    let servers = network.servers();
    let mut last = None;
    for attempt in 0..settings.attempts * servers as u32 {
        let server = {
            let failures = failures.borrow();
            (0..servers).min_by_key(|server| failures[*server]).unwrap_or_default()
        };
        let rounds = attempt / servers as u32;
        let base = settings.timeout.min(TIMEOUT_MAX);
        let wait = base.saturating_mul(1 << rounds.min(20));
        let wait = if rounds > 0 { (wait * 3 / 4).max(base) } else { wait };
        let mut deadline = Instant::now() + wait;
        if let Some(tick) = tick {
            // Ticks at whole multiples after the start; a query counts as late only after its time.
            let ticks = (deadline - start).as_millis() / tick.as_millis() + 1;
            deadline = start + tick * u32::try_from(ticks).unwrap_or(u32::MAX);
        }
        let asked = query(&name, kind, server);
        let mut reply = network.exchange(asked.clone(), deadline).await;
        if reply.is_some_and(|reply| reply.is_truncated) {
            reply = network.exchange(Query { is_tcp: true, ..asked }, deadline).await;
            if reply.is_none() {
                sleep_until(deadline).await;
            }
        }
        match reply {
            Some(reply) if matches!(reply.code, Code::NoError | Code::NxDomain) => return Some(reply),
            failed => {
                failures.borrow_mut()[server] += 1;
                last = failed.or(last);
            }
        }
    }
    last
}
