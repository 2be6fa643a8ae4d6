//! `AdmissionReview` of `admission.k8s.io/v1` on the wire: the request borrowed from its bytes, the response to be written.
//!
//! kube's own `AdmissionResponse` is not used: it writes the patch as an array of numbers (kube#1781), and its `invalid()` sends
//! an empty uid, which the API server counts as a failed call.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde::{Deserialize, Serialize};

use crate::pod::Text;
use crate::text::Line;

/// The only version that the webhook is registered for.
const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// A review from the API server, of an object of the type `O`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>"))]
struct Review<'a, O> {
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    request: Option<Request<'a, O>>,
}

/// The request to admit an object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>"))]
pub(super) struct Request<'a, O> {
    /// The name of this call, which the response must repeat.
    #[serde(borrow)]
    pub(super) uid: Text<'a>,
    #[serde(borrow)]
    kind: GroupKind<'a>,
    #[serde(borrow, default)]
    sub_resource: Option<Text<'a>>,
    #[serde(borrow)]
    operation: Text<'a>,
    /// The namespace of the request; the object's own may be empty.
    #[serde(borrow, default)]
    pub(super) namespace: Option<Text<'a>>,
    /// The object's name; empty if the API server is to generate one.
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    /// The object as it will be.
    #[serde(default = "none")]
    pub(super) object: Option<O>,
    /// The object before an update.
    #[serde(default = "none")]
    pub(super) old_object: Option<O>,
    /// The object will not be stored.
    #[serde(default)]
    pub(super) dry_run: Option<bool>,
}

/// `Option::default` would ask for a default of the object's type.
fn none<O>() -> Option<O> {
    None
}

#[derive(Debug, Deserialize)]
struct GroupKind<'a> {
    #[serde(borrow, default)]
    group: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Text<'a>,
}

/// The reason why a body is no review.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReviewError {
    #[error("the body is not UTF-8: {0}")]
    Encoding(std::str::Utf8Error),
    #[error("the body is not an AdmissionReview: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the body is {found}, not {KIND} of {API_VERSION}")]
    Version { found: String },
    #[error("the AdmissionReview has no request")]
    NoRequest,
    #[error("the request's uid is empty")]
    NoUid,
}

/// An admission response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    /// The JSON Patch, in base64 as the API server wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Line>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, Line>,
    /// The reason for a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// The part of `metav1.Status` that the API server passes on to its client.
#[derive(Debug, Serialize)]
struct Status {
    code: u16,
    message: Line,
}

/// Parses a review.
pub(super) fn parse<'a, O: Deserialize<'a>>(body: &'a [u8]) -> Result<Request<'a, O>, ReviewError> {
    // One check of the whole is several times faster than one for each string.
    let text = std::str::from_utf8(body).map_err(ReviewError::Encoding)?;
    let Review { api_version, kind, request } = serde_json::from_str(text)?;
    if api_version.as_deref() != Some(API_VERSION) || kind.as_deref() != Some(KIND) {
        let word = |text: Option<Text<'_>>| text.map_or_else(|| "nothing".to_owned(), |text| text.to_string());
        return Err(ReviewError::Version { found: format!("{} of {}", word(kind), word(api_version)) });
    }
    let request: Request<'a, O> = request.ok_or(ReviewError::NoRequest)?;
    if request.uid.is_empty() { Err(ReviewError::NoUid) } else { Ok(request) }
}

// === impl Request ===

impl<O> Request<'_, O> {
    /// Returns whether the request creates a pod.
    pub(super) fn creates_a_pod(&self) -> bool {
        self.is_of("", "Pod") && self.is_whole() && &*self.operation == "CREATE"
    }

    /// Returns whether the request creates a pod, updates one, or adds ephemeral containers to one.
    pub(super) fn writes_a_pod(&self) -> bool {
        let is_ephemeral = self.sub_resource.as_deref() == Some("ephemeralcontainers");
        self.is_of("", "Pod") && (self.writes() || is_ephemeral && &*self.operation == "UPDATE")
    }

    /// Returns whether the request writes a namespace.
    pub(super) fn writes_a_namespace(&self) -> bool {
        self.is_of("", "Namespace") && self.writes()
    }

    /// Returns whether the request writes a profile.
    pub(super) fn writes_a_profile(&self) -> bool {
        self.is_of("muslin.dev", "ResolverProfile") && self.writes()
    }

    /// Returns whether the request creates or updates an object itself, not a part such as its status or scale.
    pub(super) fn writes(&self) -> bool {
        self.is_whole() && matches!(&*self.operation, "CREATE" | "UPDATE")
    }

    fn is_of(&self, group: &str, kind: &str) -> bool {
        &*self.kind.kind == kind && self.kind.group.as_deref().unwrap_or_default() == group
    }

    fn is_whole(&self) -> bool {
        self.sub_resource.as_deref().unwrap_or_default().is_empty()
    }
}

// === impl Response ===

impl<'a> Response<'a> {
    /// Allows the request of this uid.
    pub(super) fn allow(uid: &'a str) -> Self {
        Self {
            uid,
            allowed: true,
            patch: None,
            patch_type: None,
            warnings: Vec::new(),
            audit_annotations: BTreeMap::new(),
            status: None,
        }
    }

    /// Denies the request of this uid.
    pub(super) fn deny(uid: &'a str, message: Line) -> Self {
        Self { allowed: false, status: Some(Status { code: 403, message }), ..Self::allow(uid) }
    }

    /// Adds a change of the object. The API server wants patch and patch type either both or, for an empty patch, neither.
    pub(super) fn with_patch(mut self, patch: &Patch) -> Self {
        if !patch.is_empty() {
            // Serializing strings cannot fail; a response without a patch would leave the pod unchanged.
            self.patch = serde_json::to_vec(patch).ok().map(|json| STANDARD.encode(json));
            self.patch_type = self.patch.is_some().then_some("JSONPatch");
        }
        self
    }

    /// Adds warnings, which clients show to their user.
    pub(super) fn with_warnings(mut self, warnings: impl IntoIterator<Item = Line>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Adds an annotation to the API server's audit log, under the webhook's name.
    pub(super) fn with_audit(mut self, key: &'static str, value: Line) -> Self {
        self.audit_annotations.insert(key, value);
        self
    }

    /// Returns the review with this response, as JSON.
    pub(super) fn to_review(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer<'r> {
            api_version: &'static str,
            kind: &'static str,
            response: &'r Response<'r>,
        }
        // Serializing strings cannot fail. If it did, the API server would get an empty body and use its failure policy.
        serde_json::to_vec(&Answer { api_version: API_VERSION, kind: KIND, response: self }).unwrap_or_default()
    }
}
