//! The load generator: keep-alive HTTP/1.1 connections over TLS, each of which posts the same bytes again as soon as
//! the last answer has come. It shares the machine with the server, so it does no more per review than it must: the
//! request is bytes made once, and of the answer it reads the status and the length. It must not know which server it
//! loads, nor how one is started.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long connecting may take, and how long an answer may stay away after the turn's time is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest head of an answer that is read, in bytes; servers under test send about 150.
const HEAD_LIMIT: usize = 16 * 1024;

/// What a turn looks like.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Connections, each with one review in flight.
    pub(crate) connections: usize,
    /// Reviews before measuring.
    pub(crate) warm_up: u64,
    /// Reviews to measure, at most.
    pub(crate) reviews: u64,
    /// Time to measure, at most.
    pub(crate) time: Duration,
    /// Of how many templates the pods are.
    pub(crate) templates: u64,
}

/// What was measured in one turn.
#[derive(Debug)]
pub(crate) struct Run {
    /// Reviews answered.
    pub(crate) reviews: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// From request to answer, of each review, in no order.
    pub(crate) latencies: Vec<Duration>,
}

/// A server's address and the request to send to it, ready as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    authority: String,
    host: ServerName<'static>,
    tls: Arc<ClientConfig>,
    request: Arc<[u8]>,
}

/// The bytes to post. Each review has a uid and a pod's name of its own, as those of a rollout have, and the name of the first
/// container tells one template from another.
#[derive(Debug)]
struct Request {
    bytes: Vec<u8>,
    /// Where the uid and the names stand, as far as they are the review's own.
    own: Vec<Range<usize>>,
    /// Where the first container's name stands, unless all pods are of one template.
    template: Range<usize>,
    templates: u64,
}

/// How many letters of a uid or a name are a review's own: more than there are reviews in a turn.
const OWN_LETTERS: usize = 5;

/// What stands before the name of the first container. Nothing else in a review is `containers` as a key and a list.
const SLOT_PREFIX: &str = "\"containers\":[{\"name\":\"";

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    /// What was read of the current answer.
    answer: Vec<u8>,
}

/// What is left of a turn, shared by its connections.
#[derive(Debug)]
struct Budget {
    reviews: AtomicU64,
    deadline: Instant,
}

/// The part of an answer's head that matters.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// Its own length, with the empty line, in bytes.
    length: usize,
    status: u16,
    body_length: usize,
}

/// Posts the review once, on a connection of its own, and returns the body of the answer.
pub(crate) async fn ask_once(target: &Target) -> Result<Vec<u8>> {
    let mut connection = Connection::open(target).await?;
    let body = timeout(PATIENCE, connection.post(&target.request)).await.context("no answer in time")??;
    Ok(body.to_vec())
}

/// Says what is wrong with an answer to the review: it must allow the pod and change its `dnsConfig`.
pub(crate) fn check_answer(review: &[u8], answer: &[u8]) -> Result<()> {
    let review: Value = serde_json::from_slice(review).context("the review is not JSON")?;
    let answer: Value = serde_json::from_slice(answer).context("the answer is not JSON")?;
    let response = &answer["response"];
    if response["uid"] != review["request"]["uid"] || !response["uid"].is_string() {
        bail!("the answer's uid is not the review's: {answer}");
    }
    if response["allowed"] != true {
        bail!("the answer does not allow the pod: {answer}");
    }
    let patch = response["patch"].as_str().with_context(|| format!("the answer has no patch: {answer}"))?;
    let patch = BASE64_STANDARD.decode(patch).context("the patch is not base64")?;
    let patch: Value = serde_json::from_slice(&patch).context("the patch is not JSON")?;
    let paths = patch.as_array().into_iter().flatten().filter_map(|operation| operation["path"].as_str());
    if !paths.into_iter().any(|path| path.starts_with("/spec/dnsConfig")) {
        bail!("the patch does not touch dnsConfig: {patch}");
    }
    Ok(())
}

/// Opens so many connections.
pub(crate) async fn connect_all(target: &Target, count: usize) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(Connection::open(target).await?);
    }
    Ok(connections)
}

/// Posts so many reviews on all connections, or until the time is over. Any answer but a 200 ends it.
pub(crate) async fn run(target: &Target, connections: &mut Vec<Connection>, load: &Load, reviews: u64) -> Result<Run> {
    let start = Instant::now();
    let Load { time, templates, .. } = *load;
    let budget = Arc::new(Budget { reviews: AtomicU64::new(reviews), deadline: start + time });
    let mut tasks = JoinSet::new();
    for mut connection in connections.drain(..) {
        let (budget, mut request) = (Arc::clone(&budget), Request::new(target, templates)?);
        tasks.spawn(async move {
            let latencies = connection.post_until_spent(&mut request, &budget).await?;
            anyhow::Ok((connection, latencies))
        });
    }

    let mut latencies = Vec::new();
    let all_done = async {
        while let Some(done) = tasks.join_next().await {
            let (connection, more) = done.context("a connection's task ended badly")??;
            connections.push(connection);
            latencies.extend(more);
        }
        anyhow::Ok(start.elapsed())
    };
    let elapsed = timeout(time + PATIENCE, all_done).await.context("an answer stayed away")??;
    Ok(Run { reviews: latencies.len() as u64, elapsed, latencies })
}

// === impl Target ===

