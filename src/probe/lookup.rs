//! Lookups through C libraries. Each is made by a program of its own, so that one which hangs (glibc with `use-vc`: over 140 s) can be
//! ended, and so that the C library of the machine answers, with the modules of its nsswitch.conf, also where muslin itself is linked
//! to another. Must not know which names are asked for, or why.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use crate::resolver::Resolver;
use crate::verdicts::observations::{Found, SystemLookup};

/// A program that looks a name up by `getaddrinfo`, and prints one address a line, at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupProgram {
    /// Its file.
    pub path: PathBuf,
    /// What stands before the name: `ahosts`.
    pub arguments: Vec<String>,
    /// Whose `getaddrinfo` that is.
    pub resolver: Resolver,
}

// === impl LookupProgram ===

impl LookupProgram {
    /// Looks a name up; the program is ended at the deadline. `None` where it cannot be started.
    pub(super) async fn look_up(&self, name: &str, deadline: Instant) -> Option<SystemLookup> {
        let Self { path, arguments, resolver } = self;
        let mut command = Command::new(path);
        command
            .args(arguments)
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let began = Instant::now();
        let child = command.spawn().ok()?;
        let found = match timeout_at(deadline, child.wait_with_output()).await {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.ok()?.stdout).into_owned();
                let mut addresses: Vec<IpAddr> =
                    text.lines().filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok()).collect();
                addresses.sort_unstable();
                addresses.dedup();
                if addresses.is_empty() { Found::Nothing } else { Found::Addresses(addresses) }
            }
            Err(_) => Found::GivenUp,
        };
        let took: Duration = began.elapsed();
        Some(SystemLookup {
            program: path.display().to_string(),
            resolver: *resolver,
            name: name.to_owned(),
            took,
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Family;

    fn program(path: &str, arguments: &[&str]) -> LookupProgram {
        LookupProgram {
            path: path.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            resolver: Family::Glibc.unversioned(),
        }
    }

    async fn found(program: LookupProgram, name: &str) -> Option<Found> {
        program.look_up(name, Instant::now() + Duration::from_millis(500)).await.map(|lookup| lookup.found)
    }

    #[tokio::test]
    async fn addresses_are_what_the_lines_begin_with() {
        let echo =
            program("/bin/echo", &["-e", "203.0.113.7 STREAM x\\n203.0.113.7 DGRAM\\n2001:db8::1 STREAM\\nerror"]);
        let Some(Found::Addresses(addresses)) = found(echo, "").await else { panic!() };
        assert_eq!(addresses.len(), 2);
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_and_one_that_fails_found_nothing() {
        assert_eq!(found(program("/bin/sleep", &[]), "60").await, Some(Found::GivenUp));
        assert_eq!(found(program("/bin/false", &[]), "x").await, Some(Found::Nothing));
        assert_eq!(found(program("/no/such/program", &[]), "x").await, None);
    }
}
