//! Servers that misbehave: each inspection of theirs ends soon, with a reason, and tells nobody a credential.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use muslin::image::Reference;
use muslin::registry::{Client, Credentials, Depth, Digest, Inspector, Limits, Platform, Remote, Settings, Source};
use serde_json::json;

use crate::{Test, World};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("an_endless_manifest_is_not_read_to_its_end", endless_manifest),
    ("an_index_of_a_million_entries_is_refused", large_index),
    ("indexes_in_one_another_end_somewhere", nested_indexes),
    ("a_manifest_of_another_digest_is_refused", wrong_digest),
    ("a_layer_that_is_not_what_was_announced_is_refused", wrong_layers),
    ("a_server_that_never_answers_is_left", never_answering),
    ("a_server_that_drips_is_left", dripping),
    ("a_redirect_to_a_private_address_is_not_followed", private_redirects),
    ("redirects_in_a_circle_end", circular_redirects),
    ("credentials_go_to_no_other_host", credentials_stay),
];

/// Longer than anything here may take, on a machine with other work.
const SOON: Duration = Duration::from_secs(20);
/// What a test registry's password is, and nothing else.
const PASSWORD: &str = "correct-horse";

/// A connection on which a request has been read.
struct Asked<'a> {
    path: &'a str,
    stream: &'a mut TcpStream,
}

/// A server that answers as it likes, and remembers what it was asked.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

// === impl Asked ===

impl Asked<'_> {
    fn answer(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        // Whoever hung up wants no answer.
        let _ = self.stream.write_all(head.as_bytes()).and_then(|()| self.stream.write_all(b"\r\n"));
        let _ = self.stream.write_all(body);
    }

    fn manifest(&mut self, body: &[u8]) {
        self.answer("200 OK", &[("Content-Type", "application/vnd.oci.image.index.v1+json")], body);
    }
}

// === impl Server ===

impl Server {
    fn start(ip: &str, answer: impl Fn(&mut Asked<'_>) + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        let address = listener.local_addr()?;
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        // Ends with the test program.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    while let Some(request) = request(&mut stream) {
                        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                        answer(&mut Asked { path: &path, stream: &mut stream });
                    }
                });
            }
        });
        Ok(Self { address, requests })
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Bounds that are as those of muslin, but for the patience.
fn limits() -> Limits {
    Limits { stall: Duration::from_millis(500), total: Duration::from_secs(10), attempts: 1, ..Limits::default() }
}

/// Why the image of a server cannot be inspected.
fn failure(world: &World, server: &Server, settings: Settings) -> Result<String> {
    let reference = format!("{}/app:1", server.address);
    let reference = Reference::parse(&reference)?;
    let client = Arc::new(Client::new(settings, limits())?);
    let remote = Source::Remote(Arc::new(Remote::new(client, &reference)?));
    let inspector = Inspector::new(limits(), 1 << 20);
    let started = Instant::now();
    let inspection = world.runtime.block_on(inspector.inspect(&remote, &Platform::linux("amd64"), Depth::Whole));
    ensure!(started.elapsed() < SOON, "it took {:?}", started.elapsed());
    match inspection {
        Ok(inspection) => bail!("this was read: {inspection:?}"),
        Err(error) => Ok(error.to_string()),
    }
}

/// Settings with which servers of the test may be reached.
fn reaching(servers: &[SocketAddr]) -> Settings {
    Settings {
        plain_http: servers.iter().map(ToString::to_string).collect(),
        allowed: servers.iter().filter_map(|server| server.ip().to_string().parse().ok()).collect(),
        ..Settings::default()
    }
}

fn refused(world: &World, answer: impl Fn(&mut Asked<'_>) + Send + Sync + 'static, reason: &str) -> Result<()> {
    let server = Server::start("127.0.0.1", answer)?;
    let error = failure(world, &server, reaching(&[server.address]))?;
    ensure!(error.contains(reason), "`{error}` does not say `{reason}`");
    Ok(())
}

fn endless_manifest(world: &World) -> Result<()> {
    let answer = |asked: &mut Asked<'_>| {
        let _ = asked.stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while asked.stream.write_all(b"10\r\n                \r\n").is_ok() {}
    };
    refused(world, answer, "more than the")
}

fn large_index(world: &World) -> Result<()> {
    let entry = r#"{"mediaType":"a","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1}"#;
    let many = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry; 1_000_000].join(","));
    refused(world, move |asked| asked.manifest(many.as_bytes()), "the manifest ")?;
    let some = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry; 30_000].join(","));
    refused(world, move |asked| asked.manifest(some.as_bytes()), "a list of at most 4096 descriptors")
}

