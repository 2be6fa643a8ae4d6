//! The two steps of a shutdown. The API server keeps its connections to a terminating pod (kubernetes#127335), and a request on a
//! closed one fails. So first every answer asks to close its connection, while new ones are still accepted; then the rest is drained.

use std::sync::Arc;

use tokio::sync::watch;

/// The progress of the shutdown. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<watch::Sender<Step>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Serving,
    Leaving,
    Draining,
}

// === impl Shutdown ===

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Step::Serving)))
    }
}

impl Shutdown {
    /// Makes the server not ready, and every answer close its connection; new connections are still accepted.
    pub fn leave(&self) {
        self.0.send_if_modified(|step| {
            let changes = *step < Step::Leaving;
            *step = (*step).max(Step::Leaving);
            changes
        });
    }

    /// Ends the server once the requests under way are answered; no new connections are accepted.
    pub fn drain(&self) {
        self.0.send_replace(Step::Draining);
    }

    /// Returns whether [`Self::leave`] was called.
    pub(crate) fn is_leaving(&self) -> bool {
        *self.0.borrow() >= Step::Leaving
    }

    /// Waits for [`Self::drain`].
    pub async fn draining(&self) {
        // The sender lives in `self`, so the channel stays open.
        let _ = self.0.subscribe().wait_for(|step| *step == Step::Draining).await;
    }
}
