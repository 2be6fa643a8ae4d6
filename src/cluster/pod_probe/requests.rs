//! Requests to the API server, each within a time limit.

use std::time::Duration;

use tokio::time::timeout;

use super::errors::{PodProbeError, Request, failed};
use super::settings::PodProbeSettings;

/// Limit of one request, apart from the log.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Makes a request within its time limit.
pub(super) async fn request<T>(
    request: Request,
    settings: &PodProbeSettings,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, PodProbeError> {
    match timeout(REQUEST_MAX, answer).await {
        Ok(answer) => answer.map_err(|error| failed(request, settings, &error)),
        Err(_) => Err(PodProbeError::Silent(request)),
    }
}

/// Returns the answer to a request whose failure does not matter.
pub(super) async fn answered<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Option<T> {
    timeout(REQUEST_MAX, answer).await.ok()?.ok()
}
