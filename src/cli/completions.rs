//! `muslin completions`: completion scripts for shells.

use clap::Args;
use clap_complete::Shell;

use super::outcome::Outcome;
use super::terminal;

/// Print the completion script of a shell.
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
    pub(super) fn run(&self, mut arguments: clap::Command) -> Outcome {
        // Generated in memory, because clap_complete panics on write errors.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut arguments, "muslin", &mut script);
        terminal::print_document(&script)
    }
}
