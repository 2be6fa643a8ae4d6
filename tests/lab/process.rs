//! Long-running programs inside a namespace, which end when their value is dropped or this process ends.

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

/// Interval between two looks at something that is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// Time that a program may take to start on a busy machine.
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
    /// Starts a program in a namespace. `arguments` receives a new folder, which is deleted with the program.
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
                // Sent from here, so that a failed start is reported at once.
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

    /// Returns the process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the program's folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Returns the program's output.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the program is ready.
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

/// Returns a command whose program the kernel ends with the thread that starts it, and so also when this process is killed.
pub(crate) fn dying_with_its_thread(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}
