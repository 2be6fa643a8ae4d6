//! Reads any bytes as a file of an image: an ELF program with or without Go's build information, a script, an apk database. The
//! result must not depend on how the bytes are split into reads, and the work is in proportion to their number.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::image::contents::{FileScan, Node};
use muslin::turns_of;

/// One path of each kind of file that has its own reader.
const PATHS: [&str; 6] = [
    "app/server",
    "lib/ld-musl-x86_64.so.1",
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
    "etc/os-release",
    "etc/alpine-release",
];

fuzz_target!(|input: &[u8]| {
    let [path, part, bytes @ ..] = input else { return };
    let path = PATHS[usize::from(*path) % PATHS.len()];
    let (whole, turns) = turns_of(|| scan(path, bytes, bytes.len().max(1)));
    assert!(turns <= 8 * bytes.len() as u64 + 64, "{turns} turns for {} bytes", bytes.len());
    assert_eq!(whole, scan(path, bytes, usize::from(*part).max(1)), "the answer depends on the parts");
});

fn scan(path: &str, bytes: &[u8], part: usize) -> Option<Node> {
    let mut scan = FileScan::new(path, bytes.len() as u64, true);
    bytes.chunks(part).for_each(|part| scan.feed(part));
    scan.finish()
}
