//! How registries are reached: by which way, as whom, and how often.

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
use crate::registry::server::{Asked, Served, Server, reaching};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    a_mirror_is_asked_first_and_the_registry_where_it_fails,
    a_layer_that_a_mirror_lacks_comes_from_the_registry,
    a_registry_s_certificate_is_checked_with_the_authorities_that_are_named,
    plain_http_is_spoken_only_where_it_is_set,
    a_registry_that_wants_a_password_is_given_its_own,
    a_token_is_asked_for_once_and_used_until_it_ends,
    a_refresh_token_is_exchanged_and_shown_to_nobody_else,
    a_registry_that_limits_rates_is_asked_again_when_it_says,
    a_registry_that_limits_rates_for_long_is_left_alone,
    a_registry_that_fails_rests_and_others_do_not,
    a_connection_that_breaks_in_a_layer_is_begun_again,
    a_base_that_images_share_is_read_once_even_at_the_same_time
];

fn image(world: &World) -> Result<Image> {
    let layer = world.layer(&[Part("app/server", "go-pure")])?;
    Ok(Image::new(vec![layer], json!({"Entrypoint": ["/app/server"]})))
}

/// Inspects an image with this client, and gives what it is.
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

/// Tries once, so that what fails is seen at once.
fn once() -> Limits {
    Limits { attempts: 1, stall: Duration::from_secs(5), ..Limits::default() }
}

fn refused(world: &World, client: &Arc<Client>, reference: &str, reason: &str) -> Result<()> {
    let error =
        family(world, client, reference).err().with_context(|| format!("it was read, and should not: {reason}"))?;
    ensure!(error.to_string().contains(reason), "`{error}` does not say `{reason}`");
    Ok(())
}

/// A port of this machine on which nobody listens.
fn nobody() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn a_mirror_is_asked_first_and_the_registry_where_it_fails(world: &World) -> Result<()> {
    world.registry.push("hub/team/app:1", &[image(world)?])?;
    let (down, other) = (nobody()?, Server::start("127.0.0.1", |asked| asked.answer("404 Not Found", &[], b""))?);
    let mirror =
        |prefix: &str, endpoints: &[String]| Mirror { prefix: prefix.to_owned(), endpoints: endpoints.to_vec() };
    let real = format!("{}/hub", world.registry.address);
    let mut settings = reaching(&[world.registry.address, down, other.address]);
    settings.mirrors = vec![
        mirror("registry.example", &[other.address.to_string()]),
        mirror("registry.example/team", &[down.to_string(), other.address.to_string(), format!("{real}/team")]),
    ];
    let client = client(settings, once())?;
    ensure!(family(world, &client, "registry.example/team/app:1")? == "go");
    ensure!(other.asked_for("/v2/app/manifests/1") == 1, "{:#?}", other.requests());
    // Another prefix; and where no mirror has it, the registry itself is asked, which cannot be found.
    refused(world, &client, "registry.example/other/app:1", "registry.example")?;
    ensure!(other.asked_for("/v2/other/app/manifests/1") == 1, "{:#?}", other.requests());
    refused(world, &client, "registry.example/teams/app:1", "registry.example")?;
    ensure!(other.asked_for("/v2/teams/app/manifests/1") == 1, "the prefix ends with a name: {:#?}", other.requests());
    Ok(())
}

fn a_layer_that_a_mirror_lacks_comes_from_the_registry(world: &World) -> Result<()> {
    let image = image(world)?;
    let of_layer = Digest::sha256(&pack(&image.layers[0], Packing::Gzip)?).to_string();
    let (own, mirrored) = (Served::new(&image)?, Served::new(&image)?);
    let mirror = Server::start("127.0.0.1", move |asked| match asked.path.ends_with(&of_layer) {
        true => asked.answer("404 Not Found", &[], b""),
        false => mirrored.answer(asked),
    })?;
    let registry = Server::start("127.0.0.1", move |asked| own.answer(asked))?;
    let mut settings = reaching(&[mirror.address, registry.address]);
    let (prefix, endpoints) = (registry.address.to_string(), vec![mirror.address.to_string()]);
    settings.mirrors = vec![Mirror { prefix, endpoints }];
    let reference = format!("{}/app:1", registry.address);
    ensure!(family(world, &client(settings, once())?, &reference)? == "go");
    ensure!(registry.requests().len() == 1 && registry.asked_for("/blobs/") == 1, "{:#?}", registry.requests());
    Ok(())
}

fn a_registry_s_certificate_is_checked_with_the_authorities_that_are_named(world: &World) -> Result<()> {
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
        client(ClientSettings { authorities, plain_http: vec![], ..reaching(&[registry.address]) }, once())
    };
    refused(world, &trusting(vec![])?, &reference, "certificate")?;
    refused(world, &trusting(vec![other_der.clone()])?, &reference, "certificate")?;
    ensure!(family(world, &trusting(vec![other_der, own_der])?, &reference)? == "go");
    Ok(())
}

