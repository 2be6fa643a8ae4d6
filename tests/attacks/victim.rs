//! muslin under attack: the real server in a memory cgroup with the limit of `manifests/`, and what each attack did to it and to others.

use std::fmt::{self, Write as _};
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::World;
use crate::attacks::bystanders::{Bystanders, Outcomes, Seen};
use crate::common::memory_group::MemoryGroup;
use crate::common::process::Process;
use crate::common::registration::MANIFESTS;
use crate::common::webhook::{Muslin, PROGRAM};

/// The time in which work must be done and memory be given back after an attack.
const QUIET_AFTER: Duration = Duration::from_secs(5);

/// The time over which a process is watched for work, and the most CPU time in it. The kernel counts in steps of 10 ms.
const WATCHED: Duration = Duration::from_millis(100);
const IDLE_MAX: Duration = Duration::from_millis(40);

/// The memory that may stay held: 20 % more than before, and what an allocator keeps for each of its arenas.
const MEMORY_FACTOR: f64 = 1.2;
const MEMORY_SLACK: u64 = 4 << 20;

/// The time of the honest traffic before the first attack, after which muslin has what it needs.
const WARM_UP: Duration = Duration::from_millis(300);

/// The most failures of one kind in a report.
const FAILURES_SHOWN: usize = 3;

const MIB: f64 = 1024.0 * 1024.0;

/// A muslin that is attacked.
pub(crate) struct Victim<'w> {
    world: &'w World,
    arguments: Vec<String>,
    /// The image of honest pods.
    image: String,
    // Stopped before its group is removed.
    muslin: Option<Muslin<'w>>,
    group: MemoryGroup,
    /// The memory before the first attack, in bytes.
    settled: u64,
    rows: Vec<Row>,
}

/// The outcome of one attack.
struct Row {
    attack: String,
    seen: Seen,
    peak: u64,
    left: u64,
    problems: Vec<String>,
}

/// What `manifests/` says about muslin's container.
pub(crate) struct Manifest {
    /// The memory limit in bytes.
    pub(crate) memory_limit: u64,
    /// The environment variables with fixed values.
    environment: Vec<(String, String)>,
}

// === impl Manifest ===

impl Manifest {
    pub(crate) fn read() -> Result<Self> {
        let file = format!("{MANIFESTS}/base/deployment.yaml");
        let deployment: Value = serde_saphyr::from_str(&fs::read_to_string(&file)?)?;
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let limit = container["resources"]["limits"]["memory"].as_str().unwrap_or_default();
        let mebibytes = limit.strip_suffix("Mi").and_then(|limit| limit.parse::<u64>().ok());
        let memory_limit = mebibytes.with_context(|| format!("{file} has no limit in Mi: {limit:?}"))? << 20;
        let variables = container["env"].as_array().into_iter().flatten();
        let environment = variables.filter_map(|variable| {
            Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned()))
        });
        Ok(Self { memory_limit, environment: environment.collect() })
    }
}

// === impl Victim ===

impl<'w> Victim<'w> {
    /// Starts muslin as in `manifests/`: it goes by image names.
    pub(crate) fn start(world: &'w World) -> Result<Self> {
        Self::start_with(world, &[], "alpine:3.19")
    }

    /// Starts muslin with these arguments besides those that it needs here. Honest pods have this image.
    pub(crate) fn start_with(world: &'w World, arguments: &[String], image: &str) -> Result<Self> {
        let group = MemoryGroup::new("muslin-attacked", world.manifest.memory_limit)?;
        let (arguments, image) = (arguments.to_vec(), image.to_owned());
        let mut victim = Self { world, arguments, image, muslin: None, group, settled: 0, rows: Vec::new() };
        victim.ensure_running()?;
        Ok(victim)
    }

