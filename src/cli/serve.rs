//! `muslin serve`: the webhook, in a cluster or standalone.

mod args;
mod metrics;

use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jiff::SignedDuration;
use tokio::sync::watch;

use crate::admission::{KeyFiles, Keys, Limits, Metrics, Server, Settings, Shutdown, Webhook, memory, server_config};
use crate::cluster::{
    self, CertificateSpec, Certificates, Events, Fingerprints, ImageInspection, Issued, KeyHealth, Lease, MissedPods,
    Namespaces, OwnPod, Policies, PolicySettings, ProblemEvents, ProfileSettings, Profiles, PullSecrets, SearchDomains,
};
use crate::os::{self, Signals};
use crate::policy::{NamespacePolicy, Profile};
use crate::registry::{self, Client, Images, InspectionLimits, Platform};

pub(super) use args::Serve;
use metrics::{register_cluster, serve_probes};

use super::bind::Bind;
use super::log::{self, Log};
use super::outcome::{Failure, Outcome};
use super::registry_args::own_platform;
use super::{terminal, version};

/// The serving key that muslin does not keep in the cluster.
struct GivenKeys {
    keys: Arc<Keys>,
    /// The CA of a standalone server.
    authority: Option<String>,
    /// The health of a key from files.
    health: Option<watch::Receiver<KeyHealth>>,
}

/// The watches of the cluster, and what muslin stores in it.
struct ClusterState {
    namespaces: Namespaces,
    profiles: Profiles,
    fingerprints: Option<Fingerprints>,
    lease: Option<Lease>,
    certificates: Option<Certificates>,
    client: Option<kube::Client>,
}

/// The time in which the API server's connections notice that the pod is leaving
/// (endpoints propagate in seconds; kubernetes#127335 explains why connections linger).
const SHUTDOWN_DELAY: Duration = Duration::from_secs(12);

/// The name of the leader's lease.
const LEASE: &str = "muslin";

/// The longest wait at the start for the ImageFingerprints of the cluster.
const READ_BACK_MAX: Duration = Duration::from_secs(5);

/// Returns the number of threads for reviews: one for each processor, up to what the memory limit allows for.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).clamp(2, memory::THREADS)
}

// === impl Serve ===

impl Serve {
    pub(super) fn run(self) -> Outcome {
        if !os::IS_LINUX {
            return Err(Failure::Input(anyhow!("run muslin's image in a cluster instead: `muslin serve` needs Linux")));
        }
        // Dropped last, so that the last lines are written.
        let log = log::start(&self.log, self.log_format).map_err(Failure::Input)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(available_threads())
            .enable_all()
            .build()
            .context("cannot start the async runtime")
            .map_err(Failure::Outside)?;
        let outcome = runtime.block_on(self.serve(&log));
        // Blocking work, such as the inspection of an image, must not delay the exit.
        runtime.shutdown_background();
        outcome
    }

