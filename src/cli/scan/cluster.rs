//! Reads a cluster for a scan: its namespaces, profiles, images, workloads and pods. Goes on without what it has no right to read, and
//! notes that.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use super::metadata::NamedObject;
use super::results::{ObjectFindings, ScanResults, TopObject};
use crate::cli::outcome::Failure;
use crate::cli::progress::Progress;
use crate::cli::registry_args::own_platform;
use crate::cluster::{self, ImageInspection, Listing, ObservedDns, Profiles};
use crate::image::{self, Fingerprint};
use crate::plan::{Context, count_containers, findings_as_is, plan};
use crate::pod::Pod;
use crate::pod::workload::{WORKLOAD_KINDS, Workload, WorkloadKind};
use crate::policy::{Level, MODE_LABEL, Mode, NamespacePolicy, PROFILE_LABEL, PodStages, Profile};
use crate::registry::{self, Images, InspectionLimits, Platform, Requester};
use crate::text::Line;

/// Objects on one page of a list.
const PAGE: u32 = 500;
/// The scan goes on without workloads, or without pods, that the user may not list.
pub(super) const SKIPPED: &str = "skipping them";
const WITHOUT_PODS: &str = "checking templates only";
/// Images inspected in parallel.
const AT_ONCE: usize = 4;
/// The longest wait for one image.
const IMAGE_MAX: Duration = Duration::from_secs(120);
/// Time between two updates of the progress line while images are inspected.
const TICK: Duration = Duration::from_millis(500);

/// The choices of the user that a scan needs in the cluster.
pub(super) struct Scope<'s> {
    /// The only namespace to scan; `None` for that of the context.
    pub(super) namespace: Option<&'s str>,
    pub(super) all_namespaces: bool,
    pub(super) selector: Option<&'s str>,
    pub(super) default_mode: Mode,
    /// The profile of namespaces without one.
    pub(super) profile: &'s str,
    pub(super) cluster_domain: &'s str,
}

/// A cluster, with the settings that decide about its pods.
pub(super) struct Cluster<'s> {
    pub(super) scope: Scope<'s>,
    pub(super) client: kube::Client,
    namespaces: HashMap<String, NamespacePolicy>,
    profiles: Profiles,
    /// The nodes' search domains as muslin's pods saw them.
    dns: ObservedDns,
    inspection: Option<ImageInspection>,
    /// Messages about what could not be read.
    pub(super) notes: Vec<Line>,
}

/// The settings that decide about one pod.
pub(super) struct PodInputs {
    pub(super) fingerprints: Vec<Fingerprint>,
    mode: Mode,
    profile: Arc<Profile>,
}

// === impl Cluster ===

impl<'s> Cluster<'s> {
    /// Connects, and reads namespaces and profiles. With settings for registries, images are inspected.
    pub(super) async fn connect(
        scope: Scope<'s>,
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        registries: Option<registry::ClientSettings>,
    ) -> Result<Self, Failure> {
        let client = cluster::connect_as(kubeconfig, context).await;
        let client = client
            .context("cannot connect to the cluster (--kubeconfig and --context choose one)")
            .map_err(Failure::Input)?;
        let inspection = registries.map(inspection).transpose()?;
        let (namespaces, profiles) = (HashMap::new(), Profiles::built_in());
        let dns = ObservedDns::default();
        let mut cluster = Self { scope, client, namespaces, profiles, dns, inspection, notes: Vec::new() };
        cluster.read_namespaces().await?;
        cluster.read_profiles().await?;
        cluster.read_observations().await?;
        Ok(cluster)
    }

    /// Checks all workloads and pods in scope.
    pub(super) async fn scan(mut self) -> Result<ScanResults, Failure> {
        self.inspect_images().await?;
        let mut results = ScanResults { scope: self.scope_in_words(), ..ScanResults::default() };
        let mut progress = Progress::default();
        for kind in &WORKLOAD_KINDS {
            self.scan_workloads(kind, &mut results, &mut progress).await?;
        }
        for kind in self.custom_kinds().await? {
            self.scan_custom_kind(&kind, &mut results, &mut progress).await?;
        }
        self.scan_pods(&mut results, &mut progress).await?;
        let unread = WORKLOAD_KINDS.iter().map(|kind| (kind.plural, SKIPPED)).chain([("pods", WITHOUT_PODS)]);
        if unread.into_iter().all(|(what, without)| self.notes.contains(&denied(what, without))) {
            return Err(Failure::Outside(anyhow::anyhow!("no right to list workloads or pods: nothing was scanned")));
        }
        results.notes = self.notes;
        Ok(results)
    }

