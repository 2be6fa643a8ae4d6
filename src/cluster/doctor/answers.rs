//! Answers of the API server, within a time limit, and the reasons why there are none.

use std::time::Duration;

use crate::doctor::{Seen, Unseen};
use crate::installation::ManifestError;

/// The name of muslin's Deployment, Service and service account.
pub(super) const MUSLIN: &str = "muslin";

/// Limit of one request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The reason why a cluster cannot be observed at all.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The API server does not answer, or does not know the caller.
    #[error("cannot reach the API server: {0}")]
    Unreachable(String),
    /// The manifests in the program cannot be read.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
}

/// Waits for an answer within the time limit of one request.
pub(super) async fn limited<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Seen<T> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| unseen(&error)),
        Err(_) => Err(Unseen::Failed(format!("no answer in {} s", TIMEOUT.as_secs()))),
    }
}

/// Returns the reason for a failed request.
pub(in crate::cluster) fn unseen(error: &kube::Error) -> Unseen {
    match error {
        kube::Error::Api(status) if status.code == 403 => Unseen::Forbidden(status.message.clone()),
        kube::Error::Api(status) => Unseen::Failed(status.message.clone()),
        error => Unseen::Failed(chain(error)),
    }
}

/// Returns an error with its causes, without those that it already quotes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}
