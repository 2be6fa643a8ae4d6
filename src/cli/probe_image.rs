//! The image in which `muslin probe` runs in a cluster.

use anyhow::anyhow;
use kube::Client;

use crate::cluster::{NoInstalledImage, installed_image};
use crate::image::Reference;

use super::outcome::Failure;

/// Returns the image of the muslin in the cluster.
pub(super) async fn probe_image(client: Client) -> Result<String, Failure> {
    installed_image(client).await.map_err(|error| match error {
        NoInstalledImage::Unreachable(_) => Failure::Outside(error.into()),
        _ => Failure::Usage(anyhow!("found no image of muslin in the cluster: {error}"), "name one with --image"),
    })
}

pub(super) fn parse_image(text: &str) -> Result<String, String> {
    Reference::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
