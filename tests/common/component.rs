//! A program that runs beside the tests and does not outlive them. Must not know what the program serves.
//!
//! Needs `setpriv` from util-linux.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Time limit until a component is ready. The slower one takes 3 s on an idle machine with two cores; a busy CI machine gets more
/// than ten times that.
const START_DEADLINE: Duration = Duration::from_secs(40);

/// Time limit of a restarted component's end: the API server would wait a minute for open watches.
const GRACE: Duration = Duration::from_secs(5);

/// Pause between two polls.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Number of lines of a log in an error.
const LOG_TAIL_LINES: usize = 40;

/// A program that runs until it is dropped, and that does not outlive this process even if this process is killed.
pub(crate) struct Component {
    name: &'static str,
    child: Child,
    log: PathBuf,
    /// Ends the thread that started the program, when it is dropped.
    _starter: mpsc::Sender<()>,
}

// === impl Component ===

impl Component {
    /// Starts `programs/name`. Its output goes to `root/name.log`.
    pub(crate) fn start(name: &'static str, programs: &Path, root: &Path, arguments: &[String]) -> Result<Self> {
        let log = root.join(name).with_extension("log");
        let output = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("sharing {}", log.display()))?;
        let mut command = dying_with_this_thread(&programs.join(name));
        command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(errors);

        // The caller's thread may end before the program should: give the program a thread of its own.
        let (started, outcome) = mpsc::channel();
        let (starter, dropped) = mpsc::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ = started.send(command.spawn());
                // Nothing is ever sent: this returns when the other end is gone.
                let _ = dropped.recv();
            })
            .with_context(|| format!("making a thread to start {name}"))?;
        let child = outcome
            .recv()
            .with_context(|| format!("waiting for the thread that starts {name}"))?
            .with_context(|| format!("starting {name} through setpriv (of util-linux)"))?;
        Ok(Self { name, child, log, _starter: starter })
    }

    /// Polls until `ready` succeeds, the program ends, or the deadline has passed.
    pub(crate) fn wait_until_ready(&mut self, mut ready: impl FnMut() -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        while let Err(not_yet) = ready() {
            let name = self.name;
            if let Some(status) = self.child.try_wait().with_context(|| format!("looking after {name}"))? {
                bail!("{name} ended with {status} before it was ready; the end of its log:\n{}", self.log_tail());
            }
            if Instant::now() >= deadline {
                let log = self.log_tail();
                bail!("{name} was not ready within {START_DEADLINE:?}: {not_yet:#}; the end of its log:\n{log}");
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Returns the program's process id, which setpriv leaves to it.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to end, and kills it if it takes too long, as the kubelet does.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let name = self.name;
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        ensure!(asked.with_context(|| format!("asking {name} to end"))?.success(), "{name} cannot be asked to end");
        let deadline = Instant::now() + GRACE;
        while self.child.try_wait().with_context(|| format!("waiting for {name}"))?.is_none() {
            if Instant::now() >= deadline {
                self.child.kill().with_context(|| format!("ending {name}"))?;
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Returns the last lines of the program's output.
    pub(crate) fn log_tail(&self) -> String {
        match fs::read(&self.log) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
            }
            Err(error) => format!("(no log: {error})"),
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        // Both fail only for a program that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command for `program` that the kernel kills when the starting thread ends, for any reason. setpriv sets this up, because
/// doing it here would need unsafe code.
pub(crate) fn dying_with_this_thread(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
