//! The log of `muslin serve`, on standard error. Its lines are written by a thread of their own, many at once: whoever reads them may
//! be slow or gone, and no review waits for that.

mod json;
mod lines;

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use json::Json;
use lines::{Lines, Writing};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Auto,
    Human,
    Json,
}

/// Logs what a filter lets through, until what this returns is dropped; then what waits is written.
///
/// # Errors
/// The filter is none.
pub(super) fn start(filter: &str, format: LogFormat) -> anyhow::Result<Writing> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let is_terminal = io::stderr().is_terminal();
    let lines = Lines::default();
    let writing = lines.write_to(io::stderr())?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    match format {
        LogFormat::Human => builder.with_ansi(is_terminal).init(),
        LogFormat::Auto if is_terminal => builder.with_ansi(true).init(),
        LogFormat::Auto | LogFormat::Json => builder.event_format(Json).init(),
    }
    // A panic is one line of the log like any other, and not text between them.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(message = panic.payload_as_str().unwrap_or("panicked"), location);
    }));
    Ok(writing)
}
