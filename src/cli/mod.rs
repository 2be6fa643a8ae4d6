//! The command line: one file a command. Results go to standard output, everything else to standard error, through `terminal`.

mod bind;
mod check;
mod cluster_args;
mod cluster_completion;
mod compile;
mod completions;
mod config_schema;
mod contract;
mod diff;
mod disk_images;
mod docs;
mod docs_args;
mod doctor;
mod explain;
mod files;
mod fix;
mod image_cache;
mod image_list;
mod inject;
mod inspect;
mod install;
mod install_probe;
mod kubectl_names;
mod log;
mod man;
mod manifest_images;
mod manifest_pods;
mod manifests;
mod ordered_parallel;
mod outcome;
mod output_format;
mod policy_args;
mod probe;
mod probe_image;
mod progress;
mod queries;
mod registry_args;
mod rendered;
mod replacement;
mod result_args;
mod scan;
mod schema;
mod schema_page;
mod search_args;
mod serve;
mod status;
mod terminal;
mod tracked_files;
mod version;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::explain::GeneratedPart;

/// Makes DNS inside Kubernetes pods dependable.
///
/// muslin knows which DNS resolver each container uses (musl, glibc, Go's own, ...), sets the dnsConfig options that help this
/// resolver, and reports what is wrong and how to fix it.
#[derive(Debug, Parser)]
#[command(name = "muslin", version = version::version(), max_term_width = 100)]
#[command(
    after_help = "Exit codes:\n  0  no findings at or above --fail-on\n  1  findings (fixed ones count, except for scan and check --fix)\n  2  bad input or usage\n  3  a cluster, registry or network error, or a file that cannot be written"
)]
pub struct Arguments {
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,

    #[command(subcommand)]
    command: Command,
}

// No doc comments here: clap would show them instead of the help in each command's file.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Check(check::Check),
    Inject(inject::Inject),
    Inspect(inspect::Inspect),
    Scan(Box<scan::Scan>),
    Status(status::StatusArgs),
    Probe(Box<probe::ProbeArgs>),
    Queries(Box<queries::QueriesArgs>),
    Explain(explain::Explain),
    Compile(compile::Compile),
    Doctor(doctor::Doctor),
    Install(install::Install),
    Uninstall(install::Uninstall),
    Manifests(manifests::Manifests),
    Schema(schema::SchemaArgs),
    Version(version::Version),
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

/// The file name that makes muslin a kubectl plugin.
const PLUGIN: &str = "kubectl-muslin";

/// Returns the parts of `docs/contract.md` that the command line writes. `metrics` is the page `docs/metrics.md`.
pub fn contract_parts(metrics: &str) -> Vec<GeneratedPart> {
    contract::parts(metrics, &Arguments::command())
}

/// Runs the command that the process's arguments name.
pub fn run() -> ExitCode {
    if let Some(outcome) = completions::complete(Arguments::command) {
        return outcome.map_or_else(|failure| failure.code(), |()| ExitCode::SUCCESS);
    }
    let Arguments { color, command } = parse_arguments();
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
    terminal::print_panics();
    let outcome = match command {
        Command::Serve(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Inject(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Scan(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Probe(command) => command.run(),
        Command::Queries(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Compile(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Install(command) => command.run(),
        Command::Uninstall(command) => command.run(),
        Command::Manifests(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Version(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(Arguments::command()),
        Command::Docs(command) => command.run(&Arguments::command()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::failure(&failure);
            failure.code()
        }
    }
}

/// Parses the arguments. As a kubectl plugin, muslin shows `kubectl muslin` in its help.
fn parse_arguments() -> Arguments {
    let is_plugin = std::env::args_os()
        .next()
        .is_some_and(|program| Path::new(&program).file_name().is_some_and(|name| name == PLUGIN));
    let command = Arguments::command();
    let command = if is_plugin { command.bin_name("kubectl muslin") } else { command };
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_valid() {
        super::Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_long_help() {
        for command in super::Arguments::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(command.get_long_about().is_some(), "{}", command.get_name());
        }
    }
}