    async fn serve(self, log: &Log) -> Outcome {
        if self.standalone {
            Profile::builtin(&self.profile).map_err(|error| Failure::Input(error.into()))?;
        }
        // From here on a signal drains the server.
        let signals = Signals::new().context("cannot listen for signals").map_err(Failure::Outside)?;
        // The user's input is checked before a port is bound.
        let mut inspection = self.inspection()?;
        let given = self.given_keys().await.map_err(Failure::Input)?;
        let webhooks = self.bind.unwrap_or(self.port(8443)).listen().map_err(Failure::Outside)?;
        let probes = self.metrics_bind.unwrap_or(self.port(8080)).listen().map_err(Failure::Outside)?;
        let cluster = self.cluster(inspection.as_mut(), given.is_none()).await?;
        let ClusterState { namespaces, profiles, fingerprints, lease, certificates, client } = cluster;
        let own = || certificates.as_ref().and_then(Certificates::key).map(Keys::follow).unwrap_or_default();
        let GivenKeys { keys, authority, health } =
            given.unwrap_or_else(|| GivenKeys { keys: own(), authority: None, health: None });
        let own_pod = client.clone().map(|client| self.own_pod(client));
        let given = || health.map(|health| Certificates::given(health, own_pod.clone().map(ProblemEvents)));
        let certificates = certificates.or_else(given);
        let tls = server_config(Arc::clone(&keys)).context("cannot set up TLS").map_err(Failure::Input)?;
        if let Some(mut fingerprints) = fingerprints {
            // Images with a fingerprint need no inspection.
            let _ = tokio::time::timeout(READ_BACK_MAX, fingerprints.read_back()).await;
        }

        let shutdown = Shutdown::default();
        let (events, missed) = (Events::default(), MissedPods::default());
        let mut metrics = Metrics::default();
        metrics.register_build(version::RELEASE, version::COMMIT);
        metrics.register_dropped_log_lines(log.dropped_lines());
        metrics.register_certificate(keys);
        if let Some(ImageInspection { images, .. }) = &inspection {
            metrics.register_images(images);
        }
        register_cluster(&mut metrics, &namespaces, &profiles, certificates.as_ref(), &events, &missed);
        let search_domains = self.search.check(client.as_ref(), &profiles, &self.cluster_domain, self.identity());
        metrics.register_search_domains(&search_domains);
        let policies = self.policies.then(Policies::default);
        if let (Some(client), Some(lease)) = (&client, &lease) {
            let sources = (namespaces.clone(), profiles.clone(), search_domains.clone(), inspection.clone());
            self.keep_policies(policies.as_ref(), client, lease, sources);
        }
        policies.iter().for_each(|policies| metrics.register_policies(policies));
        let reports = self.reports.then(|| metrics.register_reports());
        let metrics = Arc::new(metrics);
        let (judged, judged_namespaces) = (profiles.clone(), namespaces.clone());
        let mut settings = self.settings(profiles, inspection, certificates, search_domains);
        settings.image_names = policies.as_ref().map(|policies| policies.names().clone());
        let webhook = Webhook::new(settings, namespaces, Arc::clone(&metrics), shutdown.clone());
        if let (Some(own_pod), Some(lease)) = (own_pod, &lease) {
            let client = own_pod.client.clone();
            cluster::delete_old_observations(client.clone(), lease.clone());
            if let Some(state) = reports {
                cluster::write_reports(client.clone(), lease.clone(), Arc::new(webhook.clone()), state);
            }
            let policies = policies.as_ref().map(|policies| Arc::clone(policies.state()));
            events.write(client.clone(), lease.clone(), &self.identity(), Arc::new(webhook.clone()), policies);
            let (names, default) = (judged_namespaces, self.profile.clone());
            judged.judge_rollouts(client.clone(), names, lease.clone(), default, Arc::new(webhook.clone()));
            missed.watch(client, lease.clone(), Arc::new(webhook.clone()), own_pod);
        }
        self.log_addresses(&webhooks, &probes, authority.as_deref()).map_err(Failure::Outside)?;
        let probes =
            serve_probes(probes, &webhook, Arc::clone(&metrics), shutdown.clone()).map_err(Failure::Outside)?;
        let webhooks = tokio::net::TcpListener::from_std(webhooks);
        let webhooks = webhooks.context("cannot serve the webhook's socket").map_err(Failure::Outside)?;
        let server = Server::new(webhooks, Some(tls), Limits::new(self.max_connections), metrics);
        let (_, (), ()) = tokio::join!(
            probes,
            server.run(webhook.router(), shutdown.clone()),
            self.stop_on_signal(signals, shutdown),
        );
        if let Some(lease) = lease {
            lease.retire().await;
        }
        tracing::info!("stopped");
        Ok(())
    }

