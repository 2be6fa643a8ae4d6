//! The page `docs/proof.md` as a file: its parts are written by tests of their own, one at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};

/// The page with the tables.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/proof.md");

/// The heading of the part about the search list.
const SEARCH: &str = "\n## The search list\n";

/// The heading of the last part.
pub(crate) const STORMS: &str = "\n## Storms\n";

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All before [`SEARCH`] and [`STORMS`].
    Proof,
    /// From [`SEARCH`] to [`STORMS`].
    Search,
    /// The rest.
    Storms,
}

/// Waits until no other large measurement runs, as each would disturb the other.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the day of a measurement, `2026-11-30`, by the clock of UTC.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

pub(crate) fn read() -> Result<String> {
    std::fs::read_to_string(PAGE).with_context(|| format!("reading {PAGE}"))
}

/// Replaces a part.
pub(crate) fn replace(part: Part, text: &str) -> Result<()> {
    let old = read()?;
    let (rest, storms) = old.split_at(old.find(STORMS).unwrap_or(old.len()));
    let (proof, search) = rest.split_at(rest.find(SEARCH).unwrap_or(rest.len()));
    let new = match part {
        Part::Proof => format!("{text}{search}{storms}"),
        Part::Search => format!("{proof}{text}{storms}"),
        Part::Storms => format!("{proof}{search}{text}"),
    };
    std::fs::write(PAGE, new).with_context(|| format!("writing {PAGE}"))
}
