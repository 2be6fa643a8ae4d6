//! The resources for reports, and muslin's reports of each. Must not know how results are found.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::results::{NamespaceResults, summary};
use crate::cluster::events::stable_hash;
use crate::cluster::writes::{FIELD_MANAGER, WriteError, write};

/// The name of each report.
const NAME: &str = "muslin-dns";
/// The label of muslin's reports, and its value.
const LABEL: &str = "app.kubernetes.io/managed-by";
const MUSLIN: &str = "muslin";
/// The annotation with the hash of a report's results and generation, so that an unchanged one is not written again, and one that another
/// has edited is.
const HASH: &str = "muslin.dev/results-hash";
/// The annotation with the number of findings that did not fit.
const LEFT_OUT: &str = "muslin.dev/results-left-out";
/// The ClusterRole that exists only with the option. As the owner of the reports it takes them with it.
const ROLE: &str = "muslin-reports";
/// Reports on one page of a list.
const PAGE: u32 = 500;

/// A resource for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReportKind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

/// muslin's reports of one kind.
pub(super) struct Reports {
    client: Client,
    resource: ApiResource,
    owner: Option<OwnerReference>,
    /// The reports by namespace that this pass has not looked at yet.
    existing: BTreeMap<String, Existing>,
}

/// A report as it was listed.
struct Existing {
    hash: String,
    /// The number of writes that changed something else than the metadata.
    generation: i64,
    /// The UIDs of its owners.
    owners: Vec<String>,
    uid: Option<String>,
    version: Option<String>,
}

// === impl ReportKind ===

impl ReportKind {
    /// The resources, the preferred one first: the definition of the other has not changed since 2024 (kubernetes-sigs/wg-policy-prototypes).
    /// Both have the fields that muslin writes.
    pub(super) const ALL: [Self; 2] = [
        Self { group: "openreports.io", version: "v1alpha1", kind: "Report", plural: "reports" },
        Self { group: "wgpolicyk8s.io", version: "v1alpha2", kind: "PolicyReport", plural: "policyreports" },
    ];

    /// Returns the resources that the cluster has.
    pub(super) async fn present(client: &Client) -> Result<Vec<Self>, kube::Error> {
        let mut present = Vec::new();
        for kind in Self::ALL {
            match client.list_api_group_resources(&format!("{}/{}", kind.group, kind.version)).await {
                Ok(list) if list.resources.iter().any(|resource| resource.name == kind.plural) => present.push(kind),
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(present)
    }

    /// Returns the name of the resource and its group, as kubectl takes it.
    pub(super) fn full_name(self) -> String {
        format!("{}.{}", self.plural, self.group)
    }
}

/// Returns the reference to the owner of reports; `None` if the ClusterRole does not exist, or may not be read. Another failure ends the pass:
/// otherwise every report would lose its owner.
pub(super) async fn owner(client: &Client) -> Result<Option<OwnerReference>, kube::Error> {
    let role = match Api::<ClusterRole>::all(client.clone()).get_opt(ROLE).await {
        Err(kube::Error::Api(status)) if status.code == 403 => None,
        read => read?,
    };
    Ok(role.and_then(|role| role.owner_ref(&())))
}

// === impl Reports ===

impl Reports {
    /// Lists muslin's reports.
    pub(super) async fn list(
        client: &Client,
        kind: ReportKind,
        owner: Option<OwnerReference>,
    ) -> Result<Self, kube::Error> {
        let ReportKind { group, version, kind, plural } = kind;
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: format!("{group}/{version}"),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
        let mut parameters = ListParams::default().labels(&format!("{LABEL}={MUSLIN}")).limit(PAGE);
        let mut existing = BTreeMap::new();
        loop {
            let page = api.list_metadata(&parameters).await?;
            for report in page.items.iter().filter(|report| report.name_any() == NAME) {
                let hash = report.annotations().get(HASH).cloned().unwrap_or_default();
                let found = Existing {
                    hash,
                    generation: report.metadata.generation.unwrap_or_default(),
                    owners: report.owner_references().iter().map(|owner| owner.uid.clone()).collect(),
                    uid: report.uid(),
                    version: report.resource_version(),
                };
                existing.insert(report.namespace().unwrap_or_default(), found);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => break,
            }
        }
        Ok(Self { client: client.clone(), resource, owner, existing })
    }

    /// Keeps the report of a namespace as it is, if there is one.
    pub(super) fn keep(&mut self, namespace: &str) -> bool {
        self.existing.remove(namespace).is_some()
    }

    /// Writes the report of a namespace, seen at this second since 1970, unless it exists with these results.
    pub(super) async fn write(&mut self, results: &NamespaceResults, at: i64) -> Result<(), WriteError> {
        // The time of a report is that of its last change.
        let timeless = json!(results.to_json(0)).to_string();
        let hash = |generation: i64| format!("{:016x}", stable_hash(&[&timeless, &generation.to_string()]));
        let namespace = &results.namespace;
        let existing = self.existing.remove(namespace);
        let generation = existing.as_ref().map_or(0, |existing| existing.generation);
        let is_owned = |report: &Existing| self.owner.iter().all(|owner| report.owners.contains(&owner.uid));
        if existing.as_ref().is_some_and(|report| report.hash == hash(generation) && is_owned(report)) {
            return Ok(());
        }
        // The write has another time, and so the next generation.
        let report = self.report(results, at, &hash(generation + 1), existing.as_ref());
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &self.resource);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        write(api.patch(NAME, &parameters, &Patch::Apply(&report))).await.map(|_| ())
    }

    fn report(&self, results: &NamespaceResults, at: i64, hash: &str, existing: Option<&Existing>) -> Value {
        let json = results.to_json(at);
        let mut metadata = json!({
            "name": NAME, "namespace": results.namespace, "labels": { LABEL: MUSLIN }, "annotations": { HASH: hash },
            "ownerReferences": self.owner.iter().collect::<Vec<_>>(),
        });
        if results.left_out() > 0 {
            metadata["annotations"][LEFT_OUT] = json!(results.left_out().to_string());
        }
        // Another leader's write makes this one fail with a conflict.
        if let Some(version) = existing.and_then(|existing| existing.version.as_deref()) {
            metadata["resourceVersion"] = json!(version);
        }
        let ApiResource { api_version, kind, .. } = &self.resource;
        json!({
            "apiVersion": api_version, "kind": kind, "metadata": metadata, "summary": summary(&json), "results": json,
        })
    }

    /// Deletes the reports that this pass has neither written nor kept: their namespaces have no findings any more.
    pub(super) async fn delete_others(self) -> Result<(), WriteError> {
        for (namespace, Existing { uid, version, .. }) in self.existing {
            let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &namespace, &self.resource);
            let preconditions = Some(Preconditions { resource_version: version, uid });
            let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
            match write(api.delete(NAME, &parameters)).await {
                Ok(_) => {}
                Err(error) if error.is_overtaken() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
