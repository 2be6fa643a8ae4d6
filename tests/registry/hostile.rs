//! Servers that misbehave: each inspection of theirs ends soon, with a reason, and tells nobody a credential.

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
use crate::registry::server::{Asked, Served, Server, reaching};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    an_endless_manifest_is_not_read_to_its_end,
    an_index_of_a_million_entries_is_refused,
    indexes_in_one_another_end_somewhere,
    a_manifest_of_another_digest_is_refused,
    a_layer_that_is_not_what_was_announced_is_refused,
    a_server_that_never_answers_is_left,
    a_server_that_drips_is_left,
    a_redirect_to_a_private_address_is_not_followed,
    redirects_in_a_circle_end,
    a_token_server_at_a_private_address_is_not_asked,
    a_layer_that_drips_or_stops_is_left,
    a_head_without_an_end_is_not_read,
    credentials_go_to_no_other_host
];

/// Longer than anything here may take, on a machine with other work.
const SOON: Duration = Duration::from_secs(20);
/// What a test registry's password is, and nothing else.
const PASSWORD: &str = "correct-horse";

/// Bounds that are as those of muslin, but for the patience.
fn limits() -> Limits {
    Limits { stall: Duration::from_millis(500), total: Duration::from_secs(10), attempts: 1, ..Limits::default() }
}

/// Why the image of a server cannot be inspected.
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
        Ok(inspection) => bail!("this was read: {inspection:?}"),
        Err(error) => Ok(error.to_string()),
    }
}

fn refused(world: &World, answer: impl Fn(&mut Asked<'_>) + Send + Sync + 'static, reason: &str) -> Result<()> {
    let server = Server::start("127.0.0.1", answer)?;
    let error = failure(world, &server, reaching(&[server.address]))?;
    ensure!(error.contains(reason), "`{error}` does not say `{reason}`");
    Ok(())
}

fn an_endless_manifest_is_not_read_to_its_end(world: &World) -> Result<()> {
    let answer = |asked: &mut Asked<'_>| {
        let _ = asked.stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while asked.stream.write_all(b"10\r\n                \r\n").is_ok() {}
    };
    refused(world, answer, "exceeds the limit")
}

fn an_index_of_a_million_entries_is_refused(world: &World) -> Result<()> {
    let entry = r#"{"mediaType":"a","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1}"#;
    let many = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry; 1_000_000].join(","));
    refused(world, move |asked| asked.manifest(many.as_bytes()), "the manifest ")?;
    let some = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry; 30_000].join(","));
    refused(world, move |asked| asked.manifest(some.as_bytes()), "a list of at most 4096 descriptors")
}

fn indexes_in_one_another_end_somewhere(world: &World) -> Result<()> {
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
    refused(world, answer, "nested indexes")?;
    // One that names itself can only be made with a wrong digest.
    let entry = json!({"mediaType": media_type, "digest": Digest::sha256(b"itself"), "size": 1,
        "platform": {"os": "linux", "architecture": "amd64"}});
    let itself = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [entry]}).to_string();
    refused(world, move |asked| asked.manifest(itself.as_bytes()), "instead of")
}

fn a_manifest_of_another_digest_is_refused(world: &World) -> Result<()> {
    let entry = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::sha256(b"one"),
        "size": 3, "platform": {"os": "linux", "architecture": "amd64"}});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    for body in [b"two".as_slice(), b"three", b"on", b""] {
        let index = index.clone();
        let answer = move |asked: &mut Asked<'_>| match asked.path {
            path if path.contains("sha256:") => asked.manifest(body),
            _ => asked.manifest(index.as_bytes()),
        };
        refused(world, answer, "instead of")?;
    }
    Ok(())
}

fn a_layer_that_is_not_what_was_announced_is_refused(world: &World) -> Result<()> {
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

fn a_server_that_never_answers_is_left(world: &World) -> Result<()> {
    refused(world, |_| thread::sleep(SOON), "took more than 0.5 s")
}

fn a_server_that_drips_is_left(world: &World) -> Result<()> {
    let answer = |asked: &mut Asked<'_>| {
        let _ = asked.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while asked.stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    };
    refused(world, answer, "receiving data too slowly")
}

fn a_redirect_to_a_private_address_is_not_followed(world: &World) -> Result<()> {
    for target in [
        "https://127.0.0.9:1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://192.168.0.1/",
    ] {
        let answer = move |asked: &mut Asked<'_>| asked.answer("307 Temporary Redirect", &[("Location", target)], b"");
        refused(world, answer, "not allowed; allow its network")?;
    }
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

fn a_token_server_at_a_private_address_is_not_asked(world: &World) -> Result<()> {
    for realm in
        ["https://127.0.0.9:1/token", "https://169.254.169.254/token", "https://[::1]/token", "https://10.0.0.1/token"]
    {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"app\"");
        let answer =
            move |asked: &mut Asked<'_>| asked.answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
        refused(world, answer, "not allowed; allow its network")?;
    }
    for realm in ["http://127.0.0.9:1/token", "ftp://example.com/", "https://me:secret@127.0.0.1/", "nowhere", ""] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let answer =
            move |asked: &mut Asked<'_>| asked.answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
        refused(world, answer, "is not followed")?;
    }
    Ok(())
}

fn a_layer_that_drips_or_stops_is_left(world: &World) -> Result<()> {
    for pause in [Duration::from_millis(100), SOON] {
        let layer = world.layer(&[Part("app/server", "go-pure")])?;
        let served = Served::new(&Image::new(vec![layer.clone()], json!({"Entrypoint": ["/app/server"]})))?;
        let of_layer =
            Digest::sha256(&crate::common::image::pack(&layer, crate::common::image::Packing::Gzip)?).to_string();
        let answer = move |asked: &mut Asked<'_>| {
            if !asked.path.ends_with(&of_layer) {
                return served.answer(asked);
            }
            let _ = asked.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            while asked.stream.write_all(b"\x1f").is_ok() {
                thread::sleep(pause);
            }
        };
        refused(world, answer, "took more than 0.5 s")?;
    }
    Ok(())
}

fn a_head_without_an_end_is_not_read(world: &World) -> Result<()> {
    let answer = |asked: &mut Asked<'_>| {
        let _ = asked.stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while asked.stream.write_all(b"X-Filling: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok()
        {
        }
    };
    refused(world, answer, "or the connection broke")
}

fn redirects_in_a_circle_end(world: &World) -> Result<()> {
    let answer = |asked: &mut Asked<'_>| {
        let path = asked.path.to_owned();
        asked.answer("302 Found", &[("Location", &path)], b"");
    };
    refused(world, answer, "too many redirects")
}

fn credentials_go_to_no_other_host(world: &World) -> Result<()> {
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
        let settings = ClientSettings {
            credentials: Credentials::parse(config.as_bytes())?,
            ..reaching(&[own.address, elsewhere])
        };
        let error = failure(world, &own, settings)?;
        ensure!(!error.contains(PASSWORD), "{error}");
    }
    let leaked = |request: &String| request.to_ascii_lowercase().contains("\r\nauthorization:");
    ensure!(!other.requests().is_empty(), "nobody was sent to the other host");
    ensure!(!other.requests().iter().any(leaked), "{:#?}", other.requests());
    Ok(())
}
