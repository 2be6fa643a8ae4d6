//! Tests of the whole floor. `catalogue` and `others` hold what a reference is known to be built on; `conventions` and `publishers`
//! show one habit of naming each; `reference` is about the grammar.

mod catalogue;
mod conventions;
mod others;
mod publishers;

use crate::image::{Fingerprint, Reference, suggest};
use crate::resolver::Family;

/// The reference of a text that must be one.
fn reference(text: &str) -> Reference<'_> {
    match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => unreachable!("{error}"),
    }
}

/// What a text suggests.
fn suggested(text: &str) -> Fingerprint {
    suggest(&reference(text))
}

/// The resolver that a text suggests, as people read it: `musl 1.2.4`.
fn resolver(text: &str) -> String {
    suggested(text).resolver.to_string()
}

/// The sentence that says why.
fn because(text: &str) -> String {
    suggested(text).reason.to_string()
}

/// How well suggestions did against what is known.
#[derive(Debug, Default)]
struct Score {
    rows: usize,
    right: usize,
    wrong: Vec<String>,
    unknown: Vec<String>,
}

impl Score {
    /// Compares one suggestion with what the image holds. Where nobody verified what it holds, any suggestion counts as right.
    fn count(&mut self, text: &str, holds: &str) {
        self.rows += 1;
        let fingerprint = suggested(text);
        let family = fingerprint.resolver.family;
        let right = match holds {
            "musl" => family == Family::Musl,
            "glibc" => family == Family::Glibc,
            "uclibc" => family == Family::Uclibc,
            "static" => matches!(family, Family::Static | Family::Go),
            "none" => family == Family::Unknown,
            "unknown" => true,
            other => unreachable!("no such libc: {other}"),
        };
        let line = || format!("{text} holds {holds}, suggested {fingerprint}: {}", fingerprint.reason);
        match family {
            _ if right => self.right += 1,
            Family::Unknown => self.unknown.push(line()),
            _ => self.wrong.push(line()),
        }
    }

    /// No suggestion is wrong, and at least nine in ten are right; the rest are honestly unknown.
    fn must_be_good(&self) {
        let Self { rows, right, wrong, unknown } = self;
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(right * 10 >= rows * 9, "{right} of {rows} right; unknown: {unknown:#?}");
    }
}
