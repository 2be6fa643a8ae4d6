//! `muslin serve`: the webhook, in a cluster or standing alone.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admission::{KeyFiles, Keys, Limits, Metrics, Server, Settings, Shutdown, Webhook, server_config};
use crate::cluster::{
    self, CertificateSpec, Certificates, Events, Fingerprints, ImageInspection, Issued, Lease, Namespaces, Profiles,
    PullSecrets,
};
use crate::policy::{Mode, NamespacePolicy, Profile};
use crate::registry::{self, Client, Images, InspectionLimits, Platform};

use super::log::{self, LogFormat};
use super::outcome::{Failure, Outcome};
use super::registry_args::{RegistryArgs, own_platform};

/// Serve the admission webhook.
///
/// In a cluster, or with a kubeconfig, the mode of a pod's namespace comes from its label muslin.dev/mode, and the serving certificate
/// is muslin's own affair unless one is given. With --standalone no cluster is needed: muslin makes a certificate of its own, listens
/// on loopback, and prints its address and its CA.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The address to serve the webhook at, by HTTPS [default: 0.0.0.0:8443, standalone 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS", env = "MUSLIN_BIND")]
    bind: Option<SocketAddr>,

    /// The address to serve /metrics, /healthz and /readyz at, by HTTP [default: 0.0.0.0:8080, standalone 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "MUSLIN_METRICS_BIND")]
    metrics_bind: Option<SocketAddr>,

    /// A serving certificate of your own, a PEM file with its chain; read again when its content changes [default: muslin makes,
    /// renews and publishes one by itself]
    #[arg(long, value_name = "FILE", env = "MUSLIN_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The serving certificate's private key, a PEM file
    #[arg(long, value_name = "FILE", env = "MUSLIN_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The Service by which API servers reach muslin, for the certificate that it makes
    #[arg(long, value_name = "NAME", default_value = "muslin", env = "MUSLIN_SERVICE")]
    service: String,

    /// Further names or addresses for that certificate, where a webhook configuration has a URL instead of the Service
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "MUSLIN_CERTIFICATE_NAMES")]
    certificate_names: Vec<String>,

    /// How long a change of the CA waits until every API server and every replica has heard of it
    #[arg(long, value_name = "SECONDS", default_value_t = 300, env = "MUSLIN_CERTIFICATE_OVERLAP")]
    certificate_overlap: u32,

    /// Serve without a cluster
    #[arg(long, conflicts_with_all = ["kubeconfig", "tls_cert", "tls_key"])]
    standalone: bool,

    /// The kubeconfig to reach the cluster by [default: the pod's service account, $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The mode of namespaces that say none
    #[arg(long, visible_alias = "mode", value_name = "MODE", default_value = "inject", env = "MUSLIN_DEFAULT_MODE",
          value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|text| text.parse::<Mode>()))]
    default_mode: Mode,

    /// The profile of namespaces that name none: a ResolverProfile of the cluster, or one that is built in [default: default, or
    /// ipv6 where muslin's own pod has an IPv6 address]
    #[arg(long, value_name = "NAME", env = "MUSLIN_PROFILE")]
    profile: Option<String>,

    /// The addresses of muslin's own pod, which tell whether pods here have IPv6 addresses
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', env = "POD_IPS")]
    pod_ips: Vec<String>,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local", env = "MUSLIN_CLUSTER_DOMAIN")]
    cluster_domain: String,

    /// muslin's own namespace, whose pods are left alone
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    own_namespace: Option<String>,

    /// Read images in their registries, and do not go by their references alone
    #[arg(long, env = "MUSLIN_INSPECT_IMAGES")]
    inspect_images: bool,

    /// The architectures of the cluster's nodes, for pods that do not say on which they run [default: muslin's own]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', env = "MUSLIN_ARCHITECTURES")]
    architectures: Vec<String>,

    /// How long a review waits for an image that is not known yet; its inspection goes on
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 300, env = "MUSLIN_INSPECTION_BUDGET")]
    inspection_budget: u64,

    /// How long a tag is believed to mean the same image
    #[arg(long, value_name = "SECONDS", default_value_t = 600, env = "MUSLIN_TAG_TTL")]
    tag_ttl: u64,

    /// After the start, inspect the images of running pods, one a second
    #[arg(long, env = "MUSLIN_WARM_UP", conflicts_with = "standalone")]
    warm_up: bool,

    /// Read the Secrets that pods name as imagePullSecrets, to read their images with; needs the right to get secrets
    #[arg(long, env = "MUSLIN_PULL_SECRETS", conflicts_with = "standalone")]
    pull_secrets: bool,

    /// How many images to keep in the cluster as ImageFingerprints, so that a restart forgets nothing; 0 keeps none
    #[arg(long, value_name = "NUMBER", default_value_t = 5000, env = "MUSLIN_KEEP_FINGERPRINTS")]
    keep_fingerprints: usize,

    /// What this replica calls itself in the lease [default: the host's name and the process id]
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    identity: Option<String>,

    #[command(flatten)]
    registry: RegistryArgs,

    /// How many connections are served at once
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().connections, env = "MUSLIN_MAX_CONNECTIONS")]
    max_connections: usize,

    /// How long, after a signal to stop, connections are still accepted [default: 12, standalone 0]
    #[arg(long, value_name = "SECONDS", env = "MUSLIN_SHUTDOWN_DELAY")]
    shutdown_delay: Option<u64>,

    /// How to write logs: auto is human on a terminal, json elsewhere
    #[arg(long, value_name = "FORMAT", default_value = "auto", env = "MUSLIN_LOG_FORMAT")]
    log_format: LogFormat,

    /// What to log, such as info or muslin=debug,kube=warn
    #[arg(long, value_name = "FILTER", default_value = "info", env = "MUSLIN_LOG")]
    log: String,
}

