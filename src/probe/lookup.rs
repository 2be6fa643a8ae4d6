//! Lookups through C libraries. Each runs in a process of its own, for two reasons: a lookup that hangs (glibc with `use-vc`: over
//! 140 s) can be ended, and a library answers with the modules of its nsswitch.conf. Must not know which names are looked up, or why.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use crate::os;
use crate::text::one_line;
use crate::verdicts::observations::{LookupResult, Program, SystemLookup};

/// The most that is read of a program's output. A line with 300 addresses takes 15 KiB, and musl returns at most 48.
const OUTPUT_MAX_BYTES: u64 = 64 << 10;
/// The most that is shown of a program's error message, in bytes.
const MESSAGE_MAX_BYTES: usize = 200;

/// A C library, and how to start a program that looks up a name by its `getaddrinfo`.
#[derive(Clone, Debug)]
pub struct LookupProgram {
    /// The library.
    pub(super) library: Program,
    /// The file to start.
    pub(super) path: PathBuf,
    /// Arguments before the name.
    pub(super) arguments: Vec<OsString>,
    /// The environment; `None` is muslin's own.
    pub(super) variables: Option<BTreeMap<String, String>>,
    /// Standard input: the program that a loader reads as `/proc/self/fd/0`.
    pub(super) input: Option<Arc<File>>,
}

/// A line that a lookup program prints.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PrintedLookup {
    /// Duration of the lookup.
    pub microseconds: u64,
    /// The name of the error, such as `EAI_AGAIN`; `None` if addresses were found.
    pub error: Option<String>,
    /// The addresses found.
    pub addresses: Vec<IpAddr>,
}

/// The reason why a library was not asked.
#[derive(Debug, Error)]
pub(super) enum LookupError {
    #[error("cannot start {}: {error}", path.display())]
    Start { path: PathBuf, error: std::io::Error },
    #[error("{} ended with {status} and printed no result{message}", path.display())]
    NoResult { path: PathBuf, status: ExitStatus, message: String },
}

// === impl LookupProgram ===

impl LookupProgram {
    /// Looks up a name, and ends the program at the deadline.
    pub(super) async fn look_up(&self, name: &str, deadline: Instant) -> Result<SystemLookup, LookupError> {
        let Self { library, path, .. } = self;
        let cannot_start = |error| LookupError::Start { path: path.clone(), error };
        let mut command = self.command(name).map_err(cannot_start)?;
        let began = Instant::now();
        let mut child = command.spawn().map_err(cannot_start)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ended = timeout_at(deadline, async {
            let (output, message) = futures::join!(read_some(stdout), read_some(stderr));
            child.wait().await.map(|status| (output, message, status))
        });
        let (took, result, error) = match ended.await {
            Ok(ended) => {
                let (output, message, status) = ended.map_err(cannot_start)?;
                let printed = serde_json::from_slice(&output).map_err(|_| {
                    let message = String::from_utf8_lossy(&message);
                    let message = one_line(message.trim(), MESSAGE_MAX_BYTES);
                    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
                    LookupError::NoResult { path: path.clone(), status, message }
                })?;
                let PrintedLookup { microseconds, error, mut addresses } = printed;
                addresses.sort_unstable();
                addresses.dedup();
                let found = !addresses.is_empty();
                let result = if found { LookupResult::Addresses(addresses) } else { LookupResult::Nothing };
                (Duration::from_micros(microseconds), result, error)
            }
            Err(_) => (began.elapsed(), LookupResult::GivenUp, None),
        };
        Ok(SystemLookup {
            program: library.name.clone(),
            resolver: library.resolver,
            name: name.to_owned(),
            took,
            result,
            error,
        })
    }

    fn command(&self, name: &str) -> std::io::Result<Command> {
        let Self { library: _, path, arguments, variables, input } = self;
        let mut command = Command::new(path);
        command.args(arguments).arg(name).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C on a terminal stops the probe, which then shows the lookups that are done, and ends the others itself.
        os::in_own_process_group(&mut command);
        if let Some(variables) = variables {
            command.env_clear().envs(variables);
        }
        match input {
            Some(file) => command.stdin(file.try_clone()?),
            None => command.stdin(Stdio::null()),
        };
        Ok(command)
    }
}

/// Reads an output to its end or its limit, and closes it: a program that prints more gets an error.
async fn read_some(output: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        // What came before an error counts.
        let _ = output.take(OUTPUT_MAX_BYTES).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Family;

    async fn look_up(path: &str, arguments: &[&str], name: &str) -> Result<SystemLookup, String> {
        let library = Program {
            name: path.to_owned(),
            resolver: Family::Glibc.unversioned(),
            because: String::new(),
            netdns_without_effect: false,
            asked_through: true,
            own_resolvers: Vec::new(),
        };
        let program = LookupProgram {
            library,
            path: path.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            variables: None,
            input: None,
        };
        let lookup = program.look_up(name, Instant::now() + Duration::from_secs(1)).await;
        lookup.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn reads_the_line_that_a_program_prints() {
        let line = r#"{"microseconds":812,"error":null,"addresses":["203.0.113.7","2001:db8::1","203.0.113.7"]}"#;
        let lookup = look_up("/bin/echo", &[], line).await.unwrap();
        let LookupResult::Addresses(addresses) = lookup.result else { panic!() };
        assert_eq!((addresses.len(), lookup.took), (2, Duration::from_micros(812)));
        let lookup =
            look_up("/bin/echo", &[], r#"{"microseconds":1,"error":"EAI_AGAIN","addresses":[]}"#).await.unwrap();
        assert_eq!((lookup.result, lookup.error.as_deref()), (LookupResult::Nothing, Some("EAI_AGAIN")));
    }

    #[tokio::test]
    async fn ends_a_program_that_hangs_or_prints_without_end() {
        assert_eq!(look_up("/bin/sleep", &[], "60").await.unwrap().result, LookupResult::GivenUp);
        let error = look_up("/usr/bin/yes", &[], "{").await.unwrap_err();
        assert!(error.starts_with("/usr/bin/yes ended with ") && error.len() < 500, "{error}");
    }

    #[tokio::test]
    async fn a_program_that_prints_no_result_is_no_failed_lookup() {
        let error = look_up("/bin/sh", &["-c"], "echo cannot map it >&2; exit 127").await.unwrap_err();
        assert_eq!(error, "/bin/sh ended with exit status: 127 and printed no result: cannot map it");
        let error = look_up("/no/such/loader", &[], "x").await.unwrap_err();
        assert!(error.starts_with("cannot start /no/such/loader"), "{error}");
    }
}
