//! Many and slow images of some namespaces and registries: what others wait for comes soon, and work ends with the process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use muslin::image::contents::Invocation;
use muslin::registry::{Client, Digest, Images, InspectionLimits, Limits, Lookup, Platform, Requester};
use serde_json::json;

use crate::common::harness::tests;
use crate::common::image::Entry::Part;
use crate::common::image::{Image, Packing, pack};
use crate::common::registry_server::{ServedImage, Server, settings_for};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    slow_images_of_one_namespace_delay_no_other,
    slow_images_of_many_namespaces_end_when_others_wait,
    two_thousand_tags_of_one_namespace_delay_no_other,
    reading_ends_with_the_runtime
];

/// The longest wait for an image of another namespace, on a busy machine.
const SOON: Duration = Duration::from_secs(8);

/// Starts a registry that serves an image at 10 KB/s, which would take minutes.
fn slow_registry(world: &World, ip: &str) -> Result<Server> {
    let mut layer = world.layer(&[Part("app/server", "go-pure")])?;
    layer.truncate(2 << 20);
    let image =
        Image { packing: Packing::Plain, ..Image::new(vec![layer.clone()], json!({"Entrypoint": ["/app/server"]})) };
    let of_layer = Digest::sha256(&pack(&layer, Packing::Plain)?).to_string();
    let served = ServedImage::new(&image)?;
    Server::start(ip, move |request| {
        if !request.path.ends_with(&of_layer) {
            return served.answer(request);
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", layer.len());
        let _ = request.stream.write_all(head.as_bytes());
        for part in layer.chunks(1000) {
            if request.stream.write_all(part).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

fn images(servers: &[SocketAddr], limits: InspectionLimits) -> Result<Images> {
    let limits_of_reading = Limits::default();
    Ok(Images::new(Client::new(settings_for(servers), limits_of_reading)?, limits_of_reading, limits))
}

/// Requests an image, without waiting for it.
fn request(world: &World, images: &Images, namespace: &str, reference: &str) {
    let _known = look_up(world, images, namespace, reference, Duration::ZERO);
}

/// Returns the resolver family of an image, if it is known in time.
fn look_up(world: &World, images: &Images, namespace: &str, reference: &str, wait: Duration) -> Option<&'static str> {
    let platform = Platform::linux("amd64");
    let (wanted, requester) = ([(reference, &platform)], Requester::of(namespace));
    let deadline = || tokio::time::Instant::now() + wait;
    let known = world.runtime.block_on(async { images.look_up(&wanted, &requester, deadline()).await });
    match known.into_iter().next().flatten()? {
        Lookup::Image(image) => Some(image.facts.fingerprint(&Invocation::default()).resolver.family.name()),
        Lookup::Declared(..) | Lookup::NoPlatform => None,
    }
}

/// Pushes an image to the common registry, and returns its reference.
fn push(world: &World, name: &str) -> Result<String> {
    let layer = world.layer(&[Part("app/server", "musl-static-lookup")])?;
    world.registry.push(name, &[Image::new(vec![layer], json!({"Entrypoint": ["/app/server"]}))])?;
    Ok(format!("{}/{name}", world.registry.address))
}

fn slow_images_of_one_namespace_delay_no_other(world: &World) -> Result<()> {
    let (slow, reference) = (slow_registry(world, "127.0.0.1")?, push(world, "fair/one:1")?);
    let images = images(&[slow.address, world.registry.address], InspectionLimits::default())?;
    for number in 0..4 {
        request(world, &images, "slow", &format!("{}/slow{number}:1", slow.address));
    }
    let started = Instant::now();
    ensure!(look_up(world, &images, "other", &reference, SOON) == Some("musl"), "after {:?}", started.elapsed());
    Ok(())
}

fn slow_images_of_many_namespaces_end_when_others_wait(world: &World) -> Result<()> {
    let slow = [slow_registry(world, "127.0.0.1")?, slow_registry(world, "127.0.0.2")?];
    let reference = push(world, "fair/two:1")?;
    let limits = InspectionLimits { patience: Duration::from_secs(1), ..InspectionLimits::default() };
    let servers = [slow[0].address, slow[1].address, world.registry.address];
    let images = images(&servers, limits)?;
    for number in 0..8 {
        let server = slow[number % 2].address;
        request(world, &images, &format!("slow-{number}"), &format!("{server}/slow{number}:1"));
    }
    let started = Instant::now();
    ensure!(look_up(world, &images, "other", &reference, 2 * SOON) == Some("musl"), "after {:?}", started.elapsed());
    Ok(())
}

fn two_thousand_tags_of_one_namespace_delay_no_other(world: &World) -> Result<()> {
    let reference = push(world, "fair/three:1")?;
    let missing = Server::start("127.0.0.1", |request| {
        std::thread::sleep(Duration::from_millis(200));
        request.answer("404 Not Found", &[], b"");
    })?;
    let images = images(&[missing.address, world.registry.address], InspectionLimits::default())?;
    for number in 0..2000 {
        request(world, &images, "many", &format!("{}/app:{number}", missing.address));
    }
    ensure!(images.waiting() <= 32, "{} images wait", images.waiting());
    let started = Instant::now();
    ensure!(look_up(world, &images, "other", &reference, SOON) == Some("musl"), "after {:?}", started.elapsed());
    Ok(())
}

/// A layer of zeros, which decompresses for minutes.
fn reading_ends_with_the_runtime(world: &World) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros")?;
    header.set_size(64 << 30);
    header.set_cksum();
    let zeros = pack(&vec![0; 16 << 20], Packing::Gzip)?;
    let layer = [pack(header.as_bytes(), Packing::Gzip)?, zeros.repeat(500)].concat();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [Digest::sha256(b"zeros")]}});
    let config = config.to_string().into_bytes();
    let described = |bytes: &[u8]| json!({"digest": Digest::sha256(bytes), "size": bytes.len()});
    let manifest = json!({"schemaVersion": 2, "config": described(&config), "layers": [described(&layer)]}).to_string();
    let of_config = Digest::sha256(&config).to_string();
    let server = Server::start("127.0.0.1", move |request| match request.path {
        path if path.contains("/manifests/") => {
            let kind = [("Content-Type", "application/vnd.oci.image.manifest.v1+json")];
            request.answer("200 OK", &kind, manifest.as_bytes());
        }
        path if path.ends_with(&of_config) => request.answer("200 OK", &[], &config),
        _ => request.answer("200 OK", &[], &layer),
    })?;
    let _ = world;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let images = images(&[server.address], InspectionLimits::default())?;
    let (reference, platform) = (format!("{}/zeros:1", server.address), Platform::linux("amd64"));
    runtime.block_on(async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        images.look_up(&[(&reference, &platform)], &Requester::of("zeros"), deadline).await
    });
    ensure!(server.count_requests("/blobs/") == 2, "the layer is being read: {:#?}", server.requests());
    let started = Instant::now();
    drop(runtime);
    ensure!(started.elapsed() < Duration::from_secs(1), "the runtime ended after {:?}", started.elapsed());
    Ok(())
}
