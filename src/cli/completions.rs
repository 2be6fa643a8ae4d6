//! `muslin completions`: the script with which a shell completes muslin's arguments. The script asks muslin itself at each TAB, so that
//! names of namespaces come from the cluster. kubectl asks a program named `kubectl_complete-muslin`, which is a link to muslin.

use std::ffi::OsString;
use std::path::Path;

use anyhow::anyhow;
use clap::Args;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{Shell, engine};

use super::outcome::{Failure, Outcome};
use super::terminal;
use crate::text::Block;

/// The variable with which a script asks muslin for words.
const VARIABLE: &str = "MUSLIN_COMPLETE";

/// The file name that kubectl runs for the words of `kubectl muslin` (kubernetes `pkg/cmd/plugin/plugin_completion.go`).
const PLUGIN: &str = "kubectl_complete-muslin";

/// The last line for kubectl: complete no file names (cobra's `ShellCompDirectiveNoFileComp`).
const NO_FILES: &str = ":4";

/// Print the completion script of a shell.
///
/// The script asks muslin at each TAB; -n completes with the namespaces of the cluster. Print it again after an upgrade.
///
/// For kubectl muslin, put a link named kubectl_complete-muslin to muslin in the PATH.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin completions bash > ~/.local/share/bash-completion/completions/muslin
  source <(muslin completions zsh)                        # in ~/.zshrc
  ln -s \"$(command -v muslin)\" ~/bin/kubectl_complete-muslin")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

// === impl Completions ===

impl Completions {
    pub(super) fn run(&self) -> Outcome {
        let shells = Shells::builtins();
        let shell = shells.completer(&self.shell.to_string());
        let shell = shell.ok_or_else(|| Failure::Input(anyhow!("there is no script for {}", self.shell)))?;
        let mut script = Vec::new();
        let written = shell.write_registration(VARIABLE, "muslin", "muslin", "muslin", &mut script);
        written.map_err(|error| Failure::Outside(error.into()))?;
        terminal::print_document(&script)
    }
}

/// Answers a shell or kubectl that asks for words; `None` if this is an ordinary run.
pub(super) fn complete(command: fn() -> clap::Command) -> Option<Outcome> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let name = words.first().and_then(|program| Path::new(program).file_name());
    if name.is_some_and(|name| name == PLUGIN) {
        return Some(terminal::print(&for_kubectl(command(), words)));
    }
    // Prints the words and ends the process, if the variable is set.
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
    None
}

/// Returns the words for kubectl, whose last word is the one to complete.
fn for_kubectl(mut command: clap::Command, words: Vec<OsString>) -> Block {
    let last = words.len().saturating_sub(1);
    let folder = std::env::current_dir().ok();
    let candidates = engine::complete(&mut command, words, last, folder.as_deref()).unwrap_or_default();
    let mut text = Block::default();
    for candidate in &candidates {
        text.push_line(line(candidate));
    }
    text.push_line(NO_FILES);
    text
}

/// Returns a word and its help, as kubectl reads them. The tab between them would be escaped in a line, so the help is left out.
fn line(candidate: &CompletionCandidate) -> String {
    candidate.get_value().to_string_lossy().into_owned()
}
