//! The caller's rights, asked before anything is changed, so that no pod is made that cannot be read or deleted.

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::errors::{PodProbeError, Request, no_right};
use super::requests::answered;
use super::settings::ProbePlace;

/// Fails if the caller lacks a right. If the API server does not say, the requests themselves will.
pub(super) async fn check(client: Client, namespace: &str, place: ProbePlace) -> Result<(), PodProbeError> {
    let needed: &[Request] = match place {
        ProbePlace::Beside => &[Request::CreatePod, Request::ReadLog, Request::DeletePod],
        ProbePlace::Inside => &[Request::AddContainer, Request::ReadLog],
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client);
    let missing = join_all(needed.iter().map(|request| is_missing(&reviews, namespace, *request))).await;
    let missing: Vec<Request> =
        needed.iter().zip(missing).filter_map(|(request, missing)| missing.then_some(*request)).collect();
    if missing.is_empty() { Ok(()) } else { Err(no_right(&missing, namespace, place)) }
}

async fn is_missing(reviews: &Api<SelfSubjectAccessReview>, namespace: &str, request: Request) -> bool {
    let (verb, resource) = request.right();
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
        ..SelfSubjectAccessReview::default()
    };
    let answer = answered(reviews.create(&PostParams::default(), &review)).await;
    answer.and_then(|review| review.status).is_some_and(|status| !status.allowed)
}
