//! muslin against a real API server: the webhook's own configuration from `manifests/`, real objects created through it and
//! read back. One control plane serves all tests; each has namespaces of its own.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod certificates;
mod control_plane;
mod endurance;
mod events;
mod examples;
#[path = "../registry/image.rs"]
#[allow(dead_code, reason = "the tests of the registry use all of it")]
mod image;
mod impostor;
mod inspection;
mod installation;
mod load;
mod measuring;
mod monitoring;
mod mutation;
mod outages;
mod pods;
mod policy;
mod profiles;
mod registration;
#[path = "../registry/registry.rs"]
mod registry;
mod replicas;
mod rights;
mod scan;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, ensure};
use control_plane::ControlPlane;
use impostor::{Answer, Impostor};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use libtest_mimic::{Arguments, Failed, Trial};
use registration::Registration;
use serde_json::Value;
use webhook::Muslin;

/// What every test uses: an API server to which `manifests/` were applied, and in which nothing is registered yet.
struct Cluster {
    control_plane: ControlPlane,
    /// How muslin itself reaches the API server: by the service account of its Deployment.
    account: PathBuf,
    runtime: tokio::runtime::Runtime,
}

type Test = fn(&Cluster) -> Result<()>;

/// The tests of one file, by name.
type Topic = &'static [(&'static str, Test)];

const TOPICS: [Topic; 14] = [
    mutation::TESTS,
    policy::TESTS,
    profiles::TESTS,
    events::TESTS,
    scan::TESTS,
    monitoring::TESTS,
    rights::TESTS,
    examples::TESTS,
    inspection::TESTS,
    outages::TESTS,
    installation::TESTS,
    certificates::TESTS,
    endurance::TESTS,
    installation::LAST,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some tests stop the webhook that others need.
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    match Cluster::start() {
        Ok(cluster) => libtest_mimic::run(&arguments, trials(Some(Arc::new(cluster)))).exit_code(),
        Err(error) => {
            eprintln!("cannot start the control plane: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn trials(cluster: Option<Arc<Cluster>>) -> Vec<Trial> {
    let trial = |(name, test): &(&'static str, Test)| {
        let (cluster, test) = (cluster.clone(), *test);
        Trial::test(*name, move || {
            let Some(cluster) = cluster else { return Ok(()) };
            test(&cluster)
                .map_err(|error| Failed::from(format!("{error:?}\n{}", cluster.control_plane.api_server_log())))
        })
    };
    let on_request =
        measuring::TESTS.iter().chain(endurance::ON_REQUEST).map(|test| trial(test).with_ignored_flag(true));
    TOPICS.into_iter().flatten().map(trial).chain(on_request).collect()
}

// === impl Cluster ===

impl Cluster {
    fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let control_plane = ControlPlane::start()?;
        installation::apply(&control_plane)?;
        installation::unregister(&control_plane)?;
        let account = control_plane.service_account_kubeconfig("muslin", "muslin")?;
        let cluster = Self { control_plane, account, runtime };
        cluster.namespace(registration::PROBE_NAMESPACE, &[])?;
        Ok(cluster)
    }

    fn muslin(&self) -> Result<Muslin<'_>> {
        self.muslin_with(&[])
    }

    /// The server with these arguments besides those that it needs here.
    fn muslin_with(&self, arguments: &[String]) -> Result<Muslin<'_>> {
        Muslin::start(&self.control_plane, &self.account, arguments)
    }

    /// Something else, registered as if it were muslin, and called.
    fn impostor(&self, answer: Answer) -> Result<(Impostor, Registration<'_>)> {
        let impostor = Impostor::start(&self.runtime, answer)?;
        let registration = Registration::of_muslin(&self.control_plane, &impostor.url, &impostor.ca)?;
        registration.wait_until(|_| !impostor.reviews().is_empty())?;
        Ok((impostor, registration))
    }

    fn namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        self.runtime.block_on(self.control_plane.prepare_namespace(name, labels))
    }

    fn create(&self, object: &Value) -> Result<String> {
        // Fields that this API server does not know are its own to judge, not kubectl's.
        let arguments = ["create", "--validate=ignore", "-f", "-"];
        let output = self.control_plane.kubectl(&arguments, Some(&object.to_string()))?;
        ensure!(output.status.success(), "{}\n{object}", output.stderr);
        Ok(output.stderr)
    }

    /// Deletes the pods of a namespace, which no kubelet does here.
    fn delete_pods(&self, namespace: &str) -> Result<()> {
        let path = format!("/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0");
        let output = self.control_plane.kubectl(&["delete", "--raw", &path], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(())
    }

    /// Deletes the pods of all namespaces.
    fn delete_all_pods(&self) -> Result<()> {
        let names = self.control_plane.kubectl(&["get", "namespaces", "-o", "name"], None)?;
        ensure!(names.status.success(), "{}", names.stderr);
        let names = names.stdout.lines().filter_map(|line| line.strip_prefix("namespace/")).map(str::to_owned);
        self.runtime.block_on(async {
            let client = self.control_plane.client().await?;
            for name in names.collect::<Vec<_>>() {
                let pods: Api<Pod> = Api::namespaced(client.clone(), &name);
                let at_once = DeleteParams::default().grace_period(0);
                pods.delete_collection(&at_once, &ListParams::default()).await?;
            }
            Ok(())
        })
    }

    fn pod(&self, namespace: &str, name: &str) -> Result<Value> {
        let output = self.control_plane.kubectl(&["get", "pod", name, "-n", namespace, "-o", "json"], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(serde_json::from_str(&output.stdout)?)
    }

    /// Creates a pod and reads it back, with the warnings that its author saw.
    fn created(&self, pod: &Value) -> Result<(Value, String)> {
        let warnings = self.create(pod)?;
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        Ok((self.pod(&text("namespace"), &text("name"))?, warnings))
    }
}
