//! Parts of published programs: their headers, and the bytes by which muslin knows them. `excerpts.txt` names the source of each, and
//! has its bytes by offset in hexadecimal digits; zeros are left out, and the parts moved together in steps of a page.

use crate::image::contents::{Elf, FileScan, GoBuild, LibcKind, Node};
use crate::resolver::Version;

/// The size of the programs, or more.
const SIZE: u64 = 64 << 20;

const EXCERPTS: &str = include_str!("excerpts.txt");

/// Returns the programs by name.
fn programs() -> Vec<(&'static str, Vec<u8>)> {
    let mut programs: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in EXCERPTS.lines() {
        if let Some((name, _)) = line.strip_prefix("program ").and_then(|rest| rest.split_once(": ")) {
            programs.push((name, Vec::new()));
            continue;
        }
        let (offset, digits) = line.split_once(' ').unwrap();
        let offset = usize::from_str_radix(offset, 16).unwrap();
        let bytes: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        let (_, program) = programs.last_mut().unwrap();
        program.resize(program.len().max(offset + bytes.len()), 0);
        program[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    programs
}

/// Returns the programs whose name begins so, as they are read.
fn read(prefix: &str) -> Vec<(&'static str, Elf)> {
    let named = programs().into_iter().filter(|(name, _)| name.starts_with(prefix));
    let scanned = |bytes: &[u8]| {
        let mut scan = FileScan::new("bin/program", SIZE, true);
        bytes.chunks(61).chain([&[0; 64][..]]).for_each(|part| scan.feed(part));
        scan.finish()
    };
    named
        .map(|(name, bytes)| match scanned(&bytes) {
            Some(Node::Program(elf)) => (name, elf),
            other => panic!("{name}: {other:?}"),
        })
        .collect()
}

#[test]
fn static_libraries_are_known_on_every_machine() {
    for (prefix, libc, machines) in [("musl-", LibcKind::Musl, 8), ("uclibc-", LibcKind::Uclibc, 6)] {
        let programs = read(prefix);
        assert_eq!(programs.len(), machines);
        for (name, elf) in programs {
            let expected = Elf { libc: Some(libc.unversioned()), ..Elf::default() };
            assert_eq!(elf, expected, "{name}");
        }
    }
}

#[test]
fn go_is_known_without_build_information() {
    for name in ["go-1.12", "go-1.16", "go-esbuild-amd64", "go-esbuild-s390x"] {
        let [(_, elf)] = &read(name)[..] else { panic!("{name}") };
        assert_eq!(elf, &Elf { go: Some(GoBuild::default()), ..Elf::default() }, "{name}");
    }
}

/// The symbol `getaddrinfo` shares its bytes with a longer one.
#[test]
fn go_with_cgo_of_old_releases_calls_getaddrinfo() {
    let [(_, elf)] = &read("go-cgo-1.19")[..] else { panic!("one program") };
    let Elf { loader, go: Some(go), getaddrinfo: true, .. } = elf else { panic!("{elf:?}") };
    assert_eq!(loader.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    assert_eq!((go.version, go.cgo), (Some(Version::new(1, 19, 8)), Some(true)));
}