    fn muslin(&self) -> Result<&Muslin<'w>> {
        self.muslin.as_ref().context("muslin does not run")
    }

    /// Attacks for as long as the world says, with honest people and probes beside it, and notes the outcome.
    pub(crate) fn attack(&mut self, attack: &str, mut once: impl FnMut(&Muslin<'w>) -> Result<()>) -> Result<()> {
        if self.rows.len() == self.world.attacks {
            return Ok(());
        }
        self.ensure_running()?;
        let Self { world, image, muslin, group, .. } = self;
        let muslin = muslin.as_mut().context("muslin does not run")?;
        let kills = group.kills()?;
        group.reset_peak();
        let bystanders = Bystanders::start(world, &muslin.process().metrics, image)?;
        let started = Instant::now();
        let mut attacked = Ok(());
        while attacked.is_ok() && (started.elapsed() < world.attack_for) {
            attacked = once(muslin);
        }
        let seen = bystanders.stop(world)?;
        let mut problems = Vec::new();
        if let Err(error) = attacked {
            problems.push(format!("the attack: {error:#}"));
        }
        if let Some(status) = muslin.ended()? {
            problems.push(format!("muslin ended: {status}"));
        }
        if group.kills()? > kills {
            problems.push("the kernel killed muslin: the memory limit was reached".to_owned());
        }
        let mut left = 0;
        if problems.is_empty() {
            let is_idle;
            (is_idle, left) = self.wait_for_quiet()?;
            if !is_idle {
                problems.push(format!("muslin still works {QUIET_AFTER:?} later"));
            }
        }
        let mut row = Row { attack: attack.to_owned(), seen, peak: self.group.peak()?, left, problems };
        if row.problems.is_empty() && left > self.memory_allowed() {
            row.problems.push(format!("{:.1} MiB are held, {:.1} before", mib(left), mib(self.settled)));
        }
        self.rows.push(row);
        Ok(())
    }

    /// Returns the most memory since the start or the last attack, in bytes.
    pub(crate) fn peak(&self) -> Result<u64> {
        self.group.peak()
    }

    /// Adds a problem to the last attack, if there is one.
    pub(crate) fn note(&mut self, checked: Result<()>) {
        if let (Err(error), Some(row)) = (checked, self.rows.last_mut()) {
            row.problems.push(format!("{error:#}"));
        }
    }

    /// Prints the outcomes.
    ///
    /// # Errors
    /// An attack did harm.
    pub(crate) fn finish(self) -> Result<()> {
        let Self { rows, settled, .. } = &self;
        let mut report = format!("settled at {:.1} MiB\n", mib(*settled));
        for row in rows {
            writeln!(report, "{row}")?;
        }
        eprintln!("{report}");
        let harmful = rows.iter().filter(|row| row.is_harmful()).count();
        ensure!(harmful == 0, "{harmful} of {} attacks did harm:\n{report}", rows.len());
        Ok(())
    }

    /// Starts muslin again if an attack ended it.
    fn ensure_running(&mut self) -> Result<()> {
        if let Some(muslin) = &mut self.muslin {
            if muslin.ended()?.is_none() {
                return Ok(());
            }
            self.muslin = None;
        }
        let Self { world, group, arguments, image, .. } = self;
        let mut command = group.command(PROGRAM);
        command.envs(world.manifest.environment.iter().map(|(name, value)| (name, value)));
        let muslin = Muslin::start_by(command, &world.control_plane, &world.account, arguments)?;
        // By the first pods muslin learns the image.
        for is_warm in [false, true] {
            let bystanders = Bystanders::start(world, &muslin.process().metrics, image)?;
            std::thread::sleep(WARM_UP);
            let Seen { pods, controls, probes } = bystanders.stop(world)?;
            let failure =
                [pods, controls, probes].into_iter().find_map(|outcomes| outcomes.failures.into_iter().next());
            if let Some(failure) = failure.filter(|_| is_warm) {
                bail!("before any attack: {failure}");
            }
        }
        self.muslin = Some(muslin);
        self.settled = self.resident()?;
        Ok(())
    }

    /// Returns the bytes of the process in memory, its program included, as `ps` shows them.
    fn resident(&self) -> Result<u64> {
        Process::of(self.muslin()?.id()).resident_bytes()
    }

    /// Waits until muslin rests and its memory is given back, or for as long as that may take. Returns whether it rests, and the bytes in
    /// memory.
    fn wait_for_quiet(&self) -> Result<(bool, u64)> {
        let process = Process::of(self.muslin()?.id());
        let deadline = Instant::now() + QUIET_AFTER;
        loop {
            let worked = process.cpu_time()?;
            std::thread::sleep(WATCHED);
            let is_idle = process.cpu_time()?.saturating_sub(worked) <= IDLE_MAX;
            let left = self.resident()?;
            if (is_idle && left <= self.memory_allowed()) || Instant::now() > deadline {
                return Ok((is_idle, left));
            }
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some MiB"
    )]
    fn memory_allowed(&self) -> u64 {
        (self.settled as f64 * MEMORY_FACTOR) as u64 + MEMORY_SLACK
    }
}

#[expect(clippy::cast_precision_loss, reason = "some MiB")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

// === impl Row ===

impl Row {
    fn is_harmful(&self) -> bool {
        let Self { seen, problems, .. } = self;
        !(problems.is_empty() && seen.pods.failures.is_empty() && seen.probes.failures.is_empty())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attack, seen: Seen { pods, controls, probes }, peak, left, problems } = self;
        let harm = if self.is_harmful() { "HARM" } else { "held" };
        write!(f, "{harm} {attack}: peak {:.1} MiB, then {:.1} MiB", mib(*peak), mib(*left))?;
        for (name, outcomes) in [("pods", pods), ("pods without muslin", controls), ("probes", probes)] {
            let Outcomes { times, failures } = outcomes;
            write!(f, "; {name}: {} in at most {:.0?}, {} failed", times.len(), outcomes.slowest(), failures.len())?;
            for failure in failures.iter().take(FAILURES_SHOWN) {
                write!(f, "\n       {failure}")?;
            }
        }
        problems.iter().try_for_each(|problem| write!(f, "\n       {problem}"))
    }
}
