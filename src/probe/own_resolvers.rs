//! Resolvers that a program holds besides that of its C library, by the files that its process has open or mapped, and by its name. A
//! resolver that is linked into a program, or packed into one archive with it, leaves no such trace. Must not know what is queried.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;

use crate::verdicts::observations::OwnResolver;

/// A sign of a resolver.
struct Sign {
    /// The start of a file's name.
    file: &'static str,
    resolver: &'static str,
}

/// Libraries and archives of resolvers.
const FILES: [Sign; 5] = [
    Sign { file: "libcares.so", resolver: "c-ares" },
    Sign { file: "netty-resolver-dns", resolver: "Netty" },
    Sign { file: "libnetty_resolver_dns", resolver: "Netty" },
    Sign { file: "libgrpc.so", resolver: "gRPC" },
    Sign { file: "libunbound.so", resolver: "libunbound" },
];

/// Programs that hold a resolver of their own: Envoy and Istio's proxy use c-ares (envoy#37535, istio#48692).
const PROGRAMS: [Sign; 1] = [Sign { file: "envoy", resolver: "c-ares" }];

/// The library that a program file needs by this name.
const NEEDED: &[u8] = b"libcares.so.";
/// The most that is read of a program file, in bytes.
const PROGRAM_MAX_BYTES: u64 = 64 << 20;

/// Returns the resolvers in a process. What cannot be read shows nothing.
pub(super) fn of_process(id: u32) -> Vec<OwnResolver> {
    let folder = PathBuf::from(format!("/proc/{id}"));
    let mut found = Vec::new();
    if let Ok(program) = fs::read_link(folder.join("exe")) {
        add(&mut found, &PROGRAMS, &program, "runs");
    }
    let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
    // The path is the sixth column (proc_pid_maps(5)).
    for path in maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5)) {
        add(&mut found, &FILES, Path::new(path), "has loaded");
    }
    let open = fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
    for path in open.filter_map(|entry| fs::read_link(entry.path()).ok()) {
        add(&mut found, &FILES, &path, "has opened");
    }
    found
}

/// Returns the resolvers in a program file.
pub(super) fn of_file(path: &Path) -> Vec<OwnResolver> {
    let mut found = Vec::new();
    add(&mut found, &PROGRAMS, path, "is");
    if contains(path, NEEDED).unwrap_or(false) {
        add(&mut found, &FILES, Path::new("libcares.so"), "names");
    }
    found
}

/// Adds the resolver of which a file is a sign, once.
fn add(found: &mut Vec<OwnResolver>, signs: &[Sign], path: &Path, verb: &str) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    for Sign { file, resolver } in signs {
        let is_it = if *file == "envoy" { name == *file } else { name.starts_with(file) };
        if is_it && !found.iter().any(|known| known.name == *resolver) {
            found.push(OwnResolver { name: resolver, evidence: format!("it {verb} {}", path.display()) });
        }
    }
}

/// Returns whether a file contains these bytes.
fn contains(path: &Path, wanted: &[u8]) -> io::Result<bool> {
    let file = fs::File::open(path)?.take(PROGRAM_MAX_BYTES);
    let search = AhoCorasick::new([wanted]).map_err(io::Error::other)?;
    Ok(search.try_stream_find_iter(file).map_err(io::Error::other)?.next().transpose()?.is_some())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn finds_a_library_in_a_program_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'x'; (64 << 10) - 3]).unwrap();
        file.write_all(b"libcares.so.2\0").unwrap();
        let found = of_file(file.path());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name, &*found[0].evidence), ("c-ares", "it names libcares.so"));
        assert!(of_file(Path::new("/bin/cat")).is_empty());
    }

    #[test]
    fn finds_an_archive_that_a_process_has_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("netty-resolver-dns-4.1.118.Final.jar");
        let _open = fs::File::create(&path).unwrap();
        let found = of_process(std::process::id());
        let netty = found.iter().find(|resolver| resolver.name == "Netty").unwrap();
        assert_eq!(netty.evidence, format!("it has opened {}", path.display()));
    }

    #[test]
    fn knows_envoy_by_its_name_alone() {
        let names = |path: &str| of_file(Path::new(path)).len();
        assert_eq!((names("/usr/local/bin/envoy"), names("/usr/bin/envoyctl")), (1, 0));
    }
}
