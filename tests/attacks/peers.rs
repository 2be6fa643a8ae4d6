//! Peers on the network: connections to muslin's ports from chosen loopback addresses, as other pods of the cluster have theirs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::webhook::{Certificate, Muslin};

/// The longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The addresses of attackers: 127.0.1.1 and on. The API server and the probes are at 127.0.0.1.
const ATTACKERS: [u8; 3] = [127, 0, 1];

/// muslin's ports, and the certificate of the one for reviews.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) reviews: SocketAddr,
    pub(crate) metrics: SocketAddr,
    connector: TlsConnector,
}

// === impl Ports ===

impl Ports {
    pub(crate) fn of(muslin: &Muslin<'_>) -> Result<Self> {
        let Certificate { certificate, .. } = muslin.certificate();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(certificate.as_bytes()) {
            roots.add(certificate?)?;
        }
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let process = muslin.process();
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { reviews: process.address.parse()?, metrics: process.metrics.parse()?, connector })
    }

    /// Returns a TLS connection from the attacker of this number.
    pub(crate) async fn tls(&self, attacker: u8) -> Result<TlsStream<TcpStream>> {
        let stream = connect(attacker, self.reviews).await?;
        let connected = self.connector.connect(self.reviews.ip().into(), stream);
        Ok(timeout(CONNECT_MAX, connected).await.context("the handshake takes too long")??)
    }

    /// Returns a connection for reviews.
    pub(crate) async fn client(&self, attacker: u8) -> Result<SendRequest<Full<Bytes>>> {
        let (sender, connection) = handshake(TokioIo::new(self.tls(attacker).await?)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Returns a TCP connection from the attacker of this number.
pub(crate) async fn connect(attacker: u8, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let [a, b, c] = ATTACKERS;
    socket.bind(SocketAddr::from((Ipv4Addr::new(a, b, c, attacker), 0)))?;
    timeout(CONNECT_MAX, socket.connect(to)).await.context("no connection")?.context("no connection")
}

/// Posts a review and returns the status and the answer.
pub(crate) async fn post(
    client: &mut SendRequest<Full<Bytes>>,
    path: &str,
    review: impl Into<Bytes>,
) -> Result<(StatusCode, Bytes)> {
    client.ready().await?;
    let request =
        Request::post(format!("{path}?timeout=2s")).header("host", "muslin").body(Full::new(review.into()))?;
    let answer = client.send_request(request).await?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

/// Checks that the review gets some answer of HTTP.
pub(crate) async fn post_once(ports: &Ports, attacker: u8, path: &str, review: impl Into<Bytes>) -> Result<()> {
    let (status, _) = post(&mut ports.client(attacker).await?, path, review).await?;
    ensure!(status.as_u16() >= 200, "{status}");
    Ok(())
}
