//! Layers made to do harm, and files in them: each is refused with a reason, or does no harm to the answer.

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
    a_compressed_bomb_is_refused,
    a_layer_compressed_twice_is_refused,
    paths_that_lead_out_of_the_image_stay_in_it,
    devices_and_sparse_files_are_passed_over,
    a_file_larger_than_its_layer_is_refused,
    a_header_of_a_hundred_megabytes_is_refused,
    programs_with_absurd_offsets_are_unknown,
    build_information_with_absurd_lengths_is_none,
    chains_of_links_end,
    links_that_lead_out_or_in_circles_stay_in_the_image,
    more_entries_than_an_image_has_are_refused,
    a_size_beyond_all_measure_is_refused
];

/// The inspection of an image of one layer, of which no path needs a registry.
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

fn refused(inspection: Result<Inspection, Error>, reason: &str) -> Result<()> {
    let error = inspection.err().with_context(|| format!("it was read, and should not: {reason}"))?.to_string();
    ensure!(error.contains(reason), "`{error}` does not say `{reason}`");
    Ok(())
}

/// What the image's own command is, and why.
fn told(inspection: Result<Inspection, Error>) -> Result<String> {
    let fingerprint = inspection?.facts.fingerprint(&Invocation::default());
    Ok(format!("{fingerprint}: {}", fingerprint.reason))
}

/// A tar of entries as they are, with no care for what they are.
#[derive(Default)]
struct Raw(Vec<u8>);

