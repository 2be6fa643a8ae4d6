//! `muslin version`, and muslin's version as `--version` and the log show it.

use std::sync::LazyLock;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::report::SchemaVersion;
use crate::text::{Block, Line};

use super::outcome::Outcome;
use super::output_format::OutputFormat;
use super::terminal;

/// The release, such as `0.1.0`.
pub(super) const RELEASE: &str = env!("CARGO_PKG_VERSION");
/// The commit, if the build named it.
pub(super) const COMMIT: Option<&str> = option_env!("MUSLIN_COMMIT");

/// Print muslin's version.
///
/// The same as --version; with -o json for programs.
#[derive(Debug, Args)]
pub(super) struct Version {
    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// The output of `muslin version -o json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct VersionDocument {
    #[serde(rename = "schemaVersion")]
    schema: SchemaVersion<1>,
    /// The release, such as `0.1.0`.
    version: &'static str,
    /// The commit, if the build named it, as releases do.
    commit: Option<&'static str>,
}

/// Returns the release, with the commit if the build named it in `MUSLIN_COMMIT`, as `scripts/release` does. A build needs no git,
/// and is not repeated after each commit.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| COMMIT.map_or_else(|| RELEASE.to_owned(), |commit| format!("{RELEASE} ({commit})")));
    &VERSION
}

// === impl Version ===

impl Version {
    pub(super) fn run(&self) -> Outcome {
        terminal::print(&match self.output {
            OutputFormat::Human => {
                let mut text = Block::default();
                text.push_line(Line::new(format!("muslin {}", version())));
                text
            }
            OutputFormat::Json => {
                Block::indented_json(&VersionDocument { schema: SchemaVersion, version: RELEASE, commit: COMMIT })
            }
        })
    }
}
