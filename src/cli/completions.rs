//! `muslin completions`: what a shell needs to complete muslin's arguments.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, Failure, Outcome};

/// Print a shell's completions.
///
/// For bash: muslin completions bash > ~/.local/share/bash-completion/completions/muslin
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

// === impl Completions ===

impl Completions {
    pub(super) fn run(&self) -> Outcome {
        // Not written straight out: clap_complete panics where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "muslin", &mut script);
        match io::stdout().lock().write_all(&script) {
            Ok(()) => Ok(()),
            Err(error) => Failure::output(error),
        }
    }
}
