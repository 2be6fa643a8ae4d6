//! Servers that misbehave: each inspection ends soon and with a reason, and no credential goes to another host.

use std::io::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use muslin::image::Reference;
use muslin::registry::{
    Client, ClientSettings, Credentials, Depth, Digest, ImageSource, Inspector, Limits, Platform, Remote,
};
use serde_json::json;

use crate::common::harness::tests;
use crate::common::image::Entry::Part;
use crate::common::image::Image;
use crate::common::registry_server::{Request, ServedImage, Server, settings_for};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    stops_reading_an_endless_manifest,
    rejects_an_index_of_a_million_entries,
    rejects_deeply_nested_indexes,
    rejects_a_manifest_with_a_wrong_digest,
    rejects_a_layer_that_differs_from_its_descriptor,
    gives_up_on_a_server_that_never_answers,
    gives_up_on_a_server_that_sends_too_slowly,
    follows_no_redirect_to_a_private_address,
    stops_following_circular_redirects,
    contacts_no_token_server_at_a_private_address,
    gives_up_on_a_layer_that_arrives_too_slowly_or_stops,
    stops_reading_an_endless_head,
    sends_credentials_to_no_other_host
];

/// Longer than any inspection here takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// The password of a test registry.
const PASSWORD: &str = "correct-horse";

/// The default limits with shorter times.
fn limits() -> Limits {
    Limits { stall: Duration::from_millis(500), total: Duration::from_secs(10), attempts: 1, ..Limits::default() }
}

/// Returns the error of inspecting the image of a server.
fn failure(world: &World, server: &Server, settings: ClientSettings) -> Result<String> {
    let reference = format!("{}/app:1", server.address);
    let reference = Reference::parse(&reference)?;
    let client = Arc::new(Client::new(settings, limits())?);
    let remote = ImageSource::Remote(Arc::new(Remote::new(client, &reference)?));
    let inspector = Inspector::new(limits(), 1 << 20);
    let started = Instant::now();
    let inspection = world.runtime.block_on(inspector.inspect(&remote, &Platform::linux("amd64"), Depth::Whole));
    ensure!(started.elapsed() < SOON, "it took {:?}", started.elapsed());
    match inspection {
        Ok(inspection) => bail!("the image was read: {inspection:?}"),
        Err(error) => Ok(error.to_string()),
    }
}

fn expect_error(world: &World, answer: impl Fn(&mut Request<'_>) + Send + Sync + 'static, reason: &str) -> Result<()> {
    let server = Server::start("127.0.0.1", answer)?;
    let error = failure(world, &server, settings_for(&[server.address]))?;
    ensure!(error.contains(reason), "`{error}` does not contain `{reason}`");
    Ok(())
}

fn stops_reading_an_endless_manifest(world: &World) -> Result<()> {
    let answer = |request: &mut Request<'_>| {
        let _ = request.stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while request.stream.write_all(b"10\r\n                \r\n").is_ok() {}
    };
    expect_error(world, answer, "exceeds the limit")
}

fn rejects_an_index_of_a_million_entries(world: &World) -> Result<()> {
    let entry = r#"{"mediaType":"a","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1}"#;
    let many = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry; 1_000_000].join(","));
    expect_error(world, move |request| request.manifest(many.as_bytes()), "the manifest ")?;
    let some = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry; 30_000].join(","));
    expect_error(world, move |request| request.manifest(some.as_bytes()), "a list of at most 4096 descriptors")
}

fn rejects_deeply_nested_indexes(world: &World) -> Result<()> {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let mut indexes = vec![json!({"schemaVersion": 2, "mediaType": media_type, "manifests": []}).to_string()];
    for _ in 0..40 {
        let inner = indexes.last().context("there is one")?;
        let entry = json!({"mediaType": media_type, "digest": Digest::sha256(inner.as_bytes()), "size": inner.len(),
            "platform": {"os": "linux", "architecture": "amd64"}});
        indexes.push(json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [entry]}).to_string());
    }
    let answer = move |request: &mut Request<'_>| {
        let digest = |index: &&String| request.path.ends_with(&Digest::sha256(index.as_bytes()).to_string());
        let index = indexes.iter().find(digest).or(indexes.last()).cloned().unwrap_or_default();
        request.manifest(index.as_bytes());
    };
    expect_error(world, answer, "nested indexes")?;
    // An index can name itself only with a wrong digest.
    let entry = json!({"mediaType": media_type, "digest": Digest::sha256(b"itself"), "size": 1,
        "platform": {"os": "linux", "architecture": "amd64"}});
    let itself = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [entry]}).to_string();
    expect_error(world, move |request| request.manifest(itself.as_bytes()), "instead of")
}

fn rejects_a_manifest_with_a_wrong_digest(world: &World) -> Result<()> {
    let entry = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::sha256(b"one"),
        "size": 3, "platform": {"os": "linux", "architecture": "amd64"}});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    for body in [b"two".as_slice(), b"three", b"on", b""] {
        let index = index.clone();
        let answer = move |request: &mut Request<'_>| match request.path {
            path if path.contains("sha256:") => request.manifest(body),
            _ => request.manifest(index.as_bytes()),
        };
        expect_error(world, answer, "instead of")?;
    }
    Ok(())
}

