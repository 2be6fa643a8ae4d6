//! Requests to registries: mirrors, TLS, credentials, tokens, retries and pauses.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use muslin::image::Reference;
use muslin::image::contents::Invocation;
use muslin::registry::{
    Client, ClientSettings, Credentials, Depth, Digest, Error, ImageSource, Inspector, Limits, Mirror, Platform, Remote,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::json;

use crate::common::harness::tests;
use crate::common::image::Entry::Part;
use crate::common::image::{Image, Packing, pack};
use crate::common::registry::Registry;
use crate::common::registry_server::{Request, ServedImage, Server, settings_for};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    tries_mirrors_before_the_registry,
    reads_a_layer_that_a_mirror_lacks_from_the_registry,
    checks_a_certificate_with_the_configured_authorities,
    uses_plain_http_only_where_configured,
    sends_a_registry_its_own_password,
    requests_a_token_once_and_uses_it_until_it_expires,
    sends_a_refresh_token_to_the_token_server_only,
    retries_after_the_time_that_a_registry_asks_for,
    reports_a_long_retry_after_at_once,
    backs_off_from_a_failed_registry_and_no_other,
    retries_a_layer_whose_connection_breaks,
    reads_a_shared_base_once_for_concurrent_inspections
];

fn image(world: &World) -> Result<Image> {
    let layer = world.layer(&[Part("app/server", "go-pure")])?;
    Ok(Image::new(vec![layer], json!({"Entrypoint": ["/app/server"]})))
}

/// Inspects an image with this client, and returns its resolver family.
fn family(world: &World, client: &Arc<Client>, reference: &str) -> Result<&'static str, Error> {
    let parsed = Reference::parse(reference)?;
    let remote = Remote::new(Arc::clone(client), &parsed)?;
    let inspector = Inspector::new(Limits::default(), 1 << 20);
    let source = ImageSource::Remote(Arc::new(remote));
    let inspection = world.runtime.block_on(inspector.inspect(&source, &Platform::linux("amd64"), Depth::Whole))?;
    Ok(inspection.facts.fingerprint(&Invocation::default()).resolver.family.name())
}

fn client(settings: ClientSettings, limits: Limits) -> Result<Arc<Client>> {
    Ok(Arc::new(Client::new(settings, limits)?))
}

/// Limits with one attempt, so that failures show at once.
fn one_attempt() -> Limits {
    Limits { attempts: 1, stall: Duration::from_secs(5), ..Limits::default() }
}

fn expect_error(world: &World, client: &Arc<Client>, reference: &str, reason: &str) -> Result<()> {
    let error = family(world, client, reference)
        .err()
        .with_context(|| format!("the image was read; expected an error with `{reason}`"))?;
    ensure!(error.to_string().contains(reason), "`{error}` does not contain `{reason}`");
    Ok(())
}

/// Returns a closed port of this machine.
fn closed_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn tries_mirrors_before_the_registry(world: &World) -> Result<()> {
    world.registry.push("hub/team/app:1", &[image(world)?])?;
    let (down, other) =
        (closed_port()?, Server::start("127.0.0.1", |request| request.answer("404 Not Found", &[], b""))?);
    let mirror =
        |prefix: &str, endpoints: &[String]| Mirror { prefix: prefix.to_owned(), endpoints: endpoints.to_vec() };
    let real = format!("{}/hub", world.registry.address);
    let mut settings = settings_for(&[world.registry.address, down, other.address]);
    settings.mirrors = vec![
        mirror("registry.example", &[other.address.to_string()]),
        mirror("registry.example/team", &[down.to_string(), other.address.to_string(), format!("{real}/team")]),
    ];
    let client = client(settings, one_attempt())?;
    ensure!(family(world, &client, "registry.example/team/app:1")? == "go");
    ensure!(other.count_requests("/v2/app/manifests/1") == 1, "{:#?}", other.requests());
    // Another prefix; when no mirror has the image, the registry itself is tried, which does not exist.
    expect_error(world, &client, "registry.example/other/app:1", "registry.example")?;
    ensure!(other.count_requests("/v2/other/app/manifests/1") == 1, "{:#?}", other.requests());
    expect_error(world, &client, "registry.example/teams/app:1", "registry.example")?;
    ensure!(
        other.count_requests("/v2/teams/app/manifests/1") == 1,
        "the prefix ends with a name: {:#?}",
        other.requests()
    );
    Ok(())
}

