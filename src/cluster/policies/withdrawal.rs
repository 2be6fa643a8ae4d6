//! The way back: a muslin without `--policies` removes what one with them has left. Must not know how policies are kept.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};

use super::objects::{Objects, served_version};
use super::webhooks::{CONFIGURATION, with_condition};
use super::{configuration_resources, write_condition};
use crate::cluster::lease::Lease;
use crate::cluster::writes::{WriteError, write};

/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(5);

/// Removes the webhook's condition and the policies once this replica is the leader, in a task: the webhook has to see all pods again, and
/// policies that nobody keeps grow old. Does nothing without the rights: Kubernetes deletes the policies with the role that grants them.
pub fn withdraw_policies(client: Client, lease: Lease) {
    tokio::spawn(async move {
        loop {
            lease.clone().wait().await;
            match withdraw(&client).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) if error.is_forbidden() => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot remove the admission policies of an earlier muslin; retried")
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}

/// Returns whether nothing is left, or nothing that muslin has the right to remove.
async fn withdraw(client: &Client) -> Result<bool, WriteError> {
    // The webhook sees all pods before a policy goes.
    let has_condition = remove_condition(client).await?;
    if has_condition {
        return Ok(false);
    }
    if may_delete_policies(client).await? {
        let version = served_version(client).await?;
        let deleted = Objects::default().make(client, version, &[]).await?;
        if deleted > 0 {
            tracing::info!(objects = deleted, "deleted the admission policies of an earlier muslin");
        }
    }
    Ok(true)
}

/// Returns whether another writer was faster, so that the condition may be there still.
async fn remove_condition(client: &Client) -> Result<bool, WriteError> {
    let [resource, _] = configuration_resources();
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let parameters = ListParams::default().fields(&format!("metadata.name={CONFIGURATION}"));
    let mut is_left = false;
    for configuration in write(api.list(&parameters)).await? {
        is_left |=
            with_condition(&configuration, false).is_some() && !write_condition(client, &configuration, false).await?;
    }
    Ok(is_left)
}

/// Asks the API server, so that no request of an installation without policies is denied.
async fn may_delete_policies(client: &Client) -> Result<bool, WriteError> {
    let attributes = ResourceAttributes {
        group: Some("admissionregistration.k8s.io".to_owned()),
        resource: Some("validatingadmissionpolicies".to_owned()),
        verb: Some("delete".to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = write(reviews.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
