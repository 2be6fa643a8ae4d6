//! The two steps in which the server stops. The API server keeps its connections to a pod that is terminating
//! (kubernetes#127335), and a request that meets a closed one fails: so first every answer asks to close its connection while
//! new ones are still accepted, and only then the rest is drained.

use std::sync::Arc;

use tokio::sync::watch;

/// How far the server has stopped. Clones share the state.
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
    /// Not ready any more, every answer closes its connection; new ones are still accepted.
    pub fn leave(&self) {
        self.0.send_if_modified(|step| {
            let changes = *step < Step::Leaving;
            *step = (*step).max(Step::Leaving);
            changes
        });
    }

    /// No new connections; what is under way is finished.
    pub fn drain(&self) {
        self.0.send_replace(Step::Draining);
    }

    /// Whether [`Self::leave`] was called.
    pub fn is_leaving(&self) -> bool {
        *self.0.borrow() >= Step::Leaving
    }

    /// Waits for [`Self::drain`].
    pub async fn draining(&self) {
        // The sender lives in `self`, so that the channel cannot close while this waits.
        let _ = self.0.subscribe().wait_for(|step| *step == Step::Draining).await;
    }
}
