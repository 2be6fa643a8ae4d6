//! The output formats of commands that have two.

use clap::ValueEnum;

/// The output format.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people
    Human,
    /// One JSON document
    Json,
}
