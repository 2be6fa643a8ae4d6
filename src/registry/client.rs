//! HTTP to registries: connections to addresses that may be reached, with TLS, and one request with its redirects, its credentials
//! and its retries. Must not know what is fetched.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::address::{self, Network};
use super::credentials::{Credential, Credentials};
use super::error::{Error, Subject};
use super::limits::Limits;

/// How long idle connections are kept.
const IDLE: Duration = Duration::from_secs(30);
/// The first rest of a host that failed, and the longest; each failure doubles it.
const REST_FIRST: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(300);
/// A token is used as long as it says, less this; and so long if it does not say (distribution's token specification).
const TOKEN_MARGIN: Duration = Duration::from_secs(10);
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// The longest that a token is believed to last, and how many are kept.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(3600);
const TOKENS_MAX: usize = 4096;
/// How many hosts' failures are remembered.
const HOSTS_MAX: usize = 1024;

/// How registries are reached.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Mirrors to be asked before the registry itself.
    pub mirrors: Vec<Mirror>,
    /// Registries, `host` or `host:port`, that speak plain HTTP.
    pub plain_http: Vec<String>,
    /// Networks that may be reached though they are not public.
    pub allowed: Vec<Network>,
    /// Certificates of authorities to be trusted besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Hosts of token servers, each with the registry whose credentials it may see though it is elsewhere.
    pub token_hosts: Vec<(String, String)>,
    /// Who we are to registries.
    pub credentials: Credentials,
}

/// Where else the images under a prefix are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `docker.io`, `docker.io/library`.
    pub prefix: String,
    /// `mirror.example.com/hub`, the first to be asked first.
    pub endpoints: Vec<String>,
}

/// Speaks to registries.
pub struct Client {
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    http: legacy::Client<HttpsConnector<Guarded>, Full<Bytes>>,
    tokens: Mutex<HashMap<String, (String, Instant)>>,
    resting: Arc<Mutex<HashMap<String, Rest>>>,
}

/// A host that failed.
struct Rest {
    failures: u32,
    until: Instant,
    problem: String,
}

/// Connects to addresses that may be reached.
#[derive(Clone)]
struct Guarded {
    allowed: Arc<[Network]>,
    limit: Duration,
}

/// What `WWW-Authenticate` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
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