fn reads_a_layer_that_a_mirror_lacks_from_the_registry(world: &World) -> Result<()> {
    let image = image(world)?;
    let of_layer = Digest::sha256(&pack(&image.layers[0], Packing::Gzip)?).to_string();
    let (own, mirrored) = (ServedImage::new(&image)?, ServedImage::new(&image)?);
    let mirror = Server::start("127.0.0.1", move |request| match request.path.ends_with(&of_layer) {
        true => request.answer("404 Not Found", &[], b""),
        false => mirrored.answer(request),
    })?;
    let registry = Server::start("127.0.0.1", move |request| own.answer(request))?;
    let mut settings = settings_for(&[mirror.address, registry.address]);
    let (prefix, endpoints) = (registry.address.to_string(), vec![mirror.address.to_string()]);
    settings.mirrors = vec![Mirror { prefix, endpoints }];
    let reference = format!("{}/app:1", registry.address);
    ensure!(family(world, &client(settings, one_attempt())?, &reference)? == "go");
    ensure!(registry.requests().len() == 1 && registry.count_requests("/blobs/") == 1, "{:#?}", registry.requests());
    Ok(())
}

fn checks_a_certificate_with_the_configured_authorities(world: &World) -> Result<()> {
    let authority = |name: &str| -> Result<(CertificateParams, KeyPair)> {
        let mut params = CertificateParams::new(vec![])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Ok((params, KeyPair::generate()?))
    };
    let ((own, own_key), (other, other_key)) = (authority("own")?, authority("other")?);
    let der = |params: &CertificateParams, key: &KeyPair| -> Result<CertificateDer<'static>> {
        Ok(params.self_signed(key)?.der().clone().into_owned())
    };
    let (own_der, other_der) = (der(&own, &own_key)?, der(&other, &other_key)?);
    let key = KeyPair::generate()?;
    let issuer = Issuer::new(own, own_key);
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    let registry = Registry::with_certificate(&certificate.pem(), &key.serialize_pem())?;
    registry.push("app:1", &[image(world)?])?;
    let reference = format!("{}/app:1", registry.address);
    let trusting = |authorities: Vec<CertificateDer<'static>>| {
        client(ClientSettings { authorities, plain_http: vec![], ..settings_for(&[registry.address]) }, one_attempt())
    };
    expect_error(world, &trusting(vec![])?, &reference, "certificate")?;
    expect_error(world, &trusting(vec![other_der.clone()])?, &reference, "certificate")?;
    ensure!(family(world, &trusting(vec![other_der, own_der])?, &reference)? == "go");
    Ok(())
}

fn uses_plain_http_only_where_configured(world: &World) -> Result<()> {
    let served = ServedImage::new(&image(world)?)?;
    let server = Server::start("127.0.0.1", move |request| served.answer(request))?;
    let reference = format!("{}/app:1", server.address);
    let settings = ClientSettings { plain_http: vec!["127.0.0.1".to_owned()], ..settings_for(&[server.address]) };
    expect_error(
        world,
        &client(settings, Limits { stall: Duration::from_secs(1), ..one_attempt() })?,
        &reference,
        "127.0.0.1",
    )?;
    ensure!(server.requests().is_empty(), "it got requests without TLS: {:#?}", server.requests());
    ensure!(family(world, &client(settings_for(&[server.address]), one_attempt())?, &reference)? == "go");
    Ok(())
}

fn sends_a_registry_its_own_password(world: &World) -> Result<()> {
    const PASSWORD: &str = "only-for-this-one";
    let registry = Registry::with_password(PASSWORD)?;
    registry.push("team/app:1", &[image(world)?])?;
    let reference = format!("{}/team/app:1", registry.address);
    let knowing = |key: &str, password: &str| -> Result<Arc<Client>> {
        let config = json!({"auths": {key: {"username": "puller", "password": password}}}).to_string();
        let settings =
            ClientSettings { credentials: Credentials::parse(config.as_bytes())?, ..settings_for(&[registry.address]) };
        client(settings, one_attempt())
    };
    let key = registry.address.to_string();
    ensure!(family(world, &knowing(&key, PASSWORD)?, &reference)? == "go");
    ensure!(family(world, &knowing(&format!("https://{key}/team"), PASSWORD)?, &reference)? == "go");
    expect_error(
        world,
        &client(settings_for(&[registry.address]), one_attempt())?,
        &reference,
        "pass a dockerconfigjson",
    )?;
    expect_error(
        world,
        &knowing(&format!("{key}/other"), PASSWORD)?,
        &reference,
        "it requires a user name and a password",
    )?;
    expect_error(world, &knowing(&key, "wrong")?, &reference, "it rejected the credentials")
}

