//! Writes to the Kubernetes API, each within a time limit. Must not know what is written.

use std::time::Duration;

use kube::core::Status;
use tokio::time::timeout;

/// The field manager of everything that muslin writes.
pub(super) const FIELD_MANAGER: &str = "muslin";
/// The field manager of what watchers write beside `muslin serve` in the same objects.
pub(super) const WATCH_FIELD_MANAGER: &str = "muslin-watch";
/// Time limit of one write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of one write of an object with about a megabyte of expressions, which the API server compiles before it answers.
const LARGE_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The cause why nothing can be created in a namespace that is being deleted
/// (kubernetes `staging/src/k8s.io/api/core/v1/types.go`, `NamespaceTerminatingCause`).
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

/// The reason why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server refused, or the request failed.
    #[error(transparent)]
    Api(#[from] Box<kube::Error>),
    /// The time limit ran out.
    #[error("the API server does not answer")]
    Timeout,
}

// === impl WriteError ===

impl WriteError {
    /// The object is gone, or is no longer as the write expected it.
    pub(super) fn is_overtaken(&self) -> bool {
        matches!(self.code(), Some(404 | 409))
    }

    /// The object's namespace is being deleted, or is gone.
    pub(super) fn is_namespace_ending(&self) -> bool {
        matches!(self.status(), Some(status) if is_terminating(status))
    }

    /// The API server understood the write and will never accept it.
    pub(super) fn is_permanent(&self) -> bool {
        matches!(self.code(), Some(400 | 413 | 422))
    }

    /// The object is gone, or the API server does not know its kind.
    pub(super) fn is_missing(&self) -> bool {
        self.code() == Some(404)
    }

    /// The account may not do this.
    pub(super) fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Self::Api(error) => match &**error {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Timeout => None,
        }
    }
}

/// Returns whether the API server refused because the namespace is being deleted, or is gone.
pub(super) fn is_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 404 || causes.into_iter().any(|cause| cause.reason == NAMESPACE_TERMINATING)
}

/// Runs a write of a large object within a longer time limit.
pub(super) async fn write_large<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, WriteError> {
    match timeout(LARGE_WRITE_TIMEOUT, request).await {
        Ok(result) => result.map_err(|error| WriteError::Api(Box::new(error))),
        Err(_) => Err(WriteError::Timeout),
    }
}

/// Runs a write within the time limit.
pub(super) async fn write<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, WriteError> {
    match timeout(WRITE_TIMEOUT, request).await {
        Ok(result) => result.map_err(|error| WriteError::Api(Box::new(error))),
        Err(_) => Err(WriteError::Timeout),
    }
}
