//! A real large Debian system: the one that the tests run on, as `tools` installs Debian packages. On request, as it reads all programs of
//! the machine.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use muslin::image::contents::{Config, Entry, FileScan, ImageFacts, Invocation, LayerBuilder, Node, Tree};

use crate::common::harness::tests;
use crate::{Topic, World};

pub(crate) const ON_REQUEST: Topic = tests![a_debian_system_is_known_in_a_few_kib];

/// The folders that a package installs files in.
const FOLDERS: [&str; 11] = [
    "bin",
    "etc",
    "lib",
    "lib64",
    "sbin",
    "usr/bin",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/sbin",
    "usr/share",
    "var/lib/dpkg",
];
/// The largest facts, stored as JSON, in bytes.
const STORED_MAX_BYTES: usize = 10 << 10;

fn add(builder: &mut LayerBuilder, path: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let name = path.strip_prefix("/")?.to_string_lossy();
    if metadata.is_symlink() {
        let target = fs::read_link(path)?.to_string_lossy().into();
        builder.add(&name, Entry::Node(Node::Symlink(target)))?;
    } else if metadata.is_dir() {
        builder.add(&name, Entry::Folder)?;
        let entries: Vec<_> = fs::read_dir(path)?.collect::<std::io::Result<_>>()?;
        entries.iter().try_for_each(|entry| add(builder, &entry.path()))?;
    } else if metadata.is_file() {
        let mut scan = FileScan::new(&name, metadata.len(), metadata.permissions().mode() & 0o111 != 0);
        let (mut file, mut buffer) = (File::open(path)?, vec![0; 64 << 10]);
        while !scan.is_indifferent() {
            match file.read(&mut buffer)? {
                0 => break,
                length => scan.feed(&buffer[..length]),
            }
        }
        builder.add(&name, scan.finish().map_or(Entry::Other, Entry::Node))?;
    }
    Ok(())
}

fn a_debian_system_is_known_in_a_few_kib(_: &World) -> Result<()> {
    let mut builder = LayerBuilder::new(64 << 20);
    for folder in FOLDERS.iter().map(|folder| Path::new("/").join(folder)).filter(|folder| folder.exists()) {
        add(&mut builder, &folder).with_context(|| format!("cannot read {}", folder.display()))?;
    }
    let mut tree = Tree::new(64 << 20);
    tree.add_layer(&builder.finish());
    ensure!(!tree.is_too_large());
    let config = Config { cmd: vec!["bash".to_owned()], ..Config::default() };
    let facts = ImageFacts::new(&tree, config, false);
    let stored = serde_json::to_vec(&facts)?.len();
    ensure!(stored < STORED_MAX_BYTES && facts.bytes() < STORED_MAX_BYTES, "{stored} bytes, {}", facts.bytes());
    let mut wrong = Vec::new();
    let mut programs: Vec<&str> = vec!["sh", "bash", "/bin/sh", "env", "perl", "apt-get", "/usr/sbin/useradd", "ls"];
    programs.extend(["skopeo", "gcc", "git"]);
    for program in programs {
        let command = vec![program.to_owned()];
        let fingerprint = facts.fingerprint(&Invocation { command: Some(&command), ..Invocation::default() });
        let family = fingerprint.resolver.family.name();
        let expected = if program == "skopeo" { "go" } else { "glibc" };
        if family != expected && program != "env" {
            wrong.push(format!("{program}: {family}: {}", fingerprint.reason));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
