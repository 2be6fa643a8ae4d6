//! The lines of a watch: one for each verdict that begins or ends. Must not know why.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::outcome::Outcome;
use crate::cli::probe::args::Output;
use crate::cli::terminal;
use crate::text::{Block, Line};
use crate::watching::{Change, Found};

/// One change as JSON.
#[derive(Serialize)]
struct Document<'a> {
    time: String,
    change: &'static str,
    verdict: &'static str,
    level: &'static str,
    what: &'a str,
    help: Option<&'a str>,
}

/// Prints a change, with the time since when it holds.
pub(super) fn show(format: Output, change: &Change, time: Timestamp) -> Outcome {
    let (word, standing) = match change {
        Change::Raised(standing) => ("raised", standing),
        Change::Cleared(standing) => ("cleared", standing),
    };
    let Found { slug, level, what, help, subject: _ } = &standing.found;
    let time = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut block = Block::default();
    match format {
        Output::Human => {
            block.push_line(Line::new(format!("{time} {word} {level}[{slug}]: {what}")));
            if let (Change::Raised(_), Some(help)) = (change, help) {
                block.push_line(Line::new(format!("  help: {help}")));
            }
        }
        Output::Json => {
            block = Block::json(&Document { time, change: word, verdict: slug, level, what, help: help.as_deref() });
            block.push_line("");
        }
    }
    terminal::print(&block)
}
