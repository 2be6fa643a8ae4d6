//! Runs `muslin probe` for a pod: in a pod beside it with the same DNS settings, or in an ephemeral container of it. Must not know what a
//! probe finds.

mod containers;
mod errors;
mod installed_image;
mod progress;
mod requests;
mod rights;
mod settings;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

pub use errors::PodProbeError;
pub use installed_image::{NoInstalledImage, installed_image};
pub use settings::{PodProbeEvent, PodProbeSettings, ProbePlace};

use containers::{Target, beside, ephemeral};
use errors::Request;
use progress::{Progress, progress};
use requests::{REQUEST_MAX, request};

/// Time between two looks at the pod.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Limit of the log, in bytes: a report has some tens of kilobytes.
const LOG_MAX: u64 = 64 * 1024 * 1024;

/// A probe of a pod.
pub struct PodProbe {
    pods: Api<Pod>,
    settings: PodProbeSettings,
    target: Target,
    /// The name of the pod beside, or of the ephemeral container.
    name: String,
    /// A pod may exist that must be deleted.
    is_made: AtomicBool,
}

// === impl PodProbe ===

impl PodProbe {
    /// Reads the pod, and checks that it can be probed, and the caller's rights. Changes nothing.
    ///
    /// # Errors
    /// There is no such pod or container, it cannot be probed, or a right is missing.
    pub async fn prepare(client: Client, settings: PodProbeSettings) -> Result<Self, PodProbeError> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &settings.namespace);
        let read = request(Request::ReadPod, &settings, pods.get_opt(&settings.pod)).await?;
        let pod = read
            .ok_or_else(|| PodProbeError::NoPod { pod: settings.pod.clone(), namespace: settings.namespace.clone() })?;
        let target = Target::of(pod, settings.container.as_deref())?;
        rights::check(client, &settings.namespace, settings.place).await?;
        let name = format!("muslin-probe-{:08x}", RandomState::new().build_hasher().finish() >> 32);
        Ok(Self { pods, settings, target, name, is_made: AtomicBool::new(false) })
    }

    /// Runs the probe until its container has ended or `stop` returns; returns the container's exit code. Call
    /// [`clean_up`](Self::clean_up) afterwards in any case.
    ///
    /// # Errors
    /// The container did not start, or was lost, or `stop` returned.
    pub async fn run(
        &self,
        show: &mut (dyn FnMut(PodProbeEvent) + Send),
        stop: impl Future<Output = ()>,
    ) -> Result<i32, PodProbeError> {
        // Not interrupted, so that it is known what there is to delete.
        self.start().await?;
        show(PodProbeEvent::Started {
            name: self.name.clone(),
            node: self.target.node.clone(),
            container: self.target.container.clone(),
        });
        tokio::select! {
            biased;
            () = stop => Err(PodProbeError::Stopped),
            code = self.follow(show) => code,
        }
    }

    /// Deletes the pod beside, if there may be one. An ephemeral container cannot be removed.
    ///
    /// # Errors
    /// The pod could not be deleted.
    pub async fn clean_up(&self) -> Result<(), PodProbeError> {
        if !self.is_made.load(Ordering::Relaxed) {
            return Ok(());
        }
        // At once: no process of it has anything to finish.
        let at_once = DeleteParams::default().grace_period(0);
        match request(Request::DeletePod, &self.settings, self.pods.delete(&self.name, &at_once)).await {
            Ok(_) | Err(PodProbeError::Gone { .. }) => Ok(()),
            Err(error) => Err(self.left(error.to_string())),
        }
    }

    /// Returns the error of a pod beside that may be left.
    pub fn left(&self, because: impl Into<String>) -> PodProbeError {
        let (pod, namespace) = (self.name.clone(), self.settings.namespace.clone());
        PodProbeError::Left { pod, namespace, because: because.into() }
    }

    async fn start(&self) -> Result<(), PodProbeError> {
        let Self { pods, settings, target, name, is_made } = self;
        if settings.place == ProbePlace::Inside {
            let (parameters, patch) = (PatchParams::default(), Patch::Strategic(ephemeral(target, name, settings)));
            let patch = pods.patch_ephemeral_containers(&settings.pod, &parameters, &patch);
            return request(Request::AddContainer, settings, patch).await.map(drop);
        }
        let pod = beside(target, name, settings)?;
        is_made.store(true, Ordering::Relaxed);
        match request(Request::CreatePod, settings, pods.create(&PostParams::default(), &pod)).await {
            Ok(made) => target.check_same_dns(&made),
            Err(error) => {
                // Only a refusal shows that there is no pod; deleting one that does not exist is no error.
                let is_refused = matches!(
                    error,
                    PodProbeError::NoRight { .. } | PodProbeError::PodSecurity(_) | PodProbeError::Refused { .. }
                );
                is_made.store(!is_refused, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Waits for the container, and shows its log until its end.
    async fn follow(&self, show: &mut (dyn FnMut(PodProbeEvent) + Send)) -> Result<i32, PodProbeError> {
        let began = Instant::now();
        loop {
            match self.progress().await? {
                Progress::Waiting(_) if began.elapsed() < self.settings.start_max => sleep(POLL_INTERVAL).await,
                Progress::Waiting(reason) => {
                    return Err(PodProbeError::NotStarted { after: self.settings.start_max, reason });
                }
                Progress::Running | Progress::Ended(_) => break,
            }
        }
        let mut shown = 0;
        // A kubelet may end a stream early, or fail for a moment; the whole log is read at the end.
        let _ = timeout(self.settings.run_max, self.show_log(true, &mut shown, show)).await;
        let code = self.ended().await?;
        let rest = timeout(REQUEST_MAX, async {
            while !self.show_log(false, &mut shown, show).await? {
                sleep(POLL_INTERVAL).await;
            }
            Ok(code)
        });
        rest.await.unwrap_or(Err(PodProbeError::CutLog { lines: shown }))
    }

    /// Waits for the end of a running container.
    async fn ended(&self) -> Result<i32, PodProbeError> {
        let began = Instant::now();
        loop {
            if let Progress::Ended(code) = self.progress().await? {
                return Ok(code);
            }
            if began.elapsed() > self.settings.run_max {
                return Err(PodProbeError::NotEnded { after: self.settings.run_max });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn progress(&self) -> Result<Progress, PodProbeError> {
        let Self { pods, settings, name, .. } = self;
        let (pod, container) = match settings.place {
            ProbePlace::Beside => (name, containers::CONTAINER),
            ProbePlace::Inside => (&settings.pod, name.as_str()),
        };
        let read = request(Request::ReadPod, settings, pods.get_opt(pod)).await?;
        let read = read.ok_or_else(|| PodProbeError::Gone { pod: pod.clone() })?;
        progress(&read, container, settings)
    }

    /// Shows the whole lines of the log that were not shown yet. Returns false if the log ends in the middle of a line: a kubelet may say that
    /// a container has ended before the log has all that it wrote.
    async fn show_log(
        &self,
        follow: bool,
        shown: &mut usize,
        show: &mut (dyn FnMut(PodProbeEvent) + Send),
    ) -> Result<bool, PodProbeError> {
        let Self { pods, settings, name, .. } = self;
        let (pod, container) = match settings.place {
            ProbePlace::Beside => (name, containers::CONTAINER),
            ProbePlace::Inside => (&settings.pod, name.as_str()),
        };
        let parameters = LogParams { container: Some(container.to_owned()), follow, ..LogParams::default() };
        let failed = |error: kube::Error| errors::failed(Request::ReadLog, settings, &error);
        let log = pods.log_stream(pod, &parameters).await.map_err(failed)?;
        let read = show_lines(log.take(LOG_MAX), shown, show).await;
        read.map_err(|error| failed(kube::Error::ReadEvents(error)))
    }
}

/// Shows the whole lines after the first `shown`, and counts them. Returns false if the text ends in the middle of a line.
async fn show_lines(
    mut text: impl AsyncBufRead + Unpin,
    shown: &mut usize,
    show: &mut (dyn FnMut(PodProbeEvent) + Send),
) -> io::Result<bool> {
    let (mut number, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let length = text.read_until(b'\n', &mut line).await?;
        if line.pop_if(|end| *end == b'\n').is_none() {
            return Ok(length == 0);
        }
        number += 1;
        if number > *shown {
            *shown = number;
            show(PodProbeEvent::Line(String::from_utf8_lossy(&line).into_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_was_cut_off_is_shown_whole_when_the_log_has_it() {
        let (mut shown, mut lines) = (0, Vec::new());
        for (log, is_whole) in [("a\nb", false), ("a\nbc\nd", false), ("a\nbc\nde\n", true), ("", true)] {
            let mut show = |event| {
                if let PodProbeEvent::Line(line) = event {
                    lines.push(line);
                }
            };
            assert_eq!(show_lines(log.as_bytes(), &mut shown, &mut show).await.unwrap(), is_whole, "{log}");
        }
        assert_eq!(lines, ["a", "bc", "de"]);
    }
}
