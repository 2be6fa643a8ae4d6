//! `muslin install` and `muslin uninstall`: muslin's own manifests.

use anyhow::anyhow;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};

use crate::installation::{self, Component, Installation, ManifestError, NAMESPACE, Platform};
use crate::policy::Mode;
use crate::rules::DocsUrl;

use super::install_probe::InstallProbe;
use super::outcome::{Failure, Outcome};
use super::probe_image::parse_image;
use super::terminal;

/// The modes in which muslin can be installed.
const MODES: [Mode; 4] = [Mode::Audit, Mode::Warn, Mode::Inject, Mode::Enforce];

/// The variable of muslin's container with the address of the folder docs.
const DOCS_VARIABLE: &str = "MUSLIN_DOCS_URL";

/// Print the manifests that install muslin.
///
/// Pipe them to kubectl apply -f -. Start with --mode audit, which changes no pod: muslin then only counts its findings. A namespace's label
/// muslin.dev/mode outranks --mode. No registry that everybody can reach has an image of muslin, so build one, push it and name it here.
///
/// The folder manifests has the same for kustomize.
#[derive(Debug, Args)]
#[command(
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  muslin install --image registry.example.com/muslin:0.1.0 --mode audit | kubectl apply -f -
  muslin install --image registry.example.com/muslin:0.1.0 --ha --inspect-images | kubectl diff -f -
  muslin install --image registry.example.com/muslin:0.1.0 --platform openshift --namespace dns-system"
)]
pub(super) struct Install {
    #[command(subcommand)]
    part: Option<Part>,

    /// The image of muslin
    #[arg(long, value_name = "IMAGE", value_parser = parse_image, required = true)]
    image: Option<String>,

    /// The mode of namespaces without a label muslin.dev/mode. enforce also means --ha
    #[arg(long, value_name = "MODE", default_value = "inject",
          value_parser = PossibleValuesParser::new(MODES.map(Mode::name)).try_map(|text| text.parse::<Mode>()))]
    mode: Mode,

    /// Two replicas on different nodes, of which one stays while a node is drained
    #[arg(long)]
    ha: bool,

    /// Inspect images in their registries, instead of going by image names alone
    #[arg(long)]
    inspect_images: bool,

    /// Inspect images with the credentials of the Secret muslin-registries in muslin's namespace
    #[arg(long)]
    private_registries: bool,

    /// Inspect images with the pods' own imagePullSecrets; muslin may then read every Secret of the cluster
    #[arg(long)]
    pull_secrets: bool,

    /// Let API servers change and deny pods whose images muslin knows by admission policies, so that such pods need no webhook. No webhook
    /// then fails closed. muslin may write admission policies
    #[arg(long)]
    policies: bool,

    /// Report findings on running pods as Reports of openreports.io, or else as PolicyReports of wgpolicyk8s.io, whose definitions must be
    /// installed
    #[arg(long)]
    reports: bool,

    /// A NetworkPolicy to start from; adapt its addresses before you apply it
    #[arg(long)]
    network_policy: bool,

    /// muslin in the network of its nodes, at the ports 9443 and 9080, for API servers that reach nodes but no pods, as on EKS with another
    /// network plugin than Amazon's
    #[arg(long)]
    host_network: bool,

    /// Watch DNS from each node, or in each zone: metrics, Events and a DNSObservation for each node (docs/probe.md)
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "nodes",
          value_parser = PossibleValuesParser::new(["nodes", "zones"]))]
    watch: Option<String>,

    /// Let the watch on each node read the node's files, to show where its nameservers come from; the namespace is then without Pod Security
    #[arg(long, requires = "watch")]
    watch_node_files: bool,

    #[command(flatten)]
    parts: Parts,

    /// Use the certificate in the Secret muslin-tls, with your own caBundle
    #[arg(long, conflicts_with = "cert_manager")]
    own_certificate: bool,

    /// The platform of the cluster, if it needs other settings: gke (the port that a private cluster's firewall lets through), aks (a label
    /// for its admissions enforcer), openshift (no fixed user id), eks (none; with another network plugin than Amazon's add --host-network)
    #[arg(long, value_name = "PLATFORM", value_parser = PossibleValuesParser::new(Platform::ALL.map(Platform::name)).map(platform))]
    platform: Option<Platform>,

    /// The https address of muslin's folder docs, as developers and you reach it: for links in warnings to the pages about rules, and in
    /// alerts to theirs
    #[arg(long, value_name = "URL")]
    docs_url: Option<DocsUrl>,

    /// An environment variable of muslin's container, such as MUSLIN_LOG_FORMAT=json; repeat it for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
}

// No doc comments here: clap would show them instead of the help in the command's file.
#[derive(Debug, Subcommand)]
enum Part {
    Probe(InstallProbe),
}

/// Print what to delete to uninstall muslin, in the right order.
///
/// Pipe it to kubectl delete --ignore-not-found -f -. The webhooks come first, so that no pod waits for a muslin that is gone. Running pods
/// keep their DNS options, labels and annotations. ResolverProfiles, ImageFingerprints and DNSObservations are deleted with their definitions,
/// unless you keep these.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin uninstall | kubectl delete --ignore-not-found -f -
  muslin uninstall --keep-crds --cert-manager | kubectl delete --ignore-not-found -f -")]
