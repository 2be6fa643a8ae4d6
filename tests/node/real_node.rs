//! A running node for tests, started by the script next to this file: ready within seconds, gone when dropped. Must not know muslin.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/node");

/// The node's registry in image names.
pub(crate) const REGISTRY: &str = "registry.example.com";

/// The registry's address inside the node.
pub(crate) const REGISTRY_ADDRESS: &str = "192.0.2.10";

/// Time limit of the script without builds: ten seconds on an idle machine.
const START: Duration = Duration::from_secs(120);

/// Time limit of the cleanup by kernel and script: one second on an idle machine.
const STOP: Duration = Duration::from_secs(30);

/// Pause between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A node that runs until it is dropped.
pub(crate) struct Node {
    script: Child,
    /// The script ends when this is closed.
    life: Option<ChildStdin>,
    folder: PathBuf,
    /// A process inside, by which its network is entered.
    inside: u32,
    network: String,
}

/// Properties of a node that can be searched for after its end.
pub(crate) struct Traces {
    folder: PathBuf,
    network: String,
}

// === impl Node ===

impl Node {
    /// Starts a node. Builds its programs first if they are not in the cache (fifteen minutes).
    pub(crate) fn start() -> Result<Self> {
        // Builds do not count against the time limit.
        for set in ["control-plane", "node", "coredns"] {
            run(Path::new(SCRIPT).with_file_name("../cluster/control-plane/build"), &[set])?;
        }
        let (mut node, lines) = Self::begin()?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        match receiver.recv_timeout(START) {
            Ok(line) if line == "ready" => Ok(node),
            Ok(line) => bail!("the node printed {line:?} instead of ready"),
            Err(mpsc::RecvTimeoutError::Timeout) => bail!("the node is not ready within {START:?}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the node ended: {}", node.script.wait()?),
        }
    }

    /// Starts a node, and waits only for its first process.
    pub(crate) fn begin() -> Result<(Self, Lines<BufReader<ChildStdout>>)> {
        let mut script = Command::new(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {SCRIPT}"))?;
        let life = script.stdin.take();
        let output = script.stdout.take().context("the script has no standard output")?;
        let mut node = Self { script, life, folder: PathBuf::new(), inside: 0, network: String::new() };
        let mut lines = BufReader::new(output).lines();
        let first = lines.next().context("the node did not start; see standard error")??;
        let (folder, inside) = first.split_once(' ').with_context(|| format!("the node began with {first:?}"))?;
        node.folder = PathBuf::from(folder);
        node.inside = inside.parse().with_context(|| format!("the node began with {first:?}"))?;
        let network = fs::read_link(format!("/proc/{inside}/ns/net")).context("looking at the node's network")?;
        node.network = network.to_string_lossy().into_owned();
        Ok((node, lines))
    }

    /// Returns a command in the node's network, as its administrator.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.inside))
            .arg("--net")
            .arg("--")
            .arg(program.as_ref())
            .env("KUBECONFIG", self.folder.join("admin.kubeconfig"))
            .env("HOME", self.folder.join("home"));
        command
    }

    /// Runs kubectl, and returns its standard output and standard error.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<(String, String)> {
        let mut command = self.command(self.folder.join("bin/kubectl"));
        let output = command.args(arguments).stdin(Stdio::null()).output().context("starting kubectl")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        ensure!(output.status.success(), "kubectl {}: {stderr}{stdout}", arguments.join(" "));
        Ok((stdout, stderr))
    }

    /// Pushes the one image of an OCI layout to the node's registry.
    pub(crate) fn push(&self, layout: &Path, name: &str) -> Result<()> {
        let output = self
            .command("skopeo")
            .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"])
            .arg(format!("oci:{}", layout.display()))
            .arg(format!("docker://{REGISTRY_ADDRESS}/{name}"))
            .output()
            .context("starting skopeo")?;
        ensure!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Returns a folder for files of the test, which is removed with the node.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn traces(&self) -> Traces {
        Traces { folder: self.folder.clone(), network: self.network.clone() }
    }

    /// Sends the script a signal, and waits until it ends.
    pub(crate) fn end_by(&mut self, signal: &str) -> Result<ExitStatus> {
        run("kill", &["-s", signal, &self.script.id().to_string()])?;
        self.wait()
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + STOP;
        loop {
            if let Some(status) = self.script.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the node has not ended within {STOP:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.life.take());
        if let Err(error) = self.wait() {
            let _ = writeln!(std::io::stderr(), "{error:#}");
        }
    }
}

// === impl Traces ===

impl Traces {
    /// Returns what is left of the node: folders, control groups, mounts, processes.
    pub(crate) fn found(&self) -> Result<Vec<String>> {
        let mut found = self.processes()?;
        let name = self.folder.file_name().context("the node has no folder")?;
        if self.folder.exists() {
            found.push(self.folder.display().to_string());
        }
        for hierarchy in run("findmnt", &["-nr", "-t", "cgroup,cgroup2", "-o", "TARGET"])?.lines() {
            let group = Path::new(hierarchy).join(name);
            if group.exists() {
                found.push(group.display().to_string());
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let name = name.to_string_lossy();
        found.extend(mounts.lines().filter(|mount| mount.contains(&*name)).map(str::to_owned));
        Ok(found)
    }

    /// Returns the processes in the node's network: all except its containers, which end with them.
    pub(crate) fn processes(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for process in fs::read_dir("/proc")? {
            let process = process?.path();
            let is_there = |network: PathBuf| network.to_string_lossy() == self.network;
            // Unreadable for entries that are not processes, and for a process that has just ended.
            if fs::read_link(process.join("ns/net")).is_ok_and(is_there) {
                let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
                found.push(format!("{} {}", process.display(), name.trim_end()));
            }
        }
        Ok(found)
    }

    /// Waits until all processes of the node have ended.
    pub(crate) fn wait_until_nothing_runs(&self) -> Result<()> {
        let deadline = Instant::now() + STOP;
        while !self.processes()?.is_empty() {
            ensure!(Instant::now() < deadline, "still there: {:?}", self.processes()?);
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

/// Runs a program, and returns its output.
pub(crate) fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Result<String> {
    let program = program.as_ref();
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {}: {complaint}", program.display(), arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// Polls until the call succeeds, or `patience` has passed.
pub(crate) fn eventually<T>(patience: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => return Err(error.context(format!("not within {patience:?}"))),
            Err(_) => thread::sleep(POLL_INTERVAL),
        }
    }
}
