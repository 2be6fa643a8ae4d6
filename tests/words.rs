//! Plain English: the words that CONTRIBUTING.md bans, in everything that people read, and how a doc comment may begin.

#![expect(clippy::unwrap_used, reason = "a source tree that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Where people read: code, pages, manifests and scripts.
const PLACES: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "src",
    "docs",
    "manifests",
    "scripts",
    "tests",
    "benches",
    "certs",
    "fuzz/fuzz_targets",
];

const READ: [&str; 7] = ["rs", "md", "yaml", "json", "snap", "c", "go"];

/// Words, in lower case, and what to write instead.
const BANNED: [(&str, &str); 22] = [
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("repair", "fix"),
    ("repairs", "fixes"),
    ("repaired", "fixed"),
    ("cures", "fixes"),
    ("cured", "fixed"),
    ("remedy", "fix"),
    ("whoever", "name the person: the author, the admin, the caller"),
    ("somebody", "name the person: the author, the admin, the caller"),
    ("anybody", "any user, any tenant"),
    ("nobody has", "does not exist"),
    ("is told", "is reported, is shown; or name who learns it"),
    ("are told", "are reported, are shown; or name who learns it"),
    ("is said", "is reported; or name who says it"),
    ("are said", "are reported; or name who says it"),
    ("hands off", "skips, opts out"),
    ("is none that there is", "is not valid"),
    ("sureness", "confidence"),
    ("the outside failed", "a cluster, registry or network error"),
];

/// Words that no doc comment begins with, and how it begins instead.
const BEGINNINGS: [(&str, &str); 10] = [
    ("What", "a type is a noun phrase, a function `Returns …` or `Writes …`"),
    ("How", "name the number: `The number of …`, `The time that …`"),
    ("Whether", "`Returns whether …`, `Is true if …`"),
    ("It", "name the subject"),
    ("Its", "name the owner: `The pod's name.`"),
    ("Of", "name the subject first"),
    ("That", "name the subject first"),
    ("Those", "name the subject first"),
    ("Who", "name the subject first"),
    ("So", "`The number of …`"),
];

/// Files that have a word for a reason: a name that was a contract in 0.1.0, or the list itself.
const ALLOWED: [(&str, &str); 9] = [
    ("tests/words.rs", ""),
    ("CHANGELOG.md", "mended"),
    ("CHANGELOG.md", "sureness"),
    ("src/cli/scan/results.rs", "mended"),
    ("src/report/probed.rs", "sureness"),
    ("docs/schemas/scan.json", "mended"),
    ("docs/schemas/probe.json", "sureness"),
    ("docs/schemas/README.md", "mended"),
    ("docs/schemas/README.md", "sureness"),
];

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let is_read = |path: &Path| {
        let extension = path.extension().map(|extension| extension.to_str().unwrap());
        extension.is_none_or(|extension| READ.contains(&extension))
    };
    entries.flat_map(|path| if path.is_dir() || is_read(&path) { files(&path) } else { Vec::new() }).collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(REPOSITORY).unwrap().display().to_string()
}

/// Returns whether `words`, in lower case, stand in `line` with no letter before or after them.
fn has_words(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(start, _)| {
        let is_letter = |c: char| c.is_alphanumeric();
        !line[..start].ends_with(is_letter) && !line[start + words.len()..].starts_with(is_letter)
    })
}

#[test]
fn no_banned_word_is_written() {
    let mut found = Vec::new();
    for path in PLACES.iter().flat_map(|place| files(&Path::new(REPOSITORY).join(place))) {
        let (name, text) = (name(&path), fs::read_to_string(&path).unwrap_or_default());
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            for (word, better) in BANNED {
                let allowed =
                    ALLOWED.iter().any(|(file, allowed)| name == *file && (allowed.is_empty() || word == *allowed));
                if !allowed && has_words(&line, word) {
                    found.push(format!("{name}:{}: `{word}`: write {better}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_doc_comment_begins_with_its_subject() {
    let mut found = Vec::new();
    for path in files(&Path::new(REPOSITORY).join("src"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
    {
        let (name, text) = (name(&path), fs::read_to_string(&path).unwrap());
        let mut previous = "";
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let marker = ["///", "//!"].into_iter().find(|marker| line.starts_with(marker));
            let begins = marker.is_some_and(|marker| !previous.starts_with(marker) || previous == marker);
            let first = marker.filter(|_| begins).and_then(|marker| line[marker.len()..].split_whitespace().next());
            for (word, better) in BEGINNINGS.iter().filter(|(word, _)| first == Some(word)) {
                found.push(format!("{name}:{}: a doc comment begins with `{word}`: {better}", number + 1));
            }
            previous = line;
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}
