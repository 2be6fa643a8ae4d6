//! `muslin scan`: findings of a running cluster, by what makes the pods and by rule. Reads only; goes on without what it may not read.

mod found;
mod written;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::time::Instant;

use crate::cluster::{self, ImageInspection, Listing, Profiles};
use crate::image::{self, Fingerprint};
use crate::plan::{Context, findings_as_is, plan};
use crate::pod::workload::Workload;
use crate::pod::{Pod, Text};
use crate::policy::{Level, MODE_LABEL, Mode, NamespacePolicy, PROFILE_LABEL, Profile};
use crate::registry::{self, Images, Pace, Platform};
use crate::report::Counts;

use found::{Found, Group, Top};

use super::policy::{FailOn, fail_on};
use super::progress::Progress;
use super::reach::{Reach, own_platform};
use super::{Failure, Outcome};

/// How many objects one page has.
const PAGE: u32 = 500;
/// How many images are inspected at once, and how long one is waited for.
const AT_ONCE: usize = 4;
const IMAGE_MAX: Duration = Duration::from_secs(120);
/// How often it is shown how far it has come, while nothing comes of it.
const TICK: Duration = Duration::from_millis(500);

/// Find what is wrong with the DNS of what runs in a cluster.
///
/// Looks at pods as they are, and at the templates of what makes pods but has none now. Findings are grouped by the object at the
/// top, such as the Deployment, and by rule. Reads only; what it may not read it names, and goes on without. Images are told by
/// their references, or read with --inspect. As `kubectl-muslin` in the PATH it is also `kubectl muslin scan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin scan -A
  muslin scan -n shop -l app=web --inspect
  kubectl muslin scan -A -o sarif > muslin.sarif")]
pub(super) struct Scan {
    /// The namespace to look at [default: that of the context]
    #[arg(long, short, value_name = "NAME", conflicts_with = "all_namespaces")]
    namespace: Option<String>,

    /// Look at all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,

    /// Only pods and workloads whose labels fit
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,

    /// The kubeconfig to reach the cluster by [default: $KUBECONFIG, ~/.kube/config, the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The mode of namespaces that say none, as `muslin serve` has it
    #[arg(long, value_name = "MODE", default_value = "inject")]
    default_mode: Mode,

    /// The profile of namespaces that name none, as `muslin serve` has it
    #[arg(long, value_name = "NAME", default_value = "default")]
    profile: String,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,

    /// Read images in their registries, and do not go by their references alone
    #[arg(long)]
    inspect: bool,

    /// List the images in use, and what they have, in place of findings
    #[arg(long)]
    images: bool,

    /// How to write it
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// Exit with 1 if there is a finding of this level or above: deny, warn, info or never
    #[arg(long, value_name = "LEVEL", default_value = "deny",
          value_parser = clap::builder::TypedValueParser::map(
              clap::builder::PossibleValuesParser::new(["deny", "warn", "info", "never"]), fail_on))]
    fail_on: FailOn,

    #[command(flatten)]
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// A kind of object that makes pods: where it is, and what it is called.
struct Kind {
    group: &'static str,
    plural: &'static str,
    name: &'static str,
}

const KINDS: [Kind; 7] = [
    Kind { group: "/apis/apps/v1", plural: "deployments", name: "Deployment" },
    Kind { group: "/apis/apps/v1", plural: "statefulsets", name: "StatefulSet" },
    Kind { group: "/apis/apps/v1", plural: "daemonsets", name: "DaemonSet" },
    Kind { group: "/apis/apps/v1", plural: "replicasets", name: "ReplicaSet" },
    Kind { group: "/api/v1", plural: "replicationcontrollers", name: "ReplicationController" },
    Kind { group: "/apis/batch/v1", plural: "cronjobs", name: "CronJob" },
    Kind { group: "/apis/batch/v1", plural: "jobs", name: "Job" },
];

/// What an object is called, and who made it.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    metadata: NamedMeta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamedMeta<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    namespace: Option<Text<'a>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    #[serde(default)]
    controller: bool,
}

/// What decides besides the objects.
struct Surroundings {
    client: kube::Client,
    namespaces: HashMap<String, NamespacePolicy>,
    profiles: Profiles,
    inspection: Option<ImageInspection>,
    /// What could not be read.
    missing: Vec<String>,
}

