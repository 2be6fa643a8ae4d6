//! Inspection of real images in a real registry, and of hostile ones from servers that misbehave. One registry serves all tests.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod access;
mod bounds;
mod fingerprints;
mod formats;
mod hostile;
mod hostile_layers;
mod image;
mod images;
mod registry;
mod server;
mod sources;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use libtest_mimic::{Arguments, Failed, Trial};
use muslin::image::Reference;
use muslin::registry::{Client, Depth, Error, Inspection, Inspector, Limits, Platform, Remote, Settings, Source};
use registry::Registry;

/// What every test uses.
struct World {
    registry: Registry,
    /// Where the programs are that images are made of.
    parts: PathBuf,
    runtime: tokio::runtime::Runtime,
}

type Test = fn(&World) -> Result<()>;

/// The tests of one file, by name.
type Topic = &'static [(&'static str, Test)];

const TOPICS: [Topic; 8] = [
    fingerprints::TESTS,
    formats::TESTS,
    sources::TESTS,
    access::TESTS,
    hostile::TESTS,
    hostile_layers::TESTS,
    bounds::TESTS,
    images::TESTS,
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    match World::start() {
        Ok(world) => libtest_mimic::run(&arguments, trials(Some(Arc::new(world)))).exit_code(),
        Err(error) => {
            eprintln!("cannot start the registry: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn trials(world: Option<Arc<World>>) -> Vec<Trial> {
    let trial = |(name, test): &(&'static str, Test)| {
        let (world, test) = (world.clone(), *test);
        Trial::test(*name, move || {
            let world = world.ok_or("no registry was started")?;
            test(&world).map_err(|error| Failed::from(format!("{error:?}")))
        })
    };
    TOPICS.iter().flat_map(|topic| topic.iter()).map(trial).collect()
}

// === impl World ===

impl World {
    fn start() -> Result<Self> {
        let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry/tools");
        let printed = String::from_utf8(image::run(tools, &[])?)?;
        let parts = printed.lines().last().ok_or_else(|| anyhow!("{tools} printed no folder"))?.into();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self { registry: Registry::start()?, parts, runtime })
    }

    /// Settings with which the registry may be reached.
    fn settings(&self) -> Settings {
        Settings {
            plain_http: vec![self.registry.address.to_string()],
            allowed: "127.0.0.1".parse().into_iter().collect(),
            ..Settings::default()
        }
    }

    /// Inspects an image of the registry as a fresh process would.
    fn inspect(&self, name: &str, platform: &str, depth: Depth) -> Result<Inspection> {
        let client = Client::new(self.settings(), Limits::default())?;
        let reference = format!("{}/{name}", self.registry.address);
        Ok(self.inspect_with(client, &reference, platform, depth)?)
    }

    fn inspect_with(&self, client: Client, reference: &str, platform: &str, depth: Depth) -> Result<Inspection, Error> {
        let reference = Reference::parse(reference).map_err(|error| Error::NoImage(error.to_string()))?;
        let remote = Remote::new(Arc::new(client), &reference)?;
        let platform: Platform = platform.parse().map_err(|_| Error::Cancelled)?;
        let inspector = Inspector::new(Limits::default(), 8 << 20);
        self.runtime.block_on(inspector.inspect(&Source::Remote(Arc::new(remote)), &platform, depth))
    }

    fn layer(&self, entries: &[image::Entry<'_>]) -> Result<Vec<u8>> {
        image::layer(&self.parts, entries).context("cannot make a layer")
    }
}
