//! The command line: one file a command. Data goes to standard output, all else to standard error.

mod check;
mod completions;
mod docs;
mod examine;
mod explain;
mod files;
mod fix;
mod in_order;
mod inject;
mod inspect;
mod log;
mod man;
mod manifests;
mod policy;
mod probe;
mod progress;
mod reach;
mod scan;
mod serve;

use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::report::Human;

/// Makes DNS inside Kubernetes pods dependable.
///
/// muslin knows which DNS resolver each container uses (musl, glibc, Go's own, ...), gives pods the dnsConfig options that this
/// resolver honours, and says what is wrong and how to mend it.
#[derive(Debug, Parser)]
#[command(name = "muslin", version = version(), max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 fine, 1 findings at or above --fail-on, 2 bad input or use, 3 the outside failed."
)]
pub struct Arguments {
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,

    #[command(subcommand)]
    command: Command,
}

// No comments on these: clap would take one as the whole help, in place of what the command's own file says.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Check(check::Check),
    Inject(inject::Inject),
    Inspect(inspect::Inspect),
    Scan(Box<scan::Scan>),
    Probe(Box<probe::ProbeArgs>),
    Explain(explain::Explain),
    Manifests(manifests::Manifests),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(hide = true)]
    Docs(docs::Docs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// Why a command ends with something else than 0.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There are findings at or above `--fail-on`.
    Findings,
    /// What the user gave is wrong.
    Input(anyhow::Error),
    /// A cluster, a registry, a socket or the like failed.
    Outside(anyhow::Error),
}

/// The name by which kubectl knows a plugin.
const PLUGIN: &str = "kubectl-muslin";

type Outcome = Result<(), Failure>;

/// The release, and the commit that it was built from where whoever built it said so, as `scripts/release` does: a build need not
/// have git, nor be anew after each commit.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let release = env!("CARGO_PKG_VERSION");
        option_env!("MUSLIN_COMMIT").map_or_else(|| release.to_owned(), |commit| format!("{release} ({commit})"))
    });
    &VERSION
}

/// Runs the command that the process's arguments name.
pub fn run() -> ExitCode {
    let Arguments { color, command } = parse();
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
    let outcome = match command {
        Command::Serve(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Inject(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Scan(command) => command.run(),
        Command::Probe(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Manifests(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Docs(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when standard error is gone too.
            let _ = writeln!(anstream::stderr(), "{failure}");
            failure.code()
        }
    }
}

/// As a plugin, kubectl runs `kubectl-muslin` for `kubectl muslin`; the help then says so too.
fn parse() -> Arguments {
    let is_plugin = std::env::args_os()
        .next()
        .is_some_and(|program| Path::new(&program).file_name().is_some_and(|name| name == PLUGIN));
    let command = Arguments::command();
    let command = if is_plugin { command.bin_name("kubectl muslin") } else { command };
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

// === impl Failure ===

impl Failure {
    fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Findings => 1,
            Self::Input(_) => 2,
            Self::Outside(_) => 3,
        })
    }

    /// Something could not be written to standard output. A reader that has seen enough is no failure.
    fn output(error: io::Error) -> Outcome {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Ok(());
        }
        Err(Self::Outside(anyhow::Error::new(error).context("cannot write to standard output")))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Findings => f.write_str(&error_line("there are findings at or above --fail-on")),
            Self::Input(error) | Self::Outside(error) => f.write_str(&error_line(&format!("{error:#}"))),
        }
    }
}

/// How findings are written to a stream: in colour where it shows colour, and cut to its width where it is a terminal.
fn human(stream: &(impl anstream::stream::RawStream + AsFd)) -> Human {
    let in_colour = anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never;
    let width = terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0));
    Human::new(in_colour, width)
}

/// A message of something that went wrong, for standard error.
fn error_line(message: &str) -> String {
    let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
    format!("{style}error{style:#}: {message}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }

    #[test]
    fn every_commands_help_says_more_than_its_line_in_the_list() {
        for command in super::Arguments::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(command.get_long_about().is_some(), "{}", command.get_name());
        }
    }
}
