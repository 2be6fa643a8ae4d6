//! The files that git tracks, by its index (gitformat-index(5)). No program of git runs, and nothing that a repository configures. A
//! library for the index would add 35 crates to read a list of names.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::os;

/// The tracked files of a folder that the walk has not reached.
#[derive(Debug)]
pub(super) struct TrackedFiles {
    /// The folder, as named.
    folder: PathBuf,
    /// The folder without links.
    real_folder: PathBuf,
    /// The wanted files, as the walk names them.
    files: BTreeSet<PathBuf>,
    /// Repositories whose index was read.
    repositories: HashSet<PathBuf>,
    is_wanted: fn(&Path) -> bool,
}

/// An entry of an index.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    is_submodule: bool,
    path: Vec<u8>,
}

/// The mode of a submodule: neither a file nor a link, but a commit.
const SUBMODULE: u32 = 0o160_000;

/// Sizes of an object's name: SHA-1 and SHA-256.
const HASHES: [usize; 2] = [20, 32];

/// Bytes of an entry before its object's name: ten numbers, the mode the seventh.
const STAT: usize = 40;

/// The most bytes of a `.git` file, which holds one path.
const GIT_FILE_MAX: u64 = 8192;

/// The largest index that is read: 200 bytes for each of a million files.
const INDEX_MAX: u64 = 200_000_000;

// === impl TrackedFiles ===

impl TrackedFiles {
    /// Returns the wanted files of a folder that the repository around it tracks.
    pub(super) fn new(folder: &Path, is_wanted: fn(&Path) -> bool) -> Self {
        let real_folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let root = real_folder.ancestors().find(|root| root.join(".git").exists()).map(Path::to_owned);
        let mut tracked = Self {
            folder: folder.to_owned(),
            real_folder,
            files: BTreeSet::new(),
            repositories: HashSet::new(),
            is_wanted,
        };
        root.into_iter().for_each(|root| tracked.read_repositories(root));
        tracked
    }

    /// Adds the files of the repository that begins at a folder of the walk, if one does.
    pub(super) fn enter(&mut self, folder: &Path) {
        if let Ok(inside) = folder.strip_prefix(&self.folder) {
            let root = self.real_folder.join(inside);
            if root.join(".git").exists() {
                self.read_repositories(root);
            }
        }
    }

    /// Removes a file that the walk reached.
    pub(super) fn remove(&mut self, file: &Path) {
        self.files.remove(file);
    }

    /// Removes and returns the first file, if it comes before `entry`.
    pub(super) fn take_before(&mut self, entry: Option<&Path>) -> Option<PathBuf> {
        let first = self.files.first()?;
        if entry.is_some_and(|entry| &**first >= entry) {
            return None;
        }
        self.files.pop_first()
    }

    /// Reads the index of a repository, and those of its submodules.
    fn read_repositories(&mut self, root: PathBuf) {
        let mut roots = vec![root];
        while let Some(root) = roots.pop() {
            let is_new = self.repositories.insert(root.clone());
            for Entry { is_submodule, path } in is_new.then(|| index_of(&root)).flatten().unwrap_or_default() {
                let Some(path) = os::text_from_bytes(&path).map(Path::new) else { continue };
                // An index is a file like others: its paths may lead anywhere.
                if !path.components().all(|part| matches!(part, Component::Normal(_))) {
                    continue;
                }
                let path = root.join(path);
                if is_submodule {
                    if path.join(".git").exists() {
                        roots.push(path);
                    }
                } else if let Ok(inside) = path.strip_prefix(&self.real_folder)
                    && (self.is_wanted)(inside)
                    && !inside.iter().any(|part| part.as_encoded_bytes().starts_with(b"."))
                {
                    self.files.insert(self.folder.join(inside));
                }
            }
        }
    }
}

/// Returns the entries of the index of the repository at a folder; `None` if they cannot be read.
fn index_of(root: &Path) -> Option<Vec<Entry>> {
    let path = git_folder(root)?.join("index");
    if !fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= INDEX_MAX) {
        return None;
    }
    let index = fs::read(&path).ok()?;
    // Read with the wrong size of a hash, an index has another end.
    HASHES.into_iter().find_map(|hash| entries(&index, hash))
}

