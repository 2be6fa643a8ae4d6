//! One exchange over HTTP: a request with its redirects, on allowed connections, within its time. Must not know which credentials a
//! request carries, nor retry.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::FilteredConnector;
use super::settings::ClientSettings;
use super::url::{authority, transport_error, without_query};
use crate::registry::error::{Error, ErrorSubject};
use crate::registry::limits::Limits;

/// The time after which an idle connection is closed.
const IDLE: Duration = Duration::from_secs(30);

/// An HTTP client with its connections.
#[derive(Clone)]
pub(super) struct Transport {
    http: legacy::Client<HttpsConnector<FilteredConnector>, Full<Bytes>>,
    limits: Limits,
}

// === impl Transport ===

impl Transport {
    /// A transport without connections.
    ///
    /// # Errors
    /// An authority's certificate is invalid.
    pub(super) fn new(settings: &ClientSettings, limits: Limits) -> Result<Self, Error> {
        let mut roots = rustls::RootCertStore::empty();
        // Some of a system's certificates are always unreadable; without any, each connection fails with a message of its own.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for authority in &settings.authorities {
            roots.add(authority.clone()).map_err(|error| {
                Error::malformed(ErrorSubject::Credentials, format!("an authority's certificate: {error}"))
            })?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::malformed(ErrorSubject::Credentials, error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = FilteredConnector { allowed: settings.allowed.clone().into(), limit: limits.connect };
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(2)
            .http1_max_buf_size(limits.head_bytes)
            .build(connector);
        Ok(Self { http, limits })
    }

    /// Gets `uri` and follows redirects. `authorization` is sent to the first host and to no other.
    pub(super) async fn get(
        &self,
        settings: &ClientSettings,
        mut uri: Uri,
        accept: Option<&'static str>,
        authorization: Option<&str>,
    ) -> Result<Response<Incoming>, Error> {
        let first = uri.authority().cloned();
        for _ in 0..=self.limits.redirects {
            let same_host = uri.authority() == first.as_ref();
            let mut request = Request::builder().method(Method::GET).uri(uri.clone());
            if let Some(accept) = accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some(authorization) = authorization.filter(|_| same_host) {
                request = request.header(AUTHORIZATION, secret_header(authorization)?);
            }
            let answer = self.send(&uri, request, Bytes::new()).await?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            uri = redirect_target(settings, &uri, answer.headers())?;
        }
        let (host, target) = (authority(&uri), without_query(&uri));
        Err(Error::Misdirected { host, target, problem: "there are too many redirects" })
    }

    /// Sends one request and waits until its answer begins.
    pub(super) async fn send(&self, uri: &Uri, request: Builder, body: Bytes) -> Result<Response<Incoming>, Error> {
        let host = authority(uri);
        let request = request.header(USER_AGENT, concat!("muslin/", env!("CARGO_PKG_VERSION")));
        let request = request.body(Full::new(body)).map_err(|error| transport_error(&host, &error))?;
        let limit = self.limits.stall;
        match tokio::time::timeout(limit, self.http.request(request)).await {
            Ok(answer) => answer.map_err(|error| transport_error(&host, &error)),
            Err(_) => Err(Error::Slow { what: format!("waiting for an answer from {host}"), limit }),
        }
    }
}

/// Returns the URL to which an answer redirects, if it may be contacted.
fn redirect_target(settings: &ClientSettings, from: &Uri, headers: &HeaderMap) -> Result<Uri, Error> {
    let misdirected = |target: String, problem| Error::Misdirected { host: authority(from), target, problem };
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| misdirected("nowhere".to_owned(), "the redirect has no target"))?;
    let parsed: Option<Uri> = if location.starts_with('/') && !location.starts_with("//") {
        let scheme = from.scheme_str().unwrap_or("https");
        format!("{scheme}://{}{location}", authority(from)).parse().ok()
    } else {
        location.parse().ok()
    };
    let target = parsed.filter(|uri: &Uri| uri.scheme().is_some() && uri.host().is_some());
    let target = target.ok_or_else(|| misdirected("an invalid URL".to_owned(), "it is not a complete URL"))?;
    if settings.allows_url(&target) {
        Ok(target)
    } else {
        Err(misdirected(without_query(&target), "it is neither HTTPS nor a host that is set to use plain HTTP"))
    }
}

/// Returns a header value that is kept out of logs.
pub(super) fn secret_header(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Error::malformed(ErrorSubject::Credentials, "a credential has characters that no header may have")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
