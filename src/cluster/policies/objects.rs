//! The policies and bindings in the cluster: written where they are missing or were changed, and deleted where nothing needs them. Must not
//! know what they say.

use std::collections::HashMap;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{ApiResource, DeleteParams, ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::wanted::MANAGED_LABEL;
use crate::cluster::events::stable_hash;
use crate::cluster::writes::{FIELD_MANAGER, WriteError, write, write_large};
use crate::compilation::ApiVersion;

/// The API group of policies.
const GROUP: &str = "admissionregistration.k8s.io";

/// The role that grants the rights to write policies. The objects belong to it, so that Kubernetes deletes them with it.
const OWNER: &str = "muslin-policies";

/// The kinds of policies, which are also those of bindings with `Binding` at their ends.
const MUTATING: &str = "MutatingAdmissionPolicy";
const VALIDATING: &str = "ValidatingAdmissionPolicy";

/// The objects, as this replica wrote them.
#[derive(Default)]
pub(super) struct Objects {
    /// A kind and a name → the hash of the content, and the generation in the cluster.
    written: HashMap<(String, String), (u64, Option<i64>)>,
    owner: Option<Value>,
}

// === impl Objects ===

impl Objects {
    /// Forgets what was written, so that all of it is written again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Makes the cluster's objects these ones. Returns the number of writes.
    pub(super) async fn make(
        &mut self,
        client: &Client,
        version: Option<ApiVersion>,
        wanted: &[Value],
    ) -> Result<usize, WriteError> {
        if self.owner.is_none() && !wanted.is_empty() {
            self.owner = Some(owner(client).await?);
        }
        let mut found: HashMap<(String, String), Option<i64>> = HashMap::new();
        for resource in resources(version) {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let (label, value) = MANAGED_LABEL;
            let list = write(api.list_metadata(&ListParams::default().labels(&format!("{label}={value}")))).await?;
            for object in list {
                found.insert((resource.kind.clone(), object.name_any()), object.metadata.generation);
            }
        }
        let mut writes = 0;
        for object in wanted {
            let key = key(object);
            let hash = stable_hash(&[&object.to_string()]);
            let is_there = found
                .remove(&key)
                .is_some_and(|generation| self.written.get(&key).is_some_and(|written| *written == (hash, generation)));
            if is_there {
                continue;
            }
            let generation = self.apply(client, version, object).await?;
            self.written.insert(key, (hash, generation));
            writes += 1;
        }
        for (kind, name) in found.into_keys() {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(&kind, version));
            match write(api.delete(&name, &DeleteParams::default())).await {
                Err(error) if !error.is_overtaken() => return Err(error),
                _ => self.written.remove(&(kind, name)),
            };
            writes += 1;
        }
        Ok(writes)
    }

    /// Writes one object, and returns its generation.
    async fn apply(
        &self,
        client: &Client,
        version: Option<ApiVersion>,
        object: &Value,
    ) -> Result<Option<i64>, WriteError> {
        let (kind, name) = key(object);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(&kind, version));
        let mut object = object.clone();
        object["metadata"]["ownerReferences"] = json!([self.owner]);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let applied = write_large(api.patch(&name, &parameters, &Patch::Apply(object))).await?;
        Ok(applied.metadata.generation)
    }
}

/// Returns a reference to the role that owns the objects.
async fn owner(client: &Client) -> Result<Value, WriteError> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let role = write(roles.get_metadata(OWNER)).await?;
    Ok(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": OWNER,
        "uid": role.metadata.uid.unwrap_or_default(),
    }))
}

fn key(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Returns the resources of policies and bindings that the API server has.
fn resources(version: Option<ApiVersion>) -> Vec<ApiResource> {
    let kinds = [MUTATING, VALIDATING].into_iter().filter(|kind| version.is_some() || *kind == VALIDATING);
    kinds.flat_map(|kind| [resource(kind, version), resource(&format!("{kind}Binding"), version)]).collect()
}

fn resource(kind: &str, version: Option<ApiVersion>) -> ApiResource {
    let version = if kind.starts_with(MUTATING) { version.unwrap_or_default().name() } else { ApiVersion::V1.name() };
    let plural = match kind.strip_suffix("Policy") {
        Some(stem) => format!("{}policies", stem.to_lowercase()),
        None => format!("{}s", kind.to_lowercase()),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, version, kind), &plural)
}

/// Returns the version of MutatingAdmissionPolicy that the API server has; `None` before 1.34, and where 1.34 or 1.35 does not enable it.
pub(super) async fn served_version(client: &Client) -> Result<Option<ApiVersion>, WriteError> {
    let resource = resource(MUTATING, None).plural;
    for version in [ApiVersion::V1, ApiVersion::V1Beta1] {
        let group_version = format!("{GROUP}/{}", version.name());
        let list = match write(client.list_api_group_resources(&group_version)).await {
            Err(error) if error.is_overtaken() => continue,
            list => list?,
        };
        if list.resources.iter().any(|served| served.name == resource) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_resource() {
        let plurals: Vec<String> =
            resources(Some(ApiVersion::V1)).into_iter().map(|resource| resource.plural).collect();
        let expected = [
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
        ];
        assert_eq!(plurals, expected);
        assert_eq!(resources(None).len(), 2);
        assert_eq!(resource(MUTATING, Some(ApiVersion::V1Beta1)).api_version, "admissionregistration.k8s.io/v1beta1");
        assert_eq!(resource(VALIDATING, Some(ApiVersion::V1Beta1)).api_version, "admissionregistration.k8s.io/v1");
    }
}
