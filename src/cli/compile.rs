//! `muslin compile`: profiles as admission policies, for clusters without muslin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use kube::ResourceExt as _;
use serde_json::Value;

use super::image_list::{ImageList, parse_images};
use super::outcome::{Failure, Outcome};
use super::terminal;
use crate::cluster::{ProfileProblem, ResolverProfile, SelectedProfile};
use crate::compilation::{ApiVersion, Compilation, KnownImage, LIMITS, Settings, compile, usual_images};
use crate::policy::{Mode, Profile};
use crate::text::Line;

/// Print a profile as admission policies, which the API server evaluates by itself.
///
/// A MutatingAdmissionPolicy gives new pods what muslin's webhook gives them: options, annotations and the label. A
/// ValidatingAdmissionPolicy warns about findings and writes them to the audit log. Both know the images in a table: the ones that you
/// name, and Docker's official images. A pod that they do not know stays as it is. The output says what they leave, and docs/policies.md
/// has more. Without PROFILE and --file, all built-in profiles are printed.
///
/// MutatingAdmissionPolicy needs Kubernetes 1.36, or 1.34 with its feature gate and its API enabled.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin compile default | kubectl apply -f -
  muslin scan -A --images --fail-on never -o json > images.json && muslin compile fast --images images.json | kubectl apply -f -
  kubectl get imagefingerprints -o json | muslin compile default --images - | kubectl apply -f -
  muslin compile --file profile.yaml --images images.txt --kubernetes 1.34")]
pub(super) struct Compile {
    /// The built-in profile
    #[arg(value_name = "PROFILE", value_parser = PossibleValuesParser::new(Profile::NAMES))]
    profile: Option<String>,

    /// Compile the ResolverProfile in this file
    #[arg(long, short, value_name = "FILE", conflicts_with = "profile", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Add images to the table: one a line, with its resolver if the name does not tell (`example.com/app:1 musl 1.2.5`), or the output of
    /// `muslin scan --images -o json` or of `kubectl get imagefingerprints -o json`. `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    images: Vec<PathBuf>,

    /// Leave out Docker's official images and the releases of Alpine, unless a file names them
    #[arg(long)]
    no_official_images: bool,

    /// The mode of namespaces without a label muslin.dev/mode
    #[arg(long, value_name = "MODE", default_value = "inject",
          value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|text| text.parse::<Mode>()))]
    default_mode: Mode,

    /// The profile of namespaces without a label muslin.dev/profile
    #[arg(long, value_name = "NAME", default_value = "default")]
    default_profile: String,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,

    /// The number of nameservers that the kubelet gives to pods that use the cluster's DNS
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    cluster_nameservers: usize,

    /// The cluster's version, 1.34 or later: 1.34 and 1.35 have MutatingAdmissionPolicy as v1beta1
    #[arg(long, value_name = "VERSION", default_value = "1.36", value_parser = mutating_version)]
    kubernetes: ApiVersion,
}

/// A profile to compile.
struct Source {
    profile: Profile,
    /// `spec.podSelector` of a ResolverProfile.
    pod_selector: Option<Value>,
}

// === impl Compile ===

impl Compile {
    pub(super) fn run(&self) -> Outcome {
        let sources = self.sources()?;
        let images = self.known_images().map_err(Failure::Input)?;
        let compilations: Vec<Compilation> =
            sources.iter().map(|source| self.compile(source, &images)).collect::<Result<_, _>>()?;
        let left_out: BTreeMap<&str, &str> =
            compilations.iter().flat_map(|one| &one.left_out).map(|one| (&*one.image, one.why)).collect();
        for (image, why) in left_out {
            terminal::note(&Line::new(format!("{image} {why}: pods with it stay as they are")));
        }
        for limit in LIMITS {
            terminal::note(&Line::new(format!("not in the policies: {}", limit.sentence())));
        }
        let text = document(&sources, &compilations).map_err(Failure::Outside)?;
        terminal::print_document(text.as_bytes())
    }

    fn sources(&self) -> Result<Vec<Source>, Failure> {
        if let Some(file) = &self.file {
            return Ok(vec![Source::read(file).map_err(Failure::Input)?]);
        }
        let names = self.profile.as_deref().map_or_else(|| Profile::NAMES.to_vec(), |name| vec![name]);
        let built_in = |name| Ok(Source { profile: Profile::builtin(name)?, pod_selector: None });
        names.into_iter().map(built_in).collect::<anyhow::Result<_>>().map_err(Failure::Input)
    }