impl Target {
    /// The request is the one that an API server sends.
    pub(crate) fn new(url: &str, ca_pem: &str, review: &[u8]) -> Result<Self> {
        let (authority, path) = url
            .trim_end()
            .strip_prefix("https://")
            .and_then(|rest| rest.split_once('/'))
            .with_context(|| format!("the server's address is not https://HOST:PORT/PATH: {url:?}"))?;
        let (host, _port) = authority.rsplit_once(':').with_context(|| format!("{url:?} has no port"))?;
        let host = ServerName::try_from(host.to_owned()).with_context(|| format!("{url:?} has no host"))?;

        let mut request = format!(
            "POST /{path}?timeout=3s HTTP/1.1\r\n\
             Host: {authority}\r\n\
             User-Agent: kube-apiserver-admission\r\n\
             Content-Length: {}\r\n\
             Accept: application/json, */*\r\n\
             Content-Type: application/json\r\n\
             Accept-Encoding: gzip\r\n\r\n",
            review.len()
        )
        .into_bytes();
        request.extend_from_slice(review);
        Ok(Self { authority: authority.to_owned(), host, tls: Arc::new(tls_config(ca_pem)?), request: request.into() })
    }
}

// === impl Request ===

impl Request {
    fn new(target: &Target, templates: u64) -> Result<Self> {
        let bytes = target.request.to_vec();
        let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").context("the request has no body")? + 4;
        let review: Value = serde_json::from_slice(&bytes[body..]).context("the review is not JSON")?;
        let own = ["uid", "name"].into_iter().flat_map(|field| {
            let text = format!("\"{field}\":{}", review["request"][field]);
            let ends = places(&bytes, &text).map(|at| at + text.len() - 1);
            ends.map(|end| end - OWN_LETTERS..end).collect::<Vec<_>>()
        });
        let mut template = 0..0;
        if templates > 1 {
            let at = places(&bytes, SLOT_PREFIX).next().with_context(|| format!("the review has no {SLOT_PREFIX}"))?;
            let start = at + SLOT_PREFIX.len();
            let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            template = start..start + length;
        }
        Ok(Self { own: own.collect(), bytes, template, templates })
    }

    /// The bytes of the review of this number.
    fn numbered(&mut self, number: u64) -> &[u8] {
        self.own.iter().for_each(|place| write_number(&mut self.bytes[place.clone()], number));
        write_number(&mut self.bytes[self.template.clone()], number % self.templates);
        &self.bytes
    }
}

/// Where a text stands, each time that it does.
fn places<'b>(bytes: &'b [u8], text: &'b str) -> impl Iterator<Item = usize> + use<'b> {
    let windows = bytes.windows(text.len()).enumerate();
    windows.filter(move |(_, window)| *window == text.as_bytes()).map(|(at, _)| at)
}

/// Writes a number in letters.
fn write_number(place: &mut [u8], mut number: u64) {
    for letter in place.iter_mut().rev() {
        *letter = b'a' + (number % 26) as u8;
        number /= 26;
    }
}

// === impl Connection ===

impl Connection {
    async fn open(target: &Target) -> Result<Self> {
        let connect = async {
            let tcp = TcpStream::connect(&target.authority).await.context("connect")?;
            tcp.set_nodelay(true).context("set TCP_NODELAY")?;
            let connector = TlsConnector::from(Arc::clone(&target.tls));
            connector.connect(target.host.clone(), tcp).await.context("shake hands")
        };
        let stream = timeout(PATIENCE, connect)
            .await
            .context("no connection in time")
            .flatten()
            .with_context(|| format!("connect to {}", target.authority))?;
        Ok(Self { stream, answer: Vec::with_capacity(HEAD_LIMIT) })
    }

    async fn post_until_spent(&mut self, request: &mut Request, budget: &Budget) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let mut start = Instant::now();
        while let Some(number) = budget.take(start) {
            self.post(request.numbered(number)).await?;
            let end = Instant::now();
            latencies.push(end - start);
            start = end;
        }
        Ok(latencies)
    }

    /// Sends the request and returns the body of its answer, which must be a 200.
    async fn post(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await.context("send a review")?;
        self.stream.flush().await.context("send a review")?;

        self.answer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = Head::parse(&self.answer)? {
                break head;
            }
        };
        let end = head.length + head.body_length;
        while self.answer.len() < end {
            self.read_more().await?;
        }
        if self.answer.len() > end {
            bail!("the server sent {} bytes more than it announced", self.answer.len() - end);
        }
        let body = &self.answer[head.length..];
        if head.status != 200 {
            bail!("the answer is a {}: {}", head.status, String::from_utf8_lossy(body));
        }
        Ok(body)
    }

    async fn read_more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.answer).await.context("read an answer")? {
            0 => bail!("the server closed the connection in the middle of an answer"),
            _ => Ok(()),
        }
    }
}

// === impl Budget ===

impl Budget {
    /// Takes one review, if there is one left and the time is not over; how many were left before it.
    fn take(&self, now: Instant) -> Option<u64> {
        let one_less = |left: u64| left.checked_sub(1);
        let taken = self.reviews.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok();
        taken.filter(|_| now < self.deadline)
    }
}

// === impl Head ===

impl Head {
    /// `None` if the head is not complete yet.
    fn parse(answer: &[u8]) -> Result<Option<Self>> {
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            if answer.len() > HEAD_LIMIT {
                bail!("the answer's head is longer than {HEAD_LIMIT} bytes");
            }
            return Ok(None);
        };
        let head = str::from_utf8(&answer[..end]).context("the answer's head is not text")?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
            .with_context(|| format!("the answer does not begin with a status: {head:?}"))?;
        let body_length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .with_context(|| format!("the answer has no content-length: {head:?}"))?;
        Ok(Some(Self { length: end + 4, status, body_length }))
    }
}

/// Trusts the one CA. The cipher that the API server, a Go program, asks for first also comes first here.
fn tls_config(ca_pem: &str) -> Result<ClientConfig> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.context("read the server's CA")?).context("trust the server's CA")?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .context("configure TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
