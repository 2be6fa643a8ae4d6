//! The Secret with the serving certificate: muslin's own, or the one that the Deployment mounts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::reader::Reader;
use crate::cluster::certificates::{CERTIFICATES_SECRET, certificate_facts};
use crate::doctor::ServingSecret;

/// The file of the certificate in both Secrets.
const CERTIFICATE: &str = "tls.crt";

/// Returns the Secret, and its certificates as PEM; none if it cannot be read.
pub(super) async fn read(reader: &Reader, namespace: &str, deployment: Option<&Value>) -> (ServingSecret, Vec<u8>) {
    let given = deployment.and_then(given);
    let is_muslins = given.is_none();
    let (name, file) = given.unwrap_or_else(|| (CERTIFICATES_SECRET.to_owned(), CERTIFICATE.to_owned()));
    let secret = reader.get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}")).await;
    let chain = secret.map(|secret| {
        let secret = secret.unwrap_or_default();
        BASE64_STANDARD.decode(secret["data"][&file].as_str().unwrap_or_default()).unwrap_or_default()
    });
    let certificate = chain.clone().map(|chain| certificate_facts(&chain));
    (ServingSecret { name, is_muslins, certificate }, chain.unwrap_or_default())
}

/// Returns the name of the Secret that is mounted where `MUSLIN_TLS_CERT` points, and the file in it.
fn given(deployment: &Value) -> Option<(String, String)> {
    let container = deployment.pointer("/spec/template/spec/containers/0")?;
    let variables = container["env"].as_array()?;
    let path = variables.iter().find(|variable| variable["name"] == "MUSLIN_TLS_CERT")?["value"].as_str()?;
    let (folder, file) = path.rsplit_once('/')?;
    let mounts = container["volumeMounts"].as_array()?;
    let mount =
        mounts.iter().find(|mount| mount["mountPath"].as_str().is_some_and(|at| at.trim_end_matches('/') == folder))?;
    let volumes = deployment.pointer("/spec/template/spec/volumes")?.as_array()?;
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"])?;
    Some((volume["secret"]["secretName"].as_str()?.to_owned(), file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation::{Component, Installation};
    use crate::policy::Mode;

    #[test]
    fn the_secret_is_the_one_that_the_manifests_mount() {
        let of = |components| {
            let installation = Installation {
                image: "muslin".to_owned(),
                namespace: "muslin".to_owned(),
                mode: Mode::Inject,
                components,
                has_monitoring: false,
                variables: Vec::new(),
            };
            let objects = installation.objects().unwrap();
            given(objects.iter().find(|object| object["kind"] == "Deployment").unwrap())
        };
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![Component::OwnCertificate]), Some(("muslin-tls".to_owned(), "tls.crt".to_owned())));
        assert_eq!(of(vec![Component::CertManager]), Some(("muslin-tls".to_owned(), "tls.crt".to_owned())));
    }
}
