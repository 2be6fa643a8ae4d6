//! Completion of a namespace's name in shells: asks the cluster for a short time, and says nothing if there is none.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde::Deserialize;

use crate::cluster::{Listing, connect_as};

/// The longest time that a shell waits for names.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Namespaces on one page of the list.
const PAGE: u32 = 500;

#[derive(Deserialize)]
struct Namespace {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Returns the completer.
pub(super) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(complete)
}

fn complete(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str().map(str::to_owned) else { return Vec::new() };
    let (sender, receiver) = mpsc::channel();
    // A thread of its own, as a kubeconfig may start a program for credentials, which blocks.
    thread::spawn(move || {
        let words: Vec<OsString> = std::env::args_os().collect();
        let _ = sender.send(names(&words));
    });
    let names = receiver.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&current)).map(CompletionCandidate::new).collect()
}

/// Returns the namespaces of the cluster that a command line with these words is about; `None` if they cannot be listed.
fn names(words: &[OsString]) -> Option<Vec<String>> {
    let kubeconfig = value_of(words, "--kubeconfig").map(expand_home);
    let context = value_of(words, "--context");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let client = connect_as(kubeconfig.as_deref(), context.as_deref()).await.ok()?;
        let mut listing = Listing::new(client, "/api/v1/namespaces", PAGE);
        let mut names = Vec::new();
        while let Some(page) = listing.next().await.ok()? {
            let items = page.items::<Namespace>().ok()?;
            // A shell gets no character from a server that no namespace has (RFC 1123 labels).
            let is_label = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            names.extend(items.into_iter().map(|namespace| namespace.metadata.name).filter(is_label));
        }
        Some(names)
    })
}

/// Returns the last value of an option, in one word or two.
fn value_of(words: &[OsString], option: &str) -> Option<String> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let values = words.iter().enumerate().filter_map(|(index, word)| match word.strip_prefix(option)? {
        "" => words.get(index + 1).copied(),
        rest => rest.strip_prefix('='),
    });
    values.last().filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Returns a path with the home folder in place of `~`, which a shell does not replace before it completes.
fn expand_home(path: String) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_option_in_one_word_or_two() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (line, expected) in [
            ("muslin scan --context a -n", Some("a")),
            ("muslin scan --context=b -n x", Some("b")),
            ("muslin scan --context a --context=b -n", Some("b")),
            ("muslin scan -n x --context", None),
            ("muslin scan --contexts a", None),
            ("muslin scan --context= -n", None),
        ] {
            assert_eq!(value_of(&words(line), "--context").as_deref(), expected, "{line}");
        }
    }
}