    fn compile(&self, source: &Source, images: &[KnownImage]) -> Result<Compilation, Failure> {
        let settings = Settings {
            profile: &source.profile,
            pod_selector: source.pod_selector.as_ref(),
            images,
            cluster_domain: &self.cluster_domain,
            cluster_nameservers: self.cluster_nameservers,
            default_mode: self.default_mode,
            default_profile: &self.default_profile,
            version: self.kubernetes,
            webhooks: None,
        };
        compile(&settings).map_err(|error| Failure::Input(error.into()))
    }

    /// Returns the images of all files, and the usual ones that no file names.
    fn known_images(&self) -> anyhow::Result<Vec<KnownImage>> {
        let mut images = Vec::new();
        for file in &self.images {
            let shown = file.display();
            let text = read_input(file).with_context(|| format!("cannot read {shown}"))?;
            let ImageList { images: listed, notes } =
                parse_images(&text).map_err(|error| anyhow!("{shown}: {error}"))?;
            images.extend(listed);
            notes.into_iter().for_each(|note| terminal::note(&Line::new(format!("{shown}: {note}"))));
        }
        let mut seen = BTreeSet::new();
        let official = usual_images().filter(|_| !self.no_official_images);
        let all = images.into_iter().chain(official);
        Ok(all.filter(|image: &KnownImage| seen.insert(image.name().to_owned())).collect())
    }
}

/// Returns the API version of MutatingAdmissionPolicy in a version of Kubernetes, such as `1.36` or `v1.36.3`.
fn mutating_version(text: &str) -> Result<ApiVersion, String> {
    let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err("write a version of Kubernetes such as 1.36".to_owned());
    };
    match (major, minor) {
        (1, 34 | 35) => Ok(ApiVersion::V1Beta1),
        (1, 36..) => Ok(ApiVersion::V1),
        _ => Err("it does not serve MutatingAdmissionPolicy, which Kubernetes has from 1.36 on, and 1.34 as a beta: use the webhook \
                  (muslin install)"
            .to_owned()),
    }
}

fn read_input(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(file)
}

// === impl Source ===

impl Source {
    /// Reads a ResolverProfile that a cluster would accept.
    fn read(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let text = read_input(file).with_context(|| format!("cannot read {shown}"))?;
        let resource: ResolverProfile =
            serde_saphyr::from_str(&text).with_context(|| format!("{shown} is no ResolverProfile"))?;
        let selected = SelectedProfile::from_resource(&resource, true)
            .map_err(|problems| anyhow!("{shown}: {}", ProfileProblem::join(&problems)))?;
        if !selected.unaccepted().is_empty() {
            return Err(anyhow!("{shown}: {}", ProfileProblem::join(selected.unaccepted())));
        }
        if !selected.namespaces().is_empty() {
            return Err(anyhow!(
                "{shown}: {} adds ndots to other profiles, which policies cannot do",
                resource.name_any()
            ));
        }
        if let Some(rollout) = &resource.spec.rollout {
            terminal::note(&Line::new(format!(
                "{shown}: not in the policies: spec.rollout; all new pods get the settings at once, and not {} % of them first",
                rollout.percent
            )));
        }
        let pod_selector = resource.spec.pod_selector.as_ref().map(serde_json::to_value).transpose()?;
        Ok(Self { profile: Profile::clone(&selected.profile), pod_selector })
    }
}

/// Returns the objects as YAML, after a header that says what they are.
fn document(sources: &[Source], compilations: &[Compilation]) -> anyhow::Result<String> {
    let mut text = format!("# Generated by `muslin compile` {}.\n", env!("CARGO_PKG_VERSION"));
    for (Source { profile, .. }, Compilation { images, kinds, cases, .. }) in sources.iter().zip(compilations) {
        let profile = Line::new(profile.name.clone());
        text.push_str(&format!("# Profile {profile}: {images} images of {kinds} kinds, {cases} situations.\n"));
    }
    text.push_str("# What the policies leave (docs/policies.md):\n");
    LIMITS.iter().for_each(|limit| text.push_str(&format!("# - {}\n", limit.sentence())));
    let objects = compilations.iter().flat_map(|compilation| &compilation.objects);
    let objects = objects.map(serde_saphyr::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(text + &objects.join("---\n"))
}
