//! What is known of private images, and by whom: the credentials that read them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use muslin::image::contents::Invocation;
use muslin::registry::{
    Client, CredentialSource, Credentials, Images, InspectionLimits, Limits, Lookup, Platform, Requester,
};
use serde_json::json;

use crate::common::harness::tests;
use crate::common::image::Entry::Part;
use crate::common::image::Image;
use crate::common::registry::Registry;
use crate::common::registry_server::{Request, ServedImage, Server, settings_for};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    a_private_image_is_known_to_the_credentials_that_read_it,
    a_public_image_that_credentials_read_is_known_to_all,
    credentials_that_lose_access_lose_the_knowledge,
    a_manifest_that_names_a_private_layer_learns_nothing_of_it,
    a_dry_run_is_no_use_of_an_image
];

/// The password of private registries, with the user `puller`.
const PASSWORD: &str = "right";
/// The header with both.
const AUTHORIZATION: &str = "Basic cHVsbGVyOnJpZ2h0";
/// Longer than an inspection takes.
const LONG: Duration = Duration::from_secs(20);

/// Credentials of a pod.
#[derive(Debug)]
struct Given {
    identity: &'static str,
    credentials: Credentials,
}

// === impl Given ===

impl CredentialSource for Given {
    fn identity(&self) -> &str {
        self.identity
    }

    fn credentials(&self) -> BoxFuture<'_, Credentials> {
        std::future::ready(self.credentials.clone()).boxed()
    }
}

fn given(identity: &'static str, registry: &str, password: &str) -> Result<Arc<dyn CredentialSource>> {
    let config = json!({"auths": {registry: {"username": "puller", "password": password}}}).to_string();
    Ok(Arc::new(Given { identity, credentials: Credentials::parse(config.as_bytes())? }))
}

fn images(servers: &[std::net::SocketAddr], limits: InspectionLimits) -> Result<Images> {
    let one_attempt = Limits { attempts: 1, ..Limits::default() };
    Ok(Images::new(Client::new(settings_for(servers), one_attempt)?, one_attempt, limits))
}

/// Returns what a pod with these credentials learns of an image: the resolver of its command, or of another one that it brings.
fn learned(
    world: &World,
    images: &Images,
    reference: &str,
    credentials: Option<&Arc<dyn CredentialSource>>,
) -> Option<&'static str> {
    let platform = Platform::linux("amd64");
    let (wanted, requester) = ([(reference, &platform)], Requester { credentials, ..Requester::of("shop") });
    let deadline = || tokio::time::Instant::now() + LONG;
    let known = world.runtime.block_on(async { images.look_up(&wanted, &requester, deadline()).await });
    let without_waiting = images.cached(&wanted, credentials.map(|credentials| credentials.identity()));
    assert_eq!(known, without_waiting, "both ways know the same");
    match known.into_iter().next().flatten()? {
        Lookup::Image(image) => Some(image.facts.fingerprint(&Invocation::default()).resolver.family.name()),
        Lookup::Declared(..) | Lookup::NoPlatform => Some("something"),
    }
}

fn image(world: &World) -> Result<Image> {
    let layer = world.layer(&[Part("app/server", "go-pure")])?;
    Ok(Image::new(vec![layer], json!({"Entrypoint": ["/app/server"]})))
}

fn a_private_image_is_known_to_the_credentials_that_read_it(world: &World) -> Result<()> {
    let registry = Registry::with_password(PASSWORD)?;
    registry.push("team/private:1", &[image(world)?])?;
    let address = registry.address.to_string();
    let images = images(&[registry.address], InspectionLimits::default())?;
    let (owner, other) = (given("owner", &address, PASSWORD)?, given("other", &address, "wrong")?);
    let (elsewhere, second) = (given("elsewhere", "example.com", PASSWORD)?, given("second", &address, PASSWORD)?);
    let reference = format!("{address}/team/private:1");
    ensure!(learned(world, &images, &reference, Some(&owner)) == Some("go"));
    for (who, credentials) in [("nobody", None), ("other", Some(&other)), ("elsewhere", Some(&elsewhere))] {
        let learned = learned(world, &images, &reference, credentials);
        ensure!(learned.is_none(), "{who} learned {learned:?}");
    }
    ensure!(learned(world, &images, &reference, Some(&second)) == Some("go"), "whose credentials read it knows it");
    ensure!(learned(world, &images, &reference, Some(&owner)) == Some("go"));
    Ok(())
}