impl Raw {
    /// `size` is what the header says; `bytes` is what follows.
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

fn a_compressed_bomb_is_refused(world: &World) -> Result<()> {
    let limits = Limits { unpacked_bytes: 64 << 20, ..Limits::default() };
    let mut builder = Builder::new(Vec::new());
    let zeros = vec![0; 128 << 20];
    let mut header = Header::new_gnu();
    header.set_size(zeros.len() as u64);
    builder.append_data(&mut header, "zeros", zeros.as_slice())?;
    let bomb = builder.into_inner()?;
    for packing in [Packing::Gzip, Packing::Zstd] {
        refused(inspect(world, bomb.clone(), packing, limits)?, "exceeds the limit")?;
    }
    Ok(())
}

fn a_layer_compressed_twice_is_refused(world: &World) -> Result<()> {
    let layer = Raw::default().file("app/server", &program(world)?).end();
    let packed = crate::common::image::pack(&layer, Packing::Gzip)?;
    for packing in [Packing::Gzip, Packing::Zstd] {
        refused(inspect(world, packed.clone(), packing, Limits::default())?, "layer")?;
    }
    Ok(())
}

fn paths_that_lead_out_of_the_image_stay_in_it(world: &World) -> Result<()> {
    let layer = Raw::default()
        .file("../../../../etc/os-release", b"ID=alpine\n")
        .entry("/app/link", EntryType::Symlink, "../../../../../proc/self/exe", 0, b"")
        .entry("app/hard", EntryType::Link, "../../../../bin/sh", 0, b"")
        .file("/app/../app/./server", &program(world)?)
        .end();
    let told = told(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
    ensure!(told.starts_with("go "), "{told}");
    Ok(())
}

fn devices_and_sparse_files_are_passed_over(world: &World) -> Result<()> {
    let layer = Raw::default()
        .entry("dev/null", EntryType::Char, "", 0, b"")
        .entry("dev/sda", EntryType::Block, "", 0, b"")
        .entry("run/pipe", EntryType::Fifo, "", 0, b"")
        .entry("unknown", EntryType::new(b'~'), "", 3, b"abc")
        .file("app/server", &program(world)?)
        .end();
    let odd = told(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
    ensure!(odd.starts_with("go "), "{odd}");

    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(folder.path().join("app"))?;
    std::fs::copy(world.parts.join("go-pure"), folder.path().join("app/server"))?;
    run("truncate", &["--size=8G", &path("app/sparse")])?;
    run("tar", &["--create", "--sparse", "--file", &path("tar"), "--directory", &path(""), "app"])?;
    let layer = std::fs::read(folder.path().join("tar"))?;
    ensure!(layer.len() < 64 << 20, "the file is not sparse");
    let sparse = told(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
    ensure!(sparse.starts_with("go "), "{sparse}");
    Ok(())
}

fn a_file_larger_than_its_layer_is_refused(world: &World) -> Result<()> {
    let layer = Raw::default().entry("app/server", EntryType::Regular, "", 8 << 30, &program(world)?).end();
    refused(inspect(world, layer, Packing::Gzip, Limits::default())?, "layer")
}

fn a_header_of_a_hundred_megabytes_is_refused(world: &World) -> Result<()> {
    let name = vec![b'a'; 100 << 20];
    for kind in [EntryType::XHeader, EntryType::XGlobalHeader, EntryType::GNULongName, EntryType::GNULongLink] {
        let layer = Raw::default()
            .entry("header", kind, "", name.len() as u64, &name)
            .file("app/server", &program(world)?)
            .end();
        refused(inspect(world, layer, Packing::Zstd, Limits::default())?, "exceeds the limit")?;
    }
    Ok(())
}

fn programs_with_absurd_offsets_are_unknown(world: &World) -> Result<()> {
    let whole = std::fs::read(world.parts.join("musl-lookup"))?;
    // Every field of the header that holds an offset, a size or a count (elf(5)).
    for (at, length) in [(32, 8), (40, 8), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)] {
        let mut program = whole.clone();
        program[at..at + length].fill(0xff);
        let layer = Raw::default().file("app/server", &program).end();
        let told = told(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        // There is no musl in this image, so that nothing can be told of it in any case.
        ensure!(told.starts_with("unknown "), "header at {at}: {told}");
    }
    for cut in [4, 16, 63, 64, 100, 1000, whole.len() / 2] {
        let layer = Raw::default().file("app/server", &whole[..cut]).end();
        let told = told(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        ensure!(told.starts_with("unknown "), "cut at {cut}: {told}");
    }
    Ok(())
}

fn chains_of_links_end(world: &World) -> Result<()> {
    let mut layer = Raw::default().entry("app/server", EntryType::Symlink, "../link0", 0, b"");
    for link in 0..5000 {
        layer = layer.entry(&format!("link{link}"), EntryType::Symlink, &format!("link{}", link + 1), 0, b"");
    }
    let told = told(inspect(world, layer.end(), Packing::Gzip, Limits::default())?)?;
    ensure!(told.starts_with("unknown "), "{told}");
    Ok(())
}

fn build_information_with_absurd_lengths_is_none(world: &World) -> Result<()> {
    let whole = program(world)?;
    let magic = b"\xff Go buildinf:";
    let places = whole.windows(magic.len()).enumerate().filter(|(at, window)| window == magic && at.is_multiple_of(16));
    let at = places.map(|(at, _)| at).next().context("it has build information")?;
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
        // A release that such a program was built by is never made up.
        let told =
            told(inspect(world, Raw::default().file("app/server", &program).end(), Packing::Gzip, Limits::default())?)?;
        ensure!(!told.starts_with("go 1."), "{behind} {bytes:?}: {told}");
    }
    // At the end of a file, where more is announced than comes.
    for cut in [at + 14, at + 16, at + 32, at + 33, at + 40] {
        let layer = Raw::default().file("app/server", &whole[..cut]).end();
        let told = told(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        ensure!(!told.starts_with("go 1."), "cut at {cut}: {told}");
    }
    Ok(())
}

fn links_that_lead_out_or_in_circles_stay_in_the_image(world: &World) -> Result<()> {
    for (first, second, resolver) in [
        ("/../../app/real", "/nowhere", "go "),
        ("../../../../../app/real", "/nowhere", "go "),
        ("/link", "/../../../app/real", "go "),
        ("/link", "../../link", "unknown "),
        ("/link", "/app/server", "unknown "),
        ("server", "/nowhere", "unknown "),
        ("/proc/self/exe", "/nowhere", "unknown "),
    ] {
        let layer = Raw::default()
            .entry("app/server", EntryType::Symlink, first, 0, b"")
            .entry("link", EntryType::Symlink, second, 0, b"")
            .file("app/real", &program(world)?)
            .end();
        let told = told(inspect(world, layer, Packing::Gzip, Limits::default())?)?;
        ensure!(told.starts_with(resolver), "{first} {second}: {told}");
    }
    Ok(())
}

fn more_entries_than_an_image_has_are_refused(world: &World) -> Result<()> {
    let many = |count: usize| (0..count).fold(Raw::default(), |layer, at| layer.file(&format!("f{at}"), b"")).end();
    let limits = Limits { entries: 1000, ..Limits::default() };
    refused(inspect(world, many(1001), Packing::Zstd, limits)?, "more than 1000 entries")?;
    let limits = Limits { facts_bytes: 4096, ..Limits::default() };
    refused(inspect(world, many(1001), Packing::Zstd, limits)?, "so many files")?;
    let limits = Limits { image_facts_bytes: 4096, ..Limits::default() };
    refused(inspect(world, many(1001), Packing::Zstd, limits)?, "the set of facts about all layers")
}

fn a_size_beyond_all_measure_is_refused(world: &World) -> Result<()> {
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
            let layer = Raw::default()
                .entry("pax", EntryType::XHeader, "", record.len() as u64, &record)
                .entry(path, kind, "", 0, b"")
                .end();
            refused(inspect(world, layer, Packing::Plain, Limits::default())?, "")?;
        }
    }
    Ok(())
}
