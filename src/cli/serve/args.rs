//! The arguments of `muslin serve`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser as _};

use crate::admission::CONNECTIONS_MAX;
use crate::cli::bind::Bind;
use crate::cli::docs_args::DocsArgs;
use crate::cli::log::LogFormat;
use crate::cli::registry_args::RegistryArgs;
use crate::cli::search_args::SearchArgs;
use crate::policy::Mode;

/// Serve the admission webhook.
///
/// In a cluster, or with a kubeconfig, the namespace's label muslin.dev/mode decides what happens to a pod, and muslin issues, renews
/// and publishes its serving certificate, unless you give one. With --standalone muslin needs no cluster: it issues a certificate,
/// listens on loopback, and prints its address and its CA. The server needs Linux.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The address and port of the webhook (HTTPS), or a port of every address [default: 8443; standalone 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS", env = "MUSLIN_BIND")]
    pub(super) bind: Option<Bind>,

    /// The address and port of /metrics, /healthz and /readyz (HTTP), or a port of every address [default: 8080; standalone
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "MUSLIN_METRICS_BIND")]
    pub(super) metrics_bind: Option<Bind>,

    /// Your own serving certificate with its chain, a PEM file; muslin reads it again when it changes [default: muslin issues, renews
    /// and publishes one]
    #[arg(long, value_name = "FILE", env = "MUSLIN_TLS_CERT", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The private key of the serving certificate, a PEM file
    #[arg(long, value_name = "FILE", env = "MUSLIN_TLS_KEY", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// The Service by which API servers reach muslin, for the certificate that muslin issues
    #[arg(long, value_name = "NAME", default_value = "muslin", env = "MUSLIN_SERVICE")]
    pub(super) service: String,

    /// More names or addresses for that certificate, if a webhook configuration has a URL instead of the Service
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "MUSLIN_CERTIFICATE_NAMES")]
    pub(super) certificate_names: Vec<String>,

    /// The wait between publishing a new CA and using it, so that all API servers and replicas know it
    #[arg(long, value_name = "SECONDS", default_value_t = 300, env = "MUSLIN_CERTIFICATE_OVERLAP")]
    pub(super) certificate_overlap: u32,

    /// Serve without a cluster
    #[arg(long, conflicts_with_all = ["kubeconfig", "tls_cert", "tls_key"])]
    pub(super) standalone: bool,

    /// The kubeconfig of the cluster [default: the pod's service account, $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// The default mode for namespaces without a label
    #[arg(long, visible_alias = "mode", value_name = "MODE", default_value = "inject", env = "MUSLIN_DEFAULT_MODE",
          value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|text| text.parse::<Mode>()))]
    pub(super) default_mode: Mode,

    /// The default profile for namespaces without a label: a ResolverProfile of the cluster, or a built-in one
    #[arg(long, value_name = "NAME", default_value = "default", env = "MUSLIN_PROFILE")]
    pub(super) profile: String,

    /// Ignored: the default profile no longer depends on the pod's addresses
    #[arg(long, hide = true)]
    pub(super) pod_ips: Option<String>,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local", env = "MUSLIN_CLUSTER_DOMAIN")]
    pub(super) cluster_domain: String,

    /// The number of nameservers of pods that use the cluster's DNS [default: as in muslin's own resolv.conf, if muslin's pod uses the
    /// cluster's DNS, else 1]
    #[arg(long, value_name = "NUMBER", env = "MUSLIN_CLUSTER_NAMESERVERS", value_parser = RangedU64ValueParser::<usize>::new().range(1..=3))]
    pub(super) cluster_nameservers: Option<usize>,

    #[command(flatten)]
    pub(super) search: SearchArgs,

    /// muslin's own namespace, whose pods stay unchanged
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    pub(super) own_namespace: Option<String>,

    /// Inspect images in their registries, instead of going by image names alone
    #[arg(long, env = "MUSLIN_INSPECT_IMAGES")]
    pub(super) inspect_images: bool,

    /// The architectures of the cluster's nodes, for pods that do not choose one [default: muslin's own]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', env = "MUSLIN_ARCHITECTURES")]
    pub(super) architectures: Vec<String>,

    /// The longest wait of a review for the inspection of an unknown image; the inspection continues afterwards
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 300, env = "MUSLIN_INSPECTION_BUDGET")]
    pub(super) inspection_budget: u64,

    /// The time after which a tag is looked up again
    #[arg(long, value_name = "SECONDS", default_value_t = 600, env = "MUSLIN_TAG_TTL")]
    pub(super) tag_ttl: u64,

    /// After the start, inspect the images of running pods, one per second
    #[arg(long, env = "MUSLIN_WARM_UP", conflicts_with = "standalone")]
    pub(super) warm_up: bool,

    /// Inspect images with the credentials of the pods' imagePullSecrets; muslin then needs the right to get secrets
    #[arg(long, env = "MUSLIN_PULL_SECRETS", conflicts_with = "standalone")]
    pub(super) pull_secrets: bool,

    /// The number of images whose inspection is kept in the cluster as ImageFingerprints, for the time after a restart; 0 keeps none
    #[arg(long, value_name = "NUMBER", default_value_t = 5000, env = "MUSLIN_KEEP_FINGERPRINTS")]
    pub(super) keep_fingerprints: usize,

    /// Let API servers change pods whose images muslin knows by admission policies, which the leader keeps, so that such pods need no webhook.
    /// Needs Kubernetes 1.36, or 1.34 with MutatingAdmissionPolicy enabled; before that, policies only deny pods
    #[arg(long, env = "MUSLIN_POLICIES", conflicts_with = "standalone")]
    pub(super) policies: bool,

    /// Report findings on running pods, in each namespace with some, as Reports of openreports.io or PolicyReports of wgpolicyk8s.io
    #[arg(long, env = "MUSLIN_REPORTS", conflicts_with = "standalone")]
    pub(super) reports: bool,

    /// The name of this replica in the lease [default: the host's name and the process id]
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub(super) identity: Option<String>,

    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) docs: DocsArgs,

    /// The most connections to the webhook at once, of which one client gets two thirds
    #[arg(long, value_name = "NUMBER", default_value_t = CONNECTIONS_MAX, env = "MUSLIN_MAX_CONNECTIONS")]
    pub(super) max_connections: usize,

    /// The time after SIGTERM during which connections are still accepted [default: 12, standalone 0]
    #[arg(long, value_name = "SECONDS", env = "MUSLIN_SHUTDOWN_DELAY")]
    pub(super) shutdown_delay: Option<u64>,

    /// The format of the log; auto is human on a terminal and json elsewhere
    #[arg(long, value_name = "FORMAT", default_value = "auto", env = "MUSLIN_LOG_FORMAT")]
    pub(super) log_format: LogFormat,

    /// The filter of the log, such as info or muslin=debug,kube=warn
    #[arg(long, value_name = "FILTER", default_value = "info", env = "MUSLIN_LOG")]
    pub(super) log: String,
}
