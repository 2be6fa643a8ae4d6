//! The server with clients that do not behave, on loopback. Limits are small, so that what waits for them does not wait long.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::*;
use crate::admission::{Keys, server_config};

/// Far more than anything here takes; what waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time limits of the servers of these tests.
const SOON: Duration = Duration::from_millis(50);

struct Started {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    /// Lets a request for `/slow` be answered.
    release: Arc<Notify>,
    /// The number of requests for `/slow`.
    slow: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Started {
    async fn start(limits: Limits, tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, shutdown, release) = (Arc::new(Metrics::default()), Shutdown::default(), Arc::new(Notify::new()));
        let (released, slow) = (Arc::clone(&release), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&slow);
        let wait = async move || {
            counter.fetch_add(1, Ordering::Relaxed);
            released.notified().await;
            "slow"
        };
        let router = Router::new().route("/", get(async || "ok")).route("/slow", get(wait));
        let server = Server::new(listener, tls, limits, Arc::clone(&metrics));
        let task = tokio::spawn(server.run(router, shutdown.clone()));
        Self { address, metrics, shutdown, release, slow, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until so many requests for `/slow` are being answered.
    async fn wait_for_answers(&self, number: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.slow.load(Ordering::Relaxed) < number {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.text().contains(line)
    }
}

const PATIENT: Limits = Limits {
    handshake: PATIENCE,
    header: PATIENCE,
    body: PATIENCE,
    idle: PATIENCE,
    drain: PATIENCE,
    ..Limits::new(100)
};

/// Everything that comes until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is closed with unread bytes is reset, which is an end too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes");
    String::from_utf8(text).unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
}

/// One answer with a body of this text; its head.
async fn answer(stream: &mut TcpStream, body: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(&format!("\r\n\r\n{body}")) {
        let mut bytes = [0; 1024];
        let length = timeout(PATIENCE, stream.read(&mut bytes)).await.expect("an answer").unwrap();
        assert!(length > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    text.to_ascii_lowercase()
}

#[tokio::test]
async fn one_connection_too_many_ends_the_one_that_waits_longest_and_is_counted() {
    let server = Started::start(Limits::new(1), None).await;
    let mut first = server.connect().await;
    ask(&mut first, "/").await;
    answer(&mut first, "ok").await;
    let mut second = server.connect().await;
    ask(&mut second, "/").await;
    answer(&mut second, "ok").await;
    assert_eq!(rest(&mut first).await, "");
    assert!(server.counts("muslin_connections_refused_total 1"));
}

#[tokio::test]
async fn a_connection_is_closed_at_once_if_all_others_wait_for_their_answer() {
    let server = Started::start(Limits::new(2), None).await;
    let mut busy = [server.connect().await, server.connect().await];
    for stream in &mut busy {
        ask(stream, "/slow").await;
    }
    server.wait_for_answers(2).await;
    assert_eq!(rest(&mut server.connect().await).await, "");
    assert!(server.counts("muslin_connections_refused_total 1"));
    server.release.notify_waiters();
    for stream in &mut busy {
        answer(stream, "slow").await;
    }
}

#[tokio::test]
async fn a_connection_that_ends_makes_room_for_another() {
    let server = Started::start(Limits { connections: 1, ..PATIENT }, None).await;
    for _ in 0..3 {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            assert!(tokio::time::Instant::now() < deadline);
            let mut stream = server.connect().await;
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            if rest(&mut stream).await.ends_with("ok") {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_ends_and_is_counted() {
    let server = Started::start(Limits { handshake: SOON, ..PATIENT }, Some(Certified::new().server)).await;
    assert_eq!(rest(&mut server.connect().await).await, "");
    assert!(server.counts("muslin_handshakes_failed_total 1"));
}

#[tokio::test]
async fn what_is_no_handshake_ends_and_is_counted() {
    let server = Started::start(PATIENT, Some(Certified::new().server)).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await;
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    assert!(server.counts("muslin_handshakes_failed_total 1"));
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_ends() {
    let server = Started::start(Limits { header: SOON, ..PATIENT }, None).await;
    for begin in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await, "", "{begin:?}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_not_taken_for_a_missing_request() {
    let server = Started::start(Limits { header: SOON, ..PATIENT }, None).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/slow").await;
    tokio::time::sleep(2 * SOON).await;
    server.release.notify_one();
    answer(&mut stream, "slow").await;
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let server = Started::start(Limits { idle: SOON, ..PATIENT }, None).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await;
    answer(&mut stream, "ok").await;
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_header_that_never_ends_is_refused() {
    let server = Started::start(PATIENT, None).await;
    let mut stream = server.connect().await;
    let endless = [b"GET / HTTP/1.1\r\nHost: ".as_slice(), &vec![b'a'; 2 * BUFFER_MAX]].concat();
    // The server may answer and close before it has read all of it.
    let _ = stream.write_all(&endless).await;
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    ask(&mut server.connect().await, "/").await;
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_order() {
    let server = Started::start(PATIENT, None).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await;
    ask(&mut stream, "/slow").await;
    server.release.notify_one();
    answer(&mut stream, "slow").await;
}

#[tokio::test]
async fn while_it_leaves_answers_ask_for_another_connection() {
    let server = Started::start(PATIENT, None).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await;
    assert!(!answer(&mut stream, "ok").await.contains("connection: close"));
    server.shutdown.leave();
    ask(&mut stream, "/").await;
    assert!(rest(&mut stream).await.to_ascii_lowercase().contains("connection: close"));
    let mut new = server.connect().await;
    ask(&mut new, "/").await;
    assert!(rest(&mut new).await.ends_with("ok"));
}

#[tokio::test]
async fn a_drain_answers_what_is_under_way_and_ends_idle_connections() {
    let server = Started::start(PATIENT, None).await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    ask(&mut idle, "/").await;
    answer(&mut idle, "ok").await;
    ask(&mut busy, "/slow").await;
    // Seen by the server before it drains: it answers the first of two requests on this connection.
    let mut seen = server.connect().await;
    ask(&mut seen, "/").await;
    answer(&mut seen, "ok").await;
    server.shutdown.drain();
    assert_eq!(rest(&mut idle).await, "");
    server.release.notify_one();
    assert!(rest(&mut busy).await.ends_with("slow"));
    timeout(PATIENCE, server.task).await.expect("the server ends").unwrap();
}

/// hyper's own graceful shutdown closes these, and the kernel resets what a closed socket has not accepted.
#[tokio::test]
async fn a_drain_answers_connections_that_have_not_sent_a_request_yet() {
    let Certified { server, roots } = Certified::new();
    let server = Started::start(Limits { connections_per_peer: 100, ..PATIENT }, Some(server)).await;
    let connector = TlsConnector::from(Arc::new(client_config(roots, rustls::ALL_VERSIONS)));
    let name = || ServerName::try_from("127.0.0.1").unwrap();
    let mut certified = Vec::new();
    for _ in 0..20 {
        certified.push(connector.connect(name(), server.connect().await).await.unwrap());
    }
    // These are connected, but neither accepted nor in their handshake: the server's task does not run meanwhile.
    let waiting: Vec<_> = (0..51).map(|_| std::net::TcpStream::connect(server.address).unwrap()).collect();
    server.shutdown.leave();
    server.shutdown.drain();
    tokio::time::sleep(SOON).await;
    for stream in waiting {
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        certified.push(connector.connect(name(), stream).await.unwrap());
    }
    for mut stream in certified {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("the server closes").unwrap();
        assert!(text.ends_with("ok") && text.contains("connection: close"), "{text}");
    }
    timeout(PATIENCE, server.task).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_drain_answers_a_request_on_a_connection_that_was_idle() {
    let server = Started::start(PATIENT, None).await;
    let mut idle = server.connect().await;
    ask(&mut idle, "/").await;
    answer(&mut idle, "ok").await;
    server.shutdown.leave();
    server.shutdown.drain();
    tokio::time::sleep(SOON).await;
    ask(&mut idle, "/").await;
    assert!(rest(&mut idle).await.ends_with("ok"));
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let server = Started::start(Limits { drain: SOON, ..PATIENT }, None).await;
    let mut busy = server.connect().await;
    ask(&mut busy, "/slow").await;
    let mut seen = server.connect().await;
    ask(&mut seen, "/").await;
    answer(&mut seen, "ok").await;
    server.shutdown.drain();
    timeout(PATIENCE, server.task).await.expect("the server ends").unwrap();
}

/// Both sides of TLS.
struct Certified {
    server: ServerConfig,
    roots: RootCertStore,
}

impl Certified {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let keys = Keys::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate.der().to_vec())).unwrap();
        Self { server: server_config(Arc::new(keys)).unwrap(), roots }
    }
}

fn client_config(roots: RootCertStore, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test]
async fn speaks_tls_1_2_and_1_3_and_only_http_1_1() {
    let Certified { server, roots } = Certified::new();
    let server = Started::start(PATIENT, Some(server)).await;
    let versions: [&'static SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
    for version in versions {
        let mut client = client_config(roots.clone(), &[version]);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, server.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("ok"), "{text}");
    }
}
