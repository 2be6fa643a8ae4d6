//! Programs that run for long inside a namespace, and end with the value that stands for them, or with this process.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use tempfile::TempDir;

use crate::lab::namespace::Namespace;

/// How often something is looked at while it is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// How long a program may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A program that runs until it is dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    folder: TempDir,
    /// Ends the thread that started the program, when it is dropped.
    _starter: Sender<()>,
}

// === impl Process ===

impl Process {
    /// Starts a program in a namespace. `arguments` are made from a folder of its own, which goes with it.
    pub(crate) fn start(
        namespace: Arc<Namespace>,
        program: &str,
        arguments: impl FnOnce(&std::path::Path) -> Result<Vec<String>>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("muslin-lab-").tempdir()?;
        let log = folder.path().join("log");
        let file = File::create(&log)?;
        let mut command = dying_with_its_thread(program);
        command.args(arguments(folder.path())?).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        // The kernel ends the program with the thread that started it, so that thread lives as long as the program may.
        let (starter, ended) = mpsc::channel();
        let (sender, child) = mpsc::channel();
        thread::spawn(move || {
            let started = namespace.enter(move || {
                // Sent from here: nobody waits for a program that could not be started.
                let _ = sender.send(command.spawn());
                let _ = ended.recv();
                Ok(())
            });
            drop(started);
        });
        let child = child.recv().map_err(|_| anyhow!("cannot enter the namespace"))?;
        let child = child.with_context(|| format!("starting {program}"))?;
        Ok(Self { child, name: program.to_owned(), log, folder, _starter: starter })
    }

    /// The folder that was made for it.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it is ready.
    pub(crate) fn wait_until(&mut self, is_ready: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + START;
        while !is_ready(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}): {}", self.name, self.log());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready after {START:?}: {}", self.name, self.log());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that the kernel ends when the thread that starts it ends, so also when this process is killed.
pub(crate) fn dying_with_its_thread(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}
