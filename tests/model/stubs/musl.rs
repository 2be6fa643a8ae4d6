//! musl: every query to all nameservers from one socket, sent again every timeout/attempts until the timeout is over (musl v1.2.5
//! src/network/res_msend.c, lookup_name.c).

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use muslin::resolver::{Answer, Resolver, Settings, Version, musl};
use tokio::time::{Instant, sleep_until};

use super::{Found, PAIR, Question, query, search};
use crate::network::{Code, Network, Query, Reply, Type};

pub(super) fn look_up<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let Some(resolver) = resolver else { return Found::default() };
        let settings = question.settings(resolver);
        search(question, resolver, &settings, |name| async move { one_name(network, resolver, &settings, &name).await })
            .await
    }
    .boxed_local()
}

async fn one_name(network: &Network, resolver: Resolver, settings: &Settings, name: &str) -> (Answer, Found) {
    let replies = send(network, resolver, settings, name).await;
    let version = resolver.version.unwrap_or(Version::new(1, 2, 5));
    let found = Found::of(replies);
    let is_whole = replies.iter().all(Option::is_some);
    let is_nxdomain = replies.iter().flatten().any(|reply| reply.code == Code::NxDomain);
    if version >= musl::ALL_OR_NOTHING_SINCE && !is_whole {
        (Answer::Timeout, Found::default())
    } else if is_nxdomain && (version >= musl::ALL_OR_NOTHING_SINCE || !found.any()) {
        (Answer::NxDomain, Found::default())
    } else if found.any() {
        (Answer::Address, found)
    } else if replies.iter().any(Option::is_some) {
        (Answer::NoData, Found::default())
    } else {
        (Answer::Timeout, Found::default())
    }
}

async fn send(network: &Network, resolver: Resolver, settings: &Settings, name: &str) -> [Option<Reply>; 2] {
    let (interval, timeout) = (settings.resend_after(), settings.timeout);
    let mut socket = network.socket();
    let mut answers: [Option<Reply>; 2] = [None, None];
    let start = Instant::now();
    let mut last: Option<Instant> = None;
    // Answers to SERVFAIL that are sent again at once, at most this often in each interval.
    let mut servfail_retries = 0;
    while start.elapsed() < timeout {
        let now = Instant::now();
        if last.is_none_or(|last| now - last >= interval) {
            for (_, kind) in PAIR.into_iter().enumerate().filter(|(index, _)| answers[*index].is_none()) {
                (0..network.servers()).for_each(|server| socket.send(query(name, kind, server)));
            }
            last = Some(now);
            servfail_retries = 2 * PAIR.len();
        }
        let Some((asked, reply)) = socket.receive(last.unwrap_or(now) + interval).await else { continue };
        let index = usize::from(asked.kind == Type::Aaaa);
        if answers[index].is_some() {
            continue;
        }
        match reply.code {
            Code::NoError | Code::NxDomain => {
                answers[index] = Some(by_tcp_if_cut(network, resolver, &asked, reply, start + timeout).await)
            }
            Code::ServFail if servfail_retries > 0 => {
                servfail_retries -= 1;
                socket.send(asked);
            }
            _ => {}
        }
        if answers.iter().all(Option::is_some) {
            break;
        }
    }
    answers
}

/// Asks again by TCP where an answer was cut short, in releases that can; others take the answer as it is.
async fn by_tcp_if_cut(network: &Network, resolver: Resolver, asked: &Query, reply: Reply, deadline: Instant) -> Reply {
    let can = resolver.version.is_none_or(|version| version >= musl::TCP_SINCE);
    if !reply.is_truncated || !can {
        return reply;
    }
    let by_tcp = network.exchange(Query { is_tcp: true, ..asked.clone() }, deadline).await;
    if by_tcp.is_none() {
        sleep_until(deadline).await;
    }
    by_tcp.unwrap_or(Reply { code: Code::NoError, addresses: 0, is_truncated: false, alias: None })
}