/// A registry that requires a token, and issues tokens with this life.
fn with_tokens(world: &World, life: &'static str) -> Result<Server> {
    let served = ServedImage::new(&image(world)?)?;
    Server::start("127.0.0.1", move |request| {
        if request.path.starts_with("/token") {
            let token = format!(r#"{{"token":"for-pulling","expires_in":{life}}}"#);
            return request.answer("200 OK", &[], token.as_bytes());
        }
        if request.header("authorization") == Some("Bearer for-pulling") {
            return served.answer(request);
        }
        let own = request.header("host").unwrap_or_default();
        let challenge = format!("Bearer realm=\"http://{own}/token\",service=\"a,b\",scope=\"repository:x:push\"");
        request.answer("401 Unauthorized", &[("WWW-Authenticate", "Digest"), ("WWW-Authenticate", &challenge)], b"");
    })
}

fn requests_a_token_once_and_uses_it_until_it_expires(world: &World) -> Result<()> {
    for (life, count) in [("300", 1), ("1", 3), ("0", 3)] {
        let server = with_tokens(world, life)?;
        let client = client(settings_for(&[server.address]), one_attempt())?;
        ensure!(family(world, &client, &format!("{}/team/app:1", server.address))? == "go");
        // The manifest, the configuration and a layer.
        ensure!(server.count_requests("/token?") == count, "{life}: {:#?}", server.requests());
        let right = "/token?scope=repository%3Ateam%2Fapp%3Apull&service=a%2Cb";
        ensure!(server.count_requests(right) == count, "{:#?}", server.requests());
    }
    Ok(())
}

fn sends_a_refresh_token_to_the_token_server_only(world: &World) -> Result<()> {
    let server = with_tokens(world, "300")?;
    let config = json!({"auths": {server.address.to_string(): {"identitytoken": "of-a-person"}}}).to_string();
    let settings =
        ClientSettings { credentials: Credentials::parse(config.as_bytes())?, ..settings_for(&[server.address]) };
    ensure!(family(world, &client(settings, one_attempt())?, &format!("{}/app:1", server.address))? == "go");
    let requests = server.requests();
    let with_token: Vec<&String> = requests.iter().filter(|request| request.contains("of-a-person")).collect();
    ensure!(with_token.len() == 1 && with_token[0].starts_with("POST /token"), "{requests:#?}");
    ensure!(with_token[0].contains("grant_type=refresh_token"), "{with_token:#?}");
    Ok(())
}

/// A registry that answers the first `times` requests with `refuse`, and then normally.
fn failing_first(
    world: &World,
    times: usize,
    refuse: impl Fn(&mut Request<'_>) + Send + Sync + 'static,
) -> Result<Server> {
    let (served, count) = (ServedImage::new(&image(world)?)?, AtomicUsize::new(0));
    Server::start("127.0.0.1", move |request| match count.fetch_add(1, Ordering::Relaxed) {
        number if number < times => refuse(request),
        _ => served.answer(request),
    })
}

fn too_many(retry_after: &'static str) -> impl Fn(&mut Request<'_>) {
    move |request| request.answer("429 Too Many Requests", &[("Retry-After", retry_after)], b"")
}

fn retries_after_the_time_that_a_registry_asks_for(world: &World) -> Result<()> {
    let server = failing_first(world, 2, too_many("1"))?;
    let client = client(settings_for(&[server.address]), Limits::default())?;
    let started = Instant::now();
    ensure!(family(world, &client, &format!("{}/app:1", server.address))? == "go");
    ensure!(started.elapsed() >= Duration::from_secs(2), "the retry came after {:?}", started.elapsed());
    ensure!(server.requests().len() == 2 + 3, "{:#?}", server.requests());
    Ok(())
}

fn reports_a_long_retry_after_at_once(world: &World) -> Result<()> {
    let date = "Thu, 31 Dec 2099 23:59:59 GMT";
    for (retry_after, said) in [("3600", "try again in 3600 s"), (date, "86400 s"), ("", "60 s"), ("soon", "60 s")] {
        let server = failing_first(world, 1, too_many(retry_after))?;
        let client = client(settings_for(&[server.address]), Limits::default())?;
        let started = Instant::now();
        expect_error(world, &client, &format!("{}/app:1", server.address), said)?;
        // Other images of this registry wait, too.
        expect_error(world, &client, &format!("{}/other:1", server.address), "the next attempt is in")?;
        ensure!(started.elapsed() < Duration::from_secs(10), "it waited for the registry");
        ensure!(server.requests().len() == 1, "{:#?}", server.requests());
    }
    Ok(())
}

fn backs_off_from_a_failed_registry_and_no_other(world: &World) -> Result<()> {
    let down = Server::start("127.0.0.1", |request| request.answer("503 Service Unavailable", &[], b""))?;
    let served = ServedImage::new(&image(world)?)?;
    let up = Server::start("127.0.0.2", move |request| served.answer(request))?;
    let client = client(settings_for(&[down.address, up.address]), Limits { attempts: 3, ..Limits::default() })?;
    let started = Instant::now();
    expect_error(world, &client, &format!("{}/app:1", down.address), "answered 503")?;
    // Half a second, then a whole one.
    ensure!(started.elapsed() >= Duration::from_millis(1500) && down.requests().len() == 3, "{:?}", started.elapsed());
    expect_error(world, &client, &format!("{}/app:1", down.address), "failed recently")?;
    ensure!(down.requests().len() == 3, "it got a request during its pause: {:#?}", down.requests());
    ensure!(family(world, &client, &format!("{}/app:1", up.address))? == "go", "another host has no pause");
    Ok(())
}

fn retries_a_layer_whose_connection_breaks(world: &World) -> Result<()> {
    let image = image(world)?;
    let of_layer = Digest::sha256(&pack(&image.layers[0], Packing::Gzip)?).to_string();
    let (served, broken) = (ServedImage::new(&image)?, AtomicUsize::new(0));
    let server = Server::start("127.0.0.1", move |request| {
        if request.path.ends_with(&of_layer) && broken.fetch_add(1, Ordering::Relaxed) == 0 {
            let _ =
                std::io::Write::write_all(request.stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbroken");
            let _ = request.stream.shutdown(std::net::Shutdown::Both);
            return;
        }
        served.answer(request);
    })?;
    ensure!(
        family(world, &client(settings_for(&[server.address]), one_attempt())?, &format!("{}/app:1", server.address))?
            == "go"
    );
    ensure!(server.count_requests("/blobs/") == 3, "{:#?}", server.requests());
    Ok(())
}

fn reads_a_shared_base_once_for_concurrent_inspections(world: &World) -> Result<()> {
    const IMAGES: usize = 12;
    let base = world.layer(&[Part("lib/ld-musl-x86_64.so.1", "ld-musl"), Part("bin/tool", "musl-nothing")])?;
    let of_base = Digest::sha256(&pack(&base, Packing::Gzip)?).to_string();
    let mut served = Vec::new();
    for number in 0..IMAGES {
        let own = format!("app/{number}");
        let layers = vec![base.clone(), world.layer(&[Part(&own, "musl-lookup")])?];
        served.push(ServedImage::new(&Image::new(layers, json!({"Entrypoint": [format!("/{own}")]})))?);
    }
    let slow = of_base.clone();
    let server = Server::start("127.0.0.1", move |request| {
        // All inspections request the base before the first one has it.
        if request.path.ends_with(&slow) {
            std::thread::sleep(Duration::from_millis(300));
        }
        let number = request.path.split('/').nth(2).and_then(|name| name.strip_prefix("app")?.parse::<usize>().ok());
        match number.and_then(|number| served.get(number)) {
            Some(served) => served.answer(request),
            None => request.answer("404 Not Found", &[], b""),
        }
    })?;
    let client = client(settings_for(&[server.address]), one_attempt())?;
    let inspector = Inspector::new(Limits::default(), 8 << 20);
    let sources: Vec<ImageSource> = (0..IMAGES)
        .map(|number| {
            let reference = format!("{}/app{number}:1", server.address);
            Ok(ImageSource::Remote(Arc::new(Remote::new(Arc::clone(&client), &Reference::parse(&reference)?)?)))
        })
        .collect::<Result<_>>()?;
    let amd64 = Platform::linux("amd64");
    let all = sources.iter().map(|source| inspector.inspect(source, &amd64, Depth::Whole));
    for inspection in world.runtime.block_on(futures::future::join_all(all)) {
        let resolver = inspection?.facts.fingerprint(&Invocation::default()).resolver;
        ensure!(resolver.to_string() == "musl 1.2.3", "{resolver}");
    }
    ensure!(server.count_requests(&of_base) == 1, "the base was read {} times", server.count_requests(&of_base));
    Ok(())
}