/// What decides about one pod.
struct Decides {
    fingerprints: Vec<Fingerprint>,
    mode: Mode,
    profile: Arc<Profile>,
}

// === impl Scan ===

impl Scan {
    pub(super) fn run(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let (found, missing) = runtime.block_on(self.scan())?;
        for missing in &missing {
            // Nobody is left to tell when standard error is gone too.
            let _ = writeln!(anstream::stderr(), "note: {missing}");
        }
        let mut counts = Counts::default();
        for grouped in found.groups.values().flat_map(|group| &group.findings).filter(|grouped| !grouped.mended) {
            counts.add(grouped.finding.level);
        }
        if let Err(error) = self.write(&found) {
            Failure::output(error)?;
        }
        match self.fail_on {
            FailOn(Some(level)) if counts.at_least(level) > 0 => Err(Failure::Findings),
            FailOn(_) => Ok(()),
        }
    }

    async fn scan(&self) -> Result<(Found, Vec<String>), Failure> {
        let client = cluster::connect_as(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        let client = client.context("cannot connect to the cluster").map_err(Failure::Input)?;
        let mut surroundings = self.surroundings(client).await?;
        let mut found = Found::default();
        if surroundings.inspection.is_some() {
            self.inspect(&mut surroundings).await?;
        }
        let mut progress = Progress::default();
        let mut templates = BTreeSet::new();
        for kind in KINDS {
            self.look_at_workloads(&kind, &mut surroundings, &mut found, &mut templates, &mut progress).await?;
        }
        self.look_at_pods(&mut surroundings, &mut found, &mut progress).await?;
        // A template whose pods were looked at themselves says nothing more.
        found.groups.retain(|top, group| group.pods > 0 || templates.contains(top));
        Ok((found, surroundings.missing))
    }

    async fn surroundings(&self, client: kube::Client) -> Result<Surroundings, Failure> {
        let mut missing = Vec::new();
        let mut namespaces = HashMap::new();
        let mut listing = Listing::new(client.clone(), "/api/v1/namespaces", PAGE);
        while let Some(page) =
            allowed(listing.next().await, "namespaces", "their modes and profiles are not known", &mut missing)?
        {
            for item in page.items::<Named<'_>>().map_err(outside)? {
                let label =
                    |key: &str| item.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
                let policy = NamespacePolicy::from_labels(label(MODE_LABEL), label(PROFILE_LABEL));
                namespaces.insert(item.metadata.name.to_string(), policy);
            }
        }
        let profiles = match Profiles::list(client.clone()).await {
            // Where muslin is not installed there is no such resource.
            Err(kube::Error::Api(status)) if status.code == 404 => Profiles::built_in(),
            profiles => {
                let profiles =
                    allowed(profiles.map(Some), "resolverprofiles", "the built-in profiles are used", &mut missing)?;
                profiles.unwrap_or_else(Profiles::built_in)
            }
        };
        let inspection = if self.inspect {
            let limits = registry::Limits::default();
            let client = registry::Client::new(self.reach.settings()?, limits);
            let client = client.map_err(|error| Failure::Input(error.into()))?;
            let images = Images::new(client, limits, Pace { at_once: AT_ONCE, queue: usize::MAX, ..Pace::default() });
            let architectures = vec![own_platform().arch];
            Some(ImageInspection { images, pull_secrets: None, architectures, budget: Duration::ZERO })
        } else {
            None
        };
        Ok(Surroundings { client, namespaces, profiles, inspection, missing })
    }

