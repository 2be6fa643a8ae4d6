//! TCP connections to allowed addresses only. The address is checked after DNS, and the checked address is the one connected to, so
//! that a name that changes in between gains nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address::{self, Network};
use super::url::{authority, transport_error};
use crate::registry::error::Error;

/// Connects to public addresses and to allowed networks.
#[derive(Clone)]
pub(super) struct FilteredConnector {
    pub(super) allowed: Arc<[Network]>,
    /// The time limit of one connection.
    pub(super) limit: Duration,
}

// === impl FilteredConnector ===

impl tower::Service<Uri> for FilteredConnector {
    type Response = TokioIo<TcpStream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { allowed, limit } = self.clone();
        Box::pin(async move {
            let host = authority(&uri);
            let connecting = connect(&uri, &host, &allowed);
            let late = || Error::Slow { what: format!("connecting to {host}"), limit };
            tokio::time::timeout(limit, connecting).await.map_err(|_| late())?.map(TokioIo::new)
        })
    }
}

/// Connects to the first address of a host that is allowed and answers.
async fn connect(uri: &Uri, host: &str, allowed: &[Network]) -> Result<TcpStream, Error> {
    let name = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let addresses = tokio::net::lookup_host((name, port)).await.map_err(|error| transport_error(host, &error))?;
    let mut last = None;
    for address in addresses {
        if let Some(kind) = address::forbidden_kind(address.ip(), allowed) {
            last = Some(Error::Forbidden { host: host.to_owned(), address: address.ip(), kind });
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(transport_error(host, &error)),
        }
    }
    Err(last.unwrap_or_else(|| Error::Transport { host: host.to_owned(), problem: "it has no address".to_owned() }))
}
