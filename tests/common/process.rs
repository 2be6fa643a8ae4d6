//! A process as `/proc` shows it (CPU time, resident memory), and a child that never outlives the benchmark. Must not
//! know what the child serves.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Ticks a second in `/proc/PID/stat`. The kernel's `USER_HZ` is 100 on every architecture that Kubernetes runs on.
const TICKS_PER_SECOND: u64 = 100;

/// The time without a change after which memory counts as settled, and the time limit for that.
const SETTLED_AFTER: Duration = Duration::from_millis(500);
const SETTLE_DEADLINE: Duration = Duration::from_secs(5);
const SETTLE_POLL: Duration = Duration::from_millis(50);

/// A running process, by its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pid: u32,
}

/// A child process that is killed, by its id, when this value is dropped, and by the kernel when the benchmark itself
/// is killed (where `setpriv` of util-linux is installed).
#[derive(Debug)]
pub(crate) struct Child {
    child: std::process::Child,
}

// === impl Process ===

impl Process {
    /// The benchmark itself.
    pub(crate) fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// The process of this id.
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// User and system time of all its threads, ended ones too, in steps of 10 ms.
    pub(crate) fn cpu_time(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // Fields are counted from the end of the command's name, which is in parentheses and may hold spaces: state is
        // field 3 of proc_pid_stat(5), utime 14, stime 15.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect::<Vec<_>>());
        let ticks = |field: usize| -> Option<u64> { fields.as_ref()?.get(field - 3)?.parse().ok() };
        let (Some(user), Some(system)) = (ticks(14), ticks(15)) else {
            bail!("/proc/{}/stat has no utime and stime: {stat:?}", self.pid);
        };
        Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
    }

    /// Resident memory now (`VmRSS`), in bytes.
    pub(crate) fn resident_bytes(self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that was ever resident (`VmHWM`), in bytes.
    pub(crate) fn peak_resident_bytes(self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Resident memory once it has stopped changing, or at the deadline, in bytes.
    pub(crate) async fn settled_resident_bytes(self) -> Result<u64> {
        let start = Instant::now();
        let (mut last, mut since) = (self.resident_bytes()?, start);
        while since.elapsed() < SETTLED_AFTER && start.elapsed() < SETTLE_DEADLINE {
            tokio::time::sleep(SETTLE_POLL).await;
            let now = self.resident_bytes()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    fn status_bytes(self, key: &str) -> Result<u64> {
        let status = self.read("status")?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix(key)).and_then(|rest| {
            rest.split_ascii_whitespace().next()?.parse::<u64>().ok() // "   12345 kB", where kB is 1024 bytes
        });
        Ok(kibibytes.with_context(|| format!("/proc/{}/status has no {key}", self.pid))? * 1024)
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        std::fs::read_to_string(&path).with_context(|| format!("read {path}: has the server ended?"))
    }
}

// === impl Child ===

impl Child {
    /// Starts a program; its stdout is ours to read, its stderr is thrown away unless `logs` is set.
    ///
    /// Call it on the main thread only: the kernel's signal comes when the *thread* that started the child ends.
    pub(crate) fn spawn(program: &Path, arguments: &[String], logs: bool) -> Result<Self> {
        if !program.is_file() {
            bail!("there is no program at {}", program.display());
        }
        let start = |mut command: Command| {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            command.stderr(if logs { Stdio::inherit() } else { Stdio::null() });
            command.spawn()
        };

        // setpriv sets the signal and then becomes the program, so the child's id is the program's.
        let mut tethered = Command::new("setpriv");
        tethered.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        let started = start(tethered).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            let mut plain = Command::new(program);
            plain.args(arguments);
            start(plain)
        });
        Ok(Self { child: started.with_context(|| format!("start {}", program.display()))? })
    }

    /// Returns the lines of its stdout. A thread reads them to the end, so that the child never waits for a reader.
    pub(crate) fn lines(&mut self) -> Result<UnboundedReceiver<String>> {
        let stdout = self.child.stdout.take().context("the child's stdout is already being read")?;
        let (sender, receiver) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The receiver is gone once the server is ready.
                let _ = sender.send(line);
            }
        });
        Ok(receiver)
    }

    pub(crate) fn process(&self) -> Process {
        Process { pid: self.child.id() }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
