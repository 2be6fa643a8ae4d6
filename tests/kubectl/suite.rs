//! The texts of yaml-test-suite, read as kubectl reads them: `scripts/conformance yaml` gets the suite.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use muslin::manifest::Stream;
use serde_json::Value;

use crate::{Answer, Kubectl, with_equal_numbers};

/// Texts that muslin reads otherwise than kubectl, by their folder in the suite, and the reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("3HFZ", DROPPED),
    ("4ABK", "kubectl takes the colon of `{a:}` for a part of the key; muslin refuses it"),
    ("4H7K", DROPPED),
    ("652Z", MARKED),
    ("6CA3", JSON),
    ("9HCY", DROPPED),
    ("BS4K", DROPPED),
    ("C2SP", JSON),
    ("EB22", DROPPED),
    ("HM87/01", MARKED),
    ("HRE5", "kubectl takes `\\'` in double quotes, which no YAML has; muslin refuses it"),
    ("RHX7", DROPPED),
    ("S98Z", "kubectl takes an empty block scalar with blank lines deeper than its indent; muslin refuses it"),
    ("U99R", COMMA),
    ("WZ62", COMMA),
    ("Y2GN", "kubectl ends the name of an anchor before a colon, and reads the rest as text; muslin refuses it"),
];

const DROPPED: &str = "kubectl reads the beginning, and drops the rest without a word; muslin refuses it";
const MARKED: &str = "kubectl takes `?` inside brackets for the sign of a key; muslin refuses it";
const COMMA: &str = "kubectl takes a comma behind a tag for a part of the tag; muslin does not";
const JSON: &str = "a list at the beginning of a file: muslin tries JSON first, kubectl only for `{`; no object of Kubernetes is a list";

/// A reading: the documents up to the first error, and whether there is an error.
type Reading = (Vec<Value>, bool);

/// Returns the documents of a text up to the first error, as `muslin check` reads them.
fn muslin_reads_to_an_error(text: &str) -> Reading {
    let mut values = Vec::new();
    for document in Stream::new(text).documents {
        let Some(mut value) = document.parse().ok().and_then(|tree| tree.root().to_value().ok()) else {
            return (values, true);
        };
        with_equal_numbers(&mut value);
        if !value.is_null() {
            values.push(value);
        }
    }
    (values, false)
}

/// Returns the names of the suite's texts, in order.
fn texts(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            // `name` and `tags` hold links to the same texts.
            if entry.file_type().unwrap().is_dir() && !["name", "tags"].map(|name| folder.join(name)).contains(&path) {
                folders.push(path);
            } else if path.ends_with("in.yaml") {
                found.push((inner.strip_prefix(folder).unwrap().display().to_string(), path));
            }
        }
    }
    found.sort();
    found
}

#[test]
#[ignore = "needs the folder of yaml-test-suite in MUSLIN_YAML_TEST_SUITE: run scripts/conformance yaml"]
fn every_text_of_yaml_test_suite_is_read_as_kubectl_reads_it() {
    let texts = texts(Path::new(&env::var_os("MUSLIN_YAML_TEST_SUITE").unwrap()));
    assert!(texts.len() > 400, "{}", texts.len());
    let mut kubectl = Kubectl::start();
    let (mut accepted, mut refused, mut different, mut faults) = (0, 0, Vec::new(), String::new());
    for (name, path) in &texts {
        let text = fs::read_to_string(path).unwrap();
        let Answer { documents, error } = kubectl.read(&text);
        let read = muslin_reads_to_an_error(&text);
        let reason = DIFFERENT.iter().find(|(other, _)| other == name);
        match (read == (documents.clone(), error.is_some()), reason) {
            (true, None) if error.is_none() => accepted += 1,
            (true, None) => refused += 1,
            (false, Some((name, reason))) => different.push(format!("  - `{name}`: {reason}")),
            (true, Some(_)) => {
                let _ = writeln!(faults, "{name}: no longer different: take it out of the list");
            }
            (false, None) => {
                let _ = writeln!(faults, "{name}: {text:?}\n  kubectl: {documents:?} {error:?}\n  muslin:  {read:?}");
            }
        }
    }
    // The harness has begun a line.
    println!("\n- {} texts: {accepted} have the same documents, {refused} are refused by both", texts.len());
    println!("- {} are read otherwise, for a reason{}", different.len(), if different.is_empty() { "" } else { ":" });
    different.iter().for_each(|line| println!("{line}"));
    assert!(faults.is_empty(), "{faults}");
}
