//! The open connections of one port: their number for each peer and in all, how long each may wait for its client, and the memory that
//! request bodies hold. When there is no room, the connection that has waited longest for its client ends, so that a client that asks at
//! once always gets in. Must not know of TLS or HTTP.

mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::limits::Limits;
use table::{Table, Waiter};

pub(super) use table::{Peer, Phase};

/// The open connections of one port.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    table: Mutex<Table>,
}

/// A place among the connections; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    connections: Arc<Connections>,
    peer: Peer,
    id: u64,
}

/// The right to reserve memory for the bodies of one connection.
#[derive(Clone, Debug)]
pub(super) struct BodyRoom(Arc<Slot>);

/// Memory for one body; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    slot: Arc<Slot>,
    bytes: usize,
}

/// A place among the waiting; given back when dropped, with memory that was granted and not taken.
struct Waiting<'r> {
    slot: &'r Slot,
    bytes: usize,
    is_taken: bool,
}

/// The most bytes of a TLS handshake. Go's first message has about 1.7 KB, and a record of 16 KiB may follow the last one at once. rustls
/// would keep up to 64 KiB of an incomplete message.
const HANDSHAKE_BYTES_MAX: usize = 32 * 1024;

// === impl Connections ===

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a new connection, and returns whether another one had to end for it. `None` if all are being answered.
    pub(super) fn admit(self: &Arc<Self>, peer: Peer, phase: Phase) -> Option<(Slot, bool)> {
        let (id, ended_another) = self.table().admit(peer, phase, &self.limits)?;
        Some((Slot { connections: Arc::clone(self), peer, id }, ended_another))
    }

    /// Ends the connection that has waited longest, if one waits.
    pub(super) fn make_room(&self) -> bool {
        self.table().make_room(|_| true)
    }

    /// Lets [`Self::make_room`] and [`Self::sweep`] end the connection by its task.
    pub(super) fn set_task(&self, id: u64, task: AbortHandle) {
        self.table().set_task(id, task);
    }

    /// Ends the connections that have waited too long, and returns how many of them were in their handshake.
    pub(super) fn sweep(&self) -> usize {
        self.table().sweep(&self.limits)
    }

    /// Shortens the limits: connections end once no request is on its way.
    pub(super) fn drain(&self) {
        self.table().draining_since.get_or_insert_with(Instant::now);
    }
}

// === impl Slot ===

impl Slot {
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Records what the connection waits for from now on.
    pub(super) fn enter(&self, phase: Phase) {
        self.connections.table().enter(self.id, |_| Some(phase));
    }

    /// Records that bytes arrived. Returns false if a handshake has too many.
    pub(super) fn received(&self, bytes: usize) -> bool {
        let mut table = self.connections.table();
        table.enter(self.id, |before| (before == Phase::Idle).then_some(Phase::Header));
        let Some(open) = table.open.get_mut(&self.id).filter(|open| open.phase == Phase::Handshake) else {
            return true;
        };
        open.handshake_bytes += bytes;
        open.handshake_bytes <= HANDSHAKE_BYTES_MAX
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.table().remove(self.id);
    }
}

// === impl BodyRoom ===

impl BodyRoom {
    pub(super) const fn new(slot: Arc<Slot>) -> Self {
        Self(slot)
    }

    /// Reserves memory for a body, as soon as there is some; `None` if there is none by the deadline.
    pub(super) async fn reserve(&self, bytes: usize, deadline: Instant) -> Option<Reservation> {
        let mut reservation = Reservation { slot: Arc::clone(&self.0), bytes: 0 };
        reservation.grow(bytes, deadline).await.then_some(reservation)
    }
}

// === impl Reservation ===

impl Reservation {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reserves more memory, and returns whether there was some by the deadline.
    pub(super) async fn grow(&mut self, bytes: usize, deadline: Instant) -> bool {
        let slot = &*self.slot;
        let granted = {
            let mut table = slot.connections.table();
            let (granted, receiver) = oneshot::channel();
            table.waiting.push(Waiter { id: slot.id, peer: slot.peer, bytes, granted });
            table.grant(&slot.connections.limits);
            receiver
        };
        let mut waiting = Waiting { slot, bytes, is_taken: false };
        waiting.is_taken = matches!(timeout_at(deadline, granted).await, Ok(Ok(())));
        if waiting.is_taken {
            drop(waiting);
            self.bytes += bytes;
            return true;
        }
        false
    }

    /// Records that the whole body has arrived.
    pub(super) fn complete(&self) {
        self.slot.enter(Phase::Answer);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.slot.give_back(self.bytes);
    }
}

// === impl Waiting ===

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let mut table = self.slot.connections.table();
        let before = table.waiting.len();
        table.waiting.retain(|waiter| waiter.id != self.slot.id);
        let was_granted = table.waiting.len() == before;
        drop(table);
        if was_granted {
            self.slot.give_back(self.bytes);
        }
    }
}

// === impl Slot ===

impl Slot {
    fn give_back(&self, bytes: usize) {
        let mut table = self.connections.table();
        table.give_back(self.id, self.peer, bytes);
        table.grant(&self.connections.limits);
    }
}

#[cfg(test)]
mod tests;
