//! Costs of reading images: bytes from the registry for a hundred images on one base, wall and processor time for a large image against
//! `skopeo copy` of it, and memory. With a real registry on loopback.
//!
//! ```text
//! cargo bench --bench inspect
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures go to standard output, progress to standard error"
)]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod image;
    pub(crate) mod registry;
}

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use muslin::registry::{Client, ClientSettings, Images, InspectionLimits, Limits, Lookup, Platform, Requester};
use serde_json::json;
use tar::{Builder, Header};

use crate::common::image::Entry::{Part, Text};
use crate::common::image::{Image, layer, run};
use crate::common::registry::Registry;

const IMAGES: usize = 100;
const ROUNDS: usize = 5;
const MIB: usize = 1 << 20;

/// A proxy to the registry that counts the bytes from there.
struct Counter {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

fn main() -> Result<()> {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry/tools");
    let printed = String::from_utf8(run(tools, &[])?)?;
    let parts: PathBuf = printed.lines().last().context("the tools print a folder")?.into();
    let registry = Registry::start()?;
    measure_bytes(&registry, &parts)?;
    let large = push_large_image(&registry, &parts, "large/500m:1", 500)?;
    compare_with_skopeo(&large)?;
    measure_memory(&registry, &parts)
}

/// Reads a hundred images that share a base of 20 MiB, each with a program of its own.
fn measure_bytes(registry: &Registry, parts: &Path) -> Result<()> {
    eprintln!("inspect: pushing {IMAGES} images on one base");
    let base = layer(parts, &[Part("lib/ld-musl-x86_64.so.1", "ld-musl"), Text("etc/alpine-release", "3.19.1\n")])?;
    let filler = filler_layer(20, 1)?;
    for number in 0..IMAGES {
        let own = number.to_string().repeat(1000);
        let top = layer(parts, &[Part("app/server", "musl-lookup"), Text("etc/own", &own)])?;
        let config = json!({"Entrypoint": ["/app/server"]});
        registry
            .push(&format!("team/app{number}:1"), &[Image::new(vec![base.clone(), filler.clone(), top], config)])?;
    }
    let blobs = |number: usize| -> Result<Vec<(String, u64)>> {
        let reference = format!("docker://{}/team/app{number}:1", registry.address);
        let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &reference])?;
        let manifest: serde_json::Value = serde_json::from_slice(&raw)?;
        let descriptors = manifest["layers"].as_array().into_iter().flatten().chain([&manifest["config"]]);
        let mut blobs: Vec<(String, u64)> = descriptors
            .filter_map(|blob| Some((blob["digest"].as_str()?.to_owned(), blob["size"].as_u64()?)))
            .collect();
        blobs.push((format!("manifest {number}"), raw.len() as u64));
        Ok(blobs)
    };
    let mut all = 0;
    let mut unique = std::collections::HashMap::new();
    for number in 0..IMAGES {
        for (digest, size) in blobs(number)? {
            all += size;
            unique.insert(digest, size);
        }
    }
    let ideal: u64 = unique.values().sum();

    let counter = Counter::start(registry.address)?;
    let settings = ClientSettings {
        plain_http: vec![counter.address.to_string()],
        allowed: vec!["127.0.0.1".parse()?],
        ..ClientSettings::default()
    };
    let client = Client::new(settings, Limits::default())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let references: Vec<String> = (0..IMAGES).map(|number| format!("{}/team/app{number}:1", counter.address)).collect();
    let platform = Platform::linux("amd64");
    let wanted: Vec<(&str, &Platform)> = references.iter().map(|reference| (reference.as_str(), &platform)).collect();
    let known = runtime.block_on(async {
        let images = Images::new(client, Limits::default(), InspectionLimits::default());
        images.look_up(&wanted, &Requester::of("bench"), tokio::time::Instant::now() + Duration::from_secs(120)).await
    });
    ensure!(known.iter().all(|known| matches!(known, Some(Lookup::Image(_)))), "an image was not inspected");
    let read = counter.bytes.load(Ordering::Relaxed);
    println!("| {IMAGES} images on one base | bytes |\n|---|---:|");
    println!("| all layers of all images | {all} |");
    println!("| each blob and manifest once | {ideal} |");
    println!("| from the registry, with headers | {read} |");
    println!("| ratio to each once | {:.3} |\n", read as f64 / ideal as f64);
    Ok(())
}

