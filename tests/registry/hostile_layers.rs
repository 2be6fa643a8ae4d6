//! Layers and files made to do harm: each is rejected with a reason, or leaves the answer unchanged.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use muslin::image::contents::Invocation;
use muslin::registry::{Archive, Depth, Error, ImageSource, Inspection, Inspector, Limits, Platform};
use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::common::harness::tests;
use crate::common::image::{Image, Packing, layout, run};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    rejects_a_decompression_bomb,
    rejects_a_layer_compressed_twice,
    keeps_escaping_paths_inside_the_image,
    skips_devices_and_sparse_files,
    rejects_a_file_larger_than_its_layer,
    rejects_a_header_of_a_hundred_megabytes,
    reports_programs_with_invalid_offsets_as_unknown,
    ignores_build_information_with_invalid_lengths,
    ends_long_chains_of_links,
    says_what_to_do_about_too_many_links,
    keeps_escaping_and_circular_links_inside_the_image,
    rejects_too_many_entries,
    rejects_invalid_sizes
];

/// Inspects an image of one layer in a folder.
fn inspect(world: &World, layer: Vec<u8>, packing: Packing, limits: Limits) -> Result<Result<Inspection, Error>> {
    let folder = tempfile::tempdir()?;
    let mut image = Image::new(vec![layer], json!({"Entrypoint": ["/app/server"]}));
    image.packing = packing;
    layout(folder.path(), &[image])?;
    inspect_folder(world, folder.path(), limits)
}

fn inspect_folder(world: &World, folder: &Path, limits: Limits) -> Result<Result<Inspection, Error>> {
    let archive = Archive::oci_folder(folder, None, limits)?;
    let inspector = Inspector::new(limits, 1 << 20);
    let source = ImageSource::Archive(archive.into());
    Ok(world.runtime.block_on(inspector.inspect(&source, &Platform::linux("amd64"), Depth::Whole)))
}

fn expect_error(inspection: Result<Inspection, Error>, reason: &str) -> Result<()> {
    let error =
        inspection.err().with_context(|| format!("the image was read; expected an error with `{reason}`"))?.to_string();
    ensure!(error.contains(reason), "`{error}` does not contain `{reason}`");
    Ok(())
}

/// Returns the resolver of the image's own command, and the reason.
fn describe(inspection: Result<Inspection, Error>) -> Result<String> {
    let fingerprint = inspection?.facts.fingerprint(&Invocation::default());
    Ok(format!("{fingerprint}: {}", fingerprint.reason))
}

/// A tar of unchecked entries.
#[derive(Default)]
struct RawTar(Vec<u8>);

