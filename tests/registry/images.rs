//! Lookups of images: results at once, at the deadline, or from the cache later.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use muslin::image::contents::Invocation;
use muslin::registry::{Client, Images, InspectionLimits, Limits, Lookup, Platform, Requester};
use serde_json::json;
use tokio::time::Instant;

use crate::common::harness::tests;
use crate::common::image::Entry::Part;
use crate::common::image::Image;
use crate::common::registry::Registry;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    returns_an_inspected_image_after_the_registry_is_gone,
    returns_at_the_deadline_and_caches_the_image_later,
    inspects_an_expired_tag_again_and_a_digest_never,
    drops_the_oldest_of_too_many_inspections
];

/// Longer than an inspection takes.
const LONG: Duration = Duration::from_secs(20);

fn images(world: &World, registry: &Registry, limits: InspectionLimits) -> Result<Images> {
    let mut settings = world.settings();
    settings.plain_http = vec![registry.address.to_string()];
    let client = Client::new(settings, Limits::default())?;
    Ok(Images::new(client, Limits::default(), limits))
}

fn resolver(world: &World, images: &Images, reference: &str, wait: Duration) -> Option<String> {
    let platform = Platform::linux("amd64");
    let wanted = [(reference, &platform)];
    let known =
        world.runtime.block_on(async { images.look_up(&wanted, &Requester::of("shop"), Instant::now() + wait).await });
    match known.into_iter().next().flatten()? {
        Lookup::Image(image) => Some(image.facts.fingerprint(&Invocation::default()).resolver.family.name().to_owned()),
        Lookup::Declared(resolver, _) => Some(format!("{resolver} (declared)")),
        Lookup::NoPlatform => Some("no platform".to_owned()),
    }
}

fn push(world: &World, registry: &Registry, name: &str, part: &str) -> Result<String> {
    let layer = world.layer(&[Part("app/server", part)])?;
    registry.push(name, &[Image::new(vec![layer], json!({"Entrypoint": ["/app/server"]}))])?;
    Ok(format!("{}/{name}", registry.address))
}

fn returns_an_inspected_image_after_the_registry_is_gone(world: &World) -> Result<()> {
    let registry = Registry::start()?;
    let reference = push(world, &registry, "app:1", "go-pure")?;
    let images = images(world, &registry, InspectionLimits::default())?;
    ensure!(resolver(world, &images, &reference, LONG).as_deref() == Some("go"));
    drop(registry);
    ensure!(resolver(world, &images, &reference, Duration::ZERO).as_deref() == Some("go"));
    Ok(())
}

fn returns_at_the_deadline_and_caches_the_image_later(world: &World) -> Result<()> {
    let reference = push(world, &world.registry, "later:1", "musl-static-lookup")?;
    let images = images(world, &world.registry, InspectionLimits::default())?;
    ensure!(resolver(world, &images, &reference, Duration::ZERO).is_none());
    let deadline = Instant::now() + LONG;
    while resolver(world, &images, &reference, Duration::ZERO).is_none() {
        ensure!(Instant::now() < deadline, "the image was not cached");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn inspects_an_expired_tag_again_and_a_digest_never(world: &World) -> Result<()> {
    let registry = Registry::start()?;
    let reference = push(world, &registry, "moving:1", "go-pure")?;
    let inspection =
        crate::common::image::run("skopeo", &["inspect", "--tls-verify=false", &format!("docker://{reference}")])?;
    let inspection: serde_json::Value = serde_json::from_slice(&inspection)?;
    let digest = inspection["Digest"].as_str().context("it has a digest")?;
    let by_digest = format!("{}/moving@{digest}", registry.address);
    let images = images(world, &registry, InspectionLimits { tag_ttl: Duration::ZERO, ..InspectionLimits::default() })?;
    ensure!(resolver(world, &images, &by_digest, LONG).as_deref() == Some("go"));
    ensure!(resolver(world, &images, &reference, LONG).as_deref() == Some("go"));
    push(world, &registry, "moving:1", "musl-static-lookup")?;
    ensure!(resolver(world, &images, &reference, LONG).as_deref() == Some("musl"));
    ensure!(resolver(world, &images, &by_digest, LONG).as_deref() == Some("go"));
    Ok(())
}

fn drops_the_oldest_of_too_many_inspections(world: &World) -> Result<()> {
    let images =
        images(world, &world.registry, InspectionLimits { at_once: 1, queue: 2, ..InspectionLimits::default() })?;
    let references: Vec<String> = (0..50).map(|at| format!("{}/many{at}", world.registry.address)).collect();
    let platform = Platform::linux("amd64");
    let wanted: Vec<_> = references.iter().map(|reference| (reference.as_str(), &platform)).collect();
    let started = Instant::now();
    world.runtime.block_on(async { images.look_up(&wanted, &Requester::of("shop"), Instant::now() + LONG).await });
    ensure!(started.elapsed() < LONG, "dropped inspections delay the result");
    let dropped = images.counts().dropped.load(Ordering::Relaxed);
    ensure!(dropped >= 40, "{dropped} of 50 were dropped");
    Ok(())
}
