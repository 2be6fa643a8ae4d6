//! The webhook configurations, from which API servers learn which CAs to trust when they call muslin. Writes change only the CAs of
//! all webhooks, and an annotation with the revision of the state that the CAs are from.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::ApiResource;
use kube::core::DynamicObject;
use serde_json::Value;

use super::certificate::Certificate;
use super::rotation::{Publication, State};

/// The name of both configurations in `manifests/`.
pub(super) const CONFIGURATION: &str = "muslin.dev";
/// The annotation with the revision of the state that the CAs are from.
const REVISION: &str = "muslin.dev/certificates-revision";

/// The API resources of both configurations. The objects stay untyped, which keeps fields that this version of muslin does not
/// know.
pub(super) fn resources() -> [ApiResource; 2] {
    [ApiResource::erase::<MutatingWebhookConfiguration>(&()), ApiResource::erase::<ValidatingWebhookConfiguration>(&())]
}

/// A configuration, with its parsed CAs.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    object: DynamicObject,
    revision: u64,
    /// The CAs of each webhook.
    trusted: Vec<Vec<Certificate>>,
}

// === impl Registered ===

impl Registered {
    pub(super) fn new(object: DynamicObject) -> Self {
        let webhooks = object.data["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
        let trusted = webhooks.iter().map(|webhook| {
            let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
            Certificate::parse_all(&BASE64_STANDARD.decode(bundle).unwrap_or_default())
        });
        let trusted = trusted.collect();
        let revision = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(REVISION));
        let revision = revision.and_then(|text| text.parse().ok()).unwrap_or_default();
        Self { object, revision, trusted }
    }

    /// Returns whether each webhook trusts a CA.
    pub(super) fn trusts(&self, authority: &Certificate) -> bool {
        self.trusted.iter().all(|trusted| trusted.contains(authority))
    }

    /// Returns whether each webhook trusts exactly these CAs, in any order.
    pub(super) fn is_right(&self, wanted: &[&Certificate]) -> bool {
        let is_right = |trusted: &Vec<Certificate>| {
            trusted.len() == wanted.len() && wanted.iter().all(|certificate| trusted.contains(certificate))
        };
        self.trusted.iter().all(is_right)
    }

    /// Returns the configuration with the CAs of a state. The resource version makes a write from an older configuration fail.
    pub(super) fn with_cas_of(&self, state: &State) -> DynamicObject {
        let mut object = self.object.clone();
        let bundle: String = state.trusted().iter().map(|certificate| certificate.pem.as_str()).collect();
        let bundle = Value::from(BASE64_STANDARD.encode(bundle));
        for webhook in object.data["webhooks"].as_array_mut().into_iter().flatten() {
            webhook["clientConfig"]["caBundle"] = bundle.clone();
        }
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(REVISION.to_owned(), state.revision.to_string());
        object
    }
}

/// Compares all existing configurations with a state.
pub(super) fn publication(registered: &[Option<Registered>], state: &State) -> Publication {
    let existing: Vec<&Registered> = registered.iter().flatten().collect();
    let wanted = state.trusted();
    Publication {
        is_anywhere: !existing.is_empty(),
        is_right: existing.iter().all(|registered| registered.is_right(&wanted)),
        revision: existing.iter().map(|registered| registered.revision).max().unwrap_or_default(),
        trusted: existing.iter().flat_map(|registered| registered.trusted.iter().flatten().cloned()).collect(),
    }
}
