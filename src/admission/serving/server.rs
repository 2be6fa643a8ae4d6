//! Accepts connections and serves a router on them, with a bound on everything that a client could exhaust: connections, handshakes,
//! the wait for a first request, idle time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use super::shutdown::Shutdown;
use crate::admission::metrics::Metrics;

/// The limits for clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at once. One more is closed immediately, so that the API server knows.
    pub connections: usize,
    /// The longest TLS handshake.
    pub handshake: Duration,
    /// The longest wait for the first request of a connection.
    pub first_request: Duration,
    /// The longest idle time between requests. hyper's limit for reading a header also runs while a connection is idle, and the API
    /// server's client keeps idle ones for 90 s: with less, a request could meet a closing connection.
    pub idle: Duration,
    /// The longest wait for requests under way, once the server drains.
    pub drain: Duration,
}

/// A socket that serves a router.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

/// The most bytes that are read ahead on a connection, including a request's header: the API server's has some hundred bytes. With
/// hyper's default of 400 KiB a thousand connections could exceed the pod's memory limit.
const BUFFER_MAX: usize = 64 * 1024;

/// The pause after the kernel could not accept a connection, for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(5),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(150),
            drain: Duration::from_secs(15),
        }
    }
}

// === impl Server ===

impl Server {
    /// A server on a listening socket; plain HTTP without TLS settings.
    pub fn new(listener: TcpListener, tls: Option<ServerConfig>, limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self { listener, tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))), limits, metrics }
    }

    /// Serves until the shutdown drains, and then until the last connection is done or the drain times out.
    pub async fn run(self, router: Router, shutdown: Shutdown) {
        let Self { listener, tls, limits, metrics } = self;
        let slots = Arc::new(Semaphore::new(limits.connections));
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = shutdown.draining() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                metrics.count_refused_connection();
                continue;
            };
            let connection = Connection {
                peer,
                limits,
                router: router.clone(),
                shutdown: shutdown.clone(),
                metrics: Arc::clone(&metrics),
                _slot: slot,
            };
            connections.spawn(connection.run(stream, tls.clone()));
        }
        drop(listener);
        if timeout(limits.drain, async { while connections.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(connections = connections.len(), "the drain timed out with busy connections");
        }
    }
}

/// One connection, from its handshake to its end.
struct Connection {
    peer: SocketAddr,
    limits: Limits,
    router: Router,
    shutdown: Shutdown,
    metrics: Arc<Metrics>,
    _slot: OwnedSemaphorePermit,
}

// === impl Connection ===

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers are written in one piece; waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %self.peer, %error, "cannot set TCP_NODELAY");
        }
        let Some(tls) = tls else { return self.serve(stream).await };
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => {
                self.metrics.count_failed_handshake();
                tracing::debug!(peer = %self.peer, %error, "the TLS handshake failed");
            }
            Err(_) => {
                self.metrics.count_failed_handshake();
                tracing::debug!(peer = %self.peer, "the TLS handshake took too long");
            }
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let Self { peer, limits, router, shutdown, metrics: _, _slot } = self;
        let has_asked = AtomicBool::new(false);
        let service = service_fn(|request: Request<Incoming>| {
            has_asked.store(true, Ordering::Relaxed);
            answer(router.clone(), request, &shutdown)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_buf_size(BUFFER_MAX)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let mut patience = Some(Box::pin(sleep(limits.first_request)));
        let mut draining = Some(Box::pin(shutdown.draining()));
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(%peer, %error, "the connection ended early");
                    }
                    return;
                }
                () = async { if let Some(patience) = &mut patience { patience.await } }, if patience.is_some() => {
                    patience = None;
                    if !has_asked.load(Ordering::Relaxed) {
                        tracing::debug!(%peer, "no request arrived");
                        return;
                    }
                }
                () = async { if let Some(draining) = &mut draining { draining.await } }, if draining.is_some() => {
                    draining = None;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Asks the router for an answer; once the server is leaving, the answer closes its connection.
async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    shutdown: &Shutdown,
) -> Result<Response<Body>, Infallible> {
    let mut response = router.call(request).await?;
    if shutdown.is_leaving() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