fn a_public_image_that_credentials_read_is_known_to_all(world: &World) -> Result<()> {
    let served = ServedImage::new(&image(world)?)?;
    let server = Server::start("127.0.0.1", move |request| served.answer(request))?;
    let images = images(&[server.address], InspectionLimits::default())?;
    let reference = format!("{}/public:1", server.address);
    let owner = given("owner", &server.address.to_string(), PASSWORD)?;
    ensure!(learned(world, &images, &reference, Some(&owner)) == Some("go"));
    let before = server.requests().len();
    ensure!(learned(world, &images, &reference, None) == Some("go"));
    ensure!(server.requests().len() == before, "it was read once: {:#?}", server.requests());
    Ok(())
}

/// Answers if the request has the password.
fn answer_to_puller(served: &ServedImage, request: &mut Request<'_>) {
    if request.header("authorization") == Some(AUTHORIZATION) {
        served.answer(request);
    } else {
        request.answer("401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"private\"")], b"");
    }
}

fn credentials_that_lose_access_lose_the_knowledge(world: &World) -> Result<()> {
    let (served, is_open) = (ServedImage::new(&image(world)?)?, Arc::new(AtomicBool::new(true)));
    let seen = Arc::clone(&is_open);
    let server = Server::start("127.0.0.1", move |request| match seen.load(Ordering::Relaxed) {
        true => answer_to_puller(&served, request),
        false => request.answer("403 Forbidden", &[], b""),
    })?;
    let limits = InspectionLimits { tag_ttl: Duration::ZERO, ..InspectionLimits::default() };
    let images = images(&[server.address], limits)?;
    let owner = given("owner", &server.address.to_string(), PASSWORD)?;
    let reference = format!("{}/private:1", server.address);
    ensure!(learned(world, &images, &reference, Some(&owner)) == Some("go"));
    let layers = server.count_requests("/blobs/");
    ensure!(learned(world, &images, &reference, Some(&owner)) == Some("go"));
    ensure!(server.count_requests("/blobs/") == layers + 1, "only the configuration is read again");
    is_open.store(false, Ordering::Relaxed);
    ensure!(learned(world, &images, &reference, Some(&owner)).is_none());
    Ok(())
}

fn a_manifest_that_names_a_private_layer_learns_nothing_of_it(world: &World) -> Result<()> {
    let image = image(world)?;
    let (private, copied) = (ServedImage::new(&image)?, ServedImage::new(&image)?);
    let victim = Server::start("127.0.0.1", move |request| answer_to_puller(&private, request))?;
    // The attacker knows the manifest and the configuration, and has no layer.
    let layer = crate::common::image::pack(&image.layers[0], crate::common::image::Packing::Gzip)?;
    let of_layer = muslin::registry::Digest::sha256(&layer).to_string();
    let attacker = Server::start("127.0.0.2", move |request| match request.path.ends_with(&of_layer) {
        true => request.answer("404 Not Found", &[], b""),
        false => copied.answer(request),
    })?;
    let images = images(&[victim.address, attacker.address], InspectionLimits::default())?;
    let owner = given("owner", &victim.address.to_string(), PASSWORD)?;
    ensure!(learned(world, &images, &format!("{}/private:1", victim.address), Some(&owner)) == Some("go"));
    let own = given("attacker", &attacker.address.to_string(), "any")?;
    for credentials in [None, Some(&own)] {
        let learned = learned(world, &images, &format!("{}/copied:1", attacker.address), credentials);
        ensure!(learned.is_none(), "{learned:?}");
    }
    ensure!(attacker.count_requests("/blobs/") >= 4, "the layer was asked for: {:#?}", attacker.requests());
    Ok(())
}

fn a_dry_run_is_no_use_of_an_image(world: &World) -> Result<()> {
    let served = ServedImage::new(&image(world)?)?;
    let server = Server::start("127.0.0.1", move |request| served.answer(request))?;
    let images = images(&[server.address], InspectionLimits::default())?;
    let (sender, mut uses) = tokio::sync::mpsc::channel(8);
    images.notify(sender);
    let (reference, platform) = (format!("{}/app:1", server.address), Platform::linux("amd64"));
    let dry = Requester { is_dry_run: true, ..Requester::of("dry") };
    for (requester, user) in [(dry, None), (Requester::of("real"), Some("real")), (Requester::of("again"), None)] {
        let deadline = || tokio::time::Instant::now() + LONG;
        let wanted = [(reference.as_str(), &platform)];
        let known = world.runtime.block_on(async { images.look_up(&wanted, &requester, deadline()).await });
        known.into_iter().next().flatten().context("it is known")?;
        let used = uses.try_recv().ok();
        ensure!(used.as_ref().map(|used| &*used.namespace) == user, "{used:?} instead of {user:?}");
    }
    Ok(())
}
