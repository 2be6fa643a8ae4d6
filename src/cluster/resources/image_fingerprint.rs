//! The resource `ImageFingerprint`: what is known of one image for one platform, by the digest of its manifest. muslin writes its
//! status, and administrators its `spec.declared`. Must not know who reads it when.

#![allow(unreachable_pub, reason = "kube's macros write the types once more, inside of functions")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an administrator says of an image.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "muslin.dev",
    version = "v1alpha1",
    kind = "ImageFingerprint",
    plural = "imagefingerprints",
    shortname = "imgfp",
    category = "muslin",
    status = "ImageFingerprintStatus",
    derive = "PartialEq",
    doc = "Which DNS resolver an image uses, for one platform: read in the image by muslin, or declared by an administrator. \
           It is named by the digest of the image's manifest, with a `-` in place of the `:`.",
    printcolumn(json_path = ".status.resolver", name = "Resolver", type_ = "string"),
    printcolumn(json_path = ".status.version", name = "Version", type_ = "string"),
    printcolumn(json_path = ".status.evidence", name = "Evidence", type_ = "string"),
    printcolumn(json_path = ".spec.declared", name = "Declared", type_ = "string"),
    printcolumn(json_path = ".status.image", name = "Image", type_ = "string"),
    printcolumn(json_path = ".status.platform", name = "Platform", type_ = "string", priority = 1),
    printcolumn(json_path = ".status.lastUsed", name = "Used", type_ = "date", priority = 1),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    validation = Rule::new("self.metadata.name.matches('^(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})$')")
        .message("the name is the digest of the image's manifest, with a - for the :, such as sha256-0123...")
)]
#[serde(rename_all = "camelCase")]
pub struct ImageFingerprintSpec {
    /// The resolver that the image has, such as `musl 1.2.5`, `glibc` or `go`. It outranks what muslin reads in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "resolver")]
    pub declared: Option<String>,
}

/// What muslin knows of an image.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFingerprintStatus {
    /// The resolver of the image's own command: musl, glibc, go, uclibc, c-ares, static or unknown.
    pub resolver: String,
    /// The resolver's release, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it is known: `inspected` (read in the image), `declared` (by an administrator), or `none`.
    pub evidence: String,
    /// Why, in a sentence.
    pub because: String,
    /// The reference under which it was used last.
    pub image: String,
    /// The digest of the image's manifest.
    pub digest: String,
    /// The platform, such as `linux/amd64`.
    pub platform: String,
    /// When it was last known to be in use, to the day.
    #[schemars(schema_with = "date_time")]
    pub last_used: Time,
    /// The references under which it was used, and when each was last found to mean this image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 16))]
    pub references: Vec<Seen>,
    /// What muslin keeps of the image, to tell the resolver of any command that a pod may run in it. Its form is muslin's own.
    #[schemars(schema_with = "anything")]
    pub facts: Value,
}

/// A reference, and what it meant.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// As pods write it.
    pub name: String,
    /// When it was found to mean this image.
    #[schemars(schema_with = "date_time")]
    pub at: Time,
}

fn resolver(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "nullable": true,
        "maxLength": 32,
        "pattern": "^(musl|glibc|go|uclibc|c-ares|static)( [0-9]+(\\.[0-9]+){1,2})?$",
    })
}

fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
