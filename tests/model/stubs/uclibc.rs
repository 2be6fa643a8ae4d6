//! uClibc: one query after another from a socket of its own, `timeout` each, `attempts` over all nameservers (uClibc-ng
//! libc/inet/resolv.c __dns_lookup; by source, not measured).

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use muslin::resolver::{Resolver, Settings};
use tokio::time::Instant;

use super::{Found, PAIR, Question, answer_of, query, search};
use crate::network::{Code, Network, Reply, Type};

pub(super) fn look_up<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let Some(resolver) = resolver else { return Found::default() };
        let settings = question.settings(resolver);
        search(question, resolver, &settings, |name| async move {
            let mut replies = [None, None];
            for (index, kind) in PAIR.into_iter().enumerate() {
                replies[index] = one_type(network, &settings, &name, kind).await;
            }
            (answer_of(replies), Found::of(replies))
        })
        .await
    }
    .boxed_local()
}

async fn one_type(network: &Network, settings: &Settings, name: &str, kind: Type) -> Option<Reply> {
    let mut last = None;
    for _ in 0..settings.attempts {
        for server in 0..network.servers() {
            match network.exchange(query(name, kind, server), Instant::now() + settings.timeout).await {
                Some(reply) if matches!(reply.code, Code::NoError | Code::NxDomain) => return Some(reply),
                failed => last = failed.or(last),
            }
        }
    }
    last
}
