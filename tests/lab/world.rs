//! Shared by all tests: the resolvers of this machine, and the runtime of the scripted servers.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use muslin::resolver::{Family, Version, musl};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::lab::resolvers::{self, Program};

/// The resolvers and the runtime that every test uses.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    resolvers: Vec<Program>,
    programs: Vec<Program>,
    /// The folder that `tools` made.
    pub(crate) folder: PathBuf,
    /// The folder of the program that releases of muslin hold.
    built: TempDir,
}

// === impl World ===

impl World {
    pub(crate) fn new() -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "only root can make network namespaces");
        let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/tools");
        let ran = Command::new(tools).stdin(Stdio::null()).stderr(Stdio::inherit()).output().context(tools)?;
        ensure!(ran.status.success(), "{tools} ended with {}; see its messages above", ran.status);
        let folder = String::from_utf8(ran.stdout)?;
        let resolvers = resolvers::read_list(folder.trim_end())?;
        let mut programs = resolvers::read_programs(folder.trim_end())?;
        // A container with any musl: the newest.
        let newest = resolvers.iter().rev().find(|program| program.resolver.family == Family::Musl);
        let newest = newest.context("no musl")?.resolver;
        for program in programs.iter_mut().filter(|program| program.resolver.family == Family::Musl) {
            program.resolver = newest;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let built = tempfile::Builder::new().prefix("muslin-lab-").tempdir()?;
        let world = Self { runtime, resolvers, programs, folder: folder.trim_end().into(), built };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lookup-program");
        let ran = Command::new(script).arg(world.lookup_program()).status().context(script)?;
        ensure!(ran.success(), "{script} ended with {ran}");
        // musl's DNS changed most there; without both releases, half of the tests would show nothing.
        world.musl(|version| version < musl::TCP_SINCE)?;
        world.musl(|version| version >= musl::TCP_SINCE)?;
        Ok(world)
    }

    /// Returns all releases of musl, glibc and Go's resolver.
    pub(crate) fn resolvers(&self) -> &[Program] {
        &self.resolvers
    }

    /// Returns the releases of glibc, programs that bring a resolver along, and programs with a deadline of their own.
    pub(crate) fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Returns every release of musl, the oldest first.
    pub(crate) fn musls(&self) -> impl Iterator<Item = &Program> {
        self.resolvers.iter().filter(|program| program.resolver.family == Family::Musl)
    }

    /// Returns the newest musl that fulfils a condition.
    pub(crate) fn musl(&self, wanted: impl Fn(Version) -> bool) -> Result<&Program> {
        let wanted = |program: &&Program| program.resolver.version.is_some_and(&wanted);
        self.musls().filter(wanted).last().context("no such release of musl here: see tests/lab/tools")
    }

    /// Returns the machine's own C library.
    pub(crate) fn glibc(&self) -> Result<&Program> {
        self.family(Family::Glibc)
    }

    /// Returns Go's resolver.
    pub(crate) fn go(&self) -> Result<&Program> {
        self.family(Family::Go)
    }

    /// Returns the program that releases of muslin hold, for `muslin probe --lookup-program`.
    pub(crate) fn lookup_program(&self) -> PathBuf {
        self.built.path().join("lookup-program")
    }

    fn family(&self, family: Family) -> Result<&Program> {
        self.resolvers
            .iter()
            .find(|program| program.resolver.family == family)
            .context("tests/lab/tools built no such resolver")
    }
}
