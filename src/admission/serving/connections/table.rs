//! The table behind `connections.rs`: what each connection waits for, what each peer uses, and which connection ends when there is no room.
//! Must not know of tasks that wait, nor of locks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::admission::serving::limits::Limits;

/// The clients that share one limit: an IPv4 address, or the /64 network of an IPv6 address, which one machine may use freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::admission::serving) struct Peer(IpAddr);

/// The next thing that a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admission::serving) enum Phase {
    /// The TLS handshake.
    Handshake,
    /// The first request's header.
    FirstHeader,
    /// Another request, while the client reads the last answer.
    Idle,
    /// The rest of another request's header.
    Header,
    /// The request's body.
    Body,
    /// muslin's answer.
    Answer,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    next_id: u64,
    pub(super) open: HashMap<u64, Open>,
    pub(super) peers: HashMap<Peer, Usage>,
    /// The memory of all bodies.
    pub(super) bodies: Held,
    /// Bodies that wait for memory.
    pub(super) waiting: Vec<Waiter>,
    pub(super) draining_since: Option<Instant>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Open {
    peer: Peer,
    pub(super) phase: Phase,
    since: Instant,
    pub(super) handshake_bytes: usize,
    body_bytes: usize,
    /// The task that serves the connection, once it runs.
    task: Option<AbortHandle>,
}

/// The use of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    connections: usize,
    /// Connections in which a handshake or a request is incomplete.
    unfinished: usize,
    idle: usize,
    bodies: Held,
}

/// Memory for bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) bytes: usize,
    /// The part of connections that end, which comes back in a moment.
    ending: usize,
}

/// A body that waits for memory.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) peer: Peer,
    pub(super) bytes: usize,
    pub(super) granted: oneshot::Sender<()>,
}

/// The time that a client has to finish what it began, before its connection is the first to make room. Handshakes and requests of
/// clients that do not wait take a few milliseconds.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// The time that a connection without a request has once the server drains, to send one: it may be on its way.
pub(super) const DRAIN_FIRST_REQUEST: Duration = Duration::from_secs(3);

/// The time that a kept-alive connection has once the server drains. Its client has been asked to close it by the last answer, unless
/// that was long ago.
pub(super) const DRAIN_IDLE: Duration = Duration::from_millis(500);

// === impl Peer ===

impl From<IpAddr> for Peer {
    /// An IPv4 address stays the same when it is mapped into IPv6, as on a socket that serves both.
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

// === impl Phase ===

impl Phase {
    const fn is_unfinished(self) -> bool {
        matches!(self, Self::Handshake | Self::FirstHeader | Self::Header | Self::Body)
    }

    /// Returns how long a connection may stay in this phase.
    const fn limit(self, limits: &Limits) -> Option<Duration> {
        match self {
            Self::Handshake => Some(limits.handshake),
            Self::FirstHeader | Self::Header => Some(limits.header),
            Self::Idle => Some(limits.idle),
            Self::Body => Some(limits.body),
            // Reviews have a deadline of their own.
            Self::Answer => None,
        }
    }