    fn settings(
        &self,
        profiles: Profiles,
        inspection: Option<ImageInspection>,
        certificates: Option<Certificates>,
        search_domains: SearchDomains,
    ) -> Settings {
        let cluster_addresses = self.search.cluster_dns(&self.cluster_domain);
        Settings {
            default_mode: self.default_mode,
            profile: self.profile.clone(),
            profiles,
            cluster_domain: self.cluster_domain.clone(),
            cluster_nameservers: self.known_nameservers(),
            cluster_addresses,
            search_domains,
            own_namespace: self.own_namespace.clone(),
            inspection,
            image_names: None,
            docs_url: self.docs.docs_url.clone(),
            certificates,
        }
    }

    /// Keeps the admission policies, or removes the condition that an earlier muslin has set for them.
    fn keep_policies(
        &self,
        policies: Option<&Policies>,
        client: &kube::Client,
        lease: &Lease,
        sources: (Namespaces, Profiles, SearchDomains, Option<ImageInspection>),
    ) {
        let Some(policies) = policies else {
            return cluster::withdraw_policies(client.clone(), lease.clone());
        };
        let (namespaces, profiles, search_domains, inspection) = sources;
        let settings = PolicySettings {
            default_mode: self.default_mode,
            default_profile: self.profile.clone(),
            cluster_domain: self.cluster_domain.clone(),
            cluster_nameservers: self.known_nameservers(),
        };
        policies.keep(client.clone(), lease.clone(), namespaces, profiles, search_domains, inspection, settings);
    }

    /// Returns the number of nameservers of pods that use the cluster's DNS.
    fn known_nameservers(&self) -> usize {
        let known = Some(self.search.cluster_dns(&self.cluster_domain).len()).filter(|known| *known > 0);
        self.cluster_nameservers.or(known).unwrap_or(1)
    }

    fn inspection(&self) -> Result<Option<ImageInspection>, Failure> {
        if !self.inspect_images {
            return Ok(None);
        }
        let limits = registry::Limits::default();
        let client = Client::new(self.registry.settings()?, limits).map_err(|error| Failure::Input(error.into()))?;
        let inspections =
            InspectionLimits { tag_ttl: Duration::from_secs(self.tag_ttl), ..InspectionLimits::default() };
        let images = Images::new(client, limits, inspections);
        let mut architectures = self.architectures.clone();
        if architectures.is_empty() {
            architectures.push(own_platform().arch);
        }
        let budget = Duration::from_millis(self.inspection_budget);
        Ok(Some(ImageInspection { images, pull_secrets: None, architectures, budget }))
    }

