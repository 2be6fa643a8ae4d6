//! The arguments of commands with one output: `--output-file` in place of standard output, and `--fail-on` for the exit code. Must not know
//! the content.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::outcome::{Failure, Outcome};
use super::policy_args::{FailOn, fail_on};
use super::terminal;
use crate::policy::Level;
use crate::text::Block;

/// The arguments for where the output goes, and when it is a failure.
#[derive(Debug, Args)]
pub(super) struct ResultArgs {
    /// Write the output to this file instead of standard output
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) output_file: Option<PathBuf>,

    /// Exit with 1 if a finding or problem is at or above this level: deny, warn, info or never
    #[arg(long, value_name = "LEVEL", default_value = "deny",
          value_parser = PossibleValuesParser::new(["deny", "warn", "info", "never"]).map(fail_on))]
    fail_on: FailOn,
}

// === impl ResultArgs ===

impl ResultArgs {
    /// Returns an error if the file cannot be written, before a long run would lose its result.
    pub(super) fn check(&self) -> Outcome {
        self.output_file.as_deref().map_or(Ok(()), check_output_file)
    }

    /// Writes the output; returns a failure if there is at least one problem at or above the level of `--fail-on`.
    pub(super) fn finish(&self, text: &Block, at_least: impl Fn(Level) -> usize) -> Outcome {
        match &self.output_file {
            Some(file) => write_output_file(file, text)?,
            None => terminal::print(text)?,
        }
        match self.fail_on {
            FailOn(Some(level)) if at_least(level) > 0 => Err(Failure::Findings),
            FailOn(_) => Ok(()),
        }
    }
}

/// Returns an error if the file cannot be written, before a long run would lose its result.
fn check_output_file(file: &Path) -> Outcome {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let problem = match (folder.is_dir(), file.is_dir()) {
        (_, true) => "it is a folder",
        (false, _) => "its folder does not exist",
        (true, false) => return Ok(()),
    };
    Err(Failure::Input(anyhow!("cannot write {}: {problem}", file.display())))
}

/// Writes the output.
fn write_output_file(file: &Path, text: &Block) -> Outcome {
    let written = fs::write(file, text.as_str());
    written.with_context(|| format!("cannot write {}", file.display())).map_err(Failure::Outside)
}
