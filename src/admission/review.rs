//! `AdmissionReview` of `admission.k8s.io/v1` on the wire: the request borrowed from its bytes, the answer written by hand.
//!
//! kube's own `AdmissionResponse` is not used: it writes the patch as an array of numbers (kube#1781), and its `invalid()` sends
//! an empty uid, which the API server counts as a failed call.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde::{Deserialize, Serialize};

use crate::pod::{Outline, POD, Text};

/// The only version that the webhook is registered for.
pub(super) const API_VERSION: &str = "admission.k8s.io/v1";
pub(super) const KIND: &str = "AdmissionReview";

/// What is read of the review of a pod.
pub(super) const POD_REVIEW: Outline = Outline::Fields(&[
    ("apiVersion", Outline::Whole),
    ("kind", Outline::Whole),
    (
        "request",
        Outline::Fields(&[
            ("uid", Outline::Whole),
            ("kind", Outline::Whole),
            ("subResource", Outline::Whole),
            ("operation", Outline::Whole),
            ("namespace", Outline::Whole),
            ("name", Outline::Whole),
            ("object", POD),
        ]),
    ),
]);

/// A review as the API server sends it, of an object of the type `O`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>"))]
pub(super) struct Review<'a, O> {
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    request: Option<Request<'a, O>>,
}

/// What is to be admitted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>"))]
pub(super) struct Request<'a, O> {
    /// Names this call; the answer must repeat it.
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
    /// The object's name; empty where the API server is to make one.
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    /// The object as it will be.
    #[serde(default = "none")]
    pub(super) object: Option<O>,
    /// The object as it was, of an update.
    #[serde(default = "none")]
    pub(super) old_object: Option<O>,
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

/// Why a body is no review.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadReview {
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

/// What is answered, but for the uid: it can be given to many reviews.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// The JSON Patch, in base64 as the API server wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
    /// Why the object is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// The part of `metav1.Status` that the API server passes on to whoever made the request.
#[derive(Debug, Serialize)]
struct Status {
    code: u16,
    message: String,
}

/// A verdict as it is sent, but for the uid: what follows that in the answer.
#[derive(Debug)]
pub(super) struct Written(Vec<u8>);

#[derive(Serialize)]
struct Response<'a> {
    allowed: bool,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

// === impl Review ===

impl<'a, O: Deserialize<'a>> Review<'a, O> {
    /// Reads a review.
    pub(super) fn read(body: &'a [u8]) -> Result<Request<'a, O>, BadReview> {
        // Checked once as a whole, which is several times quicker than string by string.
        let text = std::str::from_utf8(body).map_err(BadReview::Encoding)?;
        let Self { api_version, kind, request } = serde_json::from_str(text)?;
        if api_version.as_deref() != Some(API_VERSION) || kind.as_deref() != Some(KIND) {
            let word = |text: Option<Text<'_>>| text.map_or_else(|| "nothing".to_owned(), |text| text.to_string());
            return Err(BadReview::Version { found: format!("{} of {}", word(kind), word(api_version)) });
        }
        let request = request.ok_or(BadReview::NoRequest)?;
        if request.uid.is_empty() { Err(BadReview::NoUid) } else { Ok(request) }
    }
}

// === impl Request ===

impl<O> Request<'_, O> {
    /// Whether this is the creation of a pod: all else is none of the webhook's business, whoever configured it so.
    pub(super) fn creates_a_pod(&self) -> bool {
        self.is_of("", "Pod") && self.is_whole() && &*self.operation == "CREATE"
    }

    /// Whether this writes a namespace.
    pub(super) fn writes_a_namespace(&self) -> bool {
        self.is_of("", "Namespace") && self.writes()
    }

    /// Whether this writes a profile.
    pub(super) fn writes_a_profile(&self) -> bool {
        self.is_of("muslin.dev", "ResolverProfile") && self.writes()
    }

    /// Whether this creates or updates an object itself, and no part of it such as its status or scale.
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

// === impl Verdict ===

impl Verdict {
    /// Changes the object. An empty patch is none: patch and patch type must be there both, or neither.
    pub(super) fn with_patch(mut self, patch: &Patch) -> Self {
        if !patch.is_empty() {
            // A patch of strings cannot fail to be written; the answer without one leaves the pod as it is.
            self.patch = serde_json::to_vec(patch).ok().map(|json| STANDARD.encode(json));
            self.patch_type = self.patch.is_some().then_some("JSONPatch");
        }
        self
    }

    /// Tells whoever made the request.
    pub(super) fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Notes something in the API server's audit log, under the webhook's name.
    pub(super) fn with_audit(mut self, key: &'static str, value: String) -> Self {
        self.audit_annotations.insert(key, value);
        self
    }

    /// The object is refused, and why.
    pub(super) fn denied(mut self, message: String) -> Self {
        self.status = Some(Status { code: 403, message });
        self
    }

    /// As it is sent.
    pub(super) fn written(&self) -> Written {
        // It holds strings, which cannot fail to be written. Should they ever, the API server gets what it does not understand,
        // and uses its failure policy.
        let response = Response { allowed: self.status.is_none(), verdict: self };
        Written(serde_json::to_vec(&response).unwrap_or_default())
    }
}

// === impl Written ===

impl Written {
    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// The answer to the review of this uid.
    pub(super) fn answer(&self, uid: &str) -> Vec<u8> {
        /// As long as all that is neither verdict nor uid.
        const AROUND: usize = 96;
        let mut answer = Vec::with_capacity(AROUND + uid.len() + self.0.len());
        // Writing to memory cannot fail.
        let _ = write!(answer, r#"{{"apiVersion":"{API_VERSION}","kind":"{KIND}","response":{{"uid":"#);
        let _ = serde_json::to_writer(&mut answer, uid);
        answer.push(b',');
        answer.extend_from_slice(self.0.strip_prefix(b"{").unwrap_or_default());
        answer.push(b'}');
        answer
    }
}
