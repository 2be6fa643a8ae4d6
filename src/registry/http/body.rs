//! Bodies of answers, with a lower bound on their rate. Must not know what a body holds.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};

use super::url::transport_error;
use crate::registry::error::{Error, ErrorSubject};
use crate::registry::limits::Limits;

/// The parts of a body that must keep arriving.
pub(crate) struct BodyParts {
    host: String,
    body: Incoming,
    limits: Limits,
    /// The time spent waiting for the other side.
    waited: Duration,
    bytes: u64,
}

// === impl BodyParts ===

impl BodyParts {
    /// The parts of `body`, which `host` sends.
    pub(crate) fn new(host: &str, body: Incoming, limits: Limits) -> Self {
        Self { host: host.to_owned(), body, limits, waited: Duration::ZERO, bytes: 0 }
    }

    /// Returns the next part, or `None` at the end. Only the time that the other side takes counts towards the rate.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Limits { stall, rate, .. } = self.limits;
        loop {
            let begun = Instant::now();
            let frame = tokio::time::timeout(stall, self.body.frame()).await;
            self.waited += begun.elapsed();
            let slow = |what: &str| Error::Slow { what: format!("{what} {}", self.host), limit: stall };
            let Some(frame) = frame.map_err(|_| slow("waiting for more data from"))? else { return Ok(None) };
            let Ok(part) = frame.map_err(|error| transport_error(&self.host, &error))?.into_data() else { continue };
            self.bytes += part.len() as u64;
            if self.waited > stall && self.bytes < rate * self.waited.as_secs() {
                return Err(slow("receiving data too slowly from"));
            }
            return Ok(Some(part));
        }
    }
}

/// Reads a whole body of at most `limit_bytes`.
pub(crate) async fn read_body(mut parts: BodyParts, subject: ErrorSubject, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(part) = parts.next().await? {
        if (bytes.len() + part.len()) as u64 > limit_bytes {
            return Err(Error::TooLarge { subject, limit_bytes });
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}