    /// Reads all images that pods use, several at once.
    async fn inspect(&self, surroundings: &mut Surroundings) -> Result<(), Failure> {
        let Some(inspection) = &surroundings.inspection else { return Ok(()) };
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        let mut pods = self.pods(&surroundings.client);
        while let Some(page) =
            allowed(pods.next().await, "pods", "their images are not known", &mut surroundings.missing)?
        {
            for pod in page.items::<Pod<'_>>().map_err(outside)? {
                let cluster: Vec<&str> = inspection.architectures.iter().map(String::as_str).collect();
                for arch in pod.architectures(&cluster) {
                    wanted.extend(pod.containers().map(|container| (container.image().to_owned(), arch.to_owned())));
                }
            }
        }
        let (all, mut done, mut progress) = (wanted.len(), 0, Progress::default());
        let images = &inspection.images;
        let mut inspected = std::pin::pin!(
            stream::iter(wanted)
                .map(|(image, arch)| async move {
                    let looking = async { images.look_into(&image, &Platform::linux(&arch), None).await };
                    tokio::time::timeout(IMAGE_MAX, looking).await
                })
                .buffer_unordered(AT_ONCE)
        );
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                next = inspected.next() => match next {
                    Some(_) => done += 1,
                    None => return Ok(()),
                },
                // A single image can take long, and somebody waits for it.
                _ = tick.tick() => {}
            }
            progress.advance(|| format!("{done} of {all} images inspected"));
        }
    }

    async fn look_at_workloads(
        &self,
        kind: &Kind,
        surroundings: &mut Surroundings,
        found: &mut Found,
        templates: &mut BTreeSet<Top>,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut listing = self.listing(&surroundings.client, kind.group, kind.plural);
        let without = "they are passed over";
        while let Some(page) = allowed(listing.next().await, kind.plural, without, &mut surroundings.missing)? {
            for item in page.raw().map_err(outside)? {
                let (Ok(named), Ok(workload)) =
                    (serde_json::from_str::<Named<'_>>(item.get()), serde_json::from_str::<Workload<'_>>(item.get()))
                else {
                    surroundings.missing.push(format!("one of the {} could not be read", kind.plural));
                    continue;
                };
                let top = Top::of(kind.name, &named.metadata);
                if let Some(owner) = controller(&named.metadata) {
                    let owner =
                        Top { namespace: top.namespace.clone(), kind: owner.kind.clone(), name: owner.name.clone() };
                    found.owners.insert(top, owner);
                    continue;
                }
                let Some(pod) = workload.template() else { continue };
                let decides = surroundings.decides(pod, &top.namespace, self).await;
                let fingerprints = decides.fingerprints.clone();
                let context = Context {
                    holder_ignores: workload.ignores(),
                    ..decides.context(&top.namespace, &self.cluster_domain)
                };
                let Ok(plan) = plan(pod, fingerprints, &context) else { continue };
                let mut group = Group { resolvers: plan.resolvers.clone(), ..Group::default() };
                plan.findings.into_iter().for_each(|planned| group.add(planned.finding, planned.fixed));
                templates.insert(top.clone());
                found.groups.insert(top, group);
            }
            progress.advance(|| format!("{}: {} objects", kind.plural, found.groups.len()));
        }
        Ok(())
    }

    async fn look_at_pods(
        &self,
        surroundings: &mut Surroundings,
        found: &mut Found,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut pods = self.pods(&surroundings.client);
        let mut seen = 0;
        let without = "only the templates of pods were looked at";
        while let Some(page) = allowed(pods.next().await, "pods", without, &mut surroundings.missing)? {
            for item in page.raw().map_err(outside)? {
                let (Ok(named), Ok(pod)) =
                    (serde_json::from_str::<Named<'_>>(item.get()), serde_json::from_str::<Pod<'_>>(item.get()))
                else {
                    surroundings.missing.push("one of the pods could not be read".to_owned());
                    continue;
                };
                seen += 1;
                let top = found.top(Top::of("Pod", &named.metadata), controller(&named.metadata));
                let namespace = top.namespace.clone();
                let decides = surroundings.decides(&pod, &namespace, self).await;
                for (container, fingerprint) in pod.containers().zip(&decides.fingerprints) {
                    let image = found.images.entry(container.image().to_owned());
                    let (_, pods) = image.or_insert_with(|| (fingerprint.clone(), 0));
                    *pods += 1;
                }
                let context = decides.context(&namespace, &self.cluster_domain);
                let Ok(findings) = findings_as_is(&pod, decides.fingerprints.clone(), &context) else { continue };
                let group = found.groups.entry(top).or_default();
                // What is there now counts, and not what the template would give.
                if group.pods == 0 {
                    group.findings.clear();
                }
                group.pods += 1;
                group.resolvers = resolvers(&pod, &decides.fingerprints);
                findings.into_iter().for_each(|finding| group.add(finding, false));
            }
            progress.advance(|| format!("{seen} pods"));
        }
        Ok(())
    }

    /// Pods that have not ended.
    fn pods(&self, client: &kube::Client) -> Listing {
        self.listing(client, "/api/v1", "pods").fields("status.phase!=Succeeded,status.phase!=Failed")
    }

    fn listing(&self, client: &kube::Client, group: &str, plural: &str) -> Listing {
        let path = if self.all_namespaces {
            format!("{group}/{plural}")
        } else {
            let namespace = self.namespace.as_deref().unwrap_or(client.default_namespace());
            format!("{group}/namespaces/{namespace}/{plural}")
        };
        let listing = Listing::new(client.clone(), path, PAGE);
        self.selector.iter().fold(listing, |listing, selector| listing.labels(selector))
    }

    fn write(&self, found: &Found) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match (self.images, self.output) {
            (true, Output::Json) => writeln!(out, "{}", serde_json::to_string_pretty(&found.images_in_use())?)?,
            (true, _) => {
                let mut rows = vec![["IMAGE", "RESOLVER", "EVIDENCE", "PODS"].map(str::to_owned).to_vec()];
                rows.extend(
                    found.images_in_use().into_iter().map(|image| {
                        vec![image.image, image.resolver, image.evidence.to_owned(), image.pods.to_string()]
                    }),
                );
                out.write_all(written::table(&rows).as_bytes())?;
            }
            (false, Output::Table) => out.write_all(written::tables(found).as_bytes())?,
            (false, Output::Json) => out.write_all(written::json(found)?.as_bytes())?,
            (false, Output::Sarif) => out.write_all(written::sarif(found).as_bytes())?,
        }
        out.flush()
    }
}

