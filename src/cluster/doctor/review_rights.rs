//! The rights of muslin's service account, one by one.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::Value;

use super::answers::{MUSLIN, limited};
use crate::doctor::{Right, Seen};

/// Reviews in parallel.
const AT_ONCE: usize = 8;

/// Asks the API server whether the Deployment's service account has these rights.
pub(super) async fn review(
    client: &Client,
    namespace: &str,
    deployment: Option<&Value>,
    rights: Vec<Right>,
) -> Vec<(Right, Seen<bool>)> {
    let account =
        deployment.and_then(|deployment| deployment.pointer("/spec/template/spec/serviceAccountName")?.as_str());
    let user = format!("system:serviceaccount:{namespace}:{}", account.unwrap_or(MUSLIN));
    let groups = vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let reviews = rights.into_iter().map(|right| {
        let (api, review) = (api.clone(), review_of(&right, &user, &groups));
        async move {
            let answer = limited(api.create(&PostParams::default(), &review)).await;
            (right, answer.map(|review| review.status.is_some_and(|status| status.allowed)))
        }
    });
    stream::iter(reviews).buffered(AT_ONCE).collect().await
}

fn review_of(right: &Right, user: &str, groups: &[String]) -> SubjectAccessReview {
    let Right { verb, group, resource, subresource, name, namespace } = right.clone();
    let attributes = ResourceAttributes {
        verb: Some(verb),
        group: Some(group),
        resource: Some(resource),
        subresource,
        name,
        namespace,
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        groups: Some(groups.to_vec()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}
