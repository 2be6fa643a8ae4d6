//! Costs of hostile images: each is inspected by a process of its own, whose time and memory are measured.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use muslin::registry::Digest;
use serde_json::json;
use tar::{EntryType, Header};

use crate::common::harness::tests;
use crate::common::image::{Image, Packing, blob, layout, pack};
use crate::common::registry_server::{Request, Server};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    rejects_a_bomb_beyond_a_gigabyte_in_little_memory,
    reads_huge_headers_and_files_in_little_memory,
    reads_endless_answers_in_little_memory
];

/// Memory of an inspection beyond that of the smallest image: the goal for an image of 2 GiB.
const BEYOND_IDLE: u64 = 16 << 20;
/// Time of an inspection by a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// The cost and the output of an inspection.
struct Cost {
    peak_bytes: u64,
    output: String,
}

/// Inspects in a process of its own, with the default limits.
fn inspect(reference: &str, more: &[&str]) -> Result<Cost> {
    let errors = tempfile::NamedTempFile::new()?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["inspect", "--platform", "linux/amd64", reference])
        .args(more)
        .env_remove("REGISTRY_AUTH_FILE")
        .env("DOCKER_CONFIG", "/nonexistent")
        .stdout(Stdio::from(errors.reopen()?))
        .stderr(Stdio::from(errors.reopen()?))
        .spawn()?;
    let (status, started) = (format!("/proc/{}/status", child.id()), Instant::now());
    let mut peak_bytes = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        if let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            peak_bytes = line.split_whitespace().next().unwrap_or_default().parse::<u64>()? * 1024;
        }
        if child.try_wait()?.is_some() {
            return Ok(Cost { peak_bytes, output: fs::read_to_string(errors.path())? });
        }
        if started.elapsed() > SOON {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{reference} was not inspected within {SOON:?}");
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the peak memory for the smallest image.
fn idle_bytes(world: &World) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    layout(folder.path(), &[Image::new(vec![world.layer(&[])?], json!({"Entrypoint": ["/app"]}))])?;
    Ok(inspect(&format!("oci:{}", folder.path().display()), &[])?.peak_bytes)
}

/// Inspects an image, and checks its memory and its error.
fn check_bounded(world: &World, reference: &str, more: &[&str], reason: &str) -> Result<()> {
    let idle = idle_bytes(world)?;
    let Cost { peak_bytes, output } = inspect(reference, more)?;
    ensure!(output.contains(reason), "`{output}` does not contain `{reason}`");
    let beyond = peak_bytes.saturating_sub(idle);
    ensure!(beyond <= BEYOND_IDLE, "{reason}: {beyond} bytes beyond the {idle} of the smallest image");
    Ok(())
}

/// Writes an image of one layer with these stored bytes and this suffix of its media type.
fn write_image(folder: &Path, layer: &[u8], kind: &str) -> Result<()> {
    layout(folder, &[])?;
    let layer = blob(folder, layer, &format!("application/vnd.oci.image.layer.v1.tar{kind}"))?;
    let config = json!({"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(b"any")]}});
    let config = blob(folder, config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json")?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]});
    let manifest = blob(folder, manifest.to_string().as_bytes(), media_type)?;
    fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": [manifest]}).to_string())?;
    Ok(())
}

fn header(path: &str, kind: EntryType, size: u64) -> Result<Vec<u8>> {
    let mut header = Header::new_gnu();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(size);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

/// A truncated tar of one file of 64 GiB of zeros: `parts` parts of 16 MiB each.
fn bomb(packing: Packing, parts: usize) -> Result<Vec<u8>> {
    let mut bomb = pack(&header("zeros", EntryType::Regular, 64 << 30)?, packing)?;
    let part = match packing {
        Packing::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&vec![0; 16 << 20])?;
            encoder.finish()?
        }
        packing => pack(&vec![0; 16 << 20], packing)?,
    };
    bomb.extend(part.repeat(parts));
    Ok(bomb)
}

fn rejects_a_bomb_beyond_a_gigabyte_in_little_memory(world: &World) -> Result<()> {
    for (packing, kind) in [(Packing::Gzip, "+gzip"), (Packing::Zstd, "+zstd")] {
        let folder = tempfile::tempdir()?;
        write_image(folder.path(), &bomb(packing, 1000)?, kind)?;
        let reference = format!("oci:{}", folder.path().display());
        check_bounded(world, &reference, &[], "as a decompression bomb does")?;
    }
    Ok(())
}

fn reads_huge_headers_and_files_in_little_memory(world: &World) -> Result<()> {
    let name = vec![b'a'; 100 << 20];
    let inside = |path: &str, kind: EntryType, bytes: &[u8]| -> Result<Vec<u8>> {
        let mut entry = header(path, kind, bytes.len() as u64)?;
        entry.extend_from_slice(bytes);
        entry.resize(entry.len().next_multiple_of(512), 0);
        Ok(entry)
    };
    let program = fs::read(world.parts.join("go-pure"))?;
    let mut large = program.clone();
    large.resize(128 << 20, 0x5a);
    for (layer, reason) in [
        (inside("pax", EntryType::XHeader, &name)?, "exceeds the limit"),
        (inside("name", EntryType::GNULongName, &name)?, "exceeds the limit"),
        // A program larger than the limit is streamed; its digest differs from the configuration.
        ([inside("app", EntryType::Regular, &large)?, vec![0; 1024]].concat(), "the decompressed layer has the digest"),
    ] {
        let folder = tempfile::tempdir()?;
        write_image(folder.path(), &pack(&layer, Packing::Gzip)?, "+gzip")?;
        check_bounded(world, &format!("oci:{}", folder.path().display()), &[], reason)?;
    }
    Ok(())
}

fn reads_endless_answers_in_little_memory(world: &World) -> Result<()> {
    let endless = |request: &mut Request<'_>| {
        let _ = request.stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let part = [&b"10000\r\n"[..], &[b' '; 65_536], b"\r\n"].concat();
        while request.stream.write_all(&part).is_ok() {}
    };
    let manifest = Server::start("127.0.0.1", endless)?;
    let layer = Server::start("127.0.0.1", move |request| match request.path {
        path if path.contains("/manifests/") => {
            let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [Digest::sha256(b"")]}});
            let config = config.to_string();
            let described = |size: usize, digest: Digest| json!({"digest": digest, "size": size});
            let manifest = json!({"schemaVersion": 2, "config": described(config.len(), Digest::sha256(config.as_bytes())),
                "layers": [described(1 << 30, Digest::sha256(b"layer"))]});
            request.manifest(manifest.to_string().as_bytes());
        }
        path if path.ends_with(&Digest::sha256(b"layer").to_string()) => endless(request),
        _ => {
            let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [Digest::sha256(b"")]}});
            request.answer("200 OK", &[], config.to_string().as_bytes());
        }
    })?;
    for (server, reason) in [(manifest, "the manifest exceeds the limit"), (layer, "the layer")] {
        let address = server.address.to_string();
        let reach = ["--plain-http", &address, "--allow-network", "127.0.0.1"];
        check_bounded(world, &format!("{address}/app:1"), &reach, reason)?;
    }
    Ok(())
}