/// Returns the entries of an index; `None` if it is not valid.
fn entries(index: &[u8], hash: usize) -> Option<Vec<Entry>> {
    let number = |at: usize| Some(u32::from_be_bytes(index.get(at..at + 4)?.try_into().ok()?));
    let version = number(4).filter(|version| index.starts_with(b"DIRC") && (2..=4).contains(version))?;
    let count = number(8)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 12;
    for _ in 0..count {
        let mode = number(at + 24)?;
        let flags = index.get(at + STAT + hash)?;
        let is_extended = flags & 0x40 != 0;
        let mut start = at + STAT + hash + if is_extended { 4 } else { 2 };
        let mut path = Vec::new();
        if version == 4 {
            // The path begins as the one before it does, without a number of its last bytes.
            let cut = variable_number(index, &mut start)?;
            if let Some(before) = entries.last() {
                path.extend_from_slice(before.path.get(..before.path.len().checked_sub(cut)?)?);
            }
        }
        let length = index.get(start..)?.iter().position(|byte| *byte == 0)?;
        path.extend_from_slice(&index[start..start + length]);
        // Until version 4, one to eight zeros fill an entry up to a multiple of eight bytes.
        at = if version == 4 { start + length + 1 } else { at + (start + length - at) / 8 * 8 + 8 };
        // Paths are in order, and equal for the sides of a conflict.
        if path.is_empty() || entries.last().is_some_and(|before| before.path > path) {
            return None;
        }
        entries.push(Entry { is_submodule: mode == SUBMODULE, path });
    }
    // Extensions follow, each with its length, and a hash of all.
    let end = index.len().checked_sub(hash)?;
    while at < end {
        at = at.checked_add(8)?.checked_add(usize::try_from(number(at + 4)?).ok()?)?;
    }
    (at == end).then_some(entries)
}

/// Reads a number of variable length (gitformat-pack(5), "offset encoding"), and moves behind it.
fn variable_number(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut number = 0_usize;
    loop {
        let byte = usize::from(*bytes.get(*at)?);
        *at += 1;
        number = number.checked_mul(128)?.checked_add(byte & 0x7f)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        number += 1;
    }
}

/// Returns the folder of git's data: `.git`, or the folder that it names as a file (gitrepository-layout(5)).
fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    let metadata = fs::metadata(&git).ok()?;
    if metadata.is_dir() {
        return Some(git);
    }
    if !metadata.is_file() || metadata.len() > GIT_FILE_MAX {
        return None;
    }
    let text = fs::read(&git).ok()?;
    let path = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    Some(root.join(os::text_from_bytes(path)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns an index of version 2, of which each entry has only a mode and a path.
    fn index(entries: &[(u32, &str)]) -> Vec<u8> {
        let mut index = b"DIRC\0\0\0\x02".to_vec();
        index.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
        for (mode, path) in entries {
            let start = index.len();
            index.extend([0; 24]);
            index.extend(mode.to_be_bytes());
            index.extend([0; 12 + 20 + 2]);
            index.extend(path.as_bytes());
            index.resize(start + (index.len() - start) / 8 * 8 + 8, 0);
        }
        index.extend(b"TREE\0\0\0\x03abc");
        index.extend([0; 20]);
        index
    }

    #[test]
    fn reads_paths_and_submodules() {
        let index = index(&[(0o100_644, "a"), (0o160_000, "library"), (0o100_644, "x/yyyyyyyy.yaml")]);
        let entry = |is_submodule, path: &str| Entry { is_submodule, path: path.as_bytes().to_vec() };
        assert_eq!(
            entries(&index, 20),
            Some(vec![entry(false, "a"), entry(true, "library"), entry(false, "x/yyyyyyyy.yaml")])
        );
        assert_eq!(entries(&index, 32), None);
        assert_eq!(entries(&index[..index.len() - 20], 20), None);
        assert_eq!(entries(b"DIRC\0\0\0\x02\xff\xff\xff\xff", 20), None);
    }

    proptest! {
        #[test]
        fn any_index_is_read_or_refused(version in 2_u8..=4, count in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let index = [&b"DIRC\0\0\0"[..], &[version, 0, 0, 0, count], &bytes].concat();
            for hash in HASHES {
                let _ = entries(&index, hash);
            }
        }
    }
}