fn nested_indexes(world: &World) -> Result<()> {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let mut indexes = vec![json!({"schemaVersion": 2, "mediaType": media_type, "manifests": []}).to_string()];
    for _ in 0..40 {
        let inner = indexes.last().context("there is one")?;
        let entry = json!({"mediaType": media_type, "digest": Digest::sha256(inner.as_bytes()), "size": inner.len(),
            "platform": {"os": "linux", "architecture": "amd64"}});
        indexes.push(json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [entry]}).to_string());
    }
    let answer = move |asked: &mut Asked<'_>| {
        let digest = |index: &&String| asked.path.ends_with(&Digest::sha256(index.as_bytes()).to_string());
        let index = indexes.iter().find(digest).or(indexes.last()).cloned().unwrap_or_default();
        asked.manifest(index.as_bytes());
    };
    refused(world, answer, "indexes in one another")
}

fn wrong_digest(world: &World) -> Result<()> {
    let entry = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::sha256(b"one"),
        "size": 3, "platform": {"os": "linux", "architecture": "amd64"}});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    for body in [b"two".as_slice(), b"three", b"on", b""] {
        let index = index.clone();
        let answer = move |asked: &mut Asked<'_>| match asked.path {
            path if path.contains("sha256:") => asked.manifest(body),
            _ => asked.manifest(index.as_bytes()),
        };
        refused(world, answer, "should have")?;
    }
    Ok(())
}

fn wrong_layers(world: &World) -> Result<()> {
    let layer = crate::image::pack(&world.layer(&[])?, crate::image::Packing::Gzip)?;
    let cut = layer[..layer.len() / 2].to_vec();
    let mut longer = layer.clone();
    longer.extend([0; 64]);
    let mut other = layer.clone();
    if let Some(byte) = other.last_mut() {
        *byte ^= 1;
    }
    for served in [cut, longer, other, b"no gzip at all".to_vec(), Vec::new()] {
        let config = json!({"os": "linux", "architecture": "amd64", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(b"")]}})
        .to_string();
        let described = |bytes: &[u8], media_type: &str| json!({"mediaType": media_type, "digest": Digest::sha256(bytes), "size": bytes.len()});
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described(config.as_bytes(), "application/vnd.oci.image.config.v1+json"),
            "layers": [described(&layer, "application/vnd.oci.image.layer.v1.tar+gzip")]})
        .to_string();
        let of_config = Digest::sha256(config.as_bytes()).to_string();
        let answer = move |asked: &mut Asked<'_>| match asked.path {
            path if path.ends_with(&of_config) => asked.answer("200 OK", &[], config.as_bytes()),
            path if path.contains("/blobs/") => asked.answer("200 OK", &[], &served),
            _ => asked.answer(
                "200 OK",
                &[("Content-Type", "application/vnd.oci.image.manifest.v1+json")],
                manifest.as_bytes(),
            ),
        };
        refused(world, answer, "the layer")?;
    }
    Ok(())
}

fn never_answering(world: &World) -> Result<()> {
    refused(world, |_| thread::sleep(SOON), "took more than 0.5 s")
}

fn dripping(world: &World) -> Result<()> {
    let answer = |asked: &mut Asked<'_>| {
        let _ = asked.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while asked.stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    };
    refused(world, answer, "receiving far too little at a time")
}

fn private_redirects(world: &World) -> Result<()> {
    for target in [
        "http://127.0.0.9:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:1/",
        "https://10.0.0.1/",
        "http://localhost:1/",
        "https://[::ffff:10.0.0.1]/",
    ] {
        refused(world, move |asked| asked.answer("307 Temporary Redirect", &[("Location", target)], b""), "not ")?;
    }
    Ok(())
}

fn circular_redirects(world: &World) -> Result<()> {
    let answer = |asked: &mut Asked<'_>| {
        let path = asked.path.to_owned();
        asked.answer("302 Found", &[("Location", &path)], b"");
    };
    refused(world, answer, "too many redirects")
}

fn credentials_stay(world: &World) -> Result<()> {
    let other = Server::start("127.0.0.2", |asked| asked.answer("404 Not Found", &[], b""))?;
    let elsewhere = other.address;
    let realm = format!("Bearer realm=\"http://{elsewhere}/token\",service=\"app\"");
    let to_realm = move |asked: &mut Asked<'_>| asked.answer("401 Unauthorized", &[("WWW-Authenticate", &realm)], b"");
    let redirect = move |asked: &mut Asked<'_>| {
        let location = format!("http://{elsewhere}/other");
        asked.answer("307 Temporary Redirect", &[("Location", &location)], b"");
    };
    for own in [Server::start("127.0.0.1", to_realm)?, Server::start("127.0.0.1", redirect)?] {
        let config = json!({"auths": {own.address.to_string(): {"username": "me", "password": PASSWORD}}}).to_string();
        let settings =
            Settings { credentials: Credentials::parse(config.as_bytes())?, ..reaching(&[own.address, elsewhere]) };
        let error = failure(world, &own, settings)?;
        ensure!(!error.contains(PASSWORD), "{error}");
    }
    let leaked = |request: &String| request.to_ascii_lowercase().contains("\r\nauthorization:");
    ensure!(!other.requests().is_empty(), "nobody was sent to the other host");
    ensure!(!other.requests().iter().any(leaked), "{:#?}", other.requests());
    Ok(())
}