/// Compares the time of `muslin inspect`, which decompresses the whole image, with `skopeo copy`, which does not decompress.
fn compare_with_skopeo(reference: &str) -> Result<()> {
    let mut walls = Vec::new();
    let mut processors = Vec::new();
    for round in 1..=ROUNDS {
        let muslin = measure_time(&inspect_command(reference))?;
        let folder = tempfile::tempdir()?;
        let to = format!("dir:{}", folder.path().display());
        let from = format!("docker://{reference}");
        let copy = ["skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", &from, &to];
        let skopeo = measure_time(&copy.map(str::to_owned))?;
        eprintln!("inspect: round {round}: muslin {muslin:?}, skopeo {skopeo:?} (wall, processor; seconds)");
        walls.push(muslin.0 / skopeo.0);
        processors.push(muslin.1 / skopeo.1);
    }
    println!("| 500 MiB image, muslin inspect : skopeo copy | median | min..max |\n|---|---:|---:|");
    for (name, ratios) in [("wall", &mut walls), ("processor", &mut processors)] {
        ratios.sort_by(f64::total_cmp);
        println!("| {name} | {:.2} | {:.2}..{:.2} |", ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    }
    println!();
    Ok(())
}

/// Measures the peak of resident memory for a tiny image and for one of 2 GiB.
fn measure_memory(registry: &Registry, parts: &Path) -> Result<()> {
    let tiny = push_large_image(registry, parts, "large/tiny:1", 1)?;
    let huge = push_large_image(registry, parts, "large/2g:1", 2048)?;
    let (tiny, huge) = (peak_bytes(&tiny)?, peak_bytes(&huge)?);
    println!("| peak of resident memory, muslin inspect | MiB |\n|---|---:|");
    println!("| an image of 1 MiB | {:.1} |", tiny as f64 / MIB as f64);
    println!("| an image of 2 GiB | {:.1} |", huge as f64 / MIB as f64);
    println!("| the difference | {:.1} |", (huge as f64 - tiny as f64) / MIB as f64);
    Ok(())
}

/// Pushes an image whose program is in its lowest layer, so that all layers must be read.
fn push_large_image(registry: &Registry, parts: &Path, name: &str, mebibytes: usize) -> Result<String> {
    eprintln!("inspect: pushing {name}");
    let base = layer(parts, &[Part("lib/ld-musl-x86_64.so.1", "ld-musl"), Part("app/server", "musl-lookup")])?;
    let mut layers = vec![base];
    let mut left = mebibytes;
    while left > 0 {
        let size = left.min(256);
        layers.push(filler_layer(size, left as u64)?);
        left -= size;
    }
    registry.push(name, &[Image::new(layers, json!({"Entrypoint": ["/app/server"]}))])?;
    Ok(format!("{}/{name}", registry.address))
}

/// Builds a layer of files of 1 MiB, half of whose bytes cannot be compressed.
fn filler_layer(mebibytes: usize, seed: u64) -> Result<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut builder = Builder::new(Vec::with_capacity((mebibytes + 1) * MIB));
    let mut file = vec![0_u8; MIB];
    for number in 0..mebibytes {
        for chunk in file.chunks_exact_mut(16) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk[..8].copy_from_slice(&state.to_le_bytes());
        }
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(file.len() as u64);
        builder.append_data(&mut header, format!("data/{seed}/{number}"), file.as_slice())?;
    }
    Ok(builder.into_inner()?)
}

/// Returns the command line of an inspection.
fn inspect_command(reference: &str) -> [String; 7] {
    let host = reference.split('/').next().unwrap_or_default();
    [env!("CARGO_BIN_EXE_muslin"), "inspect", reference, "--allow-network", "127.0.0.1", "--plain-http", host]
        .map(str::to_owned)
}

/// Runs a program; returns its wall and processor time in seconds.
fn measure_time(command: &[String]) -> Result<(f64, f64)> {
    let script = "TIMEFORMAT='%R %U %S'; time \"$@\" >/dev/null 2>&1";
    let output = Command::new("bash").args(["-c", script, "bash"]).args(command).output()?;
    ensure!(output.status.success(), "{command:?}");
    let text = String::from_utf8(output.stderr)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [wall, user, system] => Ok((wall, user + system)),
        _ => anyhow::bail!("bash printed {text}"),
    }
}

/// Inspects an image; returns the peak of resident memory in bytes.
fn peak_bytes(reference: &str) -> Result<u64> {
    let command = inspect_command(reference);
    let mut child = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let started = Instant::now();
    loop {
        if let Ok(text) = std::fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = line.split_whitespace().next().unwrap_or_default().parse::<u64>()? * 1024;
        }
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "muslin inspect {reference}: {status}");
            return Ok(peak);
        }
        ensure!(started.elapsed() < Duration::from_secs(300), "muslin inspect {reference} did not end within 300 s");
        thread::sleep(Duration::from_millis(1));
    }
}

// === impl Counter ===

impl Counter {
    fn start(registry: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                let Ok(server) = TcpStream::connect(registry) else { return };
                let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
                thread::spawn(move || copy(from_client, to_server, &AtomicU64::new(0)));
                let counted = Arc::clone(&counted);
                thread::spawn(move || copy(server, client, &counted));
            }
        });
        Ok(Self { address, bytes })
    }
}

/// Copies bytes until one side ends.
fn copy(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
        counted.fetch_add(length as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Write);
}
