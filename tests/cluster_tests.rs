//! muslin against a real API server: the webhook's own configuration from `manifests/`, real objects created through it and
//! read back. One control plane serves all tests; each has namespaces of its own.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod authority;
    pub(crate) mod browser;
    pub(crate) mod component;
    pub(crate) mod control_plane;
    pub(crate) mod diagnosis;
    pub(crate) mod dns_server;
    pub(crate) mod harness;
    pub(crate) mod image;
    pub(crate) mod pods;
    pub(crate) mod process;
    pub(crate) mod registration;
    pub(crate) mod registry;
    pub(crate) mod schemas;
    pub(crate) mod webhook;
}

mod cluster {
    pub(crate) mod alerts;
    pub(crate) mod broken_certificates;
    pub(crate) mod certificates;
    pub(crate) mod chart;
    pub(crate) mod conformance;
    pub(crate) mod doctor;
    pub(crate) mod endurance;
    pub(crate) mod enforcement;
    pub(crate) mod events;
    pub(crate) mod examples;
    pub(crate) mod host_network;
    pub(crate) mod impostor;
    pub(crate) mod inspection;
    pub(crate) mod install;
    pub(crate) mod installation;
    pub(crate) mod knowledge;
    pub(crate) mod load;
    pub(crate) mod measuring;
    pub(crate) mod monitoring;
    pub(crate) mod mutation;
    pub(crate) mod node_cache;
    pub(crate) mod outages;
    pub(crate) mod pod_probe;
    pub(crate) mod policies;
    pub(crate) mod policies_beside_webhook;
    pub(crate) mod policies_endurance;
    pub(crate) mod policies_measuring;
    pub(crate) mod policies_rows;
    pub(crate) mod policies_unserved;
    pub(crate) mod policies_way_back;
    pub(crate) mod policy;
    pub(crate) mod profiles;
    pub(crate) mod prometheus;
    pub(crate) mod queries;
    pub(crate) mod replicas;
    pub(crate) mod rights;
    pub(crate) mod rollout_lookups;
    pub(crate) mod rollouts;
    pub(crate) mod scale;
    pub(crate) mod scan;
    pub(crate) mod scan_page;
    pub(crate) mod search_domains;
    pub(crate) mod status;
    pub(crate) mod written_pods;
}

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use cluster::impostor::{Answer, Impostor};
use cluster::{
    alerts, broken_certificates, certificates, chart, conformance, doctor, endurance, enforcement, events, examples,
    host_network, inspection, install, installation, knowledge, measuring, monitoring, mutation, node_cache, outages,
    pod_probe, policies, policies_beside_webhook, policies_endurance, policies_measuring, policies_rows,
    policies_unserved, policies_way_back, policy, profiles, queries, rights, rollout_lookups, rollouts, scale, scan,
    scan_page, search_domains, status,
};
use common::control_plane::ControlPlane;
use common::harness::{self, Suite};
use common::registration::{self, Registration};
use common::webhook::Muslin;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use libtest_mimic::Arguments;
use serde_json::Value;

/// The fixture of every test: an API server with `manifests/` applied and no registered webhook.
struct Cluster {
    control_plane: ControlPlane,
    /// The kubeconfig of muslin, with the service account of its Deployment.
    account: PathBuf,
    runtime: tokio::runtime::Runtime,
}

type Test = fn(&Cluster) -> Result<()>;
type Topic = harness::Topic<Test>;

const SUITE: Suite<Test> = Suite {
    topics: &[
        mutation::TESTS,
        policy::TESTS,
        policies::TESTS,
        policies_beside_webhook::TESTS,
        policies_rows::TESTS,
        policies_unserved::TESTS,
        enforcement::TESTS,
        profiles::TESTS,
        rollout_lookups::TESTS,
        rollouts::TESTS,
        queries::TESTS,
        node_cache::TESTS,
        events::TESTS,
        scan::TESTS,
        scan_page::TESTS,
        status::TESTS,
        search_domains::TESTS,
        monitoring::TESTS,
        alerts::TESTS,
        rights::TESTS,
        examples::TESTS,
        host_network::TESTS,
        inspection::TESTS,
        knowledge::TESTS,
        outages::TESTS,
        installation::TESTS,
        install::TESTS,
        chart::TESTS,
        conformance::TESTS,
        doctor::TESTS,
        pod_probe::TESTS,
        certificates::TESTS,
        broken_certificates::TESTS,
        endurance::TESTS,
        installation::LAST,
        chart::LAST,
    ],
    on_request: &[
        measuring::TESTS,
        doctor::ON_REQUEST,
        endurance::ON_REQUEST,
        conformance::ON_REQUEST,
        policies::ON_REQUEST,
        policies_endurance::ON_REQUEST,
        policies_measuring::ON_REQUEST,
        policies_rows::ON_REQUEST,
        policies_way_back::ON_REQUEST,
        rollout_lookups::ON_REQUEST,
        scale::ON_REQUEST,
    ],
};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some tests stop the webhook that others need.
    arguments.test_threads = Some(1);
    SUITE.run(&arguments, Cluster::start, |cluster, test| {
        test(cluster).with_context(|| cluster.control_plane.api_server_log())
    })
}

// === impl Cluster ===

impl Cluster {
    fn start() -> Result<Self> {
        Self::start_with(policies::api_server_flags())
    }

    /// Starts an API server with these flags.
    fn start_with(flags: &[&str]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let control_plane = ControlPlane::start_with(flags)?;
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

    /// Starts the server with these arguments besides the ones that it needs here.
    fn muslin_with(&self, arguments: &[String]) -> Result<Muslin<'_>> {
        Muslin::start(&self.control_plane, &self.account, arguments)
    }

    /// Starts another webhook, registered as if it were muslin.
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
        // The API server judges unknown fields, not kubectl.
        let arguments = ["create", "--validate=ignore", "-f", "-"];
        let output = self.control_plane.kubectl(&arguments, Some(&object.to_string()))?;
        ensure!(output.status.success(), "{}\n{object}", output.stderr);
        Ok(output.stderr)
    }

    /// Deletes the pods of a namespace at once, as there is no kubelet.
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
