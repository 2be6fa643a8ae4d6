//! Parses arguments and runs one command.

use std::process::ExitCode;

fn main() -> ExitCode {
    muslin::cli::run()
}
