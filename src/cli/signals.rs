//! The signals that stop the process. Must not know what stops.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop the process: the kubelet's SIGTERM, a person's Ctrl-C, the end of a terminal.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

// === impl Signals ===

impl Signals {
    /// Listens for the signals, which do not end the process from here on.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal, and returns it.
    pub(super) async fn next(&mut self) -> SignalKind {
        let Self { terminate, interrupt, hangup } = self;
        tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = hangup.recv() => SignalKind::hangup(),
        }
    }
}