    /// Returns how long a connection may stay in this phase while the server drains.
    const fn drain_limit(self) -> Option<Duration> {
        match self {
            Self::Handshake | Self::FirstHeader => Some(DRAIN_FIRST_REQUEST),
            Self::Idle => Some(DRAIN_IDLE),
            Self::Header | Self::Body | Self::Answer => None,
        }
    }
}

// === impl Held ===

impl Held {
    /// Returns whether so many more bytes fit, or will in a moment.
    const fn will_have_room(self, bytes: usize, limit: usize) -> bool {
        self.bytes - self.ending + bytes <= limit
    }
}

// === impl Table ===

impl Table {
    /// Takes a place for a new connection, and returns whether another one had to end for it.
    pub(super) fn admit(&mut self, peer: Peer, phase: Phase, limits: &Limits) -> Option<(u64, bool)> {
        let own = self.peers.get(&peer).copied().unwrap_or_default();
        let is_own_full = own.connections >= limits.connections_per_peer;
        let is_full = is_own_full || self.open.len() >= limits.connections;
        if is_full && !self.make_room(|open| !is_own_full || open.peer == peer) {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        let open = Open { peer, phase, since: Instant::now(), handshake_bytes: 0, body_bytes: 0, task: None };
        self.count(peer, phase, 1);
        self.peers.entry(peer).or_default().connections += 1;
        self.open.insert(id, open);
        Some((id, is_full))
    }

    /// Lets the connection be ended by its task.
    pub(super) fn set_task(&mut self, id: u64, task: AbortHandle) {
        if let Some(open) = self.open.get_mut(&id) {
            open.task = Some(task);
        }
    }

    /// Ends the connections that have waited too long, and returns how many of them were in their handshake.
    pub(super) fn sweep(&mut self, limits: &Limits) -> usize {
        let now = Instant::now();
        let is_late = |Open { phase, since, .. }: &Open| {
            let limit = phase.limit(limits).is_some_and(|limit| now >= *since + limit);
            let drain = self.draining_since.zip(phase.drain_limit());
            limit || drain.is_some_and(|(draining, limit)| now >= draining.max(*since) + limit)
        };
        let late: Vec<u64> = self.open.iter().filter(|(_, open)| is_late(open)).map(|(id, _)| *id).collect();
        let late = late.into_iter().filter_map(|id| self.end(id));
        let handshakes = late.filter(|open| open.phase == Phase::Handshake).count();
        self.grant(limits);
        handshakes
    }

    /// Counts a connection of this peer in or out of a phase.
    fn count(&mut self, peer: Peer, phase: Phase, change: isize) {
        let usage = self.peers.entry(peer).or_default();
        if phase.is_unfinished() {
            usage.unfinished = usage.unfinished.saturating_add_signed(change);
        } else if phase == Phase::Idle {
            usage.idle = usage.idle.saturating_add_signed(change);
        }
    }

    pub(super) fn enter(&mut self, id: u64, phase_after: impl FnOnce(Phase) -> Option<Phase>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let (peer, before) = (open.peer, open.phase);
        let Some(after) = phase_after(before) else { return };
        open.phase = after;
        open.since = Instant::now();
        self.count(peer, before, -1);
        self.count(peer, after, 1);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.count(open.peer, open.phase, -1);
        if let Some(usage) = self.peers.get_mut(&open.peer) {
            usage.connections -= 1;
        }
        self.forget_unused(open.peer);
        Some(open)
    }

    /// Ends a connection.
    fn end(&mut self, id: u64) -> Option<Open> {
        let open = self.remove(id)?;
        if let Some(task) = &open.task {
            task.abort();
        }
        self.expect_back(open.peer, open.body_bytes);
        Some(open)
    }

    fn forget_unused(&mut self, peer: Peer) {
        if self.peers.get(&peer) == Some(&Usage::default()) {
            self.peers.remove(&peer);
        }
    }

    /// Ends one of these connections: an unfinished one beyond its grace, or else one of the peer that has the most of this kind,
    /// unfinished or idle. The longest wait decides among those. Returns false if all wait for muslin.
    pub(super) fn make_room(&mut self, may_end: impl Fn(&Open) -> bool) -> bool {
        let now = Instant::now();
        let rank = |open: &Open| {
            let Usage { unfinished, idle, .. } = self.peers.get(&open.peer).copied().unwrap_or_default();
            let (is_unfinished, waits) = (open.phase.is_unfinished(), now.duration_since(open.since));
            (is_unfinished && waits >= GRACE, if is_unfinished { unfinished } else { idle }, waits)
        };
        let waiting = self.open.iter().filter(|(_, open)| open.phase != Phase::Answer && may_end(open));
        let longest = waiting.max_by_key(|(_, open)| rank(open)).map(|(id, _)| *id);
        longest.and_then(|id| self.end(id)).is_some()
    }

    fn held_by(&self, peer: &Peer) -> Held {
        self.peers.get(peer).copied().unwrap_or_default().bodies
    }

    /// Gives memory to those that wait, the peer that would hold the least first. Where there is none, ends a connection.
    pub(super) fn grant(&mut self, limits: &Limits) {
        while let Some(index) = self.first_waiter(limits, true) {
            let Waiter { id, peer, bytes, .. } = self.waiting[index];
            if self.bodies.bytes + bytes > limits.body_bytes {
                if !self.bodies.will_have_room(bytes, limits.body_bytes) {
                    let wanted = self.held_by(&peer).bytes + bytes;
                    self.end_a_body(id, |other, held| *other != peer && held >= wanted);
                }
                break;
            }
            let waiter = self.waiting.swap_remove(index);
            self.take(id, peer, bytes);
            if waiter.granted.send(()).is_err() {
                self.give_back(id, peer, bytes);
            }
        }
        if let Some(index) = self.first_waiter(limits, false) {
            let Waiter { id, peer, bytes, .. } = self.waiting[index];
            if !self.held_by(&peer).will_have_room(bytes, limits.body_bytes_per_peer) {
                self.end_a_body_of(id, peer);
            }
        }
    }

    /// Returns the index of the waiter whose peer would hold the least, among those whose peer has not used up its share, or has.
    fn first_waiter(&self, limits: &Limits, has_share: bool) -> Option<usize> {
        let wanted = |waiter: &Waiter| self.held_by(&waiter.peer).bytes + waiter.bytes;
        let waiting = self.waiting.iter().enumerate();
        let waiting = waiting.filter(|(_, waiter)| (wanted(waiter) <= limits.body_bytes_per_peer) == has_share);
        waiting.min_by_key(|(_, waiter)| wanted(waiter)).map(|(index, _)| index)
    }

    /// Ends a connection whose body has not arrived: one beyond its grace, or one of a peer that holds more than another would.
    fn end_a_body(&mut self, for_id: u64, holds_more: impl Fn(&Peer, usize) -> bool) {
        let now = Instant::now();
        let held = |peer: &Peer| self.held_by(peer).bytes;
        let incomplete = self.open.iter().filter(|(id, open)| {
            let may_end = now.duration_since(open.since) >= GRACE || holds_more(&open.peer, held(&open.peer));
            **id != for_id && open.phase == Phase::Body && open.body_bytes > 0 && may_end
        });
        let ended = incomplete.max_by_key(|(_, open)| (held(&open.peer), now.duration_since(open.since)));
        if let Some(id) = ended.map(|(id, _)| *id) {
            self.end(id);
        }
    }

    /// Ends a connection of this peer whose body has not arrived within its grace.
    fn end_a_body_of(&mut self, for_id: u64, peer: Peer) {
        let now = Instant::now();
        let incomplete = self.open.iter().filter(|(id, open)| {
            let is_late = now.duration_since(open.since) >= GRACE;
            **id != for_id && open.peer == peer && open.phase == Phase::Body && open.body_bytes > 0 && is_late
        });
        if let Some(id) = incomplete.min_by_key(|(_, open)| open.since).map(|(id, _)| *id) {
            self.end(id);
        }
    }

    fn take(&mut self, id: u64, peer: Peer, bytes: usize) {
        self.bodies.bytes += bytes;
        self.peers.entry(peer).or_default().bodies.bytes += bytes;
        match self.open.get_mut(&id) {
            Some(open) => open.body_bytes += bytes,
            None => self.expect_back(peer, bytes),
        }
    }

    /// Records that the connection with these bytes ends.
    fn expect_back(&mut self, peer: Peer, bytes: usize) {
        self.bodies.ending += bytes;
        self.peers.entry(peer).or_default().bodies.ending += bytes;
        self.forget_unused(peer);
    }

    pub(super) fn give_back(&mut self, id: u64, peer: Peer, bytes: usize) {
        let has_ended = match self.open.get_mut(&id) {
            Some(open) => {
                open.body_bytes -= bytes;
                false
            }
            None => true,
        };
        for held in [&mut self.bodies, &mut self.peers.entry(peer).or_default().bodies] {
            held.bytes -= bytes;
            held.ending -= if has_ended { bytes } else { 0 };
        }
        self.forget_unused(peer);
    }
}
