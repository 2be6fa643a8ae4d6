//! Attacks on muslin by a tenant and by the network: real objects through a real API server, raw connections to muslin's ports, and muslin
//! in a memory cgroup with exactly the limit of `manifests/`. Others create pods meanwhile, and the kubelet's probes go on.
//!
//! `cargo test --test attacks -- --ignored` repeats each attack for longer, and tries all of them.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod authority;
    pub(crate) mod component;
    pub(crate) mod control_plane;
    pub(crate) mod harness;
    pub(crate) mod image;
    pub(crate) mod memory_group;
    pub(crate) mod pods;
    pub(crate) mod process;
    pub(crate) mod registration;
    pub(crate) mod registry;
    pub(crate) mod registry_server;
    pub(crate) mod webhook;
}

mod attacks {
    pub(crate) mod bystanders;
    pub(crate) mod connections;
    pub(crate) mod large_objects;
    pub(crate) mod nesting;
    pub(crate) mod peers;
    pub(crate) mod registries;
    pub(crate) mod scripts;
    pub(crate) mod tenant;
    pub(crate) mod tenant_registry;
    pub(crate) mod unknown_namespaces;
    pub(crate) mod victim;
}

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use attacks::tenant::User;
use attacks::victim::Manifest;
use attacks::{bystanders, connections, large_objects, nesting, registries, scripts, unknown_namespaces};
use common::control_plane::ControlPlane;
use common::harness::{self, Suite};
use common::registration;
use libtest_mimic::Arguments;

/// The fixture of every test: an API server with `manifests/` applied, honest namespaces, and a tenant with rights in one namespace only.
struct World {
    control_plane: ControlPlane,
    /// The kubeconfig of muslin, with the service account of its Deployment.
    account: PathBuf,
    tenant: User,
    admin: User,
    runtime: tokio::runtime::Runtime,
    manifest: Manifest,
    /// The shortest time of one attack, in which it is repeated.
    attack_for: Duration,
    /// The most attacks of one test.
    attacks: usize,
}

type Test = fn(&World) -> Result<()>;
type Topic = harness::Topic<Test>;

/// The shortest time of one attack: long enough for some honest pods.
const SHORT: Duration = Duration::from_millis(300);
/// The same with `--ignored`.
const LONG: Duration = Duration::from_secs(5);

/// The most attacks of one test, unless it runs with `--ignored`: the one of the list, and relatives that differ most.
const SOME: usize = 4;

const TOPICS: &[Topic] = &[
    unknown_namespaces::TESTS,
    large_objects::TESTS,
    nesting::TESTS,
    connections::TESTS,
    scripts::TESTS,
    registries::TESTS,
];

/// The same tests twice: for a short time, and on request for a long one.
const SUITE: Suite<Test> = Suite { topics: TOPICS, on_request: TOPICS };

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each attack has the machine for itself.
    arguments.test_threads = Some(1);
    let (attack_for, attacks) = if arguments.ignored { (LONG, usize::MAX) } else { (SHORT, SOME) };
    SUITE.run(
        &arguments,
        || World::start(attack_for, attacks),
        |world, test| test(world).with_context(|| world.control_plane.api_server_log()),
    )
}

// === impl World ===

impl World {
    fn start(attack_for: Duration, attacks: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let control_plane = ControlPlane::start()?;
        registration::apply(&control_plane)?;
        registration::unregister(&control_plane)?;
        let account = control_plane.service_account_kubeconfig("muslin", "muslin")?;
        runtime.block_on(async {
            control_plane.prepare_namespace(registration::PROBE_NAMESPACE, &[]).await?;
            for (name, labels) in bystanders::NAMESPACES.into_iter().chain([bystanders::CONTROL]) {
                control_plane.prepare_namespace(name, labels).await?;
            }
            anyhow::Ok(())
        })?;
        let tenant = User::tenant(&control_plane, &runtime)?;
        let admin = User::admin(&control_plane, &runtime)?;
        Ok(Self { account, tenant, admin, manifest: Manifest::read()?, control_plane, runtime, attack_for, attacks })
    }
}