impl RawTar {
    /// Adds an entry with this size in its header and these bytes after it.
    fn entry(mut self, path: &str, kind: EntryType, link: &str, size: u64, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        let target = &mut header.as_old_mut().linkname;
        target[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, bytes: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, "", bytes.len() as u64, bytes)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn program(world: &World) -> Result<Vec<u8>> {
    Ok(std::fs::read(world.parts.join("go-pure"))?)
}

fn rejects_a_decompression_bomb(world: &World) -> Result<()> {
    let limits = Limits { unpacked_bytes: 64 << 20, ..Limits::default() };
    let mut builder = Builder::new(Vec::new());
    let zeros = vec![0; 128 << 20];
    let mut header = Header::new_gnu();
    header.set_size(zeros.len() as u64);
    builder.append_data(&mut header, "zeros", zeros.as_slice())?;
    let bomb = builder.into_inner()?;
    for packing in [Packing::Gzip, Packing::Zstd] {
        expect_error(inspect(world, bomb.clone(), packing, limits)?, "exceeds the limit")?;
    }
    Ok(())
}

fn rejects_a_layer_compressed_twice(world: &World) -> Result<()> {
    let layer = RawTar::default().file("app/server", &program(world)?).end();
    let packed = crate::common::image::pack(&layer, Packing::Gzip)?;
    for packing in [Packing::Gzip, Packing::Zstd] {
        expect_error(inspect(world, packed.clone(), packing, Limits::default())?, "layer")?;
    }
    Ok(())
}

fn keeps_escaping_paths_inside_the_image(world: &World) -> Result<()> {
    let layer = RawTar::default()
        .file("../../../../etc/os-release", b"ID=alpine\n")
        .entry("/app/link", EntryType::Symlink, "../../../../../proc/self/exe", 0, b"")
        .entry("app/hard", EntryType::Link, "../../../../bin/sh", 0, b"")
        .file("/app/../app/./server", &program(world)?)
        .end();
    let told = describe(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
    ensure!(told.starts_with("go "), "{told}");
    Ok(())
}

fn skips_devices_and_sparse_files(world: &World) -> Result<()> {
    let layer = RawTar::default()
        .entry("dev/null", EntryType::Char, "", 0, b"")
        .entry("dev/sda", EntryType::Block, "", 0, b"")
        .entry("run/pipe", EntryType::Fifo, "", 0, b"")
        .entry("unknown", EntryType::new(b'~'), "", 3, b"abc")
        .file("app/server", &program(world)?)
        .end();
    let odd = describe(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
    ensure!(odd.starts_with("go "), "{odd}");

    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(folder.path().join("app"))?;
    std::fs::copy(world.parts.join("go-pure"), folder.path().join("app/server"))?;
    run("truncate", &["--size=8G", &path("app/sparse")])?;
    run("tar", &["--create", "--sparse", "--file", &path("tar"), "--directory", &path(""), "app"])?;
    let layer = std::fs::read(folder.path().join("tar"))?;
    ensure!(layer.len() < 64 << 20, "the file is not sparse");
    let sparse = describe(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
    ensure!(sparse.starts_with("go "), "{sparse}");
    Ok(())
}

fn rejects_a_file_larger_than_its_layer(world: &World) -> Result<()> {
    let layer = RawTar::default().entry("app/server", EntryType::Regular, "", 8 << 30, &program(world)?).end();
    expect_error(inspect(world, layer, Packing::Gzip, Limits::default())?, "layer")
}

fn rejects_a_header_of_a_hundred_megabytes(world: &World) -> Result<()> {
    let name = vec![b'a'; 100 << 20];
    for kind in [EntryType::XHeader, EntryType::XGlobalHeader, EntryType::GNULongName, EntryType::GNULongLink] {
        let layer = RawTar::default()
            .entry("header", kind, "", name.len() as u64, &name)
            .file("app/server", &program(world)?)
            .end();
        expect_error(inspect(world, layer, Packing::Zstd, Limits::default())?, "exceeds the limit")?;
    }
    Ok(())
}

fn reports_programs_with_invalid_offsets_as_unknown(world: &World) -> Result<()> {
    let whole = std::fs::read(world.parts.join("musl-lookup"))?;
    // Every field of the header that holds an offset, a size or a count (elf(5)).
    for (at, length) in [(32, 8), (40, 8), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)] {
        let mut program = whole.clone();
        program[at..at + length].fill(0xff);
        let layer = RawTar::default().file("app/server", &program).end();
        let told = describe(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        // The image has no musl, so the resolver is unknown in any case.
        ensure!(told.starts_with("unknown "), "header at {at}: {told}");
    }
    for cut in [4, 16, 63, 64, 100, 1000, whole.len() / 2] {
        let layer = RawTar::default().file("app/server", &whole[..cut]).end();
        let told = describe(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        ensure!(told.starts_with("unknown "), "cut at {cut}: {told}");
    }
    Ok(())
}

fn ends_long_chains_of_links(world: &World) -> Result<()> {
    let mut layer = RawTar::default().entry("app/server", EntryType::Symlink, "../link0", 0, b"");
    for link in 0..5000 {
        layer = layer.entry(&format!("link{link}"), EntryType::Symlink, &format!("link{}", link + 1), 0, b"");
    }
    let told = describe(inspect(world, layer.end(), Packing::Gzip, Limits::default())?)?;
    ensure!(told.starts_with("unknown "), "{told}");
    Ok(())
}

fn says_what_to_do_about_too_many_links(world: &World) -> Result<()> {
    let target = |link: usize| format!("{}link{link}", "./".repeat(40));
    let mut layer = RawTar::default().file("usr/bin/link0", &program(world)?);
    for link in 1..20_000 {
        // Most are followed through 35 others.
        let target = target(link.min(36) - 1);
        layer = layer.entry(&format!("usr/bin/link{link}"), EntryType::Symlink, &target, 0, b"");
    }
    expect_error(
        inspect(world, layer.end(), Packing::Zstd, Limits::default())?,
        "too many links or folders: rebuild it with fewer, or declare its resolver",
    )
}

fn ignores_build_information_with_invalid_lengths(world: &World) -> Result<()> {
    let whole = program(world)?;
    let magic = b"\xff Go buildinf:";
    let positions =
        whole.windows(magic.len()).enumerate().filter(|(at, window)| window == magic && at.is_multiple_of(16));
    let at = positions.map(|(at, _)| at).next().context("it has build information")?;
    for (behind, bytes) in [
        (15, &[0][..]),
        (32, &[0xff; 5]),
        (32, &[0xff, 0xff, 0xff, 0x7f]),
        (32, &[0xff, 0xff, 0x3f]),
        (32, &[0; 64]),
        (33, &[0xff; 16]),
    ] {
        let mut program = whole.clone();
        program[at + behind..at + behind + bytes.len()].copy_from_slice(bytes);
        // The release of Go is never invented.
        let told = describe(inspect(
            world,
            RawTar::default().file("app/server", &program).end(),
            Packing::Gzip,
            Limits::default(),
        )?)?;
        ensure!(!told.starts_with("go 1."), "{behind} {bytes:?}: {told}");
    }
    // The file ends before the announced length.
    for cut in [at + 14, at + 16, at + 32, at + 33, at + 40] {
        let layer = RawTar::default().file("app/server", &whole[..cut]).end();
        let told = describe(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        ensure!(!told.starts_with("go 1."), "cut at {cut}: {told}");
    }
    Ok(())
}

fn keeps_escaping_and_circular_links_inside_the_image(world: &World) -> Result<()> {
    for (first, second, resolver) in [
        ("/../../app/real", "/nowhere", "go "),
        ("../../../../../app/real", "/nowhere", "go "),
        ("/link", "/../../../app/real", "go "),
        ("/link", "../../link", "unknown "),
        ("/link", "/app/server", "unknown "),
        ("server", "/nowhere", "unknown "),
        ("/proc/self/exe", "/nowhere", "unknown "),
    ] {
        let layer = RawTar::default()
            .entry("app/server", EntryType::Symlink, first, 0, b"")
            .entry("link", EntryType::Symlink, second, 0, b"")
            .file("app/real", &program(world)?)
            .end();
        let told = describe(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        ensure!(told.starts_with(resolver), "{first} {second}: {told}");
    }
    Ok(())
}

fn rejects_too_many_entries(world: &World) -> Result<()> {
    let many = |count: usize| (0..count).fold(RawTar::default(), |layer, at| layer.file(&format!("f{at}"), b"")).end();
    let limits = Limits { entries: 1000, ..Limits::default() };
    expect_error(inspect(world, many(1001), Packing::Zstd, limits)?, "more than 1000 entries")?;
    let limits = Limits { facts_bytes: 4096, ..Limits::default() };
    expect_error(inspect(world, many(1001), Packing::Zstd, limits)?, "too many files")?;
    let limits = Limits { image_facts_bytes: 4096, ..Limits::default() };
    expect_error(inspect(world, many(1001), Packing::Zstd, limits)?, "the set of facts about all layers")
}

fn rejects_invalid_sizes(world: &World) -> Result<()> {
    let pax = |record: &str| {
        let length = record.len() + 3;
        format!("{} {record}\n", length + usize::from(length >= 98)).into_bytes()
    };
    for size in ["18446744073709551615", "9223372036854775808", "9223372036854775807", "-1", "1e9"] {
        let record = pax(&format!("size={size}"));
        for (path, kind) in [
            ("app/server", EntryType::Regular),
            ("app/", EntryType::Regular),
            ("app/s", EntryType::GNUSparse),
            ("x", EntryType::new(b'~')),
        ] {
            let layer = RawTar::default()
                .entry("pax", EntryType::XHeader, "", record.len() as u64, &record)
                .entry(path, kind, "", 0, b"")
                .end();
            expect_error(inspect(world, layer, Packing::Plain, Limits::default())?, "")?;
        }
    }
    Ok(())
}
