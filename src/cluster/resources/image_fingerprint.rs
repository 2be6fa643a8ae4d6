//! The resource `ImageFingerprint`: the resolver of one image on one platform, named by the digest of the image's manifest. muslin
//! writes the status, administrators write `spec.declared`. Must not know who reads the resource, or when.

#![allow(unreachable_pub, reason = "kube's macros write the types once more, inside of functions")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::schemas;

/// An administrator's declaration about an image.
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
    doc = "The DNS resolver of an image on one platform: read in the image by muslin, or declared by an administrator. \
           The resource is named by the digest of the image's manifest, with a `-` in place of the `:`.",
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
    /// The resolver of the image, such as `musl 1.2.5`, `glibc` or `go`. A declaration outranks the result of inspecting the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::optional_resolver")]
    pub declared: Option<String>,
}

/// The results of inspecting the image.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFingerprintStatus {
    /// The resolver of the image's own command: musl, glibc, go, uclibc, c-ares, static or unknown.
    pub resolver: String,
    /// The resolver's version, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Another resolver that the image's own program has, such as `c-ares 1.34.5`. The program decides which of the two looks up a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// The evidence: `inspected` (read in the image), `declared` (by an administrator), or `none`.
    pub evidence: String,
    /// The reason for this result, in a sentence.
    pub because: String,
    /// The image name under which the image was used last.
    pub image: String,
    /// The digest of the image's manifest.
    pub digest: String,
    /// The platform, such as `linux/amd64`.
    pub platform: String,
    /// The time of the last known use, exact to a day.
    #[schemars(schema_with = "schemas::date_time")]
    pub last_used: Time,
    /// The image names under which the image was used, and when each last resolved to this image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 16))]
    pub references: Vec<Seen>,
    /// The namespace of the first pod that used the image. Each namespace has a quota.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The number of the format of `data`. muslin inspects images with data of another format again.
    // Kubernetes knows no unsigned formats, and warns about them from 1.37 on.
    #[serde(default)]
    #[schemars(extend("format" = "int64"))]
    pub format: u32,
    /// The facts from which muslin derives the resolver of any command in the image. The format is internal to muslin.
    #[serde(default)]
    #[schemars(length(max = 32768))]
    pub data: String,
}

/// An image name that resolved to this image.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The name as pods write it.
    pub name: String,
    /// The last time at which the name resolved to this image.
    #[schemars(schema_with = "schemas::date_time")]
    pub at: Time,
    /// The identity of the pull secrets that read the image; absent if everybody may read it. The identity stands for versions of
    /// Secrets and says nothing about their content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}
