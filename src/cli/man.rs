//! `muslin man`: the manual pages, one a command, made from the arguments' own help.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::{Arguments, Failure, Outcome};

/// Write the manual pages.
///
/// One page a command: muslin.1, muslin-serve.1 and so on. Read one with: man -l DIR/muslin.1
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder to write them to; made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

// === impl Man ===

impl Man {
    pub(super) fn run(&self) -> Outcome {
        self.write().map_err(Failure::Input)
    }

    fn write(&self) -> anyhow::Result<()> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make the folder {folder}"))?;
        clap_mangen::generate_to(Arguments::command(), &self.folder)
            .with_context(|| format!("cannot write manual pages to {folder}"))
    }
}
