//! Completion of the names of namespaces and pods in shells: asks the cluster for a short time, and says nothing if there is none.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde::Deserialize;

use crate::cluster::{Listing, connect_as};
use kube::Client;

/// The longest time that a shell waits for names.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Objects on one page of a list.
const PAGE: u32 = 500;

/// The most objects that are read, for which there is time.
const NAMES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Returns the completer of namespaces.
pub(super) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| complete(current, |_, _| "/api/v1/namespaces".to_owned()))
}

/// Returns the completer of the pods in the namespace of the command line, as `NAME` or `pod/NAME`.
pub(super) fn pods() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some((kind, rest)) = current.to_str().map(|text| text.split_once('/').unwrap_or(("", text))) else {
            return Vec::new();
        };
        let found = match kind {
            "" | "po" | "pod" | "pods" => complete(OsStr::new(rest), pods_path),
            _ => return Vec::new(),
        };
        let prefix = if kind.is_empty() { String::new() } else { format!("{kind}/") };
        found.into_iter().map(|candidate| candidate.add_prefix(prefix.as_str())).collect()
    })
}

/// Returns the path of the pods in the namespace that a command line names, or in that of the context.
fn pods_path(words: &[OsString], client: &Client) -> String {
    let namespace = value_of(words, &["--namespace", "-n"]).unwrap_or_else(|| client.default_namespace().to_owned());
    // A namespace cannot lead to another path.
    let namespace: String = namespace.chars().filter(|letter| is_of_a_name(*letter)).collect();
    format!("/api/v1/namespaces/{namespace}/pods")
}

fn complete(current: &OsStr, path: fn(&[OsString], &Client) -> String) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str().map(str::to_owned) else { return Vec::new() };
    let (sender, receiver) = mpsc::channel();
    // A thread of its own, as a kubeconfig may start a program for credentials, which blocks.
    thread::spawn(move || {
        let words: Vec<OsString> = std::env::args_os().collect();
        let _ = sender.send(names(&words, path));
    });
    let names = receiver.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&current)).map(CompletionCandidate::new).collect()
}

/// Returns the names of the objects at a path of the cluster that a command line with these words is about; `None` if they cannot be listed.
fn names(words: &[OsString], path: fn(&[OsString], &Client) -> String) -> Option<Vec<String>> {
    let kubeconfig = value_of(words, &["--kubeconfig"]).map(expand_home);
    let context = value_of(words, &["--context"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let client = connect_as(kubeconfig.as_deref(), context.as_deref()).await.ok()?;
        let path = path(words, &client);
        let mut listing = Listing::new(client, path, PAGE);
        let mut names = Vec::new();
        while let Some(page) = listing.next().await.ok()? {
            let items = page.items::<Object>().ok()?;
            // A shell gets no character from a server that no name has (RFC 1123).
            let is_name = |name: &String| name.chars().all(is_of_a_name);
            names.extend(items.into_iter().map(|object| object.metadata.name).filter(is_name));
            if names.len() >= NAMES_MAX {
                break;
            }
        }
        Some(names)
    })
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '-' || letter == '.'
}

/// Returns the last value of an option with these names, in one word or two; of a short one also without `=`.
fn value_of(words: &[OsString], options: &[&str]) -> Option<String> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let mut values = words.iter().enumerate().filter_map(|(index, word)| {
        let (option, rest) = options.iter().find_map(|option| Some((option, word.strip_prefix(option)?)))?;
        match rest {
            "" => words.get(index + 1).copied(),
            rest if option.starts_with("--") => rest.strip_prefix('='),
            rest => Some(rest.strip_prefix('=').unwrap_or(rest)),
        }
    });
    values.next_back().filter(|value| !value.is_empty()).map(str::to_owned)
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
            assert_eq!(value_of(&words(line), &["--context"]).as_deref(), expected, "{line}");
        }
        for (line, expected) in [
            ("muslin probe -n shop", Some("shop")),
            ("muslin probe -nshop", Some("shop")),
            ("muslin probe -n=shop", Some("shop")),
            ("muslin probe --namespace shop", Some("shop")),
            ("muslin probe --namespace=shop -n other", Some("other")),
            ("muslin probe --name a.b", None),
        ] {
            assert_eq!(value_of(&words(line), &["--namespace", "-n"]).as_deref(), expected, "{line}");
        }
    }
}
