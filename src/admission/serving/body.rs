//! Reads the bodies of requests within bounds: each in size and time, and all together in memory, so that no number of clients can
//! exceed the pod's memory limit. Must not know what a body says.

use std::mem;
use std::pin::pin;

use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// The largest body, in bytes. An object has at most 1.5 MiB in etcd, and can be several times that as JSON.
const BODY_MAX: usize = 8 * 1024 * 1024;

/// The part of every body that needs no permit, in bytes. Ordinary reviews are smaller, so they never wait for large ones.
const ALWAYS_ROOM_FOR: usize = 64 * 1024;

/// The most bytes of all bodies together beyond that part.
const ROOM: usize = 32 * 1024 * 1024;

/// The memory for bodies, shared by all requests.
#[derive(Debug)]
pub(in crate::admission) struct Bodies(Semaphore);

/// A body, and the memory that it holds.
#[derive(Debug)]
pub(in crate::admission) struct ReadBody<'b> {
    /// The body, as long as it came in one piece.
    piece: Bytes,
    /// The whole body, if it came in several pieces.
    joined: Vec<u8>,
    room: Option<SemaphorePermit<'b>>,
}

/// The reason why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(in crate::admission) enum BodyError {
    #[error("the body is larger than {BODY_MAX} bytes")]
    TooLarge,
    #[error("the body did not arrive within the time that the API server allows")]
    TooSlow,
    #[error("other large bodies are being read, and there was no room for this one in time; try again")]
    NoRoom,
    #[error("the body could not be read: {0}")]
    Broken(#[from] axum::Error),
}

// === impl Bodies ===

impl Default for Bodies {
    fn default() -> Self {
        Self(Semaphore::new(ROOM))
    }
}

impl Bodies {
    /// Reads a body to its end. Memory is taken as bytes arrive, not as they are announced: an announcement costs a client nothing.
    ///
    /// # Errors
    /// The body is too large, ends early, or does not arrive or get its memory by the deadline.
    pub(in crate::admission) async fn read(&self, body: Body, deadline: Instant) -> Result<ReadBody<'_>, BodyError> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut kept = ReadBody { piece: Bytes::new(), joined: Vec::new(), room: None };
        let mut body = pin!(body);
        while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| BodyError::TooSlow)? {
            // Trailers are not needed.
            let Ok(bytes) = frame?.into_data() else { continue };
            let length = kept.len() + bytes.len();
            if length > BODY_MAX {
                return Err(BodyError::TooLarge);
            }
            let beyond = |length: usize| length.saturating_sub(ALWAYS_ROOM_FOR);
            let needed = beyond(length) - beyond(kept.len());
            if needed > 0 {
                Box::pin(self.make_room(&mut kept, needed, deadline)).await?;
            }
            kept.add(bytes, announced.min(ALWAYS_ROOM_FOR));
        }
        Ok(kept)
    }

    async fn make_room<'b>(
        &'b self,
        kept: &mut ReadBody<'b>,
        bytes: usize,
        deadline: Instant,
    ) -> Result<(), BodyError> {
        // At most BODY_MAX.
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = timeout_at(deadline, self.0.acquire_many(permits)).await;
        let more = more.ok().and_then(Result::ok).ok_or(BodyError::NoRoom)?;
        match &mut kept.room {
            Some(room) => room.merge(more),
            None => kept.room = Some(more),
        }
        Ok(())
    }
}

// === impl ReadBody ===

impl ReadBody<'_> {
    /// A body in one piece is not copied.
    fn add(&mut self, bytes: Bytes, expected: usize) {
        if self.is_empty() {
            self.piece = bytes;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(expected);
            // Dropped, because it holds the connection's buffer.
            self.joined.extend_from_slice(&mem::take(&mut self.piece));
        }
        self.joined.extend_from_slice(&bytes);
    }
}

impl std::ops::Deref for ReadBody<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.joined.is_empty() { &self.piece } else { &self.joined }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::StreamExt as _;
    use futures::stream;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    /// Returns a body of so many bytes that never ends.
    fn unfinished(bytes: usize) -> Body {
        let chunks = vec![Bytes::from(vec![b' '; 1024]); bytes / 1024];
        Body::from_stream(stream::iter(chunks).map(Ok::<_, std::io::Error>).chain(stream::pending()))
    }

    #[tokio::test]
    async fn rejects_large_bodies_when_memory_is_used_up_but_not_ordinary_ones() {
        let bodies = Bodies::default();
        let mut kept = Vec::new();
        for _ in 0..ROOM / BODY_MAX {
            kept.push(bodies.read(Body::from(vec![b' '; BODY_MAX]), soon()).await.unwrap());
        }
        let large = bodies.read(Body::from(vec![b' '; BODY_MAX]), soon()).await;
        assert!(matches!(large, Err(BodyError::NoRoom)), "{large:?}");
        assert_eq!(bodies.read(Body::from(vec![b' '; 12_345]), soon()).await.unwrap().len(), 12_345);
        kept.pop();
        assert!(bodies.read(Body::from(vec![b' '; BODY_MAX]), soon()).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_that_never_ends_gives_its_memory_back() {
        let bodies = Bodies::default();
        for _ in 0..10 {
            let read = bodies.read(unfinished(7 * 1024 * 1024), soon()).await;
            assert!(matches!(read, Err(BodyError::TooSlow)), "{read:?}");
        }
        assert_eq!(bodies.0.available_permits(), ROOM);
    }

    #[tokio::test]
    async fn a_body_is_the_same_in_one_piece_and_in_several() {
        for pieces in [&["onetwothree"][..], &["one", "two", "three"], &["", "onetwo", "", "three"]] {
            let body = Body::from_stream(stream::iter(pieces.to_vec()).map(Ok::<_, std::io::Error>));
            assert_eq!(&*Bodies::default().read(body, soon()).await.unwrap(), b"onetwothree", "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
        let bodies = Bodies::default();
        let read = bodies.read(Body::from_stream(broken), soon()).await;
        assert!(matches!(read, Err(BodyError::Broken(_))), "{read:?}");
    }
}
