//! Lookups through C libraries. Each runs in a separate program, for two reasons: a lookup that hangs (glibc with `use-vc`: over
//! 140 s) can be ended, and the machine's C library answers with the modules of its nsswitch.conf even if muslin is linked to
//! another. Must not know which names are looked up, or why.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use crate::resolver::Resolver;
use crate::verdicts::observations::{LookupResult, SystemLookup};

/// A program that looks up a name by `getaddrinfo` and prints lines that begin with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupProgram {
    /// The program's file.
    pub path: PathBuf,
    /// Arguments before the name: `ahosts`.
    pub arguments: Vec<String>,
    /// The resolver behind its `getaddrinfo`.
    pub resolver: Resolver,
}

// === impl LookupProgram ===

impl LookupProgram {
    /// Looks up a name, and ends the program at the deadline; `None` if the program cannot be started.
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
        let result = match timeout_at(deadline, child.wait_with_output()).await {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.ok()?.stdout).into_owned();
                let mut addresses: Vec<IpAddr> =
                    text.lines().filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok()).collect();
                addresses.sort_unstable();
                addresses.dedup();
                if addresses.is_empty() { LookupResult::Nothing } else { LookupResult::Addresses(addresses) }
            }
            Err(_) => LookupResult::GivenUp,
        };
        let took: Duration = began.elapsed();
        Some(SystemLookup {
            program: path.display().to_string(),
            resolver: *resolver,
            name: name.to_owned(),
            took,
            result,
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

    async fn look_up(program: LookupProgram, name: &str) -> Option<LookupResult> {
        program.look_up(name, Instant::now() + Duration::from_millis(500)).await.map(|lookup| lookup.result)
    }

    #[tokio::test]
    async fn reads_the_addresses_at_the_beginning_of_lines() {
        let echo =
            program("/bin/echo", &["-e", "203.0.113.7 STREAM x\\n203.0.113.7 DGRAM\\n2001:db8::1 STREAM\\nerror"]);
        let Some(LookupResult::Addresses(addresses)) = look_up(echo, "").await else { panic!() };
        assert_eq!(addresses.len(), 2);
    }

    #[tokio::test]
    async fn ends_a_program_that_hangs() {
        assert_eq!(look_up(program("/bin/sleep", &[]), "60").await, Some(LookupResult::GivenUp));
        assert_eq!(look_up(program("/bin/false", &[]), "x").await, Some(LookupResult::Nothing));
        assert_eq!(look_up(program("/no/such/program", &[]), "x").await, None);
    }
}
