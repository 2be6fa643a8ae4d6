//! The log of `muslin serve`, on standard error. Its lines are written by a thread of their own, many at once: whoever reads them may
//! be slow or gone, and no review waits for that.

mod json;
mod lines;

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
    let registry = tracing_subscriber::registry().with(filter);
    let is_human = match format {
        LogFormat::Human => true,
        LogFormat::Auto => is_terminal,
        LogFormat::Json => false,
    };
    if is_human {
        registry.with(tracing_subscriber::fmt::layer().with_ansi(is_terminal).with_writer(lines)).init();
    } else {
        registry.with(Json(lines)).init();
    }
    // A panic is one line of the log like any other, and not text between them.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(message = panic.payload_as_str().unwrap_or("panicked"), location);
    }));
    Ok(writing)
}
