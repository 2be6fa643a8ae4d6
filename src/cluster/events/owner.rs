//! The workload at the top of a pod's owners.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PartialObjectMeta;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::names::is_name;

/// Returns the workload at the top: the Deployment of a ReplicaSet, the CronJob of a Job, or the owner itself. Any user who may create
/// pods can write any owner into one; as in Kubernetes' own controllers, only an owner with the right uid counts.
pub(in crate::cluster) async fn top_owner(
    client: &Client,
    namespace: &str,
    owner: &OwnerReference,
) -> Result<Option<ObjectReference>, kube::Error> {
    if !is_name(&owner.name) || !is_name(&owner.kind.to_ascii_lowercase()) {
        return Ok(None);
    }
    let top = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => owner_of::<ReplicaSet>(client, namespace, owner).await?,
        ("batch/v1", "Job") => owner_of::<Job>(client, namespace, owner).await?,
        _ => Some(owner.clone()),
    };
    Ok(top.map(|OwnerReference { api_version, kind, name, uid, .. }| ObjectReference {
        api_version: Some(api_version),
        kind: Some(kind),
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        uid: Some(uid),
        ..ObjectReference::default()
    }))
}

/// Returns the owner of an object, or the object itself if it has none; `None` if the object does not exist.
async fn owner_of<K>(
    client: &Client,
    namespace: &str,
    object: &OwnerReference,
) -> Result<Option<OwnerReference>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(client.clone(), namespace);
    let Some(found) = api.get_opt(&object.name).await? else { return Ok(None) };
    if found.metadata.uid.as_ref() != Some(&object.uid) {
        return Ok(None);
    }
    let owner = found.metadata.owner_references.into_iter().flatten().find(|owner| owner.controller == Some(true));
    Ok(Some(owner.filter(|owner| is_name(&owner.name)).unwrap_or_else(|| object.clone())))
}