pub(super) struct Uninstall {
    #[command(flatten)]
    parts: Parts,

    /// Keep the custom resource definitions, and with them the ResolverProfiles and ImageFingerprints
    #[arg(long)]
    keep_crds: bool,
}

/// The choices that `uninstall` must repeat, because it cannot delete kinds that the cluster does not have.
#[derive(Debug, Args)]
struct Parts {
    /// muslin's namespace
    #[arg(long, short, value_name = "NAME", default_value = NAMESPACE, value_parser = namespace)]
    namespace: String,

    /// Certificates from cert-manager, which must be installed
    #[arg(long)]
    cert_manager: bool,

    /// Alert rules, a dashboard and a PodMonitor for the Prometheus Operator, which must be installed
    #[arg(long)]
    monitoring: bool,
}

// === impl Install ===

impl Install {
    pub(super) fn run(self) -> Outcome {
        if let Some(Part::Probe(probe)) = self.part {
            return probe.run();
        }
        if self.watch_node_files && self.watch.as_deref() == Some("zones") {
            return Err(Failure::Input(anyhow!(
                "--watch-node-files needs --watch=nodes: other nodes have other files"
            )));
        }
        let objects = self.installation().objects().map_err(|error| Failure::Outside(error.into()))?;
        print(&objects)
    }

    fn installation(self) -> Installation {
        let chosen = [
            (self.ha, Component::HighAvailability),
            (self.inspect_images, Component::ImageInspection),
            (self.private_registries, Component::PrivateRegistries),
            (self.pull_secrets, Component::PullSecrets),
            (self.policies, Component::Policies),
            (self.reports, Component::Reports),
            (self.own_certificate, Component::OwnCertificate),
            (self.parts.cert_manager, Component::CertManager),
            (self.network_policy, Component::NetworkPolicy),
            (self.host_network, Component::HostNetwork),
            (self.watch.as_deref() == Some("nodes"), Component::WatchNodes),
            (self.watch.as_deref() == Some("zones"), Component::WatchZones),
            (self.watch_node_files, Component::WatchNodeFiles),
        ];
        let chosen = chosen.into_iter().filter(|(is_chosen, _)| *is_chosen).map(|(_, component)| component);
        let docs = self.docs_url.map(|docs| (DOCS_VARIABLE.to_owned(), docs.as_str().to_owned()));
        let others = self.env.into_iter().filter(|(name, _)| docs.is_none() || name != DOCS_VARIABLE);
        let variables = others.chain(docs.clone()).collect();
        Installation {
            // clap requires one without a subcommand.
            image: self.image.unwrap_or_default(),
            namespace: self.parts.namespace,
            mode: self.mode,
            components: chosen.chain(self.platform.map(Component::Platform)).collect(),
            has_monitoring: self.parts.monitoring,
            variables,
        }
    }
}

// === impl Uninstall ===

impl Uninstall {
    pub(super) fn run(self) -> Outcome {
        let Parts { namespace, cert_manager, monitoring } = self.parts;
        let objects = installation::objects_to_delete(&namespace, cert_manager, monitoring, self.keep_crds);
        print(&objects.map_err(|error: ManifestError| Failure::Outside(error.into()))?)
    }
}

fn print(objects: &[serde_json::Value]) -> Outcome {
    let documents: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
    let documents = documents.map_err(|error| Failure::Outside(error.into()))?;
    terminal::print_document(documents.join("---\n").as_bytes())
}

/// Accepts what the API server accepts as the name of a namespace: a DNS label (RFC 1123).
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name =
        (1..=63).contains(&text.len()) && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-');
    match text {
        "kube-system" => Err("muslin needs a namespace of its own, which `muslin uninstall` can delete".to_owned()),
        _ if is_name => Ok(text.to_owned()),
        _ => Err("a namespace has at most 63 lower-case letters, digits and inner hyphens".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name
        .then(|| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{name}` is not the name of a variable"))
}

#[expect(clippy::needless_pass_by_value, reason = "clap's map passes a String")]
fn platform(name: String) -> Platform {
    Platform::ALL.into_iter().find(|platform| platform.name() == name).unwrap_or(Platform::Eks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_what_the_api_server_accepts() {
        for name in ["muslin", "a", "dns-2", &"a".repeat(63)] {
            assert_eq!(namespace(name), Ok(name.to_owned()));
        }
        for name in ["", "-a", "a-", "A", "a.b", "a_b", "kube-system", "a\nb", &"a".repeat(64)] {
            assert!(namespace(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_variable_has_a_name_and_any_value() {
        assert_eq!(variable("A_1=b=c"), Ok(("A_1".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        for text in ["A", "=b", "1A=b", "A-B=c", "A B=c"] {
            assert!(variable(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_needs_a_valid_reference() {
        assert!(parse_image("registry.example.com:5000/muslin:0.1.0").is_ok());
        assert!(parse_image("registry.example.com/muslin:0.1.0@sha256:0").is_err());
        assert!(parse_image("Muslin image").is_err());
    }
}
