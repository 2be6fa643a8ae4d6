//! One client's network: queries leave by sockets, are lost by a pattern, and meet servers. Knows no resolver and no server.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

/// The record type of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    A,
    Aaaa,
}

/// The response code of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NoError,
    NxDomain,
    ServFail,
    Refused,
}

/// A query as it leaves.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) name: Rc<str>,
    pub(crate) kind: Type,
    /// The index of the nameserver.
    pub(crate) server: usize,
    pub(crate) is_tcp: bool,
}

/// A reply as it arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) code: Code,
    /// The number of addresses.
    pub(crate) addresses: usize,
    pub(crate) is_truncated: bool,
    /// The name is an alias of this link of a chain, and the reply says no more. Only Netty asks for the link.
    pub(crate) alias: Option<u8>,
}

/// A nameserver. The future of a reply ends when the reply arrives, and never where none comes.
pub(crate) trait Server {
    fn ask(&self, query: &Query) -> LocalBoxFuture<'static, Option<Reply>>;
}

/// Packets that do not arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    None,
    /// This share of all queries, by a seed. The `n`-th transmission of a question is lost or not whenever it is sent.
    Share(f64, u64),
    /// The `n`-th query for the name that exists, counted from 1 over both types.
    Nth(u32),
    /// The second of two queries that leave a new socket together (the conntrack race).
    Raced,
}

/// The network as one lookup sees it.
pub(crate) struct Network {
    servers: Vec<Rc<dyn Server>>,
    loss: Loss,
    /// The name that exists, for [`Loss::Nth`].
    target: Rc<str>,
    sent: Cell<usize>,
    of_target: Cell<u32>,
    /// The number of transmissions of each question to each server.
    transmissions: RefCell<HashMap<Question, u32>>,
}

/// A name, a type and a server.
type Question = (Rc<str>, Type, usize);

/// A UDP socket: replies to its queries, in the order in which they arrive.
pub(crate) struct Socket<'n> {
    network: &'n Network,
    replies: FuturesUnordered<LocalBoxFuture<'static, (Query, Option<Reply>)>>,
    opened: Cell<Option<Instant>>,
    packets: Cell<u32>,
}

// === impl Network ===

impl Network {
    pub(crate) fn new(servers: Vec<Rc<dyn Server>>, loss: Loss, target: &str) -> Self {
        let target = target.into();
        Self { servers, loss, target, sent: Cell::new(0), of_target: Cell::new(0), transmissions: RefCell::default() }
    }

    /// Returns the number of nameservers.
    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Returns the number of queries that left so far.
    pub(crate) fn sent(&self) -> usize {
        self.sent.get()
    }

    pub(crate) fn socket(&self) -> Socket<'_> {
        Socket { network: self, replies: FuturesUnordered::new(), opened: Cell::new(None), packets: Cell::new(0) }
    }

    /// Sends one query from a socket of its own, and waits for its reply.
    pub(crate) async fn exchange(&self, query: Query, deadline: Instant) -> Option<Reply> {
        let mut socket = self.socket();
        socket.send(query);
        socket.receive(deadline).await.map(|(_, reply)| reply)
    }

    fn is_lost(&self, query: &Query, is_raced: bool) -> bool {
        let transmission = {
            let mut all = self.transmissions.borrow_mut();
            let count = all.entry((Rc::clone(&query.name), query.kind, query.server)).or_default();
            *count += 1;
            *count
        };
        if query.name == self.target {
            self.of_target.set(self.of_target.get() + 1);
        }
        match self.loss {
            _ if query.is_tcp => false,
            Loss::None => false,
            Loss::Share(share, seed) => {
                let mut hasher = DefaultHasher::new();
                (seed, &query.name, query.kind, query.server, transmission).hash(&mut hasher);
                (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64 <= share
            }
            Loss::Nth(nth) => query.name == self.target && self.of_target.get() == nth,
            Loss::Raced => is_raced,
        }
    }
}

// === impl Socket ===

impl Socket<'_> {
    pub(crate) fn send(&mut self, query: Query) {
        let now = Instant::now();
        self.network.sent.set(self.network.sent.get() + 1);
        let opened = *self.opened.get_mut().get_or_insert(now);
        self.packets.set(self.packets.get() + 1);
        let is_raced = self.packets.get() == 2 && now.duration_since(opened) < Duration::from_millis(1);
        if self.network.is_lost(&query, is_raced) {
            return;
        }
        if let Some(server) = self.network.servers.get(query.server) {
            let reply = server.ask(&query);
            self.replies.push(Box::pin(async move { (query, reply.await) }));
        }
    }

    /// Waits for the next reply; `None` at the deadline.
    pub(crate) async fn receive(&mut self, deadline: Instant) -> Option<(Query, Reply)> {
        loop {
            if self.replies.is_empty() {
                tokio::time::sleep_until(deadline).await;
                return None;
            }
            match timeout_at(deadline, self.replies.next()).await {
                Ok(Some((query, Some(reply)))) => return Some((query, reply)),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
