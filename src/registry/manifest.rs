//! Indexes, manifests and configurations, as OCI image-spec v1.1 and Docker's schema 2 define them. Only the needed fields are read,
//! and lists are bounded while they are read. Must not know where the bytes came from.

use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};

use super::digest::Digest;
use super::error::{Error, ErrorSubject};
use super::limits::Limits;
use super::platform::Platform;
use crate::image::contents;

/// The media types that are accepted for a manifest.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Docker's schema 1, which names no configuration and is no longer pulled by containerd 2.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";

/// Bytes of an image's command and of the kept variables of its environment, with 24 for each word. A shell text in a Dockerfile has
/// some KiB.
const COMMAND_MAX: usize = 8 << 10;

/// A reference to content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the content.
    #[serde(default)]
    pub media_type: String,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content, in bytes.
    pub size: u64,
    /// The platform, in an index.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Annotations of tools; Docker's builder marks attestations with one.
    #[serde(default)]
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// An index or a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexOrManifest {
    /// An index of several manifests.
    Index(Vec<Descriptor>),
    /// The manifest of one image.
    Manifest {
        /// The configuration.
        config: Descriptor,
        /// The layers, from the base up.
        layers: Vec<Descriptor>,
    },
}

/// The needed fields of an image configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// The platform of the image.
    pub platform: Platform,
    /// The command, the environment and the working directory.
    pub process: contents::Config,
    /// The digests of the layers after decompression, from the base up.
    pub diff_ids: Vec<Digest>,
}

/// The compression of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<BoundedList>,
    #[serde(default)]
    manifests: Option<BoundedList>,
}

/// A list that is rejected while it is read, once it exceeds [`LIST_MAX`]; [`Limits`] may be stricter.
#[derive(Default)]
struct BoundedList(Vec<Descriptor>);

/// Entries of any list, whatever the limits are: a descriptor takes some 200 bytes.
const LIST_MAX: usize = 4096;

#[derive(Deserialize)]
struct RawConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    config: Option<RawProcess>,
    #[serde(default)]
    rootfs: Option<RawRoot>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawProcess {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
}

#[derive(Deserialize)]
struct RawRoot {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

// === impl IndexOrManifest ===

impl IndexOrManifest {
    /// Reads an index or a manifest.
    ///
    /// # Errors
    /// The bytes are neither, or have more entries than the limits allow.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let raw: RawManifest = serde_json::from_slice(bytes)
            .map_err(|error| Error::malformed(ErrorSubject::Manifest, error.to_string()))?;
        let RawManifest { schema_version, media_type, config, layers, manifests } = raw;
        if schema_version == 1 || media_type.starts_with(SCHEMA_1) {
            return Err(Error::malformed(
                ErrorSubject::Manifest,
                "it has Docker's schema 1, which runtimes no longer pull; push the image again",
            ));
        }
        match (config, layers, manifests) {
            (None, None, Some(BoundedList(entries))) => {
                if entries.len() > limits.index_entries {
                    return Err(Error::too_many("entries in the index", limits.index_entries));
                }
                Ok(Self::Index(entries))
            }
            (Some(config), Some(BoundedList(layers)), None) => {
                if layers.len() > limits.layers {
                    return Err(Error::too_many("layers", limits.layers));
                }
                Ok(Self::Manifest { config, layers })
            }
            _ => Err(Error::malformed(ErrorSubject::Manifest, "it is neither an index nor the manifest of an image")),
        }
    }
}

impl<'de> Deserialize<'de> for BoundedList {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = BoundedList;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {LIST_MAX} descriptors")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<BoundedList, A::Error> {
                let mut descriptors = Vec::new();
                while let Some(descriptor) = list.next_element()? {
                    if descriptors.len() == LIST_MAX {
                        return Err(serde::de::Error::invalid_length(LIST_MAX + 1, &self));
                    }
                    descriptors.push(descriptor);
                }
                Ok(BoundedList(descriptors))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Compares a manifest or configuration with its descriptor.
pub(super) fn check_content(bytes: &[u8], descriptor: &Descriptor, subject: ErrorSubject) -> Result<(), Error> {
    let (expected, actual) = (descriptor.size, bytes.len() as u64);
    if expected != actual {
        return Err(Error::WrongSize { subject, expected, actual });
    }
    let actual = descriptor.digest.with_same_algorithm(bytes);
    if actual == descriptor.digest {
        Ok(())
    } else {
        Err(Error::WrongDigest { subject, expected: descriptor.digest.clone(), actual })
    }
}

// === impl Descriptor ===

impl Descriptor {
    pub(super) const fn new(digest: Digest, size: u64) -> Self {
        Self { media_type: String::new(), digest, size, platform: None, annotations: None }
    }

    /// Returns whether the content is the configuration of an image, rather than of a chart, a signature or a module.
    pub(super) fn is_image_config(&self) -> bool {
        // Docker's archives name no type.
        matches!(
            self.media_type.as_str(),
            "" | "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    }

    /// Returns whether the content is an attestation of Docker's builder and no image.
    pub(super) fn is_attestation(&self) -> bool {
        let by_annotation = |annotations: &std::collections::BTreeMap<String, String>| {
            annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
        };
        self.annotations.as_ref().is_some_and(by_annotation)
            || self.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
    }

    /// Returns whether a layer is stored outside the registry, as Windows' base layers are.
    pub(super) fn is_foreign(&self) -> bool {
        self.media_type.contains("nondistributable") || self.media_type.contains(".foreign.")
    }

    /// Returns whether a layer is encrypted (containers/ocicrypt `spec/spec.go`).
    pub(super) fn is_encrypted(&self) -> bool {
        self.media_type.ends_with("+encrypted")
    }

    /// Returns the compression of a layer by its first bytes: media types are often wrong.
    pub(super) fn compression(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A frame, or a skippable one (RFC 8878 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

// === impl ImageConfig ===

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The bytes are no configuration.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let raw: RawConfig =
            serde_json::from_slice(bytes).map_err(|error| Error::malformed(ErrorSubject::Config, error.to_string()))?;
        let RawConfig { os, architecture, variant, config, rootfs } = raw;
        let RawProcess { entrypoint, cmd, env, working_dir } = config.unwrap_or_default();
        let mut process = contents::Config {
            entrypoint: entrypoint.unwrap_or_default(),
            cmd: cmd.unwrap_or_default(),
            working_dir: working_dir.unwrap_or_default(),
            ..contents::Config::default()
        };
        process.keep_env(env.iter().flatten().map(String::as_str));
        let words = process.entrypoint.iter().chain(&process.cmd).chain(process.env.values());
        if words.map(|word| word.len() + size_of::<String>()).sum::<usize>() + process.working_dir.len() > COMMAND_MAX {
            return Err(Error::TooLarge { subject: ErrorSubject::Command, limit_bytes: COMMAND_MAX as u64 });
        }
        // Old builders omit both fields; they built for this platform.
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        let platform = Platform {
            os: or(os, "linux"),
            arch: or(architecture, "amd64"),
            variant: variant.filter(|v| !v.is_empty()),
        };
        Ok(Self { platform, process, diff_ids: rootfs.map(|root| root.diff_ids).unwrap_or_default() })
    }
}
