//! The metrics of `muslin serve`, and the thread that serves them and the kubelet's probes. Must not know reviews.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::admission::{Limits, Metrics, PROBE_CONNECTIONS_MAX, Server, Shutdown, Webhook};
use crate::cluster::{Certificates, Events, MissedPods, Namespaces, Profiles};

/// Serves the kubelet's probes and Prometheus on a thread of their own, so that busy webhooks do not keep them waiting. The receiver
/// returns when the server has drained.
pub(super) fn serve_probes(
    listener: TcpListener,
    webhook: &Webhook,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) -> anyhow::Result<oneshot::Receiver<()>> {
    // Looks for new bytes after every few tasks, so that a probe is seen while others flood the port.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(8).build();
    let runtime = runtime.context("cannot start the runtime of the probes")?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener).context("cannot serve the socket of the probes")?
    };
    let server = Server::new(listener, None, Limits::new(PROBE_CONNECTIONS_MAX), metrics);
    let serving = server.run(webhook.metrics_router(), shutdown);
    let (ended, receiver) = oneshot::channel();
    let serve = move || {
        runtime.block_on(serving);
        let _ = ended.send(());
    };
    thread::Builder::new().name("probes".to_owned()).spawn(serve).context("cannot start the thread of the probes")?;
    Ok(receiver)
}

/// Adds the metrics about the cluster.
pub(super) fn register_cluster(
    metrics: &mut Metrics,
    namespaces: &Namespaces,
    profiles: &Profiles,
    certificates: Option<&Certificates>,
    events: &Events,
    missed: &MissedPods,
) {
    if let Some(watch) = namespaces.health() {
        let certificates = certificates.into_iter().flat_map(Certificates::health);
        metrics.register_watches([watch, profiles.health(), events.health()].into_iter().chain(certificates).collect());
        metrics.register_events(events);
        metrics.register_missed_pods(missed);
    }
    if let Some(caches) = profiles.caches() {
        metrics.register_node_caches(caches);
        metrics.register_rollouts(profiles);
    }
}
