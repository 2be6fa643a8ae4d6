//! Inspections of real images in a real registry, and of hostile images from servers that misbehave. One registry serves all tests.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod harness;
    pub(crate) mod image;
    pub(crate) mod registry;
    pub(crate) mod registry_server;
    pub(crate) mod schemas;
}

mod registry {
    pub(crate) mod access;
    pub(crate) mod bounds;
    pub(crate) mod fairness;
    pub(crate) mod fingerprints;
    pub(crate) mod formats;
    pub(crate) mod hostile;
    pub(crate) mod hostile_layers;
    pub(crate) mod images;
    pub(crate) mod knowledge;
    pub(crate) mod large;
    pub(crate) mod manifests;
    pub(crate) mod sources;
}

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use common::harness::{self, Suite};
use common::image;
use common::registry::Registry;
use libtest_mimic::Arguments;
use muslin::image::Reference;
use muslin::registry::{
    Client, ClientSettings, Depth, Error, ImageSource, Inspection, Inspector, Limits, Platform, Remote,
};
use registry::{
    access, bounds, fairness, fingerprints, formats, hostile, hostile_layers, images, knowledge, large, manifests,
    sources,
};

/// The things that all tests share.
struct World {
    registry: Registry,
    /// The folder of the programs for images.
    parts: PathBuf,
    runtime: tokio::runtime::Runtime,
}

type Test = fn(&World) -> Result<()>;
type Topic = harness::Topic<Test>;

const SUITE: Suite<Test> = Suite {
    topics: &[
        fingerprints::TESTS,
        formats::TESTS,
        sources::TESTS,
        access::TESTS,
        hostile::TESTS,
        hostile_layers::TESTS,
        bounds::TESTS,
        images::TESTS,
        fairness::TESTS,
        knowledge::TESTS,
        manifests::TESTS,
    ],
    on_request: &[large::ON_REQUEST],
};

fn main() -> ExitCode {
    SUITE.run(&Arguments::from_args(), World::start, |world, test| test(world))
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

    /// Settings that allow the registry.
    fn settings(&self) -> ClientSettings {
        ClientSettings {
            plain_http: vec![self.registry.address.to_string()],
            allowed: "127.0.0.1".parse().into_iter().collect(),
            ..ClientSettings::default()
        }
    }

    /// Inspects an image of the registry with empty caches.
    fn inspect(&self, name: &str, platform: &str, depth: Depth) -> Result<Inspection> {
        let client = Client::new(self.settings(), Limits::default())?;
        let reference = format!("{}/{name}", self.registry.address);
        Ok(self.inspect_with(client, &reference, platform, depth)?)
    }

    fn inspect_with(&self, client: Client, reference: &str, platform: &str, depth: Depth) -> Result<Inspection, Error> {
        let reference = Reference::parse(reference)?;
        let remote = Remote::new(Arc::new(client), &reference)?;
        let platform: Platform = platform.parse().map_err(|_| Error::Cancelled)?;
        let inspector = Inspector::new(Limits::default(), 8 << 20);
        self.runtime.block_on(inspector.inspect(&ImageSource::Remote(Arc::new(remote)), &platform, depth))
    }

    fn layer(&self, entries: &[image::Entry<'_>]) -> Result<Vec<u8>> {
        image::layer(&self.parts, entries).context("cannot make a layer")
    }
}
