//! A memory cgroup for one process: a hard limit and no swap, as the kubelet makes of `resources.limits.memory`. Works with cgroup v1 and
//! v2, and needs root. Must not know the process.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The mount point of the controllers (v1), or of the whole hierarchy (v2).
const ROOT: &str = "/sys/fs/cgroup";

/// Time limit until the kernel has let go of the last process of a group.
const EMPTY_MAX: Duration = Duration::from_secs(2);

/// A memory cgroup; removed when dropped, after its process has ended.
pub(crate) struct MemoryGroup {
    folder: PathBuf,
    files: &'static Files,
    /// Open all the time, because v2 keeps a peak for each open file.
    peak: Mutex<File>,
}

/// The names of one version's files.
struct Files {
    limit: &'static str,
    swap: (&'static str, SwapLimit),
    peak: &'static str,
    kills: &'static str,
}

/// The meaning of a file that limits swap.
#[derive(Clone, Copy)]
enum SwapLimit {
    /// Swap alone.
    Swap,
    /// Memory and swap together.
    Total,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    swap: ("memory.memsw.limit_in_bytes", SwapLimit::Total),
    peak: "memory.max_usage_in_bytes",
    kills: "memory.oom_control",
};

const VERSION_2: Files = Files {
    limit: "memory.max",
    swap: ("memory.swap.max", SwapLimit::Swap),
    peak: "memory.peak",
    kills: "memory.events",
};

// === impl MemoryGroup ===

impl MemoryGroup {
    /// Makes a group with this limit in bytes.
    ///
    /// # Errors
    /// The process is not root, or the memory controller is not available.
    pub(crate) fn new(name: &str, limit: u64) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let root = Path::new(ROOT);
        let (folder, files) = if root.join("cgroup.controllers").exists() {
            fs::write(root.join("cgroup.subtree_control"), "+memory").context("enabling the memory controller")?;
            (root.join(name), &VERSION_2)
        } else {
            (root.join("memory").join(name), &VERSION_1)
        };
        fs::create_dir_all(&folder).with_context(|| format!("making the memory cgroup {}", folder.display()))?;
        let set = |file: &str, value: u64| {
            fs::write(folder.join(file), value.to_string()).with_context(|| format!("setting {file} to {value}"))
        };
        let peak = OpenOptions::new().read(true).write(true).open(folder.join(files.peak));
        // Kernels before 6.12 cannot reset v2's peak.
        let peak = peak.or_else(|_| File::open(folder.join(files.peak))).context("opening the peak")?;
        set(files.limit, limit)?;
        let (swap, meaning) = files.swap;
        if folder.join(swap).exists() {
            set(swap, if matches!(meaning, SwapLimit::Total) { limit } else { 0 })?;
        }
        Ok(Self { folder, files, peak: Mutex::new(peak) })
    }

    /// Returns a command that runs a program in this group from its first instruction on.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        let enter = r#"echo $$ > "$0" && exec "$@""#;
        command.args(["-c", enter]).arg(self.folder.join("cgroup.procs")).arg(program);
        command
    }

    /// Returns how often the kernel killed a process of the group because the limit was reached.
    pub(crate) fn kills(&self) -> Result<u64> {
        let path = self.folder.join(self.files.kills);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        kills.with_context(|| format!("{} has no oom_kill", path.display()))
    }

    /// Makes [`Self::peak`] start again from now.
    pub(crate) fn reset_peak(&self) {
        // An error means that the kernel cannot: then the peak is that of all the time, which is never too low.
        let _ = self.peak.lock().unwrap_or_else(PoisonError::into_inner).write_all(b"0");
    }

    /// Returns the most bytes that the group held, page cache included.
    pub(crate) fn peak(&self) -> Result<u64> {
        let mut file = self.peak.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        text.trim().parse().with_context(|| format!("the peak is {text:?}"))
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + EMPTY_MAX;
        while fs::remove_dir(&self.folder).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
