//! Requests to registries, each with its credentials and its retries. Must not know what is fetched.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Response, StatusCode, Uri};

use super::backoff::Backoffs;
use super::challenge::{Challenge, retry_after};
use super::credentials::{Credential, Credentials};
use super::settings::ClientSettings;
use super::tokens::{TOKEN_LIFE_MAX, TokenCache, TokenRequest, basic_authorization};
use super::transport::Transport;
use crate::registry::error::Error;
use crate::registry::limits::Limits;

/// A client of registries.
pub struct Client {
    pub(crate) settings: ClientSettings,
    pub(crate) limits: Limits,
    transport: Transport,
    tokens: Arc<TokenCache>,
    backoffs: Arc<Backoffs>,
}

// === impl Client ===

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// An authority's certificate is invalid.
    pub fn new(settings: ClientSettings, limits: Limits) -> Result<Self, Error> {
        let transport = Transport::new(&settings, limits)?;
        Ok(Self { settings, limits, transport, tokens: Arc::default(), backoffs: Arc::default() })
    }

    /// Returns a client that tries `credentials` before its own. The connections and the failed hosts are shared; the tokens are not.
    pub(crate) fn with_credentials(&self, credentials: Credentials) -> Self {
        let Self { settings, limits, transport, tokens: _, backoffs } = self;
        let settings = ClientSettings { credentials: credentials.before(&settings.credentials), ..settings.clone() };
        let (transport, backoffs) = (transport.clone(), Arc::clone(backoffs));
        Self { settings, limits: *limits, transport, tokens: Arc::default(), backoffs }
    }

    /// Returns a client that shares everything with this one.
    pub(crate) fn shared(&self) -> Self {
        let Self { settings, limits, transport, tokens, backoffs } = self;
        let (transport, tokens, backoffs) = (transport.clone(), Arc::clone(tokens), Arc::clone(backoffs));
        Self { settings: settings.clone(), limits: *limits, transport, tokens, backoffs }
    }

    /// Returns the client with other limits on what is read. Those on connections stay.
    pub(crate) fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Gets `path` of the registry `host` in one attempt. A failure says nothing about the host.
    pub(crate) async fn get_once(
        &self,
        host: &str,
        repository: &str,
        path: &str,
        accept: Option<&'static str>,
    ) -> Result<Response<Incoming>, Error> {
        self.get_authorized(host, repository, path, accept).await
    }

    /// Gets `path` of the registry `host`, with the right to pull `repository`.
    pub(crate) async fn get(
        &self,
        host: &str,
        repository: &str,
        path: &str,
        accept: Option<&'static str>,
    ) -> Result<Response<Incoming>, Error> {
        self.backoffs.check(host)?;
        let mut attempt = 1;
        loop {
            let error = match self.get_authorized(host, repository, path, accept).await {
                Ok(answer) => {
                    self.backoffs.clear(host);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let pause = match &error {
                Error::RateLimited { after, .. } => self.backoffs.start(host, &error, Some(*after)),
                Error::Transport { .. } | Error::Slow { .. } | Error::Status { status: 500.., .. } => {
                    self.backoffs.start(host, &error, None)
                }
                _ => return Err(error),
            };
            if attempt >= self.limits.attempts || pause > self.limits.retry_after {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Tries once, and once more with an authorization if the registry asks for one.
    async fn get_authorized(
        &self,
        host: &str,
        repository: &str,
        path: &str,
        accept: Option<&'static str>,
    ) -> Result<Response<Incoming>, Error> {
        let uri = self.uri(host, path)?;
        let key = format!("{host} {repository}");
        let known = self.tokens.get(&key);
        let answer = self.transport.get(&self.settings, uri.clone(), accept, known.as_deref()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return check_status(host, path, answer);
        }
        let (header, life) = self.authorize(host, repository, Challenge::from_headers(answer.headers())).await?;
        self.tokens.insert(key.clone(), header.clone(), life);
        let answer = self.transport.get(&self.settings, uri, accept, Some(&header)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.tokens.remove(&key);
            return Err(unauthorized(host, "it rejected the credentials"));
        }
        check_status(host, path, answer)
    }

    /// Meets a challenge; returns the `Authorization` header and its life.
    async fn authorize(
        &self,
        host: &str,
        repository: &str,
        challenge: Option<Challenge>,
    ) -> Result<(String, Duration), Error> {
        let challenge = challenge.ok_or_else(|| unauthorized(host, "it does not name a way to log in"))?;
        let credential = self.settings.credentials.find(host, repository);
        match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Basic { user, password })) => {
                Ok((basic_authorization(user, password), TOKEN_LIFE_MAX))
            }
            (Challenge::Basic, _) => Err(unauthorized(host, "it requires a user name and a password")),
            (Challenge::Bearer { .. }, Some(Credential::Bearer(token))) => {
                Ok((format!("Bearer {token}"), TOKEN_LIFE_MAX))
            }
            (Challenge::Bearer { realm, service }, credential) => {
                TokenRequest { host, repository, realm: &realm, service: service.as_deref(), credential }
                    .send(&self.transport, &self.settings, self.limits)
                    .await
            }
        }
    }

    fn uri(&self, host: &str, path: &str) -> Result<Uri, Error> {
        let scheme = if self.settings.plain_http.iter().any(|plain| plain == host) { "http" } else { "https" };
        format!("{scheme}://{host}{path}").parse().map_err(|_| Error::InvalidHost { host: host.to_owned() })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Returns the answer if its status is 200, and otherwise the error.
fn check_status(host: &str, path: &str, answer: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = answer.status();
    let host = host.to_owned();
    Err(match status {
        StatusCode::OK => return Ok(answer),
        StatusCode::NOT_FOUND => Error::NotFound { host, status: 404 },
        StatusCode::FORBIDDEN => unauthorized(&host, "it forbids this request"),
        StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { host, after: retry_after(answer.headers()) },
        status => Error::Status { host, request: format!("GET {path}"), status: status.as_u16() },
    })
}

fn unauthorized(host: &str, problem: &str) -> Error {
    Error::Unauthorized { host: host.to_owned(), problem: problem.to_owned() }
}
