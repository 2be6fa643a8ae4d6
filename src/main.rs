//! Parses arguments and runs one command.

use std::process::ExitCode;

/// jemalloc gives memory back to the kernel a second after a review freed it, by the settings in `.cargo/config.toml`.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    muslin::cli::run()
}
