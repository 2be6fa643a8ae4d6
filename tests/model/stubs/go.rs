//! Go's own resolver: A and AAAA beside each other, each query from a socket of its own, every attempt over all nameservers (Go
//! 1.26.8 src/net/dnsclient_unix.go tryOneName, goLookupIPCNAMEOrder).

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join};
use muslin::resolver::{QueryPairing, Resolver, Settings};
use tokio::time::Instant;

use super::{Found, PAIR, Question, answer_of, query, search};
use crate::network::{Code, Network, Query, Reply, Type};

pub(super) fn look_up<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let Some(resolver) = resolver else { return Found::default() };
        let settings = question.settings(resolver);
        search(question, resolver, &settings, |name| async move {
            let serial = matches!(settings.pairing, QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial);
            let [a, aaaa] = PAIR.map(|kind| one_type(network, &settings, name.clone(), kind));
            let replies = if serial { [a.await, aaaa.await] } else { join(a, aaaa).await.into() };
            (answer_of(replies), Found::of(replies))
        })
        .await
    }
    .boxed_local()
}

async fn one_type(network: &Network, settings: &Settings, name: String, kind: Type) -> Option<Reply> {
    let mut last = None;
    for _ in 0..settings.attempts {
        for server in 0..network.servers() {
            let asked = query(&name, kind, server);
            let mut reply = network.exchange(asked.clone(), Instant::now() + settings.timeout).await;
            if reply.is_some_and(|reply| reply.is_truncated) {
                reply = network.exchange(Query { is_tcp: true, ..asked }, Instant::now() + settings.timeout).await;
            }
            match reply {
                Some(reply) if matches!(reply.code, Code::NoError | Code::NxDomain) => return Some(reply),
                failed => last = failed.or(last),
            }
        }
    }
    last
}
