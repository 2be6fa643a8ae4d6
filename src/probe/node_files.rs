//! Reads the files of a node that can name a nameserver, below a root folder: a bounded number of bytes, regular files only, and
//! symbolic links within the root, as the node itself would follow them. Must not know what the files mean: that is [`crate::origins`].

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::origins::{NodeFile, Tree, further_patterns, name_matches, patterns, programs};
use crate::os;

/// The most files to read; a whole node has some dozens.
const FILES_MAX: usize = 2_000;
/// The largest file to read: a file of leases grows by about a kilobyte a renewal, until dhclient starts again.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most bytes of all files.
const BYTES_MAX: usize = 16 << 20;
/// The most names to look at in one folder.
const NAMES_MAX: usize = 10_000;
/// The most links on the way to one file, as in Linux (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// Files that name files that name files: the kubelet's unit, its configuration, its resolv.conf; included files of ifupdown.
const ROUNDS: usize = 4;

/// Reads the files of a node.
///
/// # Errors
/// The root is not a folder that can be read.
pub fn read_node_files(root: &Path) -> io::Result<Tree> {
    fs::read_dir(root)?;
    let mut reader = Reader { root, tree: Tree::default(), asked: Vec::new(), files: 0, bytes: 0 };
    for pattern in patterns() {
        reader.read_matching(pattern);
    }
    reader.read_kubelets();
    for _ in 0..ROUNDS {
        for pattern in further_patterns(&reader.tree) {
            reader.read_matching(&pattern);
        }
    }
    for path in programs() {
        if reader.exists(path) {
            reader.tree.add_present(path);
        }
    }
    Ok(reader.tree)
}

struct Reader<'r> {
    root: &'r Path,
    tree: Tree,
    /// Patterns that were read.
    asked: Vec<String>,
    files: usize,
    bytes: usize,
}

// === impl Reader ===

