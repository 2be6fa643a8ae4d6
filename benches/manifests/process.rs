//! Measures the time and memory of a program from start to end with `/proc`. Must not know what the program does.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The time and memory that a program used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// User and system time of all threads, in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Peak resident memory, as last read before the program ended.
    pub(crate) peak_bytes: u64,
}

/// Ticks a second in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture that Kubernetes runs on.
const TICKS_PER_SECOND: u64 = 100;

/// Time between two readings of the peak memory, which is readable only while the program runs and never falls.
const POLL: Duration = Duration::from_millis(5);

/// Runs a program to its end and discards its output.
pub(crate) fn run(program: &Path, arguments: &[&OsStr]) -> Result<Cost> {
    let before = children_cpu()?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let mut peak_bytes = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_bytes = peak(child.id()).unwrap_or(peak_bytes);
        thread::park_timeout(POLL);
    };
    let wall = start.elapsed();
    if !status.success() {
        bail!("{} ended with {status}", program.display());
    }
    Ok(Cost { wall, cpu: children_cpu()? - before, peak_bytes })
}

/// Returns the CPU time of all ended children: fields 16 and 17 of proc_pid_stat(5).
fn children_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    // Fields are counted from the end of the command's name, which is in parentheses and may contain spaces; the state is field 3.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
    let ticks = |field: usize| fields.get(field - 3).and_then(|field| field.parse::<u64>().ok());
    let (Some(user), Some(system)) = (ticks(16), ticks(17)) else {
        bail!("/proc/self/stat has no times of children: {stat:?}")
    };
    Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

/// Returns `VmHWM` of a running program.
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