fn rejects_a_layer_that_differs_from_its_descriptor(world: &World) -> Result<()> {
    let layer = crate::common::image::pack(&world.layer(&[])?, crate::common::image::Packing::Gzip)?;
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
        let answer = move |request: &mut Request<'_>| match request.path {
            path if path.ends_with(&of_config) => request.answer("200 OK", &[], config.as_bytes()),
            path if path.contains("/blobs/") => request.answer("200 OK", &[], &served),
            _ => request.answer(
                "200 OK",
                &[("Content-Type", "application/vnd.oci.image.manifest.v1+json")],
                manifest.as_bytes(),
            ),
        };
        expect_error(world, answer, "the layer")?;
    }
    Ok(())
}

fn gives_up_on_a_server_that_never_answers(world: &World) -> Result<()> {
    expect_error(world, |_| thread::sleep(SOON), "took more than 0.5 s")
}

fn gives_up_on_a_server_that_sends_too_slowly(world: &World) -> Result<()> {
    let answer = |request: &mut Request<'_>| {
        let _ = request.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while request.stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    };
    expect_error(world, answer, "receiving data too slowly")
}

fn follows_no_redirect_to_a_private_address(world: &World) -> Result<()> {
    for target in [
        "https://127.0.0.9:1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://192.168.0.1/",
    ] {
        let answer =
            move |request: &mut Request<'_>| request.answer("307 Temporary Redirect", &[("Location", target)], b"");
        expect_error(world, answer, "if this is intended, pass --allow-network")?;
    }
    for target in [
        "http://127.0.0.9:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:1/",
        "https://10.0.0.1/",
        "http://localhost:1/",
        "https://[::ffff:10.0.0.1]/",
    ] {
        expect_error(
            world,
            move |request| request.answer("307 Temporary Redirect", &[("Location", target)], b""),
            "not ",
        )?;
    }
    Ok(())
}

fn contacts_no_token_server_at_a_private_address(world: &World) -> Result<()> {
    for realm in
        ["https://127.0.0.9:1/token", "https://169.254.169.254/token", "https://[::1]/token", "https://10.0.0.1/token"]
    {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"app\"");
        let answer = move |request: &mut Request<'_>| {
            request.answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"")
        };
        expect_error(world, answer, "if this is intended, pass --allow-network")?;
    }
    for realm in ["http://127.0.0.9:1/token", "ftp://example.com/", "https://me:secret@127.0.0.1/", "nowhere", ""] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let answer = move |request: &mut Request<'_>| {
            request.answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"")
        };
        expect_error(world, answer, "is not followed")?;
    }
    Ok(())
}

fn gives_up_on_a_layer_that_arrives_too_slowly_or_stops(world: &World) -> Result<()> {
    for pause in [Duration::from_millis(100), SOON] {
        let layer = world.layer(&[Part("app/server", "go-pure")])?;
        let served = ServedImage::new(&Image::new(vec![layer.clone()], json!({"Entrypoint": ["/app/server"]})))?;
        let of_layer =
            Digest::sha256(&crate::common::image::pack(&layer, crate::common::image::Packing::Gzip)?).to_string();
        let answer = move |request: &mut Request<'_>| {
            if !request.path.ends_with(&of_layer) {
                return served.answer(request);
            }
            let _ = request.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            while request.stream.write_all(b"\x1f").is_ok() {
                thread::sleep(pause);
            }
        };
        expect_error(world, answer, "took more than 0.5 s")?;
    }
    Ok(())
}

fn stops_reading_an_endless_head(world: &World) -> Result<()> {
    let answer = |request: &mut Request<'_>| {
        let _ = request.stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while request
            .stream
            .write_all(b"X-Filling: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
            .is_ok()
        {}
    };
    expect_error(world, answer, "or the connection broke")
}

fn stops_following_circular_redirects(world: &World) -> Result<()> {
    let answer = |request: &mut Request<'_>| {
        let path = request.path.to_owned();
        request.answer("302 Found", &[("Location", &path)], b"");
    };
    expect_error(world, answer, "too many redirects")
}

fn sends_credentials_to_no_other_host(world: &World) -> Result<()> {
    let other = Server::start("127.0.0.2", |request| request.answer("404 Not Found", &[], b""))?;
    let elsewhere = other.address;
    let realm = format!("Bearer realm=\"http://{elsewhere}/token\",service=\"app\"");
    let to_realm =
        move |request: &mut Request<'_>| request.answer("401 Unauthorized", &[("WWW-Authenticate", &realm)], b"");
    let redirect = move |request: &mut Request<'_>| {
        let location = format!("http://{elsewhere}/other");
        request.answer("307 Temporary Redirect", &[("Location", &location)], b"");
    };
    for own in [Server::start("127.0.0.1", to_realm)?, Server::start("127.0.0.1", redirect)?] {
        let config = json!({"auths": {own.address.to_string(): {"username": "me", "password": PASSWORD}}}).to_string();
        let settings = ClientSettings {
            credentials: Credentials::parse(config.as_bytes())?,
            ..settings_for(&[own.address, elsewhere])
        };
        let error = failure(world, &own, settings)?;
        ensure!(!error.contains(PASSWORD), "{error}");
    }
    let leaked = |request: &String| request.to_ascii_lowercase().contains("\r\nauthorization:");
    ensure!(!other.requests().is_empty(), "the other host got no request");
    ensure!(!other.requests().iter().any(leaked), "{:#?}", other.requests());
    Ok(())
}
