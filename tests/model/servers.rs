//! Nameservers of the model. Each answers at a time that it knows when the query arrives. Knows no resolver.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use crate::network::{Code, Query, Reply, Server, Type};

/// A server's answer to the names that exist, by record type; all other names are NXDOMAIN.
#[derive(Clone)]
pub(crate) struct Zone {
    pub(crate) name: Rc<str>,
    pub(crate) a: Answer,
    pub(crate) aaaa: Answer,
    /// A name below a search domain with an answer of its own.
    pub(crate) odd: Option<(Rc<str>, Answer)>,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Addresses(usize),
    Is(Code),
    Silence,
    /// An alias alone; after this many links, asked for one by one, come addresses.
    Chain(u8),
    /// Over UDP an empty answer with TC set, over TCP this many addresses.
    Truncated(usize),
}

/// A server that answers after a fixed time.
pub(crate) struct Plain {
    pub(crate) zone: Zone,
    pub(crate) latency: Duration,
}

/// A server that never answers.
pub(crate) struct Dead;

/// A server that answers every query with one code.
pub(crate) struct Fails {
    pub(crate) code: Code,
    pub(crate) latency: Duration,
}

/// A server that answers one query after another, `rate` a second, and does nothing during a stall.
pub(crate) struct Bounded {
    zone: Zone,
    service: Duration,
    /// The queue's length in queries, beyond which queries are dropped.
    room: usize,
    stall: (Instant, Instant),
    busy_until: Cell<Instant>,
}

/// CoreDNS before an upstream: answers the cluster's names itself, and forwards the others.
///
/// `forward` waits 2 s for an upstream (`readTimeout`), tries again until 5 s have passed (`defaultTimeout`), and then answers
/// SERVFAIL (CoreDNS 1.15.0 plugin/forward/forward.go, plugin/pkg/proxy/connect.go). A reply to an earlier try is not heard: each
/// try has a connection of its own.
pub(crate) struct CoreDns {
    pub(crate) cluster_domain: Rc<str>,
    pub(crate) upstream: Rc<dyn Server>,
    pub(crate) latency: Duration,
}

const FORWARD_READ_TIMEOUT: Duration = Duration::from_secs(2);
const FORWARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the name of a link of a chain.
pub(crate) fn link_name(number: u8) -> String {
    format!("link{number}.example.net")
}

fn link_number(name: &str) -> Option<u8> {
    name.strip_prefix("link")?.strip_suffix(".example.net")?.parse().ok()
}

// === impl Zone ===

impl Zone {
    /// A name with one address of each family.
    pub(crate) fn healthy(name: &str) -> Self {
        Self { name: name.into(), a: Answer::Addresses(1), aaaa: Answer::Addresses(1), odd: None }
    }

    fn reply(&self, query: &Query) -> Option<Reply> {
        let reply = |code, addresses, is_truncated| Some(Reply { code, addresses, is_truncated, alias: None });
        let answer = if query.kind == Type::A { self.a } else { self.aaaa };
        if let (Answer::Chain(links), Some(link)) = (answer, link_number(&query.name)) {
            let alias = (link < links).then_some(link + 1);
            return Some(Reply {
                code: Code::NoError,
                addresses: usize::from(alias.is_none()),
                is_truncated: false,
                alias,
            });
        }
        let odd = self.odd.as_ref().filter(|(name, _)| **name == *query.name);
        let answer = match odd {
            Some((_, answer)) => *answer,
            None if *query.name == *self.name => answer,
            None => Answer::Is(Code::NxDomain),
        };
        match answer {
            Answer::Chain(_) => Some(Reply { code: Code::NoError, addresses: 0, is_truncated: false, alias: Some(1) }),
            Answer::Addresses(number) => reply(Code::NoError, number, false),
            Answer::Is(code) => reply(code, 0, false),
            Answer::Silence => None,
            Answer::Truncated(number) if query.is_tcp => reply(Code::NoError, number, false),
            Answer::Truncated(_) => reply(Code::NoError, 0, true),
        }
    }
}

fn at(when: Instant, reply: Option<Reply>) -> LocalBoxFuture<'static, Option<Reply>> {
    async move {
        sleep_until(when).await;
        reply
    }
    .boxed_local()
}

impl Server for Plain {
    fn ask(&self, query: &Query) -> LocalBoxFuture<'static, Option<Reply>> {
        at(Instant::now() + self.latency, self.zone.reply(query))
    }
}

impl Server for Dead {
    fn ask(&self, _: &Query) -> LocalBoxFuture<'static, Option<Reply>> {
        futures::future::ready(None).boxed_local()
    }
}

impl Server for Fails {
    fn ask(&self, _: &Query) -> LocalBoxFuture<'static, Option<Reply>> {
        at(
            Instant::now() + self.latency,
            Some(Reply { code: self.code, addresses: 0, is_truncated: false, alias: None }),
        )
    }
}

// === impl Bounded ===

impl Bounded {
    pub(crate) fn new(zone: Zone, rate: u32, room: usize, stall: (Instant, Instant)) -> Self {
        let service = Duration::from_secs(1) / rate;
        Self { zone, service, room, stall, busy_until: Cell::new(Instant::now()) }
    }
}

impl Server for Bounded {
    fn ask(&self, query: &Query) -> LocalBoxFuture<'static, Option<Reply>> {
        let now = Instant::now();
        let (begin, end) = self.stall;
        let waiting = self.busy_until.get().saturating_duration_since(now.max(if (begin..end).contains(&now) {
            end
        } else {
            now
        }));
        if waiting.as_nanos() / self.service.as_nanos() >= self.room as u128 {
            return futures::future::ready(None).boxed_local();
        }
        let start = self.busy_until.get().max(now);
        let mut done = start + self.service;
        if start < end && done > begin {
            // What is not done when the stall begins is done after it.
            done = end.max(start) + self.service;
        }
        self.busy_until.set(done);
        at(done, self.zone.reply(query))
    }
}

// === impl CoreDns ===

impl Server for CoreDns {
    fn ask(&self, query: &Query) -> LocalBoxFuture<'static, Option<Reply>> {
        let received = Instant::now() + self.latency;
        if query.name.ends_with(&*self.cluster_domain) {
            return at(received, Some(Reply { code: Code::NxDomain, addresses: 0, is_truncated: false, alias: None }));
        }
        let (upstream, query) = (Rc::clone(&self.upstream), query.clone());
        let (sender, receiver) = oneshot::channel();
        // CoreDNS goes on when its client has gone.
        tokio::task::spawn_local(async move {
            sleep_until(received).await;
            let deadline = received + FORWARD_TIMEOUT;
            let mut reply = None;
            while reply.is_none() && Instant::now() < deadline {
                let left = deadline.saturating_duration_since(Instant::now()).min(FORWARD_READ_TIMEOUT);
                reply = match timeout(left, upstream.ask(&query)).await {
                    Ok(Some(reply)) => Some(reply),
                    Ok(None) => {
                        tokio::time::sleep(left).await;
                        None
                    }
                    Err(_) => None,
                };
            }
            let failed = Reply { code: Code::ServFail, addresses: 0, is_truncated: false, alias: None };
            let _ = sender.send(reply.unwrap_or(failed));
        });
        receiver.map(Result::ok).boxed_local()
    }
}
