//! Resolvers that a process holds besides that of its C library, by the files that it has open or mapped. A resolver in the
//! program's own file or archive leaves no open file: [`super::program`] reads the program file. Must not know what
//! is queried.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Returns the resolvers in a process. What cannot be read shows nothing.
pub(super) fn of_process(id: u32) -> Vec<OwnResolver> {
    let folder = PathBuf::from(format!("/proc/{id}"));
    let mut found = Vec::new();
    let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
    // The path is the sixth column (proc_pid_maps(5)).
    for path in maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5)) {
        add(&mut found, Path::new(path), "has loaded");
    }
    let open = fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
    for path in open.filter_map(|entry| fs::read_link(entry.path()).ok()) {
        add(&mut found, &path, "has opened");
    }
    found
}

/// Adds the resolver of which a file is a sign, once.
fn add(found: &mut Vec<OwnResolver>, path: &Path, verb: &str) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    for Sign { file, resolver } in &FILES {
        if name.starts_with(file) && !found.iter().any(|known| known.name == *resolver) {
            found.push(OwnResolver { name: resolver, evidence: format!("it {verb} {}", path.display()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_archive_that_a_process_has_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("netty-resolver-dns-4.1.118.Final.jar");
        let _open = fs::File::create(&path).unwrap();
        let found = of_process(std::process::id());
        let netty = found.iter().find(|resolver| resolver.name == "Netty").unwrap();
        assert_eq!(netty.evidence, format!("it has opened {}", path.display()));
    }
}