// === impl Surroundings ===

impl Surroundings {
    async fn fingerprints(&self, pod: &Pod<'_>, namespace: &str) -> Vec<Fingerprint> {
        match &self.inspection {
            // All that could be found out was found out before.
            Some(inspection) => inspection.fingerprints(pod, namespace, Instant::now()).await,
            None => pod.containers().map(|container| image::assume(container.image())).collect(),
        }
    }

    /// What decides about a pod. A namespace that muslin does not look at is looked at here: somebody may want to change that.
    async fn decides(&self, pod: &Pod<'_>, namespace: &str, scan: &Scan) -> Decides {
        let fingerprints = self.fingerprints(pod, namespace).await;
        let policy = self.namespaces.get(namespace).cloned().unwrap_or_default();
        let (chosen, _) = self.profiles.for_namespace(policy.profile(), &scan.profile);
        let profile = self.profiles.for_pod(&chosen, &scan.profile, || pod.labels());
        Decides { fingerprints, mode: policy.mode(scan.default_mode).max(Mode::Warn), profile }
    }
}

// === impl Decides ===

impl Decides {
    fn context<'c>(&'c self, namespace: &'c str, cluster_domain: &'c str) -> Context<'c> {
        let Self { fingerprints: _, mode, profile } = self;
        Context {
            namespace,
            cluster_domain,
            mode: *mode,
            profile,
            holder_ignores: None,
            trusts_annotation: false,
            texts_from: Level::Info,
        }
    }
}

fn controller<'m>(metadata: &'m NamedMeta<'_>) -> Option<&'m Owner> {
    metadata.owner_references.iter().find(|owner| owner.controller)
}

/// What the API server gave; what it does not allow is noted once, and gone without.
fn allowed<T>(
    answer: Result<Option<T>, kube::Error>,
    what: &str,
    without: &str,
    missing: &mut Vec<String>,
) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
            let note = format!("no right to list {what}: {without}");
            if !missing.contains(&note) {
                missing.push(note);
            }
            Ok(None)
        }
        Err(error) => Err(Failure::Outside(anyhow::Error::new(error).context(format!("cannot list {what}")))),
    }
}

fn outside(error: kube::Error) -> Failure {
    Failure::Outside(error.into())
}

fn resolvers(pod: &Pod<'_>, fingerprints: &[Fingerprint]) -> String {
    let each = pod
        .containers()
        .zip(fingerprints)
        .map(|(container, fingerprint)| format!("{}={fingerprint}", container.name.as_deref().unwrap_or_default()));
    each.collect::<Vec<_>>().join(", ")
}