fn plain_http_is_spoken_only_where_it_is_set(world: &World) -> Result<()> {
    let served = Served::new(&image(world)?)?;
    let server = Server::start("127.0.0.1", move |asked| served.answer(asked))?;
    let reference = format!("{}/app:1", server.address);
    let settings = ClientSettings { plain_http: vec!["127.0.0.1".to_owned()], ..reaching(&[server.address]) };
    refused(world, &client(settings, Limits { stall: Duration::from_secs(1), ..once() })?, &reference, "127.0.0.1")?;
    ensure!(server.requests().is_empty(), "it was spoken to without TLS: {:#?}", server.requests());
    ensure!(family(world, &client(reaching(&[server.address]), once())?, &reference)? == "go");
    Ok(())
}

fn a_registry_that_wants_a_password_is_given_its_own(world: &World) -> Result<()> {
    const PASSWORD: &str = "only-for-this-one";
    let registry = Registry::with_password(PASSWORD)?;
    registry.push("team/app:1", &[image(world)?])?;
    let reference = format!("{}/team/app:1", registry.address);
    let knowing = |key: &str, password: &str| -> Result<Arc<Client>> {
        let config = json!({"auths": {key: {"username": "puller", "password": password}}}).to_string();
        let settings =
            ClientSettings { credentials: Credentials::parse(config.as_bytes())?, ..reaching(&[registry.address]) };
        client(settings, once())
    };
    let key = registry.address.to_string();
    ensure!(family(world, &knowing(&key, PASSWORD)?, &reference)? == "go");
    ensure!(family(world, &knowing(&format!("https://{key}/team"), PASSWORD)?, &reference)? == "go");
    refused(world, &client(reaching(&[registry.address]), once())?, &reference, "pass a dockerconfigjson")?;
    refused(world, &knowing(&format!("{key}/other"), PASSWORD)?, &reference, "it requires a user name and a password")?;
    refused(world, &knowing(&key, "wrong")?, &reference, "it rejected the credentials")
}

