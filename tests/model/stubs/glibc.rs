//! glibc: both queries from one socket, one nameserver after another, and the switch to one query at a time when one of two answers
//! is lost (glibc resolv/res_send.c send_dg, __res_context_send; resolv/res_query.c).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use muslin::resolver::{Answer, QueryPairing, Resolver, Settings};
use tokio::time::Instant;

use super::{Found, PAIR, Question, answer_of, query, search};
use crate::network::{Code, Network, Query, Reply, Type};

/// The state that glibc keeps between queries (`RES_F_SNGLKUP`, `RES_F_SNGLKUPREOP`).
#[derive(Default)]
struct State {
    single_request: Cell<bool>,
    single_request_reopen: Cell<bool>,
}

/// The end of one attempt at one nameserver.
enum Attempt {
    /// These are the answers; one may be missing.
    Done([Option<Reply>; 2]),
    NextServer,
    /// An answer was cut short: ask this server by TCP.
    ByTcp,
}

pub(super) fn look_up<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    with_fix(network, question, resolver, true)
}

/// Before the fix of bug 30081 (af625987): with one query at a time, an error to the first is followed by waiting for the answer to
/// a second query that was never sent.
pub(super) fn look_up_before_fix<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
) -> LocalBoxFuture<'n, Found> {
    with_fix(network, question, resolver, false)
}

fn with_fix<'n>(
    network: &'n Network,
    question: &'n Question,
    resolver: Option<Resolver>,
    is_fixed: bool,
) -> LocalBoxFuture<'n, Found> {
    async move {
        let Some(resolver) = resolver else { return Found::default() };
        let settings = question.settings(resolver);
        let state = Rc::new(State::default());
        state
            .single_request
            .set(matches!(settings.pairing, QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial));
        state.single_request_reopen.set(matches!(settings.pairing, QueryPairing::TwoSocketsSerial));
        search(question, resolver, &settings, |name| {
            let state = Rc::clone(&state);
            async move { one_name(network, &settings, &state, &name, is_fixed).await }
        })
        .await
    }
    .boxed_local()
}

async fn one_name(
    network: &Network,
    settings: &Settings,
    state: &State,
    name: &str,
    is_fixed: bool,
) -> (Answer, Found) {
    let mut last = [None, None];
    for _ in 0..settings.attempts {
        for server in 0..network.servers() {
            match attempt(network, settings, state, name, server, is_fixed, &mut last).await {
                Attempt::Done(replies) => return (answer_of(replies), Found::of(replies)),
                Attempt::NextServer => {}
                Attempt::ByTcp => {
                    let replies = by_tcp(network, name, server).await;
                    return (answer_of(replies), Found::of(replies));
                }
            }
        }
    }
    // The caller looks into the buffer for the code of the last answer (`hp->rcode`).
    (answer_of(last), Found::default())
}

/// One attempt over all servers, in the order of glibc's `send_dg`, hence its length.
async fn attempt(
    network: &Network,
    settings: &Settings,
    state: &State,
    name: &str,
    server: usize,
    is_fixed: bool,
    last: &mut [Option<Reply>; 2],
) -> Attempt {
    let seconds = settings.timeout.as_secs() << server;
    let seconds = if server > 0 { seconds / network.servers() as u64 } else { seconds };
    let timeout = Duration::from_secs(seconds.max(1));
    let mut socket = network.socket();
    loop {
        let deadline = Instant::now() + timeout;
        let (single, reopen) = (state.single_request.get(), state.single_request_reopen.get());
        let mut heard = [false, false];
        let mut answers: [Option<Reply>; 2] = [None, None];
        socket.send(query(name, PAIR[0], server));
        let mut sent = 1;
        if !single {
            socket.send(query(name, PAIR[1], server));
            sent = 2;
        }
        loop {
            let Some((Query { kind, .. }, reply)) = socket.receive(deadline).await else { break };
            let index = usize::from(kind == Type::Aaaa);
            if heard[index] {
                continue;
            }
            last[index] = Some(reply);
            if matches!(reply.code, Code::ServFail | Code::Refused) {
                if heard.contains(&true) {
                    return if answers.iter().any(Option::is_some) {
                        Attempt::Done(answers)
                    } else {
                        Attempt::NextServer
                    };
                }
                if !is_fixed || !single {
                    heard[index] = true;
                    continue;
                }
                return Attempt::NextServer;
            }
            if reply.is_truncated {
                return Attempt::ByTcp;
            }
            heard[index] = true;
            answers[index] = Some(reply);
            if heard == [true, true] {
                return Attempt::Done(answers);
            }
            if single && sent == 1 {
                if reopen {
                    socket = network.socket();
                }
                socket.send(query(name, PAIR[1], server));
                sent = 2;
            }
        }
        // Nothing more came in time.
        if !answers.iter().any(Option::is_some) {
            return Attempt::NextServer;
        }
        if !single {
            state.single_request.set(true);
        } else if !reopen {
            state.single_request_reopen.set(true);
            socket = network.socket();
        } else {
            return Attempt::Done(answers);
        }
    }
}

async fn by_tcp(network: &Network, name: &str, server: usize) -> [Option<Reply>; 2] {
    // `send_vc` has no time limit of its own; nothing here waits that long.
    let forever = Instant::now() + Duration::from_secs(150);
    let mut replies = [None, None];
    for (index, kind) in PAIR.into_iter().enumerate() {
        let asked = Query { is_tcp: true, ..query(name, kind, server) };
        replies[index] = network.exchange(asked, forever).await;
    }
    replies
}
