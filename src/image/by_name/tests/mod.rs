//! Tests of suggestions. `catalogue` and `others` compare them with known bases of images, `in_use` with the images of public manifests;
//! each test of `conventions`, `publishers` and `programs` shows one way in which images are named.

mod catalogue;
mod conventions;
mod in_use;
mod others;
mod programs;
mod publishers;

use crate::image::{Fingerprint, Reference, suggest};
use crate::resolver::Family;

/// Parses a text that must be a reference.
fn reference(text: &str) -> Reference<'_> {
    match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => unreachable!("{error}"),
    }
}

/// Returns the fingerprint that a text suggests.
fn suggested(text: &str) -> Fingerprint {
    suggest(&reference(text))
}

/// Returns the resolver that a text suggests, as shown to users: `musl 1.2.4`.
fn resolver(text: &str) -> String {
    suggested(text).resolver.to_string()
}

/// Returns the reason for a suggestion.
fn reason(text: &str) -> String {
    suggested(text).reason.to_string()
}

/// The result of comparing suggestions with known libraries.
#[derive(Debug, Default)]
struct Score {
    rows: usize,
    right: usize,
    wrong: Vec<String>,
    unknown: Vec<String>,
}

impl Score {
    /// Compares one suggestion with the known library of the image. If that is not verified, any suggestion counts as right.
    fn count(&mut self, text: &str, libc: &str) {
        self.rows += 1;
        let fingerprint = suggested(text);
        let family = fingerprint.resolver.family;
        let right = match libc {
            "musl" => family == Family::Musl,
            "glibc" => family == Family::Glibc,
            "uclibc" => family == Family::Uclibc,
            "static" => family == Family::Static,
            "go" | "go-any" => family == Family::Go,
            "c-ares" => family == Family::CAres,
            "none" => family == Family::Unknown,
            "unknown" => true,
            other => unreachable!("no such libc: {other}"),
        };
        let line = || format!("{text} has {libc}, suggested {fingerprint}: {}", fingerprint.reason);
        match family {
            _ if right => self.right += 1,
            Family::Unknown => self.unknown.push(line()),
            _ => self.wrong.push(line()),
        }
    }

    /// Asserts that no suggestion is wrong, and that at least nine in ten are right; the rest are unknown.
    fn assert_good(&self) {
        let Self { rows, right, wrong, unknown } = self;
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(right * 10 >= rows * 9, "{right} of {rows} right; unknown: {unknown:#?}");
    }
}