    async fn read_namespaces(&mut self) -> Result<(), Failure> {
        let mut listing = Listing::new(self.client.clone(), "/api/v1/namespaces", PAGE);
        let without = "scanning without their modes and profiles";
        while let Some(page) = allowed(listing.next().await, "namespaces", without, &mut self.notes)? {
            for NamedObject { metadata } in page.items::<NamedObject<'_>>().map_err(unreadable)? {
                let policy = NamespacePolicy::from_labels(metadata.label(MODE_LABEL), metadata.label(PROFILE_LABEL));
                self.namespaces.insert(metadata.name.to_string(), policy);
            }
        }
        Ok(())
    }

    async fn read_profiles(&mut self) -> Result<(), Failure> {
        self.profiles = match Profiles::list(self.client.clone()).await {
            // Where muslin is not installed there is no such resource.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            profiles => {
                let without = "scanning with the built-in profiles";
                match allowed(profiles.map(Some), "resolverprofiles", without, &mut self.notes)? {
                    Some(profiles) => profiles,
                    None => return Ok(()),
                }
            }
        };
        for (name, percent) in self.profiles.rolling_out() {
            self.notes.push(Line::new(format!(
                "the profile {name} rolls out to {percent} % of new pods: pods without a place in the rollout are checked with its last \
                 promoted settings"
            )));
        }
        Ok(())
    }

    async fn read_observations(&mut self) -> Result<(), Failure> {
        self.dns = match ObservedDns::list(self.client.clone()).await {
            // Where muslin is not installed there is no such resource.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            observed => {
                let without = "scanning without the nodes' broken search domains";
                allowed(observed.map(Some), "dnsobservations", without, &mut self.notes)?.unwrap_or_default()
            }
        };
        Ok(())
    }

    /// Inspects the images of all pods in scope, several in parallel.
    async fn inspect_images(&mut self) -> Result<(), Failure> {
        let Some(inspection) = &self.inspection else { return Ok(()) };
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        let mut pods = self.list_pods();
        let without = "scanning without their images";
        while let Some(page) = allowed(pods.next().await, "pods", without, &mut self.notes)? {
            for pod in page.items::<Pod<'_>>().map_err(unreadable)? {
                let architectures: Vec<&str> = inspection.architectures.iter().map(String::as_str).collect();
                for arch in pod.architectures(&architectures) {
                    wanted.extend(pod.containers().map(|container| (container.image().to_owned(), arch.to_owned())));
                }
            }
        }
        let (all, mut done, mut progress) = (wanted.len(), 0, Progress::default());
        let images = &inspection.images;
        let mut inspected = std::pin::pin!(
            stream::iter(wanted)
                .map(|(image, arch)| async move {
                    let inspecting =
                        async { images.inspect_now(&image, &Platform::linux(&arch), &Requester::of("")).await };
                    tokio::time::timeout(IMAGE_MAX, inspecting).await
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
                // One image can take long, so the progress line is updated meanwhile.
                _ = tick.tick() => {}
            }
            progress.advance(|| format!("{done} of {all} images inspected").into());
        }
    }

    /// Checks the templates of one kind of workload.
    async fn scan_workloads(
        &mut self,
        kind: &WorkloadKind,
        results: &mut ScanResults,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut listing = self.list(&kind.api_path(), kind.plural);
        while let Some(page) = allowed(listing.next().await, kind.plural, SKIPPED, &mut self.notes)? {
            for item in page.raw().map_err(unreadable)? {
                let named = serde_json::from_str::<NamedObject<'_>>(item.get());
                let workload = serde_json::from_str::<Workload<'_>>(item.get());
                let (Ok(NamedObject { metadata }), Ok(workload)) = (named, workload) else {
                    self.notes.push(format!("cannot read one of the {}: skipping it", kind.plural).into());
                    continue;
                };
                let top = TopObject::new(kind.group, kind.kind, &metadata);
                if let Some(owner) = metadata.controller() {
                    let owner = top.owned_by(owner);
                    results.owners.insert(top, owner);
                    continue;
                }
                let Some(pod) = workload.template() else { continue };
                let inputs = self.pod_inputs(pod, &top.namespace).await;
                let fingerprints = inputs.fingerprints.clone();
                let unread: Vec<_> = workload.unread_keys().collect();
                let context = Context {
                    holder_ignores: workload.ignores(),
                    holder_unread: &unread,
                    ..inputs.context(&top.namespace, self)
                };
                let Ok(plan) = plan(pod, fingerprints, &context) else { continue };
                let (resolvers, containers) = (plan.resolvers.to_string(), plan.containers);
                let mut object = ObjectFindings { resolvers, containers, ..ObjectFindings::default() };
                object.add_all(plan.findings.into_iter().map(|planned| (planned.finding, planned.fixed)));
                results.objects.insert(top, object);
            }
            progress.advance(|| format!("{}: {} objects", kind.plural, results.objects.len()).into());
        }
        Ok(())
    }

    /// Checks the running pods.
    async fn scan_pods(&mut self, results: &mut ScanResults, progress: &mut Progress) -> Result<(), Failure> {
        let mut listing = self.list_pods();
        let mut seen = 0;
        while let Some(page) = allowed(listing.next().await, "pods", WITHOUT_PODS, &mut self.notes)? {
            for item in page.raw().map_err(unreadable)? {
                let named = serde_json::from_str::<NamedObject<'_>>(item.get());
                let (Ok(NamedObject { metadata }), Ok(pod)) = (named, serde_json::from_str::<Pod<'_>>(item.get()))
                else {
                    self.notes.push("cannot read one of the pods: skipping it".into());
                    continue;
                };
                seen += 1;
                let top = results.top_of(TopObject::new("", "Pod", &metadata), metadata.controller());
                let inputs = self.pod_inputs(&pod, &top.namespace).await;
                let images = pod.containers().map(|container| container.image()).zip(&inputs.fingerprints);
                for (image, fingerprint) in images.collect::<HashMap<_, _>>() {
                    let image = results.images.entry(image.to_owned());
                    let (_, pods) = image.or_insert_with(|| (fingerprint.clone(), 0));
                    *pods += 1;
                }
                let context = inputs.context(&top.namespace, self);
                let Ok(findings) = findings_as_is(&pod, inputs.fingerprints.clone(), &context) else { continue };
                let object = results.objects.entry(top.clone()).or_default();
                if object.pods == 0 {
                    object.drop_template();
                }
                object.pods += 1;
                object.resolvers = resolvers(&pod, &inputs.fingerprints);
                object.containers.add(count_containers(&pod, inputs.fingerprints.clone(), &inputs.profile));
                object.add_all(findings.into_iter().map(|finding| (finding, false)));
            }
            progress.advance(|| format!("{seen} pods").into());
        }
        Ok(())
    }

    fn scope_in_words(&self) -> String {
        let Scope { namespace, all_namespaces, selector, .. } = self.scope;
        let place = match namespace {
            _ if all_namespaces => "all namespaces".to_owned(),
            namespace => format!("namespace {}", namespace.unwrap_or(self.client.default_namespace())),
        };
        selector.map_or_else(|| place.clone(), |selector| format!("{place} with {selector}"))
    }

    /// Lists the pods in scope that have not ended.
    fn list_pods(&self) -> Listing {
        self.list("/api/v1", "pods").fields("status.phase!=Succeeded,status.phase!=Failed")
    }

    pub(super) fn list(&self, api: &str, plural: &str) -> Listing {
        let Scope { namespace, all_namespaces, selector, .. } = self.scope;
        let path = if all_namespaces {
            format!("{api}/{plural}")
        } else {
            let namespace = namespace.unwrap_or(self.client.default_namespace());
            format!("{api}/namespaces/{namespace}/{plural}")
        };
        let listing = Listing::new(self.client.clone(), path, PAGE);
        selector.iter().fold(listing, |listing, selector| listing.labels(selector))
    }

    /// Returns the settings that decide about a pod. A namespace in mode `off` or `audit` is checked as in mode `warn`, so that its findings show.
    pub(super) async fn pod_inputs(&self, pod: &Pod<'_>, namespace: &str) -> PodInputs {
        let fingerprints = match &self.inspection {
            // All images have been inspected before; this only looks them up.
            Some(inspection) => inspection.fingerprints(pod, namespace, Instant::now()).await,
            None => pod
                .containers()
                .map(|container| image::assume_started(container.image(), container.started().as_deref()))
                .collect(),
        };
        let policy = self.namespaces.get(namespace).cloned().unwrap_or_default();
        let (chosen, _) = self.profiles.for_namespace(policy.profile(), self.scope.profile);
        let stages = PodStages::recorded(pod.annotations().rollout.as_deref());
        let profile = self.profiles.for_pod(namespace, &chosen, self.scope.profile, None, || pod.labels(), &stages);
        PodInputs { fingerprints, mode: policy.mode(self.scope.default_mode).max(Mode::Warn), profile }
    }
}