/// A registry that wants a token, and gives tokens that last as long.
fn with_tokens(world: &World, life: &'static str) -> Result<Server> {
    let served = Served::new(&image(world)?)?;
    Server::start("127.0.0.1", move |asked| {
        if asked.path.starts_with("/token") {
            let token = format!(r#"{{"token":"for-pulling","expires_in":{life}}}"#);
            return asked.answer("200 OK", &[], token.as_bytes());
        }
        if asked.header("authorization") == Some("Bearer for-pulling") {
            return served.answer(asked);
        }
        let own = asked.header("host").unwrap_or_default();
        let challenge = format!("Bearer realm=\"http://{own}/token\",service=\"a,b\",scope=\"repository:x:push\"");
        asked.answer("401 Unauthorized", &[("WWW-Authenticate", "Digest"), ("WWW-Authenticate", &challenge)], b"");
    })
}

fn a_token_is_asked_for_once_and_used_until_it_ends(world: &World) -> Result<()> {
    for (life, asked) in [("300", 1), ("1", 3), ("0", 3)] {
        let server = with_tokens(world, life)?;
        let client = client(reaching(&[server.address]), once())?;
        ensure!(family(world, &client, &format!("{}/team/app:1", server.address))? == "go");
        // The manifest, the configuration and a layer.
        ensure!(server.asked_for("/token?") == asked, "{life}: {:#?}", server.requests());
        let right = "/token?scope=repository%3Ateam%2Fapp%3Apull&service=a%2Cb";
        ensure!(server.asked_for(right) == asked, "{:#?}", server.requests());
    }
    Ok(())
}

fn a_refresh_token_is_exchanged_and_shown_to_nobody_else(world: &World) -> Result<()> {
    let server = with_tokens(world, "300")?;
    let config = json!({"auths": {server.address.to_string(): {"identitytoken": "of-a-person"}}}).to_string();
    let settings =
        ClientSettings { credentials: Credentials::parse(config.as_bytes())?, ..reaching(&[server.address]) };
    ensure!(family(world, &client(settings, once())?, &format!("{}/app:1", server.address))? == "go");
    let requests = server.requests();
    let telling: Vec<&String> = requests.iter().filter(|request| request.contains("of-a-person")).collect();
    ensure!(telling.len() == 1 && telling[0].starts_with("POST /token"), "{requests:#?}");
    ensure!(telling[0].contains("grant_type=refresh_token"), "{telling:#?}");
    Ok(())
}

/// A registry that refuses so many requests so, and then answers.
fn refusing(world: &World, times: usize, refuse: impl Fn(&mut Asked<'_>) + Send + Sync + 'static) -> Result<Server> {
    let (served, count) = (Served::new(&image(world)?)?, AtomicUsize::new(0));
    Server::start("127.0.0.1", move |asked| match count.fetch_add(1, Ordering::Relaxed) {
        number if number < times => refuse(asked),
        _ => served.answer(asked),
    })
}

fn too_many(retry_after: &'static str) -> impl Fn(&mut Asked<'_>) {
    move |asked| asked.answer("429 Too Many Requests", &[("Retry-After", retry_after)], b"")
}

fn a_registry_that_limits_rates_is_asked_again_when_it_says(world: &World) -> Result<()> {
    let server = refusing(world, 2, too_many("1"))?;
    let client = client(reaching(&[server.address]), Limits::default())?;
    let started = Instant::now();
    ensure!(family(world, &client, &format!("{}/app:1", server.address))? == "go");
    ensure!(started.elapsed() >= Duration::from_secs(2), "it was asked again after {:?}", started.elapsed());
    ensure!(server.requests().len() == 2 + 3, "{:#?}", server.requests());
    Ok(())
}

fn a_registry_that_limits_rates_for_long_is_left_alone(world: &World) -> Result<()> {
    let date = "Thu, 31 Dec 2099 23:59:59 GMT";
    for (asked, said) in [("3600", "try again in 3600 s"), (date, "86400 s"), ("", "60 s"), ("soon", "60 s")] {
        let server = refusing(world, 1, too_many(asked))?;
        let client = client(reaching(&[server.address]), Limits::default())?;
        let started = Instant::now();
        refused(world, &client, &format!("{}/app:1", server.address), said)?;
        // Nobody else asks it before either.
        refused(world, &client, &format!("{}/other:1", server.address), "the next attempt is in")?;
        ensure!(started.elapsed() < Duration::from_secs(10), "it was waited for");
        ensure!(server.requests().len() == 1, "{:#?}", server.requests());
    }
    Ok(())
}

fn a_registry_that_fails_rests_and_others_do_not(world: &World) -> Result<()> {
    let down = Server::start("127.0.0.1", |asked| asked.answer("503 Service Unavailable", &[], b""))?;
    let served = Served::new(&image(world)?)?;
    let up = Server::start("127.0.0.2", move |asked| served.answer(asked))?;
    let client = client(reaching(&[down.address, up.address]), Limits { attempts: 3, ..Limits::default() })?;
    let started = Instant::now();
    refused(world, &client, &format!("{}/app:1", down.address), "answered 503")?;
    // Half a second, then a whole one.
    ensure!(started.elapsed() >= Duration::from_millis(1500) && down.requests().len() == 3, "{:?}", started.elapsed());
    refused(world, &client, &format!("{}/app:1", down.address), "failed recently")?;
    ensure!(down.requests().len() == 3, "it was asked while it rests: {:#?}", down.requests());
    ensure!(family(world, &client, &format!("{}/app:1", up.address))? == "go", "another host does not rest");
    Ok(())
}

fn a_connection_that_breaks_in_a_layer_is_begun_again(world: &World) -> Result<()> {
    let image = image(world)?;
    let of_layer = Digest::sha256(&pack(&image.layers[0], Packing::Gzip)?).to_string();
    let (served, broken) = (Served::new(&image)?, AtomicUsize::new(0));
    let server = Server::start("127.0.0.1", move |asked| {
        if asked.path.ends_with(&of_layer) && broken.fetch_add(1, Ordering::Relaxed) == 0 {
            let _ =
                std::io::Write::write_all(asked.stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbroken");
            let _ = asked.stream.shutdown(std::net::Shutdown::Both);
            return;
        }
        served.answer(asked);
    })?;
    ensure!(
        family(world, &client(reaching(&[server.address]), once())?, &format!("{}/app:1", server.address))? == "go"
    );
    ensure!(server.asked_for("/blobs/") == 3, "{:#?}", server.requests());
    Ok(())
}

fn a_base_that_images_share_is_read_once_even_at_the_same_time(world: &World) -> Result<()> {
    const IMAGES: usize = 12;
    let base = world.layer(&[Part("lib/ld-musl-x86_64.so.1", "ld-musl"), Part("bin/tool", "musl-nothing")])?;
    let of_base = Digest::sha256(&pack(&base, Packing::Gzip)?).to_string();
    let mut served = Vec::new();
    for number in 0..IMAGES {
        let own = format!("app/{number}");
        let layers = vec![base.clone(), world.layer(&[Part(&own, "musl-lookup")])?];
        served.push(Served::new(&Image::new(layers, json!({"Entrypoint": [format!("/{own}")]})))?);
    }
    let slow = of_base.clone();
    let server = Server::start("127.0.0.1", move |asked| {
        // All of them want it by the time that the first gets it.
        if asked.path.ends_with(&slow) {
            std::thread::sleep(Duration::from_millis(300));
        }
        let number = asked.path.split('/').nth(2).and_then(|name| name.strip_prefix("app")?.parse::<usize>().ok());
        match number.and_then(|number| served.get(number)) {
            Some(served) => served.answer(asked),
            None => asked.answer("404 Not Found", &[], b""),
        }
    })?;
    let client = client(reaching(&[server.address]), once())?;
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
    ensure!(server.asked_for(&of_base) == 1, "the base was read {} times", server.asked_for(&of_base));
    Ok(())
}
