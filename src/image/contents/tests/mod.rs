//! Images as they occur in practice, from files with only the parts that muslin reads. `tests/registry` has real programs.

mod c_ares;
mod commands;
mod distributions;
mod excerpts;
mod large;
mod programs;
mod shell;
mod wrappers;

use super::{Config, Entry, FileScan, ImageFacts, Invocation, LayerBuilder, LayerFacts, Node, Tree};

/// An entry of a layer.
#[derive(Clone, Copy)]
enum What<'w> {
    /// A program that asks for this loader, and has these texts between NULs.
    Program(Option<&'w str>, &'w [&'w str]),
    Bytes(&'w [u8]),
    Text(&'w str),
    Script(&'w str),
    Link(&'w str),
    Hard(&'w str),
    Folder,
}

type Layer<'l> = &'l [(&'l str, What<'l>)];

/// The word size and byte order of a program.
#[derive(Clone, Copy)]
struct Machine {
    is_64: bool,
    is_big: bool,
}

const X86_64: Machine = Machine { is_64: true, is_big: false };

/// Returns a program for this machine.
fn elf(Machine { is_64, is_big }: Machine, loader: Option<&str>, texts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(is_64), 1 + u8::from(is_big), 1];
    bytes.resize(16, 0);
    let put = |bytes: &mut Vec<u8>, value: u64, size: usize| match is_big {
        true => bytes.extend_from_slice(&value.to_be_bytes()[8 - size..]),
        false => bytes.extend_from_slice(&value.to_le_bytes()[..size]),
    };
    let word = if is_64 { 8 } else { 4 };
    let (header, segment) = if is_64 { (64, 56) } else { (52, 32) };
    // ET_DYN, any machine, the version, the entry, then the offsets of the segments and the sections.
    for (value, size) in [(3, 2), (62, 2), (1, 4), (0, word), (header, word), (0, word), (0, 4)] {
        put(&mut bytes, value, size);
    }
    for value in [header, segment, 2, 0, 0, 0] {
        put(&mut bytes, value, 2);
    }
    let start = header + 2 * segment;
    let length = loader.map_or(0, |loader| loader.len() as u64 + 1);
    // PT_LOAD, and PT_INTERP if there is a loader.
    for (kind, offset, size) in [(1, 0, start), (if loader.is_some() { 3 } else { 4 }, start, length)] {
        put(&mut bytes, kind, 4);
        if is_64 {
            put(&mut bytes, 5, 4);
        }
        for value in [offset, 0, 0, size, size] {
            put(&mut bytes, value, word);
        }
        if !is_64 {
            put(&mut bytes, 5, 4);
        }
        put(&mut bytes, 1, word);
    }
    bytes.extend_from_slice(loader.unwrap_or_default().as_bytes());
    texts.iter().for_each(|text| {
        bytes.push(0);
        bytes.extend_from_slice(text.as_bytes());
    });
    bytes.extend_from_slice(&[0; 64]);
    bytes
}

fn scanned(path: &str, bytes: &[u8], executable: bool) -> Option<Node> {
    let mut scan = FileScan::new(path, bytes.len() as u64, executable);
    bytes.chunks(61).for_each(|part| scan.feed(part));
    scan.finish()
}

fn layer(entries: Layer<'_>) -> LayerFacts {
    let mut builder = LayerBuilder::new(8 << 20);
    for (path, what) in entries {
        let file = |bytes: &[u8], executable| scanned(path, bytes, executable).map_or(Entry::Other, Entry::Node);
        let entry = match what {
            What::Program(loader, texts) => file(&elf(X86_64, *loader, texts), true),
            What::Bytes(bytes) => file(bytes, true),
            What::Text(text) => file(text.as_bytes(), false),
            What::Script(text) => file(text.as_bytes(), true),
            What::Link(target) => Entry::Node(Node::Symlink((*target).into())),
            What::Hard(target) => Entry::Node(Node::Hardlink((*target).into())),
            What::Folder => Entry::Folder,
        };
        builder.add(path, entry).unwrap();
    }
    builder.finish()
}

/// Returns the facts of an image with these layers, from the base up, after they were stored and read again.
fn image(layers: &[Layer<'_>], config: Config) -> ImageFacts {
    let mut tree = Tree::default();
    layers.iter().for_each(|entries| tree.add_layer(&layer(entries)));
    let facts = ImageFacts::new(&tree, config, false);
    let stored = serde_json::to_string(&facts).unwrap();
    let read = serde_json::from_str(&stored).unwrap();
    assert_eq!(facts, read, "{stored}");
    read
}

fn entrypoint(words: &[&str]) -> Config {
    Config { entrypoint: words.iter().map(|word| (*word).to_owned()).collect(), ..Config::default() }
}

/// Returns the resolver of the image's own command, and the reason.
fn answer_of(layers: &[Layer<'_>], command: &[&str]) -> String {
    answer(&image(layers, entrypoint(command)), &Invocation::default())
}

fn answer(facts: &ImageFacts, invocation: &Invocation<'_>) -> String {
    let fingerprint = facts.fingerprint(invocation);
    format!("{}: {}", fingerprint.resolver, fingerprint.reason)
}

/// The texts in musl's library.
const MUSL: &[&str] = &["musl libc (x86_64)", "No error information", "1.2.5"];
/// The texts in glibc's loader.
const GLIBC: &[&str] = &["glibc-ld.so.cache1.1", "ld.so (GNU libc) stable release version 2.41."];
const LD_MUSL: &str = "/lib/ld-musl-x86_64.so.1";
const LD_LINUX: &str = "/lib64/ld-linux-x86-64.so.2";
/// A root with musl, and one with glibc, each with a few programs.
const ALPINE: Layer<'_> = &[
    ("lib/ld-musl-x86_64.so.1", What::Program(None, MUSL)),
    ("bin/busybox", What::Program(Some(LD_MUSL), &[])),
    ("bin/sh", What::Link("/bin/busybox")),
    ("bin/ls", What::Link("/bin/busybox")),
    ("usr/bin/env", What::Link("/bin/busybox")),
    ("etc/os-release", What::Text("ID=alpine\nVERSION_ID=3.21.3\n")),
];
const DEBIAN: Layer<'_> = &[
    ("bin", What::Link("usr/bin")),
    ("lib64", What::Link("usr/lib64")),
    ("usr/lib64/ld-linux-x86-64.so.2", What::Program(None, GLIBC)),
    ("usr/bin/dash", What::Program(Some(LD_LINUX), &[])),
    ("usr/bin/sh", What::Link("dash")),
    ("usr/bin/env", What::Program(Some(LD_LINUX), &[])),
    ("usr/bin/python3", What::Program(Some(LD_LINUX), &[])),
];
/// A program of another kind than the others.
const APP: (&str, What<'_>) = ("app/server", What::Program(None, &["musl libc (x86_64)"]));
