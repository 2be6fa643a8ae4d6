//! The files of a node that were read, by path. Plain values. Must not know how they were read, nor what they mean.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::verdicts::nameserver_origins::UnreadFile;

/// A part of a node's files.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The files that were read, by the path that was asked for.
    files: BTreeMap<String, NodeFile>,
    /// Paths that exist, of those whose existence was asked for.
    present: BTreeSet<String>,
    /// Files that exist and were not read.
    pub(super) unread: Vec<UnreadFile>,
}

/// One file of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFile {
    /// The path that was asked for.
    pub path: String,
    /// The path behind all symbolic links.
    pub real: String,
    /// The contents.
    pub bytes: Vec<u8>,
}

// === impl Tree ===

impl Tree {
    /// Adds a file.
    pub fn add(&mut self, file: NodeFile) {
        self.files.insert(file.path.clone(), file);
    }

    /// Records that a path exists.
    pub fn add_present(&mut self, path: impl Into<String>) {
        self.present.insert(path.into());
    }

    /// Records that a file exists and was not read.
    pub fn add_unread(&mut self, file: impl Into<String>, because: impl Into<String>) {
        let unread = UnreadFile { file: file.into(), because: because.into() };
        if !self.unread.contains(&unread) {
            self.unread.push(unread);
        }
    }

    /// Returns a file by the path that was asked for.
    pub(super) fn file(&self, path: &str) -> Option<&NodeFile> {
        self.files.get(path)
    }

    /// Returns the files that match any of these patterns, in the order of patterns and paths; a file with several paths once.
    pub(super) fn matching(&self, patterns: &[&str]) -> Vec<&NodeFile> {
        let mut seen = BTreeSet::new();
        let all = patterns.iter().flat_map(|pattern| self.files.values().filter(|file| matches(pattern, &file.path)));
        all.filter(|file| seen.insert(file.real.as_str())).collect()
    }

    /// Returns whether one of these paths exists.
    pub(super) fn has_any(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| self.present.contains(*path) || self.files.contains_key(*path))
    }
}

// === impl NodeFile ===

impl NodeFile {
    /// Returns the contents as text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Returns the last part of the path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the folder of the path.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// Returns whether a path matches a pattern. `*` stands for any characters of one name but a leading dot, `?` for one.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    pattern.split('/').count() == path.split('/').count()
        && pattern.split('/').zip(path.split('/')).all(|(pattern, name)| name_matches(pattern, name))
}

/// Returns whether one name of a path matches.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && pattern.starts_with(['*', '?']) {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    // The last `*`, and the first character that it does not cover yet.
    let mut star: Option<(usize, usize)> = None;
    while of < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, of));
            at += 1;
        } else if pattern.get(at).is_some_and(|c| *c == '?' || *c == name[of]) {
            (at, of) = (at + 1, of + 1);
        } else if let Some((begin, covered)) = star {
            star = Some((begin, covered + 1));
            (at, of) = (begin + 1, covered + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_names_as_a_shell_does() {
        for (pattern, path, is_match) in [
            ("/etc/netplan/*.yaml", "/etc/netplan/50-cloud-init.yaml", true),
            ("/etc/netplan/*.yaml", "/etc/netplan/50-cloud-init.yaml.bak", false),
            ("/etc/netplan/*.yaml", "/etc/netplan/old/a.yaml", false),
            ("/etc/netplan/*.yaml", "/etc/netplan/.hidden.yaml", false),
            ("/run/*/a?c*d", "/run/x/abccd", true),
            ("/run/*/a?c*d", "/run/x/acd", false),
            ("/etc/network/interfaces.d/*", "/etc/network/interfaces.d/eth0", true),
        ] {
            assert_eq!(matches(pattern, path), is_match, "{pattern} {path}");
        }
    }
}