// === impl Client ===

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// An authority's certificate makes no sense.
    pub fn new(settings: Settings, limits: Limits) -> Result<Self, Error> {
        let mut roots = rustls::RootCertStore::empty();
        // Some of a system's certificates are always strange; without any, each connection says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for authority in &settings.authorities {
            roots.add(authority.clone()).map_err(|error| {
                Error::malformed(Subject::Credentials, format!("an authority's certificate: {error}"))
            })?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::malformed(Subject::Credentials, error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let guarded = Guarded { allowed: settings.allowed.clone().into(), limit: limits.connect };
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(guarded);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_max_idle_per_host(2)
            .http1_max_buf_size(limits.head_bytes)
            .build(connector);
        Ok(Self { settings, limits, http, tokens: Mutex::default(), resting: Arc::default() })
    }

    /// The same for somebody else, whose credentials come before its own: with its connections and what it knows of hosts that
    /// failed, and with none of its tokens.
    pub(super) fn on_behalf_of(&self, credentials: Credentials) -> Self {
        let Self { settings, limits, http, tokens: _, resting } = self;
        let settings = Settings { credentials: credentials.before(&settings.credentials), ..settings.clone() };
        Self { settings, limits: *limits, http: http.clone(), tokens: Mutex::default(), resting: Arc::clone(resting) }
    }

    /// Gets `path` of the registry `host`, with the right to pull `repository`.
    pub(super) async fn get(
        &self,
        host: &str,
        repository: &str,
        path: &str,
        accept: Option<&'static str>,
    ) -> Result<Response<Incoming>, Error> {
        self.rested(host)?;
        let mut attempt = 1;
        loop {
            let error = match self.authorised(host, repository, path, accept).await {
                Ok(answer) => {
                    lock(&self.resting).remove(host);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let pause = match &error {
                Error::RateLimited { after, .. } => {
                    self.rest(host, &error, Some(*after));
                    *after
                }
                Error::Transport { .. } | Error::Slow { .. } | Error::Status { status: 500.., .. } => {
                    self.rest(host, &error, None)
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

    /// One try, with a token if one is asked for.
    async fn authorised(
        &self,
        host: &str,
        repository: &str,
        path: &str,
        accept: Option<&'static str>,
    ) -> Result<Response<Incoming>, Error> {
        let uri = self.uri(host, path)?;
        let key = format!("{host} {repository}");
        let known =
            lock(&self.tokens).get(&key).filter(|(_, until)| *until > Instant::now()).map(|(token, _)| token.clone());
        let answer = self.follow(uri.clone(), accept, known.as_deref()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.judge(host, path, answer);
        }
        let challenge = challenge(answer.headers()).ok_or_else(|| Error::Unauthorized {
            host: host.to_owned(),
            problem: "it does not say how to log in".to_owned(),
        })?;
        let credential = self.settings.credentials.find(host, repository);
        let (header, life) = match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Basic { user, password })) => (basic(user, password), TOKEN_LIFE_MAX),
            (Challenge::Basic, _) => {
                return Err(Error::Unauthorized {
                    host: host.to_owned(),
                    problem: "it wants a name and a password".to_owned(),
                });
            }
            (Challenge::Bearer { .. }, Some(Credential::Bearer(token))) => (format!("Bearer {token}"), TOKEN_LIFE_MAX),
            (Challenge::Bearer { realm, service }, credential) => {
                self.token(host, repository, &realm, service.as_deref(), credential).await?
            }
        };
        self.remember(key.clone(), header.clone(), life);
        let answer = self.follow(uri, accept, Some(&header)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            lock(&self.tokens).remove(&key);
            let problem = "it refused what we logged in with".to_owned();
            return Err(Error::Unauthorized { host: host.to_owned(), problem });
        }
        self.judge(host, path, answer)
    }

    fn remember(&self, key: String, header: String, life: Duration) {
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(key, (header, Instant::now() + life));
    }

    fn judge(&self, host: &str, path: &str, answer: Response<Incoming>) -> Result<Response<Incoming>, Error> {
        let status = answer.status();
        let host = host.to_owned();
        Err(match status {
            StatusCode::OK => return Ok(answer),
            StatusCode::NOT_FOUND => Error::NotFound { host, status: 404 },
            StatusCode::FORBIDDEN => Error::Unauthorized { host, problem: "it forbids it".to_owned() },
            StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { host, after: retry_after(answer.headers()) },
            status => Error::Status { host, request: format!("GET {path}"), status: status.as_u16() },
        })
    }

    /// One request with its redirects. Credentials go to the host that they are for, and to no other.
    async fn follow(
        &self,
        mut uri: Uri,
        accept: Option<&'static str>,
        authorization: Option<&str>,
    ) -> Result<Response<Incoming>, Error> {
        let first = uri.authority().cloned();
        for _ in 0..=self.limits.redirects {
            let own = uri.authority() == first.as_ref();
            let mut request = Request::builder().method(Method::GET).uri(uri.clone());
            if let Some(accept) = accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some(authorization) = authorization.filter(|_| own) {
                request = request.header(AUTHORIZATION, secret(authorization)?);
            }
            let answer = self.send(&uri, request, Bytes::new()).await?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            uri = self.target(&uri, answer.headers())?;
        }
        Err(Error::Misdirected { host: authority(&uri), target: shown(&uri), problem: "there are too many redirects" })
    }

    fn target(&self, from: &Uri, headers: &HeaderMap) -> Result<Uri, Error> {
        let misdirected = |target: String, problem| Error::Misdirected { host: authority(from), target, problem };
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| misdirected("nowhere".to_owned(), "the redirect names no place"))?;
        let parsed: Option<Uri> = if location.starts_with('/') && !location.starts_with("//") {
            let scheme = from.scheme_str().unwrap_or("https");
            format!("{scheme}://{}{location}", authority(from)).parse().ok()
        } else {
            location.parse().ok()
        };
        let target = parsed.filter(|uri: &Uri| uri.scheme().is_some() && uri.host().is_some());
        let target = target.ok_or_else(|| misdirected("a place that is no URL".to_owned(), "it is no whole URL"))?;
        if self.may_speak(&target) {
            Ok(target)
        } else {
            Err(misdirected(shown(&target), "it is neither HTTPS nor a host that is set to speak plain HTTP"))
        }
    }

    fn may_speak(&self, uri: &Uri) -> bool {
        let plain = || self.settings.plain_http.contains(&authority(uri));
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        !has_user && (uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && plain()))
    }

    async fn send(
        &self,
        uri: &Uri,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let host = authority(uri);
        let request = request.header(USER_AGENT, concat!("muslin/", env!("CARGO_PKG_VERSION")));
        let request = request.body(Full::new(body)).map_err(|error| transport(&host, &error))?;
        let limit = self.limits.stall;
        match tokio::time::timeout(limit, self.http.request(request)).await {
            Ok(answer) => answer.map_err(|error| transport(&host, &error)),
            Err(_) => Err(Error::Slow { what: format!("waiting for an answer of {host}"), limit }),
        }
    }

    /// Asks a token server for the right to pull.
    async fn token(
        &self,
        host: &str,
        repository: &str,
        realm: &str,
        service: Option<&str>,
        credential: Option<&Credential>,
    ) -> Result<(String, Duration), Error> {
        let misdirected = |target: String, problem| Error::Misdirected { host: host.to_owned(), target, problem };
        let uri: Uri = realm.parse().map_err(|_| misdirected("a token server".to_owned(), "its address is no URL"))?;
        if !self.may_speak(&uri) {
            let problem = "a token server that is neither HTTPS nor a host that is set to speak plain HTTP";
            return Err(misdirected(shown(&uri), problem));
        }
        let scope = format!("repository:{repository}:pull");
        // Anonymous, if the token server is somebody else's: what it must not see it is not sent.
        let credential = credential.filter(|_| self.is_token_host(host, &authority(&uri)));
        let mut query = vec![("scope", scope.as_str())];
        query.extend(service.map(|service| ("service", service)));
        let (request, target, body) = match credential {
            Some(Credential::Refresh(token)) => {
                query.extend([("grant_type", "refresh_token"), ("client_id", "muslin"), ("refresh_token", token)]);
                let request = Request::builder().method(Method::POST).uri(uri.clone());
                let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
                (request, uri.clone(), Bytes::from(form(&query)))
            }
            credential => {
                let joint = if uri.query().is_some() { '&' } else { '?' };
                let target: Uri = format!("{uri}{joint}{}", form(&query))
                    .parse()
                    .map_err(|_| misdirected(shown(&uri), "its address is no URL"))?;
                let mut request = Request::builder().method(Method::GET).uri(target.clone());
                if let Some(Credential::Basic { user, password }) = credential {
                    request = request.header(AUTHORIZATION, secret(&basic(user, password))?);
                }
                (request, target, Bytes::new())
            }
        };
        let server = authority(&target);
        let answer = self.send(&target, request, body).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(Error::RateLimited { host: server, after: retry_after(answer.headers()) });
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let problem = format!("the token server {server} answered {}", answer.status().as_u16());
                return Err(Error::Unauthorized { host: host.to_owned(), problem });
            }
            status => {
                let request = "the request for a token".to_owned();
                return Err(Error::Status { host: server, request, status: status.as_u16() });
            }
        }
        let bytes = self.small(&server, answer.into_body(), Subject::Token, self.limits.token_bytes).await?;
        let TokenAnswer { token, access_token, expires_in } = serde_json::from_slice(&bytes).map_err(|error| {
            Error::malformed(Subject::Token, format!("line {}, column {}", error.line(), error.column()))
        })?;
        let token = if token.is_empty() { access_token } else { token };
        if token.is_empty() {
            return Err(Error::malformed(Subject::Token, "the answer holds none"));
        }
        let life = expires_in.map_or(TOKEN_LIFE, Duration::from_secs).min(TOKEN_LIFE_MAX);
        Ok((format!("Bearer {token}"), life.saturating_sub(TOKEN_MARGIN)))
    }

    /// Whether a token server may see a registry's credentials: it is the registry itself, is under the same domain
    /// (`auth.docker.io` for `registry-1.docker.io`, `gitlab.com` for `registry.gitlab.com`), or is named in the settings.
    fn is_token_host(&self, registry: &str, server: &str) -> bool {
        let name =
            |authority: &str| authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
        let (registry_name, server_name) = (name(registry), name(server));
        let named = self.settings.token_hosts.iter().any(|(of, host)| of == registry && host == server);
        let parent = registry_name.split_once('.').map(|(_, parent)| parent).filter(|parent| parent.contains('.'));
        let is_address = registry_name.parse::<std::net::IpAddr>().is_ok() || registry.starts_with('[');
        let related = parent.filter(|_| !is_address).is_some_and(|parent| {
            server_name == parent || server_name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
        });
        named || registry == server || related
    }

    /// A body that is small.
    pub(super) async fn small(
        &self,
        host: &str,
        body: Incoming,
        subject: Subject,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut parts = Parts::new(host, body, self.limits);
        while let Some(part) = parts.next().await? {
            if (bytes.len() + part.len()) as u64 > limit_bytes {
                return Err(Error::TooLarge { subject, limit_bytes });
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    fn uri(&self, host: &str, path: &str) -> Result<Uri, Error> {
        let scheme = if self.settings.plain_http.iter().any(|plain| plain == host) { "http" } else { "https" };
        let problem = || Error::NoImage(format!("`{host}` is no host that can be asked"));
        format!("{scheme}://{host}{path}").parse().map_err(|_| problem())
    }

    // === hosts that failed ===

    fn rested(&self, host: &str) -> Result<(), Error> {
        let resting = lock(&self.resting);
        let Some(Rest { until, problem, .. }) = resting.get(host) else { return Ok(()) };
        let after = until.saturating_duration_since(Instant::now());
        if after.is_zero() {
            return Ok(());
        }
        Err(Error::Resting { host: host.to_owned(), problem: problem.clone(), after })
    }

    /// Lets a host rest, and says for how long.
    fn rest(&self, host: &str, error: &Error, asked: Option<Duration>) -> Duration {
        let mut resting = lock(&self.resting);
        if resting.len() >= HOSTS_MAX && !resting.contains_key(host) {
            let now = Instant::now();
            resting.retain(|_, rest| rest.until > now);
            if resting.len() >= HOSTS_MAX {
                resting.clear();
            }
        }
        let failures = resting.get(host).map_or(0, |rest| rest.failures);
        let pause = asked.unwrap_or_else(|| (REST_FIRST * 2_u32.saturating_pow(failures.min(16))).min(REST_MAX));
        let rest = Rest { failures: failures + 1, until: Instant::now() + pause, problem: error.to_string() };
        resting.insert(host.to_owned(), rest);
        pause
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The parts of a body, which must keep coming.
pub(super) struct Parts {
    host: String,
    body: Incoming,
    limits: Limits,
    waited: Duration,
    bytes: u64,
}

// === impl Parts ===

impl Parts {
    pub(super) fn new(host: &str, body: Incoming, limits: Limits) -> Self {
        Self { host: host.to_owned(), body, limits, waited: Duration::ZERO, bytes: 0 }
    }

    /// The next part; `None` at the end. Only the time that the other side takes is counted.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Limits { stall, rate, .. } = self.limits;
        loop {
            let begun = Instant::now();
            let frame = tokio::time::timeout(stall, self.body.frame()).await;
            self.waited += begun.elapsed();
            let slow = |what: &str| Error::Slow { what: format!("{what} {}", self.host), limit: stall };
            let Some(frame) = frame.map_err(|_| slow("waiting for more from"))? else { return Ok(None) };
            let Ok(part) = frame.map_err(|error| transport(&self.host, &error))?.into_data() else { continue };
            self.bytes += part.len() as u64;
            if self.waited > stall && self.bytes < rate * self.waited.as_secs() {
                return Err(slow("receiving far too little at a time from"));
            }
            return Ok(Some(part));
        }
    }
}

// === impl Guarded ===

impl tower::Service<Uri> for Guarded {
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

async fn connect(uri: &Uri, host: &str, allowed: &[Network]) -> Result<TcpStream, Error> {
    let name = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let addresses = tokio::net::lookup_host((name, port)).await.map_err(|error| transport(host, &error))?;
    let mut last = None;
    for address in addresses {
        // The very address that was judged is connected to: a name that changes in between gains nothing.
        if let Some(kind) = address::refusal(address.ip(), allowed) {
            last = Some(Error::Forbidden { host: host.to_owned(), address: address.ip(), kind });
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(transport(host, &error)),
        }
    }
    Err(last.unwrap_or_else(|| Error::Transport { host: host.to_owned(), problem: "it has no address".to_owned() }))
}

// === small parts ===

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn authority(uri: &Uri) -> String {
    uri.authority()
        .map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned())
        .unwrap_or_default()
}

/// A URL without its query, which may hold a signature.
fn shown(uri: &Uri) -> String {
    let shown: String = format!("{}://{}{}", uri.scheme_str().unwrap_or("https"), authority(uri), uri.path());
    shown.chars().take(200).collect()
}

/// The error that is ours, deep inside that of the HTTP client; or what the deepest says.
fn transport(host: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    let mut deepest = error;
    loop {
        if let Some(own) = deepest.downcast_ref::<Error>() {
            return own.clone();
        }
        match deepest.source() {
            Some(source) => deepest = source,
            None => return Error::Transport { host: host.to_owned(), problem: deepest.to_string() },
        }
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn secret(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::malformed(Subject::Credentials, "a credential holds what no header may"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn form(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
                other => out.push_str(&format!("%{other:02X}")),
            }
            out
        })
    };
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// How long a registry asks to be left alone: seconds or a date (RFC 9110 10.2.3). A minute if it does not say.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let date = || httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok();
    let asked = text.parse().ok().map(Duration::from_secs).or_else(date).unwrap_or(Duration::from_secs(60));
    asked.min(Duration::from_secs(24 * 3600))
}

/// What `WWW-Authenticate` asks for; a bearer token is preferred.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let texts = || headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let after = |scheme: &str| {
        texts().find_map(|text| {
            let head = text.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then(|| text[scheme.len()..].trim())
        })
    };
    if let Some(parameters) = after("bearer ") {
        let realm = parameter(parameters, "realm")?;
        return Some(Challenge::Bearer { realm, service: parameter(parameters, "service") });
    }
    after("basic").map(|_| Challenge::Basic)
}

/// The value of `name="…"` in a list of such, where a quoted value may hold commas.
fn parameter(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',', '\t']);
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
    None
}