    /// Returns the serving key, unless muslin keeps it in the cluster, and for a standalone server its CA.
    async fn given_keys(&self) -> anyhow::Result<Option<GivenKeys>> {
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let files = KeyFiles { certificate: certificate.clone(), key: key.clone() };
            let (keys, health) = files.watch().await.context("cannot use the serving certificate")?;
            return Ok(Some(GivenKeys { keys, authority: None, health: Some(health) }));
        }
        if !self.standalone {
            return Ok(None);
        }
        let (keys, authority) = standalone_certificate().context("cannot make a certificate")?;
        Ok(Some(GivenKeys { keys: Arc::new(keys), authority: Some(authority), health: None }))
    }

    fn own_pod(&self, client: kube::Client) -> OwnPod {
        let namespace = self.own_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        OwnPod { client, namespace, pod: self.identity() }
    }

    /// Returns the names and lifetimes of the self-managed certificates.
    fn terms(&self, namespace: &str) -> CertificateSpec {
        let mut terms = CertificateSpec::for_service(&self.service, namespace, &self.cluster_domain);
        for name in &self.certificate_names {
            if !terms.names.contains(name) {
                terms.names.push(name.clone());
            }
        }
        terms.overlap = SignedDuration::from_secs(self.certificate_overlap.into());
        terms
    }

    /// Starts to watch the cluster; standalone, returns fixed policies and profiles.
    async fn cluster(
        &self,
        inspection: Option<&mut ImageInspection>,
        keeps_certificates: bool,
    ) -> Result<ClusterState, Failure> {
        if self.standalone {
            let namespaces = Namespaces::fixed(NamespacePolicy::default());
            let profiles = Profiles::built_in();
            let (fingerprints, lease, certificates, client) = (None, None, None, None);
            return Ok(ClusterState { namespaces, profiles, fingerprints, lease, certificates, client });
        }
        let client = cluster::connect(self.kubeconfig.as_deref()).await;
        let client = client.context("cannot connect to the cluster").map_err(match self.kubeconfig {
            Some(_) => Failure::Input,
            None => Failure::Outside,
        })?;
        let namespace = self.own_namespace.as_deref().unwrap_or(client.default_namespace());
        let lease = Lease::take_part(client.clone(), namespace, LEASE, &self.identity());
        let certificates = keeps_certificates
            .then(|| Certificates::keep(client.clone(), namespace, self.terms(namespace), lease.clone()));
        let mut fingerprints = None;
        if let Some(ImageInspection { images, pull_secrets, architectures, budget: _ }) = inspection {
            *pull_secrets = self.pull_secrets.then(|| PullSecrets::new(client.clone()));
            if self.keep_fingerprints > 0 {
                let (client, images, lease) = (client.clone(), images.clone(), lease.clone());
                fingerprints = Some(Fingerprints::keep(client, images, lease, self.keep_fingerprints));
            }
            if self.warm_up {
                let platforms = architectures.iter().map(|arch| Platform::linux(arch)).collect();
                let secrets = pull_secrets.clone();
                cluster::warm_up(client.clone(), images.clone(), platforms, secrets, lease.clone());
            }
        }
        let namespaces = Namespaces::watch(client.clone());
        let (default, cluster_domain, instance) = (self.profile.clone(), self.cluster_domain.clone(), self.identity());
        let knows_cluster_dns = !self.search.cluster_dns(&self.cluster_domain).is_empty();
        let settings = ProfileSettings { default, cluster_domain, knows_cluster_dns, instance };
        let profiles = Profiles::watch(client.clone(), namespaces.clone(), lease.clone(), settings);
        let (lease, client) = (Some(lease), Some(client));
        Ok(ClusterState { namespaces, profiles, fingerprints, lease, certificates, client })
    }

    fn identity(&self) -> String {
        self.identity.clone().unwrap_or_else(own_identity)
    }

    /// Returns the default for a port.
    fn port(&self, port: u16) -> Bind {
        if self.standalone { Bind::At((Ipv4Addr::LOCALHOST, port).into()) } else { Bind::Everywhere(port) }
    }

    /// Logs the addresses; a standalone server also prints what a client needs.
    fn log_addresses(
        &self,
        webhooks: &TcpListener,
        metrics: &TcpListener,
        authority: Option<&str>,
    ) -> anyhow::Result<()> {
        let (address, metrics) = (webhooks.local_addr()?, metrics.local_addr()?);
        tracing::info!(%address, %metrics, version = version::version(), "serving");
        if let Some(authority) = authority {
            let text = format!("https://{address}/mutate\n{authority}");
            terminal::write_document(text.as_bytes()).context("cannot print the address")?;
        }
        Ok(())
    }

    /// Leaves at the first signal; drains after the delay, or at the second signal.
    async fn stop_on_signal(&self, mut signals: Signals, shutdown: Shutdown) {
        signals.next().await;
        shutdown.leave();
        let default = if self.standalone { Duration::ZERO } else { SHUTDOWN_DELAY };
        let delay = self.shutdown_delay.map_or(default, Duration::from_secs);
        tracing::info!(delay = ?delay, "stopping");
        let _ = tokio::time::timeout(delay, signals.next()).await;
        shutdown.drain();
    }
}

/// Returns a name for this replica that no other has.
fn own_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

/// Issues a certificate for loopback; returns its key and the CA as PEM. Both live as long as the process.
fn standalone_certificate() -> anyhow::Result<(Keys, String)> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let Issued { authority, certificate, key } = CertificateSpec::new(names).issue()?;
    Ok((Keys::from_pem(certificate.as_bytes(), key.as_bytes())?, authority))
}
