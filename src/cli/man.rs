//! `muslin man`: manual pages, one for each command, generated from `--help`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::outcome::{Failure, Outcome};

/// Write the manual pages.
///
/// Writes one page for each command: muslin.1, muslin-serve.1 and so on. To read one: man -l DIR/muslin.1
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder to write to; created if missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

// === impl Man ===

impl Man {
    pub(super) fn run(&self, arguments: clap::Command) -> Outcome {
        self.write(arguments).map_err(Failure::Input)
    }

    fn write(&self, arguments: clap::Command) -> anyhow::Result<()> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot create the folder {folder}"))?;
        clap_mangen::generate_to(arguments, &self.folder)
            .with_context(|| format!("cannot write manual pages to {folder}"))
    }
}
