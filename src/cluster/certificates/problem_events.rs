//! Events about a given certificate that API servers cannot trust, on muslin's own pod. Must not know what is wrong with it.

use tokio::sync::watch as channel;

use super::KeyHealth;
use crate::cluster::own_events::{OwnEvent, OwnPod, Subject};
use crate::rules::CERTIFICATE_UNUSABLE;

/// A writer of Events about muslin's own certificate.
pub struct ProblemEvents(pub OwnPod);

// === impl ProblemEvents ===

impl ProblemEvents {
    /// Writes an Event for each problem. The files are read every few seconds, so there are no more than that.
    pub(super) async fn follow(self, mut health: channel::Receiver<KeyHealth>) {
        loop {
            let problem = health.borrow_and_update().problem.clone();
            if let Some(problem) = problem
                && let Err(error) = self.0.write(event(&problem)).await
            {
                tracing::warn!(%error, "cannot write an Event about the serving certificate");
            }
            if health.changed().await.is_err() {
                return;
            }
        }
    }
}

fn event(problem: &str) -> OwnEvent {
    let note = format!("replace the serving certificate: {problem}");
    // Each replica reads the files in its own pod.
    let subject = Subject::Pod;
    OwnEvent { subject, prefix: "muslin-certificate-", reason: CERTIFICATE_UNUSABLE, action: "ReadCertificate", note }
}
