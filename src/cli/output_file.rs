//! The file that `--output-file` names, in place of standard output. Must not know its content.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::outcome::{Failure, Outcome};
use crate::text::Block;

/// Returns an error if the file cannot be written, before a long run would lose its result.
pub(super) fn check_output_file(file: &Path) -> Outcome {
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
pub(super) fn write_output_file(file: &Path, text: &Block) -> Outcome {
    let written = fs::write(file, text.as_str());
    written.with_context(|| format!("cannot write {}", file.display())).map_err(Failure::Outside)
}
