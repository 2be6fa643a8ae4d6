//! The image of the running installation of muslin.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};

use super::errors::causes;
use super::requests::{REQUEST_MAX, answered};
use crate::installation::NAMESPACE;

/// The name of the webhook configuration.
const CONFIGURATION: &str = "muslin.dev";
/// The name of the Deployment and of its container.
const MUSLIN: &str = "muslin";

/// The reason why the image is unknown.
#[derive(Debug, thiserror::Error)]
pub enum NoInstalledImage {
    /// There is no Deployment.
    #[error("there is no Deployment {MUSLIN} in namespace {0}")]
    NoDeployment(String),
    /// The Deployment cannot be read.
    #[error("cannot read the Deployment {MUSLIN} in namespace {0}: {1}")]
    Unread(String, String),
    /// The API server cannot be reached.
    #[error("cannot reach the API server: {0}")]
    Unreachable(String),
}

/// Returns the image of muslin's Deployment, in the namespace that the webhook configuration names.
///
/// # Errors
/// muslin is not installed, or the Deployment cannot be read.
pub async fn installed_image(client: Client) -> Result<String, NoInstalledImage> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    // A caller without the right to read it may still read the Deployment in the usual namespace.
    let configuration = answered(configurations.get_opt(CONFIGURATION)).await.flatten();
    let webhooks = configuration.and_then(|configuration| configuration.webhooks).unwrap_or_default();
    let named = webhooks.into_iter().find_map(|webhook| Some(webhook.client_config.service?.namespace));
    let namespace = named.unwrap_or_else(|| NAMESPACE.to_owned());
    let deployments: Api<Deployment> = Api::namespaced(client, &namespace);
    let deployment = match tokio::time::timeout(REQUEST_MAX, deployments.get_opt(MUSLIN)).await {
        Ok(Ok(deployment)) => deployment,
        Ok(Err(kube::Error::Api(status))) => return Err(NoInstalledImage::Unread(namespace, status.message.clone())),
        Ok(Err(error)) => return Err(NoInstalledImage::Unreachable(causes(&error))),
        Err(_) => return Err(NoInstalledImage::Unreachable("no answer".to_owned())),
    };
    let containers = deployment.and_then(|deployment| deployment.spec?.template.spec).map(|spec| spec.containers);
    let container = containers.unwrap_or_default().into_iter().find(|container| container.name == MUSLIN);
    container.and_then(|container| container.image).ok_or(NoInstalledImage::NoDeployment(namespace))
}