impl Reader<'_> {
    fn read_matching(&mut self, pattern: &str) {
        if self.asked.iter().any(|asked| asked == pattern) {
            return;
        }
        self.asked.push(pattern.to_owned());
        let mut paths = vec![String::new()];
        for name in pattern.split('/').filter(|name| !name.is_empty()) {
            paths = if name.contains(['*', '?']) {
                paths.iter().flat_map(|folder| self.names(folder, name)).collect()
            } else {
                paths.into_iter().map(|path| format!("{path}/{name}")).collect()
            };
        }
        for path in paths {
            self.read(path);
        }
    }

    /// Returns the paths in a folder whose name matches.
    fn names(&mut self, folder: &str, pattern: &str) -> Vec<String> {
        let Ok(real) = self.resolve(folder) else { return Vec::new() };
        let entries = match fs::read_dir(self.on_disk(&real)) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    self.tree.add_unread(folder, reason(&error));
                }
                return Vec::new();
            }
        };
        let names = entries.take(NAMES_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name_matches(pattern, name)).collect();
        names.sort_unstable();
        names.into_iter().map(|name| format!("{folder}/{name}")).collect()
    }

    fn read(&mut self, path: String) {
        if self.files >= FILES_MAX || self.bytes >= BYTES_MAX {
            self.tree.add_unread(path, "there are too many files");
            return;
        }
        match self.contents(&path) {
            Ok(Some((real, bytes))) => {
                self.files += 1;
                self.bytes += bytes.len();
                self.tree.add(NodeFile { path, real, bytes });
            }
            Ok(None) => {}
            Err(because) => self.tree.add_unread(path, because),
        }
    }

    /// Returns the path behind all links, and the contents; nothing for a missing file or a folder.
    fn contents(&self, path: &str) -> Result<Option<(String, Vec<u8>)>, String> {
        let real = self.resolve(path)?;
        // systemd.syntax(7): a link to /dev/null masks a file.
        if real == "/dev/null" {
            return Ok(Some((real, Vec::new())));
        }
        let on_disk = self.on_disk(&real);
        let metadata = match fs::symlink_metadata(&on_disk) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) && real == path => return Ok(None),
            Err(error) if is_absent(&error) => {
                // A link above a file that never existed is no news.
                let is_link = fs::symlink_metadata(self.on_disk(path)).is_ok();
                return if is_link { Err(format!("leads to {real}, which is missing")) } else { Ok(None) };
            }
            Err(error) => return Err(reason(&error)),
        };
        if !metadata.is_file() {
            return Ok(None);
        }
        let file = os::open_without_link(&on_disk).map_err(|error| reason(&error))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
            return Err(format!("larger than {} KiB", FILE_BYTES_MAX >> 10));
        }
        Ok(Some((real, bytes)))
    }

    /// Returns the path behind all links. An absolute link starts at the root, and `..` never leaves it.
    fn resolve(&self, path: &str) -> Result<String, String> {
        let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(name),
            }
            // Not a link, or missing: the caller finds out.
            let Ok(target) = fs::read_link(self.on_disk(&done.join("/"))) else { continue };
            links += 1;
            if links > LINKS_MAX {
                return Err("too many symbolic links".to_owned());
            }
            done.pop();
            if target.is_absolute() {
                done.clear();
            }
            todo.extend(target.to_string_lossy().rsplit('/').map(str::to_owned));
        }
        Ok(format!("/{}", done.join("/")))
    }

    fn on_disk(&self, real: &str) -> PathBuf {
        self.root.join(real.trim_start_matches('/'))
    }

    /// Returns whether a path exists, or may exist.
    fn exists(&self, path: &str) -> bool {
        let Ok(real) = self.resolve(path) else { return true };
        fs::symlink_metadata(self.on_disk(&real)).map_or_else(|error| !is_absent(&error), |_| true)
    }

    /// Reads the command lines of running kubelets, which win over units that have changed since.
    fn read_kubelets(&mut self) {
        let processes = self.names("/proc", "*").into_iter();
        for process in processes.filter(|path| path.bytes().skip(6).all(|byte| byte.is_ascii_digit())) {
            let name = self.contents(&format!("{process}/comm")).ok().flatten();
            if name.is_some_and(|(_, name)| name == b"kubelet\n") {
                self.read(format!("{process}/cmdline"));
            }
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied: run as root".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::origins::find_origins;

    /// Writes files and links (`path -> target`) below a new folder, and reads them.
    fn node(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let parent = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        for (path, bytes) in files {
            fs::write(parent(path), bytes).unwrap();
        }
        for (path, target) in links {
            symlink(target, parent(path)).unwrap();
        }
        let tree = read_node_files(folder.path()).unwrap();
        (folder, tree)
    }

    fn origins(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Vec<String> {
        let (_folder, tree) = node(files, links);
        find_origins(&tree, "/host")
            .origins
            .iter()
            .map(|origin| format!("{} {}", origin.address, origin.place))
            .collect()
    }

    #[test]
    fn follows_links_within_the_root() {
        let files: [(&str, &[u8]); 1] = [("run/systemd/resolve/resolv.conf", b"nameserver 10.0.0.2\n")];
        // Absolute, relative, through another link, and with more `..` than there are folders.
        for target in [
            "/run/systemd/resolve/resolv.conf",
            "../run/systemd/resolve/resolv.conf",
            "../var/run/systemd/resolve/resolv.conf",
            "../../../../../run/systemd/resolve/resolv.conf",
        ] {
            let found = origins(&files, &[("etc/resolv.conf", target), ("var/run", "/run")]);
            assert!(found.contains(&"10.0.0.2 /etc/resolv.conf line 1".to_owned()), "{target}: {found:?}");
        }
    }

    #[test]
    fn a_link_to_a_file_of_the_machine_itself_stays_below_the_root() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "nameserver 10.0.0.9\n").unwrap();
        let (_folder, tree) = node(&[], &[("etc/resolv.conf", outside.path().to_str().unwrap())]);
        let found = find_origins(&tree, "/host");
        assert!(found.origins.is_empty(), "{found:?}");
        assert!(found.unread[0].because.contains("which is missing"), "{found:?}");
    }

    #[test]
    fn a_circle_of_links_is_reported() {
        let (_folder, tree) = node(&[], &[("etc/resolv.conf", "resolv.conf.2"), ("etc/resolv.conf.2", "resolv.conf")]);
        assert_eq!(find_origins(&tree, "/").unread[0].because, "too many symbolic links");
    }

    #[test]
    fn large_and_binary_files_do_no_harm() {
        let large = vec![b'#'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
        let files: [(&str, &[u8]); 4] = [
            ("etc/systemd/resolved.conf", &large),
            ("etc/resolv.conf", b"\xff\xfe\0nameserver\nnameserver 10.0.0.2\n\xff"),
            ("etc/netplan/a.yaml", b"\xff\xfe\0: [\n"),
            ("var/lib/dhcpcd/eth0.lease", b"\x01\x02"),
        ];
        let (_folder, tree) = node(&files, &[]);
        let found = find_origins(&tree, "/");
        assert_eq!(found.origins.len(), 1, "{found:?}");
        let unread: Vec<&str> = found.unread.iter().map(|unread| unread.file.as_str()).collect();
        assert_eq!(unread, ["/etc/systemd/resolved.conf", "/etc/netplan/a.yaml"]);
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/netplan/folder.yaml")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("etc/resolv.conf"), rustix::fs::Mode::RWXU).unwrap();
        // A pipe without a writer would block an ordinary open for ever.
        let tree = read_node_files(folder.path()).unwrap();
        assert!(find_origins(&tree, "/").origins.is_empty());
    }

    #[test]
    fn the_running_kubelets_flag_wins_over_its_unit() {
        let files: [(&str, &[u8]); 5] = [
            (
                "etc/systemd/system/kubelet.service",
                b"[Service]\nExecStart=/usr/bin/kubelet --resolv-conf=/etc/new.conf\n",
            ),
            ("proc/7/comm", b"kubelet\n"),
            ("proc/7/cmdline", b"/usr/bin/kubelet\0--resolv-conf\0/etc/old.conf\0"),
            ("etc/old.conf", b"nameserver 10.0.0.2\n"),
            ("etc/new.conf", b"nameserver 10.0.0.3\n"),
        ];
        let (_folder, tree) = node(&files, &[]);
        let found = find_origins(&tree, "/");
        assert_eq!(
            (found.resolv_conf.as_str(), found.resolv_conf_from.unwrap().file.as_str()),
            ("/etc/old.conf", "/proc/7/cmdline")
        );
        assert_eq!(found.nameservers, ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
    }
}
