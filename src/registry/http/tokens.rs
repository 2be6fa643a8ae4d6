//! Bearer tokens: requesting one from a token server (distribution's token specification), and keeping those that last. Must not
//! know what a token is used for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde::Deserialize;

use super::body::{BodyParts, read_body};
use super::challenge::retry_after;
use super::credentials::Credential;
use super::settings::ClientSettings;
use super::transport::{Transport, secret_header};
use super::url::{authority, encode_form, without_query};
use crate::registry::error::{Error, ErrorSubject};
use crate::registry::limits::Limits;

/// The safety margin before a token expires, and the life of a token that gives none (distribution's token specification).
const TOKEN_MARGIN: Duration = Duration::from_secs(10);
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// The longest life of a token that is believed.
pub(super) const TOKEN_LIFE_MAX: Duration = Duration::from_secs(3600);
/// The most tokens that are kept, and the longest one, in bytes: 2 MiB in all. Tokens have some 3 KiB.
const TOKENS_MAX: usize = 128;
const KEPT_MAX_BYTES: usize = 16 << 10;

/// The `Authorization` headers that worked, by host and repository, until they expire.
#[derive(Default)]
pub(super) struct TokenCache(Mutex<HashMap<String, (String, Instant)>>);

/// The right to pull, requested from a token server.
pub(super) struct TokenRequest<'r> {
    /// The registry.
    pub(super) host: &'r str,
    pub(super) repository: &'r str,
    /// The URL of the token server.
    pub(super) realm: &'r str,
    pub(super) service: Option<&'r str>,
    pub(super) credential: Option<&'r Credential>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

// === impl TokenCache ===

impl TokenCache {
    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.lock().get(key).filter(|(_, until)| *until > Instant::now()).map(|(header, _)| header.clone())
    }

    pub(super) fn insert(&self, key: String, header: String, life: Duration) {
        if header.len() + key.len() > KEPT_MAX_BYTES {
            return;
        }
        let mut tokens = self.lock();
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(key, (header, Instant::now() + life));
    }

    pub(super) fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl TokenRequest ===

impl TokenRequest<'_> {
    /// Requests a token; returns the `Authorization` header and its life.
    pub(super) async fn send(
        self,
        transport: &Transport,
        settings: &ClientSettings,
        limits: Limits,
    ) -> Result<(String, Duration), Error> {
        let (target, request, body) = self.build(settings)?;
        let server = authority(&target);
        let answer = self.check_status(&server, transport.send(&target, request, body).await?)?;
        let parts = BodyParts::new(&server, answer.into_body(), limits);
        parse_token(&read_body(parts, ErrorSubject::Token, limits.token_bytes).await?)
    }

    fn build(&self, settings: &ClientSettings) -> Result<(Uri, Builder, Bytes), Error> {
        let Self { host, repository, realm, service, credential } = self;
        let misdirected = |target: String, problem| Error::Misdirected { host: (*host).to_owned(), target, problem };
        let uri: Uri =
            realm.parse().map_err(|_| misdirected("a token server".to_owned(), "its address is not a URL"))?;
        if !settings.allows_url(&uri) {
            let problem = "the token server is neither HTTPS nor a host that is set to use plain HTTP";
            return Err(misdirected(without_query(&uri), problem));
        }
        let scope = format!("repository:{repository}:pull");
        // Anonymous if the token server belongs to another party: what it must not see is not sent.
        let credential = credential.filter(|_| settings.trusts_token_host(host, &authority(&uri)));
        let mut query = vec![("scope", scope.as_str())];
        query.extend(service.map(|service| ("service", service)));
        if let Some(Credential::Refresh(token)) = credential {
            query.extend([("grant_type", "refresh_token"), ("client_id", "muslin"), ("refresh_token", token)]);
            let request = Request::builder().method(Method::POST).uri(uri.clone());
            let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            return Ok((uri, request, Bytes::from(encode_form(&query))));
        }
        let joint = if uri.query().is_some() { '&' } else { '?' };
        let target: Uri = format!("{uri}{joint}{}", encode_form(&query))
            .parse()
            .map_err(|_| misdirected(without_query(&uri), "its address is not a URL"))?;
        let mut request = Request::builder().method(Method::GET).uri(target.clone());
        if let Some(Credential::Basic { user, password }) = credential {
            request = request.header(AUTHORIZATION, secret_header(&basic_authorization(user, password))?);
        }
        Ok((target, request, Bytes::new()))
    }

    fn check_status(&self, server: &str, answer: Response<Incoming>) -> Result<Response<Incoming>, Error> {
        let server = server.to_owned();
        Err(match answer.status() {
            StatusCode::OK => return Ok(answer),
            StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { host: server, after: retry_after(answer.headers()) },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let problem = format!("the token server {server} answered {}", answer.status().as_u16());
                Error::Unauthorized { host: self.host.to_owned(), problem }
            }
            status => {
                let request = "the request for a token".to_owned();
                Error::Status { host: server, request, status: status.as_u16() }
            }
        })
    }
}

/// Reads the answer of a token server; returns the `Authorization` header and its life.
fn parse_token(bytes: &[u8]) -> Result<(String, Duration), Error> {
    // serde's message may repeat a value, so only the position of the mistake is reported.
    let TokenAnswer { token, access_token, expires_in } = serde_json::from_slice(bytes).map_err(|error| {
        Error::malformed(ErrorSubject::Token, format!("line {}, column {}", error.line(), error.column()))
    })?;
    let token = if token.is_empty() { access_token } else { token };
    if token.is_empty() {
        return Err(Error::malformed(ErrorSubject::Token, "the answer has no token"));
    }
    let life = expires_in.map_or(TOKEN_LIFE, Duration::from_secs).min(TOKEN_LIFE_MAX);
    Ok((format!("Bearer {token}"), life.saturating_sub(TOKEN_MARGIN)))
}

/// Returns the `Authorization` header for a name and a password.
pub(super) fn basic_authorization(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
