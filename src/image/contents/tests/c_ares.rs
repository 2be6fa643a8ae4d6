//! c-ares beside the C library, and program headers and library names wherever a linker or a tool puts them.

use super::{ALPINE, DEBIAN, LD_LINUX, LD_MUSL, Layer, What, answer_of, entrypoint, image, scanned};
use crate::image::contents::{CAres, Elf, Invocation, Node};

/// Returns a message of c-ares. The words are in another order, as another test inspects this test program.
fn c_ares_message() -> String {
    "performed yet not initialization library c-ares".split(' ').rev().collect::<Vec<_>>().join(" ")
}

/// Returns the name of Envoy's extension.
fn envoy_extension() -> String {
    "cares.dns_resolver.network.envoy".split('.').rev().collect::<Vec<_>>().join(".")
}

/// Returns a program or a library for x86-64 that needs these libraries. With `far`, the program headers come after this many
/// bytes, as in Node's single executables.
fn needing(loader: Option<&str>, needed: &[&str], texts: &[&str], far: usize) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADER: u64 = 64;
    const SEGMENTS: u64 = 3;
    let word = |bytes: &mut Vec<u8>, value: u64, size: usize| bytes.extend_from_slice(&value.to_le_bytes()[..size]);
    let table_size = SEGMENTS * 56;
    let loader_at = HEADER + if far > 0 { 0 } else { table_size };
    let mut body = loader.unwrap_or_default().as_bytes().to_vec();
    body.push(0);
    let loader_size = body.len() as u64;
    let names_at = loader_at + body.len() as u64;
    let mut names = vec![0];
    let mut entries = Vec::new();
    for name in needed {
        entries.push((1, names.len() as u64));
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    entries.push((5, BASE + names_at));
    entries.push((0, 0));
    body.extend(names);
    for text in texts {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.resize(body.len() + far, 0);
    let table_at = if far > 0 { loader_at + body.len() as u64 } else { HEADER };
    let dynamic_at = loader_at + body.len() as u64 + if far > 0 { table_size } else { 0 };
    let mut dynamic = Vec::new();
    entries.iter().for_each(|(tag, value)| {
        word(&mut dynamic, *tag, 8);
        word(&mut dynamic, *value, 8);
    });
    let dynamic_size = dynamic.len() as u64;
    let mut table = Vec::new();
    let kind = if loader.is_some() { 3 } else { 4 };
    let all = dynamic_at + dynamic_size;
    for (kind, offset, size) in [(1, 0, all), (kind, loader_at, loader_size), (2, dynamic_at, dynamic_size)] {
        word(&mut table, kind, 4);
        word(&mut table, 5, 4);
        for value in [offset, BASE + offset, BASE + offset, size, size, 1] {
            word(&mut table, value, 8);
        }
    }
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(16, 0);
    for (value, size) in [(2, 2), (62, 2), (1, 4), (0, 8), (table_at, 8), (0, 8), (0, 4), (64, 2), (56, 2)] {
        word(&mut bytes, value, size);
    }
    for value in [SEGMENTS, 0, 0, 0] {
        word(&mut bytes, value, 2);
    }
    if far > 0 { [bytes, body, table, dynamic].concat() } else { [bytes, table, body, dynamic].concat() }
}

fn elf(bytes: &[u8]) -> Elf {
    match scanned("bin/program", bytes, true) {
        Some(Node::Program(elf)) => elf,
        other => panic!("{other:?}"),
    }
}

/// Returns the resolver beside the main one, as `muslin inspect` shows it.
fn beside(layers: &[Layer<'_>], command: &[&str]) -> String {
    let fingerprint = image(layers, entrypoint(command)).fingerprint(&Invocation::default());
    fingerprint.beside.map_or_else(String::new, |second| {
        format!("{}{}: {}", if second.in_program { "" } else { "perhaps " }, second.resolver, second.reason)
    })
}

#[test]
fn program_headers_at_the_end_of_a_large_file_are_read() {
    for far in [0, 4 << 10, (64 << 10) - 300, (64 << 10) - 64, 64 << 10, 300_001] {
        let program = elf(&needing(Some(LD_LINUX), &["libc.so.6", "libcares.so.2"], &[], far));
        assert_eq!(program.loader.as_deref(), Some(LD_LINUX), "{far}");
        assert_eq!(program.c_ares, Some(CAres::Linked), "{far}");
    }
}

#[test]
fn a_loader_path_that_was_passed_is_reported() {
    let mut bytes = needing(Some(LD_LINUX), &[], &[], 300_000);
    // The path is between the head and the program headers.
    let (at, moved) = (bytes.len() - 2 * 16 - 2 * 56 + 8, 200_000_u64);
    bytes[at..at + 8].copy_from_slice(&moved.to_le_bytes());
    let Some(Node::Unreadable(why)) = scanned("bin/program", &bytes, true) else { panic!("it is not read") };
    assert!(why.contains("too far from the path of its loader"), "{why}");
}

#[test]
fn only_needed_libraries_count() {
    let text = elf(&needing(Some(LD_LINUX), &["libc.so.6"], &["", "libcares.so.2", "libcurl.so.4"], 0));
    assert_eq!((text.c_ares, text.carriers.len()), (None, 0), "names in texts");
    let curl = elf(&needing(Some(LD_LINUX), &["libcurl.so.4", "libc.so.6"], &[], 0));
    assert_eq!((curl.c_ares, &*curl.carriers), (None, &["libcurl.so.4".into()][..]));
    let contained = elf(&needing(Some(LD_LINUX), &["libc.so.6"], &[&c_ares_message()], 0));
    assert_eq!(contained.c_ares, Some(CAres::Contained));
}

#[test]
fn names_are_found_wherever_the_parts_of_a_file_end() {
    for filler in 0..130 {
        let before = "x".repeat(filler);
        let bytes = needing(Some(LD_LINUX), &[&before, "libcares.so.2"], &[], 0);
        assert_eq!(elf(&bytes).c_ares, Some(CAres::Linked), "{filler}");
    }
}

#[test]
fn c_ares_is_reported_beside_the_library_of_the_program_that_has_it() {
    let node = needing(Some(LD_LINUX), &["libc.so.6"], &[&c_ares_message()], 0);
    let layer: Layer<'_> =
        &[("usr/local/bin/node", What::Bytes(&node)), ("app.js", What::Script("#!/usr/bin/env node\n"))];
    let entry = ("entry", What::Script("#!/bin/sh\nset -e\nexec \"$@\"\n"));
    let layer = &[layer, &[entry]].concat();
    for command in [
        &["/usr/local/bin/node", "app.js"][..],
        &["/app.js"],
        &["/bin/sh", "-c", "exec node app.js"],
        &["/entry", "node", "app.js"],
    ] {
        let answer = answer_of(&[DEBIAN, layer], command);
        assert!(answer.starts_with("glibc 2.41: "), "{command:?}: {answer}");
        assert_eq!(beside(&[DEBIAN, layer], command), "c-ares: `/usr/local/bin/node` contains c-ares", "{command:?}");
    }
    assert_eq!(beside(&[DEBIAN, layer], &["python3"]), "", "another program");
}

#[test]
fn curl_of_alpine_has_c_ares_through_its_library() {
    let curl = needing(Some(LD_MUSL), &["libcurl.so.4", "libc.musl-x86_64.so.1"], &[], 0);
    let libcurl = needing(None, &["libcares.so.2", "libc.musl-x86_64.so.1"], &[], 0);
    let apk = "P:musl\nV:1.2.5-r9\n\nP:c-ares\nV:1.34.5-r0\n\n";
    let layer: Layer<'_> = &[
        ("usr/bin/curl", What::Bytes(&curl)),
        ("usr/lib/libcurl.so.4.8.0", What::Bytes(&libcurl)),
        ("usr/lib/libcurl.so.4", What::Link("libcurl.so.4.8.0")),
        ("lib/apk/db/installed", What::Text(apk)),
    ];
    let by_c_ares =
        "c-ares 1.34.5: `/usr/bin/curl` links a library that has c-ares, by which curl then resolves all names";
    for command in [&["curl", "https://example.com"][..], &["/usr/bin/curl"], &["sh", "-c", "exec curl -s example.com"]]
    {
        assert_eq!(answer_of(&[ALPINE, layer], command), by_c_ares);
        assert_eq!(beside(&[ALPINE, layer], command), "");
    }
    let git: Layer<'_> = &[("usr/bin/git-remote-http", What::Bytes(&curl))];
    assert!(answer_of(&[ALPINE, layer, git], &["git-remote-http"]).starts_with("musl 1.2.5: "));
    assert_eq!(
        beside(&[ALPINE, layer, git], &["git-remote-http"]),
        "c-ares 1.34.5: `/usr/bin/git-remote-http` links a library that has c-ares"
    );
    assert_eq!(
        beside(&[ALPINE, layer], &["ls"]),
        "perhaps c-ares 1.34.5: `/usr/lib/libcurl.so.4.8.0` links c-ares, and any program of the image may load it"
    );
    let without: Layer<'_> = &layer[..1];
    assert!(answer_of(&[ALPINE, without], &["curl"]).starts_with("musl 1.2.5: "), "libcurl is not in the image");
    assert_eq!(beside(&[ALPINE, without], &["curl"]), "", "libcurl is not in the image, or has no c-ares");
    let package: Layer<'_> = &layer[3..];
    assert_eq!(
        beside(&[ALPINE, package], &["ls"]),
        "perhaps c-ares 1.34.5: apk's database lists the package c-ares 1.34.5, and any program of the image may load it"
    );
}

#[test]
fn python_may_load_grpc_core() {
    let grpc = needing(None, &["libc.so.6"], &[&c_ares_message()], 0);
    let path = "usr/lib/python3.11/site-packages/grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so";
    let layer: Layer<'_> = &[(path, What::Bytes(&grpc))];
    let shown = format!("perhaps c-ares: `/{path}` contains c-ares, and any program of the image may load it");
    assert_eq!(beside(&[DEBIAN, layer], &["python3", "x.py"]), shown);
    // Programs that load no library.
    let musl = What::Program(None, &["musl libc (x86_64)"]);
    assert!(beside(&[DEBIAN, layer, &[("app", musl)]], &["/app"]).is_empty());
}

#[test]
fn envoy_resolves_by_c_ares() {
    let envoy = needing(Some(LD_LINUX), &["libc.so.6"], &[&c_ares_message(), &envoy_extension()], 0);
    let layer: Layer<'_> = &[("usr/local/bin/envoy", What::Bytes(&envoy))];
    let answer = answer_of(&[DEBIAN, layer], &["envoy", "-c", "/etc/envoy.yaml"]);
    assert_eq!(answer, "c-ares: `/usr/local/bin/envoy` is Envoy, which resolves names by the c-ares in it");
    assert!(beside(&[DEBIAN, layer], &["envoy"]).is_empty());
    // Istio's agent, in Go, names the extension.
    let agent = needing(Some(LD_LINUX), &["libc.so.6"], &[&envoy_extension()], 0);
    assert_eq!(elf(&agent).c_ares, None);
}
