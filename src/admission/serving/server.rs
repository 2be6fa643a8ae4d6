//! Accepts connections and serves a router on them, within the limits of `connections.rs`. Must not know what a request says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use super::connections::{BodyRoom, Connections, Peer, Phase, Slot};
use super::limits::{BUFFER_MAX, Limits};
use super::shutdown::Shutdown;
use super::tracked::Tracked;
use crate::admission::metrics::Metrics;

/// A socket that serves a router.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

/// A server that runs.
struct Running {
    tls: Option<TlsAcceptor>,
    router: Router,
    shutdown: Shutdown,
    metrics: Arc<Metrics>,
    connections: Arc<Connections>,
    tasks: JoinSet<()>,
}

/// The pause after the kernel could not accept a connection, for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The interval between two checks for connections that have waited too long.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// The same while the server drains.
const DRAIN_SWEEP_EVERY: Duration = Duration::from_millis(50);

/// The time without a new connection after which a draining server stops to listen. The kernel resets connections that it holds for a
/// socket which is closed, so those have to be accepted first.
const DRAIN_QUIET: Duration = Duration::from_millis(150);

/// The longest time for which a draining server accepts connections.
const DRAIN_ACCEPT: Duration = Duration::from_secs(2);

// === impl Server ===

impl Server {
    /// A server on a listening socket; plain HTTP without TLS settings.
    pub fn new(listener: TcpListener, tls: Option<ServerConfig>, limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self { listener, tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))), limits, metrics }
    }

    /// Serves until the shutdown drains, and then until the last connection is done or the drain times out.
    pub async fn run(self, router: Router, shutdown: Shutdown) {
        let Self { listener, tls, limits, metrics } = self;
        let connections = Connections::new(limits);
        let mut running = Running { tls, router, shutdown, metrics, connections, tasks: JoinSet::new() };
        let shutdown = running.shutdown.clone();
        tokio::select! {
            () = shutdown.draining() => {}
            () = running.accept(&listener, SWEEP_EVERY) => {}
        }
        running.connections.drain();
        let deadline = Instant::now() + limits.drain;
        running.accept_the_last(listener).await;
        running.finish(deadline).await;
    }
}

// === impl Running ===

impl Running {
    /// Accepts connections for ever.
    async fn accept(&mut self, listener: &TcpListener, sweep_every: Duration) {
        let mut sweep_at = Instant::now() + sweep_every;
        loop {
            tokio::select! {
                () = sleep_until(sweep_at) => {
                    self.sweep();
                    sweep_at = Instant::now() + sweep_every;
                }
                Some(_) = self.tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        self.serve(stream, peer);
                        // Otherwise a flood could end connections before their tasks have seen their requests.
                        yield_now().await;
                    }
                    Err(error) => self.recover(&error).await,
                },
            }
        }
    }

    /// Accepts the connections that clients opened before they could know of the drain.
    async fn accept_the_last(&mut self, listener: TcpListener) {
        let deadline = Instant::now() + DRAIN_ACCEPT;
        let mut quiet_at = Instant::now() + DRAIN_QUIET;
        loop {
            tokio::select! {
                () = sleep_until(quiet_at.min(deadline)) => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        self.serve(stream, peer);
                        quiet_at = Instant::now() + DRAIN_QUIET;
                    }
                    Err(error) => self.recover(&error).await,
                },
            }
        }
    }

    /// Waits until all connections have ended.
    async fn finish(mut self, deadline: Instant) {
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(_) = self.tasks.join_next() => {}
                () = sleep(DRAIN_SWEEP_EVERY) => self.sweep(),
            }
            if Instant::now() >= deadline {
                tracing::warn!(connections = self.tasks.len(), "the drain timed out with busy connections");
                return;
            }
        }
    }

    /// Makes room after the kernel could not accept a connection.
    async fn recover(&self, error: &std::io::Error) {
        let closed_one = self.connections.make_room();
        tracing::warn!(%error, closed_one, "cannot accept a connection");
        sleep(ACCEPT_PAUSE).await;
    }

    fn sweep(&self) {
        for _ in 0..self.connections.sweep() {
            self.metrics.count_failed_handshake();
        }
    }

    /// Serves a connection in a task of its own, or closes it if there is no room.
    fn serve(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Self { tls, router, shutdown, metrics, connections, tasks } = self;
        let phase = if tls.is_some() { Phase::Handshake } else { Phase::FirstHeader };
        let Some((slot, ended_another)) = connections.admit(Peer::from(peer.ip()), phase) else {
            metrics.count_refused_connection();
            return;
        };
        if ended_another {
            metrics.count_refused_connection();
        }
        let (router, shutdown, metrics) = (router.clone(), shutdown.clone(), Arc::clone(metrics));
        let id = slot.id();
        let connection = Connection { peer, router, shutdown, metrics, slot: Arc::new(slot) };
        let task = tasks.spawn(connection.run(stream, tls.clone()));
        connections.set_task(id, task);
    }
}

/// One connection, from its handshake to its end.
struct Connection {
    peer: SocketAddr,
    router: Router,
    shutdown: Shutdown,
    metrics: Arc<Metrics>,
    slot: Arc<Slot>,
}

// === impl Connection ===

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers are written in one piece; waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %self.peer, %error, "cannot set TCP_NODELAY");
        }
        let stream = Tracked { stream, slot: Arc::clone(&self.slot) };
        let Some(tls) = tls else { return self.serve(stream).await };
        match tls.accept(stream).await {
            Ok(stream) => {
                self.slot.enter(Phase::FirstHeader);
                self.serve(stream).await;
            }
            Err(error) => {
                self.metrics.count_failed_handshake();
                tracing::debug!(peer = %self.peer, %error, "the TLS handshake failed");
            }
        }
    }

    /// Serves requests. hyper's own shutdown would close a connection whose first request is on its way; so a connection ends by the
    /// header `Connection: close` of an answer, or by its time limit.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let Self { peer, router, shutdown, metrics: _, slot } = self;
        let service = service_fn(|request: Request<Incoming>| answer(router.clone(), request, &shutdown, &slot));
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(BUFFER_MAX)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%peer, %error, "the connection ended early");
        }
    }
}

/// Asks the router for an answer; once the server is leaving, the answer closes its connection.
async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    shutdown: &Shutdown,
    slot: &Arc<Slot>,
) -> Result<Response<Body>, Infallible> {
    slot.enter(if request.body().is_end_stream() { Phase::Answer } else { Phase::Body });
    request.extensions_mut().insert(BodyRoom::new(Arc::clone(slot)));
    let mut response = router.call(request).await?;
    if shutdown.is_leaving() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    slot.enter(Phase::Idle);
    Ok(response)
}

#[cfg(test)]
mod tests;
