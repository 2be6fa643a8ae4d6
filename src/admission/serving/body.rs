//! Reads the bodies of requests within bounds: each in size and time, and all together in memory, so that no number of clients can
//! exceed the pod's memory limit. Must not know what a body says.

use std::mem;
use std::pin::pin;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::Request;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::connections::{BodyRoom, Reservation};

/// The largest body, in bytes. An object has at most 1.5 MiB in etcd, and can be several times that as JSON.
const BODY_MAX: usize = 8 * 1024 * 1024;

/// A body, and the memory that it holds.
#[derive(Debug)]
pub(in crate::admission) struct ReadBody {
    /// The body, as long as it came in one piece.
    piece: Bytes,
    /// The whole body, if it came in several pieces.
    joined: Vec<u8>,
    /// `None` without a connection, which only tests do.
    memory: Option<Reservation>,
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

/// Reads the body of a request to its end. Memory for it is reserved before it is read: for the announced length, or without one in
/// growing steps.
///
/// # Errors
/// The body is too large, ends early, or does not arrive or get its memory by the deadline.
pub(in crate::admission) async fn read(request: Request, deadline: Instant) -> Result<ReadBody, BodyError> {
    let (parts, body) = request.into_parts();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > BODY_MAX {
        return Err(BodyError::TooLarge);
    }
    let memory = match parts.extensions.get::<BodyRoom>() {
        Some(room) => Some(room.reserve(announced, deadline).await.ok_or(BodyError::NoRoom)?),
        None => None,
    };
    let mut kept = ReadBody { piece: Bytes::new(), joined: Vec::new(), memory };
    let mut body = pin!(body);
    while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| BodyError::TooSlow)? {
        // Trailers are not needed.
        let Ok(bytes) = frame?.into_data() else { continue };
        let length = kept.len() + bytes.len();
        if length > BODY_MAX {
            return Err(BodyError::TooLarge);
        }
        kept.reserve(length, deadline).await?;
        kept.add(bytes, length.max(announced));
    }
    if let Some(memory) = &kept.memory {
        memory.complete();
    }
    Ok(kept)
}

// === impl ReadBody ===

impl ReadBody {
    /// Reserves memory for a body of this length, which was not announced.
    async fn reserve(&mut self, length: usize, deadline: Instant) -> Result<(), BodyError> {
        let Some(memory) = self.memory.as_mut().filter(|memory| memory.bytes() < length) else { return Ok(()) };
        let wanted = (2 * memory.bytes()).clamp(length, BODY_MAX);
        let more = wanted - memory.bytes();
        if memory.grow(more, deadline).await { Ok(()) } else { Err(BodyError::NoRoom) }
    }

    /// A body in one piece is not copied.
    fn add(&mut self, bytes: Bytes, expected: usize) {
        if self.is_empty() {
            self.piece = bytes;
            return;
        }
        let capacity = self.memory.as_ref().map_or(expected, Reservation::bytes).max(expected);
        self.joined.reserve_exact(capacity - self.joined.len());
        if self.joined.is_empty() {
            // Dropped, because it holds the connection's buffer.
            self.joined.extend_from_slice(&mem::take(&mut self.piece));
        }
        self.joined.extend_from_slice(&bytes);
    }
}

impl std::ops::Deref for ReadBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.joined.is_empty() { &self.piece } else { &self.joined }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::Body;
    use futures::StreamExt as _;
    use futures::stream;

    use super::*;
    use crate::admission::serving::connections::{Connections, Peer, Phase};
    use crate::admission::serving::limits::{BODY_BYTES_MAX, Limits};

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    /// A port on which one client has sent a request's header.
    struct Client {
        connections: Arc<Connections>,
        address: &'static str,
    }

    impl Client {
        fn request(&self, body: Body) -> Request {
            let address: IpAddr = self.address.parse().unwrap();
            let (slot, _) = self.connections.admit(Peer::from(address), Phase::Body).unwrap();
            let mut request = Request::new(body);
            request.extensions_mut().insert(BodyRoom::new(Arc::new(slot)));
            request
        }

        async fn read(&self, bytes: usize) -> Result<ReadBody, BodyError> {
            read(self.request(Body::from(vec![b' '; bytes])), soon()).await
        }
    }

    fn clients() -> [Client; 2] {
        let connections = Connections::new(Limits::default());
        ["10.0.0.1", "10.0.0.2"].map(|address| Client { connections: Arc::clone(&connections), address })
    }

    /// Returns a body of so many bytes that never ends.
    fn unfinished(bytes: usize) -> Body {
        let chunks = vec![Bytes::from(vec![b' '; 1024]); bytes / 1024];
        Body::from_stream(stream::iter(chunks).map(Ok::<_, std::io::Error>).chain(stream::pending()))
    }

    #[tokio::test]
    async fn one_peer_cannot_take_all_memory_for_bodies() {
        let [one, other] = clients();
        let mut kept = Vec::new();
        while let Ok(body) = one.read(BODY_MAX).await {
            kept.push(body);
        }
        assert_eq!(kept.len(), 2);
        assert_eq!(other.read(BODY_MAX).await.unwrap().len(), BODY_MAX);
        kept.pop();
        assert_eq!(one.read(BODY_MAX).await.unwrap().len(), BODY_MAX);
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded() {
        let [one, other] = clients();
        let kept = [one.read(BODY_MAX).await, one.read(BODY_MAX).await, other.read(BODY_MAX).await];
        assert!(kept.iter().map(|body| body.as_ref().unwrap().len()).sum::<usize>() == BODY_BYTES_MAX);
        let more = other.read(12_345).await;
        assert!(matches!(more, Err(BodyError::NoRoom)), "{more:?}");
        drop(kept);
        assert_eq!(other.read(12_345).await.unwrap().len(), 12_345);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_gives_its_memory_back() {
        let [one, _] = clients();
        for _ in 0..10 {
            let read = read(one.request(unfinished(7 * 1024 * 1024)), soon()).await;
            assert!(matches!(read, Err(BodyError::TooSlow)), "{read:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_announced_too_large_is_not_read() {
        let read = read(Request::new(Body::from(vec![b' '; BODY_MAX + 1])), soon()).await;
        assert!(matches!(read, Err(BodyError::TooLarge)), "{read:?}");
    }

    #[tokio::test]
    async fn a_body_is_the_same_in_one_piece_and_in_several() {
        for pieces in [&["onetwothree"][..], &["one", "two", "three"], &["", "onetwo", "", "three"]] {
            let body = Body::from_stream(stream::iter(pieces.to_vec()).map(Ok::<_, std::io::Error>));
            assert_eq!(&*read(clients()[0].request(body), soon()).await.unwrap(), b"onetwothree", "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
        let read = read(Request::new(Body::from_stream(broken)), soon()).await;
        assert!(matches!(read, Err(BodyError::Broken(_))), "{read:?}");
    }
}
