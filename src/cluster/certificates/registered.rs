//! The webhook configurations, by which API servers know whom to trust when they call muslin. Of all that stands in them nothing but
//! the CAs is changed, in all of a configuration's webhooks, and the revision of what they were made from is noted beside.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::ApiResource;
use kube::core::DynamicObject;
use serde_json::Value;

use super::certificate::Certificate;
use super::rotation::{Publication, State};

/// By what name `manifests/` make both configurations.
pub(super) const CONFIGURATION: &str = "muslin.dev";
/// The annotation with the revision of the state whose CAs a configuration has.
const REVISION: &str = "muslin.dev/certificates-revision";

/// What both are, for requests. They are read as they are, so that fields that this version of muslin does not know are kept.
pub(super) fn resources() -> [ApiResource; 2] {
    [ApiResource::erase::<MutatingWebhookConfiguration>(&()), ApiResource::erase::<ValidatingWebhookConfiguration>(&())]
}

/// A configuration, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    object: DynamicObject,
    revision: u64,
    /// Whom each of its webhooks trusts.
    trusted: Vec<Vec<Certificate>>,
}

// === impl Registered ===

impl Registered {
    pub(super) fn new(object: DynamicObject) -> Self {
        let webhooks = object.data["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
        let trusted = webhooks.iter().map(|webhook| {
            let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
            Certificate::all(&BASE64_STANDARD.decode(bundle).unwrap_or_default())
        });
        let trusted = trusted.collect();
        let revision = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(REVISION));
        let revision = revision.and_then(|text| text.parse().ok()).unwrap_or_default();
        Self { object, revision, trusted }
    }

    /// Whether each of its webhooks trusts a CA.
    pub(super) fn trusts(&self, authority: &Certificate) -> bool {
        self.trusted.iter().all(|trusted| trusted.contains(authority))
    }

    /// Whether each of its webhooks trusts these, in whatever order, and no others.
    pub(super) fn is_right(&self, wanted: &[&Certificate]) -> bool {
        let is_right = |trusted: &Vec<Certificate>| {
            trusted.len() == wanted.len() && wanted.iter().all(|certificate| trusted.contains(certificate))
        };
        self.trusted.iter().all(is_right)
    }

    /// The same with the CAs of that state, and with its resource version, so that it is written only over what it was made from.
    pub(super) fn with(&self, state: &State) -> DynamicObject {
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

/// What all configurations that there are have of a state.
pub(super) fn publication(registered: &[Option<Registered>], state: &State) -> Publication {
    let there: Vec<&Registered> = registered.iter().flatten().collect();
    let wanted = state.trusted();
    Publication {
        is_anywhere: !there.is_empty(),
        is_right: there.iter().all(|registered| registered.is_right(&wanted)),
        revision: there.iter().map(|registered| registered.revision).max().unwrap_or_default(),
        trusted: there.iter().flat_map(|registered| registered.trusted.iter().flatten().cloned()).collect(),
    }
}
