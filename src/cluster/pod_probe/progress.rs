//! The progress of a probe's container, from the status that the kubelet writes.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::errors::PodProbeError;
use super::settings::{PodProbeSettings, ProbePlace};

/// The progress of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The container does not run yet, for this reason if the kubelet gives one.
    Waiting(Option<String>),
    Running,
    /// The container has ended with this exit code.
    Ended(i32),
}

/// The reasons of a kubelet that cannot pull an image (kubernetes `pkg/kubelet/images/types.go`).
const IMAGE_REASONS: [&str; 8] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "ErrImageCredentialProvider",
];

/// The reasons of a kubelet that cannot start a container (kubernetes `pkg/kubelet/kuberuntime/kuberuntime_container.go`).
const START_REASONS: [&str; 6] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "RunContainerError",
    "PostStartHookError",
];

/// The reasons of a container that has ended before it ran a program (kubernetes `pkg/kubelet/container/sync_result.go`, containerd).
const NEVER_RAN: [&str; 2] = ["StartError", "ContainerCannotRun"];

/// Returns the progress of a container of the pod.
///
/// # Errors
/// The container will not run.
pub(super) fn progress(pod: &Pod, container: &str, settings: &PodProbeSettings) -> Result<Progress, PodProbeError> {
    let status = pod.status.clone().unwrap_or_default();
    let statuses = match settings.place {
        ProbePlace::Beside => status.container_statuses,
        ProbePlace::Inside => status.ephemeral_container_statuses,
    };
    let own = statuses.unwrap_or_default().into_iter().find(|status| status.name == container);
    let state = own.as_ref().and_then(|ContainerStatus { state, .. }| state.clone()).unwrap_or_default();
    let ContainerState { terminated, running, waiting } = state;
    if let Some(ended) = terminated {
        let text = words(ended.reason.as_deref(), ended.message.as_deref());
        return match ended.reason.as_deref() {
            Some(reason) if NEVER_RAN.contains(&reason) => Err(PodProbeError::NoStart(text.unwrap_or_default())),
            // The kubelet's own signals, such as that for a lack of memory.
            Some(reason) if ended.exit_code > 128 => {
                Err(PodProbeError::NoStart(format!("it ended with exit code {}: {reason}", ended.exit_code)))
            }
            _ => Ok(Progress::Ended(ended.exit_code)),
        };
    }
    if running.is_some() {
        return Ok(Progress::Running);
    }
    if let Some(waiting) = waiting {
        let text = words(waiting.reason.as_deref(), waiting.message.as_deref());
        let is_one = |reasons: &[&str]| waiting.reason.as_deref().is_some_and(|reason| reasons.contains(&reason));
        if is_one(&IMAGE_REASONS) {
            let message = text.unwrap_or_default();
            return Err(PodProbeError::Image { image: settings.image.clone(), message });
        }
        if is_one(&START_REASONS) {
            return Err(PodProbeError::NoStart(text.unwrap_or_default()));
        }
        return Ok(Progress::Waiting(text));
    }
    match status.phase.as_deref() {
        Some("Failed" | "Succeeded") => {
            let text = words(status.reason.as_deref(), status.message.as_deref());
            Err(PodProbeError::NoStart(text.unwrap_or_else(|| "the pod has finished".to_owned())))
        }
        _ => {
            let conditions = status.conditions.unwrap_or_default();
            let unmet =
                conditions.into_iter().find(|condition| condition.status == "False" && condition.message.is_some());
            Ok(Progress::Waiting(
                unmet.and_then(|condition| words(condition.reason.as_deref(), condition.message.as_deref())),
            ))
        }
    }
}

/// Returns a reason and a message in one text.
fn words(reason: Option<&str>, message: Option<&str>) -> Option<String> {
    match (reason, message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.or(message).map(str::to_owned),
    }
}
