//! Checks the pod templates of custom resources: those kinds of the table (`docs/kinds.md`) that the API server has.

use std::borrow::Cow;

use super::cluster::{Cluster, SKIPPED, allowed, unreadable};
use super::metadata::NamedObject;
use super::results::{ObjectFindings, ScanResults, TopObject};
use crate::cli::outcome::Failure;
use crate::cli::progress::Progress;
use crate::manifest::{Node, PodView, Stream, pods_of};
use crate::plan::{plan, plan_settings};
use crate::pod::Pod;
use crate::pod::kinds::PodKind;
use crate::rules::HOLDER;

/// A kind of the table that the API server has.
pub(super) struct ServedKind {
    row: &'static PodKind,
    /// Path of the kind's group and version, such as `/apis/argoproj.io/v1alpha1`.
    api_path: String,
    is_namespaced: bool,
}

impl Cluster<'_> {
    /// Returns the kinds of the table that the API server has, besides Kubernetes' own, in their preferred versions.
    pub(super) async fn custom_kinds(&mut self) -> Result<Vec<ServedKind>, Failure> {
        let mut served = Vec::new();
        let without = "scanning no custom resources";
        let groups = self.client.list_api_groups().await.map(Some);
        let groups = allowed(groups, "the API's groups", without, &mut self.notes)?;
        for group in groups.into_iter().flat_map(|list| list.groups) {
            let is_in_table = |row: &PodKind| row.group == group.name && !row.is_builtin();
            let Some(version) = group.preferred_version.as_ref().or(group.versions.first()) else { continue };
            if !PodKind::all().any(is_in_table) {
                continue;
            }
            let resources = match self.client.list_api_group_resources(&version.group_version).await {
                Ok(resources) => resources.resources,
                // An aggregated API whose server is down answers 503, one that was removed meanwhile 404.
                Err(kube::Error::Api(_)) => {
                    self.notes.push(format!("cannot list the kinds of {}: skipping them", group.name).into());
                    continue;
                }
                Err(error) => return Err(unreadable(error)),
            };
            for resource in resources.iter().filter(|resource| !resource.name.contains('/')) {
                let row = PodKind::named(&version.group_version, &resource.kind);
                let Some(row) = row.filter(|row| row.plural == resource.name) else { continue };
                let api_path = format!("/apis/{}", version.group_version);
                served.push(ServedKind { row, api_path, is_namespaced: resource.namespaced });
            }
        }
        Ok(served)
    }

    /// Checks the objects of one kind.
    pub(super) async fn scan_custom_kind(
        &mut self,
        kind: &ServedKind,
        results: &mut ScanResults,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let ServedKind { row, api_path, is_namespaced } = kind;
        if !is_namespaced && !self.scope.all_namespaces {
            return Ok(());
        }
        let what = format!("{}.{}", row.plural, row.group);
        let mut listing = self.list(api_path, row.plural);
        while let Some(page) = allowed(listing.next().await, &what, SKIPPED, &mut self.notes)? {
            for item in page.raw().map_err(unreadable)? {
                let named = serde_json::from_str::<NamedObject<'_>>(item.get());
                let tree = Stream::new(item.get()).documents.first().and_then(|document| document.parse().ok());
                let (Ok(NamedObject { metadata }), Some(tree)) = (named, tree) else {
                    self.notes.push(format!("cannot read one of the {what}: skipping it").into());
                    continue;
                };
                let top = TopObject::new(row.group, row.kind, &metadata);
                if let Some(owner) = metadata.controller() {
                    let owner = top.owned_by(owner);
                    results.owners.insert(top, owner);
                    continue;
                }
                let object = tree.root();
                if is_over(object) {
                    continue;
                }
                let mut findings = ObjectFindings::default();
                for view in pods_of(object, row) {
                    self.check_view(object, &view, &top, &mut findings).await;
                }
                results.objects.insert(top, findings);
            }
            progress.advance(|| format!("{what}: {} objects", results.objects.len()).into());
        }
        Ok(())
    }

    /// Checks the pods of one place in an object. What is no pod was made under another schema, and says nothing.
    async fn check_view(&self, object: Node<'_>, view: &PodView, top: &TopObject, into: &mut ObjectFindings) {
        let json = view.json(object).unwrap_or_default();
        let Ok(pod) = serde_json::from_str::<Pod<'_>>(&json) else { return };
        let inputs = self.pod_inputs(&pod, &top.namespace).await;
        let context = inputs.context(&top.namespace, self);
        let fingerprints = inputs.fingerprints.clone();
        let planned =
            if fingerprints.is_empty() { plan_settings(&pod, &context) } else { plan(&pod, fingerprints, &context) };
        let Ok(plan) = planned else { return };
        into.containers.add(plan.containers);
        if !into.resolvers.is_empty() && plan.containers.all > 0 {
            into.resolvers.push_str(", ");
        }
        into.resolvers.push_str(&plan.resolvers);
        into.add_all(plan.findings.into_iter().map(|mut planned| {
            if !planned.finding.path.starts_with(HOLDER) {
                planned.finding.path = Cow::Owned(view.in_object(&planned.finding.path));
            }
            (planned.finding, planned.fixed)
        }));
    }
}

/// Returns whether an object, such as a Workflow or a TaskRun, has run to its end and makes no more pods.
fn is_over(object: Node<'_>) -> bool {
    let status = |field: &str| object.get("status").and_then(|status| status.get(field)?.as_text());
    ["completionTime", "finishedAt"].into_iter().any(|field| status(field).is_some())
}
