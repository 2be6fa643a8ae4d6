//! Real resolvers: programs that `tools` made, each a release of musl, glibc or Go's net package, and what they print.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use muslin::resolver::Resolver;
use serde::Deserialize;

use crate::lab::client::Client;

/// How long after one lookup of a batch the next one begins. A lookup costs a millisecond of the processor, and two dozen batches
/// run at once: what is measured must be no crowd of threads waiting for two cores.
const STAGGER: Duration = Duration::from_millis(20);

/// A program that looks names up.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Whose code does it.
    pub(crate) resolver: Resolver,
    command: Vec<PathBuf>,
}

/// What came of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// `EAI_AGAIN` and its like, or what Go says; `None` where it succeeded.
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
}

/// The same as it is printed.
#[derive(Deserialize)]
struct Printed {
    name: String,
    microseconds: u64,
    error: Option<String>,
    addresses: Vec<IpAddr>,
}

/// The resolvers that `tools` listed in its folder.
pub(crate) fn read(folder: &str) -> Result<Vec<Program>> {
    let path = Path::new(folder).join("resolvers");
    let list = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut programs = list.lines().map(Program::parse).collect::<Result<Vec<_>>>()?;
    programs.sort_by_key(|program| (program.resolver.family, program.resolver.version));
    Ok(programs)
}

// === impl Program ===

impl Program {
    /// Reads `musl 1.2.5 LOADER PROGRAM`.
    fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [family, version, command @ ..] = &words[..] else { bail!("no resolver: {line}") };
        ensure!(!command.is_empty(), "no command: {line}");
        Ok(Self {
            resolver: format!("{family} {version}").parse()?,
            command: command.iter().map(PathBuf::from).collect(),
        })
    }

    /// The program's own file.
    pub(crate) fn program(&self) -> &Path {
        self.command.last().map(PathBuf::as_path).unwrap_or(Path::new(""))
    }

    /// The C library that runs the program, if one is named.
    pub(crate) fn loader(&self) -> Result<&Path> {
        ensure!(self.command.len() > 1, "{} is run by no loader of its own", self.resolver);
        Ok(&self.command[0])
    }

    /// The same program, run by another C library.
    pub(crate) fn with_loader(&self, loader: PathBuf) -> Result<Self> {
        self.loader()?;
        let command = std::iter::once(loader).chain(self.command.iter().skip(1).cloned()).collect();
        Ok(Self { command, ..*self })
    }

    /// Looks names up, all at the same time, and returns what came of them in their order.
    pub(crate) fn look_up<N: AsRef<str>>(&self, client: &Client<'_>, names: &[N]) -> Result<Vec<Found>> {
        let (program, arguments) = self.command.split_first().context("a program without a name")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(STAGGER.as_micros().to_string()).args(names.iter().map(AsRef::as_ref));
        let ran = client.run(&command)?;
        ensure!(ran.status.success(), "{command:?} ended with {}: {}", ran.status, ran.stderr);
        let mut found = ran.stdout.lines().map(Found::parse).collect::<Result<Vec<_>>>()?;
        let place = |found: &Found| names.iter().position(|name| name.as_ref() == found.name);
        found.sort_by_cached_key(place);
        ensure!(found.len() == names.len(), "{} of {} lookups: {}", found.len(), names.len(), ran.stderr);
        Ok(found)
    }

    /// Looks one name up.
    pub(crate) fn look_up_one(&self, client: &Client<'_>, name: &str) -> Result<Found> {
        self.look_up(client, &[name])?.pop().context("nothing was printed")
    }
}

// === impl Found ===

impl Found {
    fn parse(line: &str) -> Result<Self> {
        let Printed { name, microseconds, error, addresses } =
            serde_json::from_str(line).with_context(|| format!("reading {line}"))?;
        Ok(Self { name, addresses, error, took: Duration::from_micros(microseconds) })
    }

    /// Whether there was an address.
    pub(crate) fn succeeded(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// How many IPv4 and IPv6 addresses there were.
    pub(crate) fn families(&self) -> (usize, usize) {
        let v4 = self.addresses.iter().filter(|address| address.is_ipv4()).count();
        (v4, self.addresses.len() - v4)
    }
}