/// What asks the process to stop: the kubelet's SIGTERM, a person's Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// What comes from the cluster, and goes there.
struct OfCluster {
    namespaces: Namespaces,
    profiles: Profiles,
    fingerprints: Option<Fingerprints>,
    lease: Option<Lease>,
    certificates: Option<Certificates>,
    client: Option<kube::Client>,
}

/// How long the API server's connections take to notice that the pod is leaving
/// (endpoints propagate in seconds; kubernetes#127335 says why they linger).
const SHUTDOWN_DELAY: Duration = Duration::from_secs(12);

/// The lease of whichever replica does what one is enough for.
const LEASE: &str = "muslin";

/// How long the start waits for what the cluster keeps of images.
const READ_BACK_MAX: Duration = Duration::from_secs(5);

// === impl Serve ===

impl Serve {
    pub(super) fn run(self) -> Outcome {
        // Dropped, it writes what is still waiting.
        let _log = log::start(&self.log, self.log_format).map_err(Failure::Input)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")
            .map_err(Failure::Outside)?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Outcome {
        if self.standalone {
            Profile::builtin(self.profile()).map_err(|error| Failure::Input(error.into()))?;
        }
        // From here on a signal ends the process in good order.
        let signals = Signals::new().context("cannot listen for signals").map_err(Failure::Outside)?;
        // What the user gave is checked before a port is bound.
        let mut inspection = self.inspection()?;
        let given = self.given_keys().await.map_err(Failure::Input)?;
        let webhooks = self.listen(self.bind, 8443).await.map_err(Failure::Outside)?;
        let metrics_listener = self.listen(self.metrics_bind, 8080).await.map_err(Failure::Outside)?;
        let cluster = self.cluster(inspection.as_mut(), given.is_none()).await?;
        let OfCluster { namespaces, profiles, fingerprints, lease, certificates, client } = cluster;
        let own = || certificates.as_ref().map(|certificates| (Keys::follow(certificates.key()), None));
        let (keys, authority) = given.or_else(own).unwrap_or_default();
        let tls = server_config(Arc::clone(&keys)).context("cannot set up TLS").map_err(Failure::Input)?;
        if let Some(mut fingerprints) = fingerprints {
            // What is known already is not asked again.
            let _ = tokio::time::timeout(READ_BACK_MAX, fingerprints.read_back()).await;
        }

        let shutdown = Shutdown::default();
        let mut metrics = Metrics::default();
        if let Some(ImageInspection { images, .. }) = &inspection {
            metrics.count_inspections(images);
        }
        metrics.tell_expiry(keys);
        let events = Events::default();
        if let Some(watch) = namespaces.health() {
            let certificates = certificates.iter().flat_map(Certificates::health);
            metrics.tell_lag([watch, profiles.health(), events.health()].into_iter().chain(certificates).collect());
            metrics.count_events(&events);
        }
        let metrics = Arc::new(metrics);
        let settings = Settings {
            default_mode: self.default_mode,
            profile: self.profile().to_owned(),
            profiles,
            cluster_domain: self.cluster_domain.clone(),
            own_namespace: self.own_namespace.clone(),
            inspection,
            certificates,
        };
        let webhook = Webhook::new(settings, namespaces, Arc::clone(&metrics), shutdown.clone());
        if let (Some(client), Some(lease)) = (client, &lease) {
            events.write(client, lease.clone(), &self.identity(), Arc::new(webhook.clone()));
        }
        let limits = Limits { connections: self.max_connections, ..Limits::default() };
        self.announce(&webhooks, &metrics_listener, authority.as_deref()).map_err(Failure::Outside)?;
        let server = Server::new(webhooks, Some(tls), limits, Arc::clone(&metrics));
        let metrics_server = Server::new(metrics_listener, None, limits, metrics);
        tokio::join!(
            server.run(webhook.router(), shutdown.clone()),
            metrics_server.run(webhook.metrics_router(), shutdown.clone()),
            self.stop_on_signal(signals, shutdown),
        );
        if let Some(lease) = lease {
            lease.retire().await;
        }
        tracing::info!("stopped");
        Ok(())
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

    /// The serving key, unless it is kept in the cluster; with it, for a standalone server, the CA to trust.
    async fn given_keys(&self) -> anyhow::Result<Option<(Arc<Keys>, Option<String>)>> {
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let files = KeyFiles { certificate: certificate.clone(), key: key.clone() };
            return Ok(Some((files.watch().await.context("cannot use the serving certificate")?, None)));
        }
        if !self.standalone {
            return Ok(None);
        }
        let (keys, authority) = standalone_certificate().context("cannot make a certificate")?;
        Ok(Some((Arc::new(keys), Some(authority))))
    }

    /// For whom the certificates are that muslin makes in a cluster.
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

    /// What the cluster says of namespaces, and where it keeps what is known of images, and the certificates.
    async fn cluster(
        &self,
        inspection: Option<&mut ImageInspection>,
        keeps_certificates: bool,
    ) -> Result<OfCluster, Failure> {
        if self.standalone {
            let namespaces = Namespaces::fixed(NamespacePolicy::default());
            let profiles = Profiles::built_in();
            let (fingerprints, lease, certificates, client) = (None, None, None, None);
            return Ok(OfCluster { namespaces, profiles, fingerprints, lease, certificates, client });
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
        let profiles = Profiles::watch(client.clone(), namespaces.clone(), lease.clone(), self.profile().to_owned());
        let (lease, client) = (Some(lease), Some(client));
        Ok(OfCluster { namespaces, profiles, fingerprints, lease, certificates, client })
    }

    /// The profile of namespaces that name none.
    fn profile(&self) -> &str {
        let has_ipv6 = self.pod_ips.iter().any(|address| address.contains(':'));
        self.profile.as_deref().unwrap_or(if has_ipv6 { "ipv6" } else { "default" })
    }

    fn identity(&self) -> String {
        self.identity.clone().unwrap_or_else(own_identity)
    }

    async fn listen(&self, address: Option<SocketAddr>, port: u16) -> anyhow::Result<TcpListener> {
        let host = if self.standalone { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let address = address.unwrap_or(SocketAddr::new(IpAddr::V4(host), port));
        TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"))
    }

    /// Logs where the server listens; a standalone one also prints what a client needs.
    fn announce(&self, webhooks: &TcpListener, metrics: &TcpListener, authority: Option<&str>) -> anyhow::Result<()> {
        let (address, metrics) = (webhooks.local_addr()?, metrics.local_addr()?);
        tracing::info!(%address, %metrics, version = super::version::version(), "serving");
        if let Some(authority) = authority {
            let mut stdout = io::stdout().lock();
            write!(stdout, "https://{address}/mutate\n{authority}").context("cannot print the address")?;
            stdout.flush()?;
        }
        Ok(())
    }

    /// Leaves at the first signal, and drains when the others have had the time to notice, or at the second.
    async fn stop_on_signal(&self, mut signals: Signals, shutdown: Shutdown) {
        signals.next().await;
        shutdown.leave();
        let unsaid = if self.standalone { Duration::ZERO } else { SHUTDOWN_DELAY };
        let delay = self.shutdown_delay.map_or(unsaid, Duration::from_secs);
        tracing::info!(delay = ?delay, "stopping");
        let _ = tokio::time::timeout(delay, signals.next()).await;
        shutdown.drain();
    }
}

// === impl Signals ===

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        let Self { terminate, interrupt } = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Unlike that of any other replica.
fn own_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

/// A certificate for loopback and the CA that made it, both forgotten when the process ends; the CA as PEM.
fn standalone_certificate() -> anyhow::Result<(Keys, String)> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let Issued { authority, certificate, key } = CertificateSpec::new(names).issue()?;
    Ok((Keys::from_pem(certificate.as_bytes(), key.as_bytes())?, authority))
}
