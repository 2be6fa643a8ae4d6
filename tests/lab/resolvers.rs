//! Real resolvers: programs that `tools` built, each with a release of musl, glibc or Go's net package or a resolver of its own, and
//! their output.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use muslin::resolver::Resolver;
use serde::Deserialize;

use crate::lab::client::Client;

/// Time between the starts of two lookups of a batch. A lookup takes a millisecond of a processor, and two dozen batches run at
/// once: with less time, the tests would measure threads that wait for two cores.
const STAGGER: Duration = Duration::from_millis(20);

/// A program that looks up names.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The title in tables.
    pub(crate) title: String,
    /// The resolver that muslin finds in its container. Some programs use another, which they bring along.
    pub(crate) resolver: Resolver,
    command: Vec<PathBuf>,
}

/// A finished lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedLookup {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// `EAI_AGAIN` and the like, or Go's message; `None` if the lookup succeeded.
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
}

/// A finished lookup as the program prints it.
#[derive(Deserialize)]
struct PrintedLookup {
    name: String,
    microseconds: u64,
    error: Option<String>,
    addresses: Vec<IpAddr>,
}

/// Reads the list of resolvers that `tools` wrote in its folder.
pub(crate) fn read_list(folder: &str) -> Result<Vec<Program>> {
    let path = Path::new(folder).join("resolvers");
    let list = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut programs = list.lines().map(Program::parse).collect::<Result<Vec<_>>>()?;
    programs.sort_by_key(|program| (program.resolver.family, program.resolver.version));
    Ok(programs)
}

/// Reads the list of other programs that `tools` wrote in its folder.
pub(crate) fn read_programs(folder: &str) -> Result<Vec<Program>> {
    let path = Path::new(folder).join("programs");
    let list = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    list.lines().map(Program::parse_titled).collect()
}

// === impl Program ===

impl Program {
    /// Parses a title, the resolver of the container and the command, with tabs between them.
    fn parse_titled(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split('\t').collect();
        let [title, resolver, command @ ..] = &words[..] else { bail!("not a program: {line}") };
        ensure!(!command.is_empty(), "no command: {line}");
        Ok(Self {
            title: (*title).to_owned(),
            resolver: resolver.parse()?,
            command: command.iter().map(PathBuf::from).collect(),
        })
    }

    /// Parses `musl 1.2.5 LOADER PROGRAM`.
    fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [family, version, command @ ..] = &words[..] else { bail!("not a resolver: {line}") };
        ensure!(!command.is_empty(), "no command: {line}");
        let resolver: Resolver = format!("{family} {version}").parse()?;
        Ok(Self { title: resolver.to_string(), resolver, command: command.iter().map(PathBuf::from).collect() })
    }

    /// Returns the program's own file.
    pub(crate) fn program(&self) -> &Path {
        self.command.last().map(PathBuf::as_path).unwrap_or(Path::new(""))
    }

    /// Returns the C library that runs the program.
    pub(crate) fn loader(&self) -> Result<&Path> {
        ensure!(self.command.len() > 1, "{} has no loader of its own", self.resolver);
        Ok(&self.command[0])
    }

    /// Returns the same program, run by another C library.
    pub(crate) fn with_loader(&self, loader: PathBuf) -> Result<Self> {
        self.loader()?;
        let command = std::iter::once(loader).chain(self.command.iter().skip(1).cloned()).collect();
        Ok(Self { command, ..self.clone() })
    }

    /// Looks up names at the same time, and returns the results in the order of the names.
    pub(crate) fn look_up<N: AsRef<str>>(&self, client: &Client<'_>, names: &[N]) -> Result<Vec<FinishedLookup>> {
        self.look_up_every(STAGGER, client, names)
    }

    /// Looks up names as [`Self::look_up`] does, with this time between the starts of two lookups.
    pub(crate) fn look_up_every<N: AsRef<str>>(
        &self,
        stagger: Duration,
        client: &Client<'_>,
        names: &[N],
    ) -> Result<Vec<FinishedLookup>> {
        let (program, arguments) = self.command.split_first().context("a program without a name")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(stagger.as_micros().to_string()).args(names.iter().map(AsRef::as_ref));
        let ran = client.run(&command)?;
        ensure!(ran.status.success(), "{command:?} ended with {}: {}", ran.status, ran.stderr);
        let mut found = ran.stdout.lines().map(FinishedLookup::parse).collect::<Result<Vec<_>>>()?;
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_ref(), place)).collect();
        found.sort_by_key(|found| places.get(&*found.name).copied());
        ensure!(found.len() == names.len(), "{} of {} lookups: {}", found.len(), names.len(), ran.stderr);
        Ok(found)
    }

    /// Looks up one name.
    pub(crate) fn look_up_one(&self, client: &Client<'_>, name: &str) -> Result<FinishedLookup> {
        self.look_up(client, &[name])?.pop().context("nothing was printed")
    }
}

// === impl FinishedLookup ===

impl FinishedLookup {
    fn parse(line: &str) -> Result<Self> {
        let PrintedLookup { name, microseconds, error, addresses } =
            serde_json::from_str(line).with_context(|| format!("reading {line}"))?;
        Ok(Self { name, addresses, error, took: Duration::from_micros(microseconds) })
    }

    /// Returns whether the lookup found an address.
    pub(crate) fn succeeded(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// Returns the numbers of IPv4 and IPv6 addresses.
    pub(crate) fn families(&self) -> (usize, usize) {
        let v4 = self.addresses.iter().filter(|address| address.is_ipv4()).count();
        (v4, self.addresses.len() - v4)
    }
}
