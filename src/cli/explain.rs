//! `muslin explain`: what muslin knows of a rule, a verdict, an option, a resolver or an image reference. No network, no files.

use std::io::{IsTerminal as _, Write as _};

use anyhow::anyhow;
use clap::Args;

use crate::explain::{Topic, for_terminal, index};

use super::{Failure, Outcome};

/// How wide a page is where standard output is no terminal, or a wider one: longer lines are hard to read.
const WIDTH_MAX: usize = 100;

/// What to do about a word that cannot be explained.
const HINT: &str = "hint: `muslin explain` lists what there is; an image of your own needs its tag, as in `app:1.2`";

/// Explain a rule, a verdict, an option, a resolver or an image reference.
///
/// A rule (attempts-zero), a verdict of `muslin probe` (stale-nameserver), options with or without values (ndots, timeout:2
/// attempts:5), a resolver of any or of one release (glibc, musl 1.2.3), an image reference (alpine:3.17). Where a word is several of
/// these, the first of them in this order is meant. Without WHAT, everything that can be explained is listed.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// What to explain; several words count as one
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
}

// === impl Explain ===

impl Explain {
    pub(super) fn run(&self) -> Outcome {
        let what = self.what.join(" ");
        let page = if what.trim().is_empty() {
            index()
        } else {
            Topic::find(&what).map_err(|unknown| Failure::Input(anyhow!("{unknown}\n{HINT}")))?.markdown()
        };
        let text = for_terminal(&page, width());
        match anstream::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => Ok(()),
            Err(error) => Failure::output(error),
        }
    }
}

fn width() -> usize {
    let terminal = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    terminal.map_or(WIDTH_MAX, |(width, _)| usize::from(width.0).min(WIDTH_MAX))
}
