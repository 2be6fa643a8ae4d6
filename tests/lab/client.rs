//! The client that looks up names: programs in the client's network namespace, each with the test's own resolv.conf, hosts and
//! nsswitch.conf, mounted over the machine's files for that program alone. Must not know of servers.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::lab::namespace::Namespace;
use crate::lab::process::{POLL, dying_with_its_thread};

/// The time after which a program is killed, which is an error. The slowest lookup here takes 40 s.
const DEADLINE: Duration = Duration::from_secs(120);

/// The contents mounted over the machine's files.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";
const NSSWITCH: &str = "hosts: files dns\n";

/// Mounts the files of the folder `$0` over those of `/etc`, and becomes the program. `unshare` made the mounts private.
const MOUNT: &str =
    r#"for file in resolv.conf hosts nsswitch.conf; do mount --bind "$0/$file" "/etc/$file"; done; exec "$@""#;

/// A client that looks up names.
pub(crate) struct Client<'lab> {
    namespace: &'lab Namespace,
    folder: TempDir,
}

/// A program's output and exit status.
#[derive(Debug)]
pub(crate) struct FinishedProgram {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
}

// === impl Client ===

impl<'lab> Client<'lab> {
    pub(crate) fn new(namespace: &'lab Namespace, resolv_conf: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("muslin-lab-").tempdir()?;
        for (name, text) in [("resolv.conf", resolv_conf), ("hosts", HOSTS), ("nsswitch.conf", NSSWITCH)] {
            fs::write(folder.path().join(name), text)?;
        }
        Ok(Self { namespace, folder })
    }

    /// Rewrites one of `resolv.conf`, `hosts` and `nsswitch.conf`.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.folder.path().join(file), text).with_context(|| format!("writing {file}"))
    }

    /// Returns a program and its first arguments, with which it starts another one with these files.
    pub(crate) fn wrapped(&self, program: &str) -> (&'static str, Vec<String>) {
        let folder = self.folder.path().display().to_string();
        let words = ["--mount", "sh", "-ec", MOUNT, &folder, program];
        ("unshare", words.map(str::to_owned).to_vec())
    }

    /// Runs a program to its end. The caller checks the exit status.
    pub(crate) fn run(&self, command: &Command) -> Result<FinishedProgram> {
        let mut wrapped = dying_with_its_thread("unshare");
        wrapped.args(["--mount", "sh", "-ec", MOUNT]).arg(self.folder.path());
        wrapped.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        let call = || format!("running {command:?}");
        // Files instead of pipes, so that neither side waits for the other to read.
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        wrapped.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        let began = Instant::now();
        let status = self.namespace.enter(|| {
            let mut child = wrapped.spawn()?;
            loop {
                if let Some(status) = child.try_wait()? {
                    return Ok(Some(status));
                }
                if began.elapsed() > DEADLINE {
                    child.kill()?;
                    child.wait()?;
                    return Ok(None);
                }
                thread::sleep(POLL);
            }
        });
        let took = began.elapsed();
        let text = |file: &mut fs::File| {
            let mut bytes = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut bytes)?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (stdout, stderr) = (text(&mut stdout)?, text(&mut stderr)?);
        match status.with_context(call)? {
            Some(status) => Ok(FinishedProgram { stdout, stderr, status, took }),
            None => bail!("{command:?} did not end within {DEADLINE:?}: {stdout}{stderr}"),
        }
    }
}
