//! The HTTP server of a watch: metrics, and whether the watch works. Must not know what is watched.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::WatchMetrics;
use crate::admission::{Limits, Metrics, Server, Shutdown};
use crate::cli::bind::Bind;

/// Few clients read the metrics of one node: a Prometheus or two, and the kubelet.
const CONNECTIONS_MAX: usize = 16;

/// Intervals and time after which a watch without a step counts as stuck: a full probe takes at most ten seconds.
const STUCK_INTERVALS: u32 = 3;
const STUCK: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Served {
    metrics: Arc<WatchMetrics>,
    stuck_after: Duration,
}

/// Serves in a task that lives as long as the process; returns the address.
pub(super) fn start(bind: Bind, metrics: &Arc<WatchMetrics>, interval: Duration) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::from_std(bind.listen()?).context("cannot serve the socket of the metrics")?;
    let address = listener.local_addr().context("cannot serve the socket of the metrics")?;
    let served = Served { metrics: Arc::clone(metrics), stuck_after: interval * STUCK_INTERVALS + STUCK };
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(served);
    let server = Server::new(listener, None, Limits::new(CONNECTIONS_MAX), Arc::new(Metrics::default()));
    tokio::spawn(server.run(router, Shutdown::default()));
    Ok(address)
}

async fn show_metrics(State(served): State<Served>) -> impl IntoResponse {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, FORMAT)], served.metrics.text())
}

async fn healthz(State(served): State<Served>) -> (StatusCode, &'static str) {
    if served.metrics.since_step() > served.stuck_after {
        (StatusCode::SERVICE_UNAVAILABLE, "no round has ended for some time\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn readyz(State(served): State<Served>) -> (StatusCode, &'static str) {
    if served.metrics.has_probed() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first full probe has not ended yet\n")
    }
}