// === impl PodInputs ===

impl PodInputs {
    pub(super) fn context<'c>(&'c self, namespace: &'c str, cluster: &'c Cluster<'_>) -> Context<'c> {
        let Self { fingerprints: _, mode, profile } = self;
        Context {
            namespace,
            cluster_domain: cluster.scope.cluster_domain,
            cluster_nameservers: 1,
            mode: *mode,
            profile,
            rollout: None,
            // Tried by the webhook alone, from its own pod.
            cache_fault: None,
            cluster_addresses: &cluster.dns.nameservers,
            broken_domains: &cluster.dns.broken,
            holder_ignores: None,
            holder_unread: &[],
            trusts_annotation: false,
            texts_from: Level::Info,
        }
    }
}

/// Returns the inspection of images in registries.
fn inspection(registries: registry::ClientSettings) -> Result<ImageInspection, Failure> {
    let limits = registry::Limits::default();
    let client = registry::Client::new(registries, limits).map_err(|error| Failure::Input(error.into()))?;
    let images = Images::new(
        client,
        limits,
        // All images are for one user.
        InspectionLimits {
            at_once: AT_ONCE,
            per_namespace: AT_ONCE,
            per_registry: AT_ONCE,
            queue: usize::MAX,
            queue_per_namespace: usize::MAX,
            patience: IMAGE_MAX,
            ..InspectionLimits::default()
        },
    );
    let architectures = vec![own_platform().arch];
    Ok(ImageInspection { images, pull_secrets: None, architectures, budget: Duration::ZERO })
}

/// Returns the API server's answer. If access is denied, returns `None` and adds a note, once.
pub(super) fn allowed<T>(
    answer: Result<Option<T>, kube::Error>,
    what: &str,
    without: &str,
    notes: &mut Vec<Line>,
) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
            let note = denied(what, without);
            if !notes.contains(&note) {
                notes.push(note);
            }
            Ok(None)
        }
        Err(error) => Err(Failure::Outside(anyhow::Error::new(error).context(format!("cannot list {what}")))),
    }
}

fn denied(what: &str, without: &str) -> Line {
    Line::new(format!("no right to list {what}: {without}"))
}

pub(super) fn unreadable(error: kube::Error) -> Failure {
    Failure::Outside(anyhow::Error::new(error).context("cannot read the API server's answer"))
}

/// Returns the resolver of each container, as `app=musl-1.2.4 (assumed), …`.
fn resolvers(pod: &Pod<'_>, fingerprints: &[Fingerprint]) -> String {
    let each = pod
        .containers()
        .zip(fingerprints)
        .map(|(container, fingerprint)| format!("{}={fingerprint}", container.name.as_deref().unwrap_or_default()));
    each.collect::<Vec<_>>().join(", ")
}
