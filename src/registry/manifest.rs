//! Indexes, manifests and configurations, as OCI image-spec v1.1 and Docker's schema 2 write them. Only what is needed is read,
//! and lists are cut off at their bound while they are read. Must not know where the bytes came from.

use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};

use super::digest::Digest;
use super::error::{Error, Subject};
use super::limits::Limits;
use super::platform::Platform;
use crate::image::contents;

/// What a registry is asked to answer a manifest with.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Docker's schema 1, which names no configuration and is no longer pulled by containerd 2.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";

/// How much an image's command and what is kept of its environment may have, since they are kept. A shell's text in a Dockerfile has
/// some KiB.
const COMMAND_MAX: usize = 32 << 10;

/// Points to content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    #[serde(default)]
    pub media_type: String,
    /// The digest.
    pub digest: Digest,
    /// The size, in bytes.
    pub size: u64,
    /// In an index: what it is for.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// What tools add; Docker's builder marks attestations so.
    #[serde(default)]
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// An index or a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// Of several manifests.
    Index(Vec<Descriptor>),
    /// Of one image.
    Manifest {
        /// The configuration.
        config: Descriptor,
        /// From the base up.
        layers: Vec<Descriptor>,
    },
}

/// What is read of an image's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// What the image is built for.
    pub platform: Platform,
    /// What its process is.
    pub process: contents::Config,
    /// The digests of the layers once decompressed, from the base up.
    pub diff_ids: Vec<Digest>,
}

/// How a layer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Bounded>,
    #[serde(default)]
    manifests: Option<Bounded>,
}

/// A list that is refused while it is read, once it is too long for any use; [`Limits`] may be stricter.
#[derive(Default)]
struct Bounded(Vec<Descriptor>);

/// What no list may exceed, whatever the limits are: a descriptor takes some 200 bytes.
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

// === impl Document ===

impl Document {
    /// Reads an index or a manifest.
    ///
    /// # Errors
    /// It is neither, or has more entries than are believed.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let raw: RawDocument =
            serde_json::from_slice(bytes).map_err(|error| Error::malformed(Subject::Manifest, error.to_string()))?;
        let RawDocument { schema_version, media_type, config, layers, manifests } = raw;
        if schema_version == 1 || media_type.starts_with(SCHEMA_1) {
            return Err(Error::malformed(
                Subject::Manifest,
                "it is Docker's schema 1, which is no longer pulled; push it again",
            ));
        }
        match (config, layers, manifests) {
            (None, None, Some(Bounded(entries))) => {
                if entries.len() > limits.index_entries {
                    return Err(Error::too_many("entries of the index", limits.index_entries));
                }
                Ok(Self::Index(entries))
            }
            (Some(config), Some(Bounded(layers)), None) => {
                if layers.len() > limits.layers {
                    return Err(Error::too_many("layers", limits.layers));
                }
                Ok(Self::Manifest { config, layers })
            }
            _ => Err(Error::malformed(Subject::Manifest, "it is neither an index nor the manifest of an image")),
        }
    }
}

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Bounded;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {LIST_MAX} descriptors")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bounded, A::Error> {
                let mut descriptors = Vec::new();
                while let Some(descriptor) = list.next_element()? {
                    if descriptors.len() == LIST_MAX {
                        return Err(serde::de::Error::invalid_length(LIST_MAX + 1, &self));
                    }
                    descriptors.push(descriptor);
                }
                Ok(Bounded(descriptors))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Compares a manifest or configuration with what points to it.
pub(super) fn check(bytes: &[u8], descriptor: &Descriptor, subject: Subject) -> Result<(), Error> {
    let (expected, actual) = (descriptor.size, bytes.len() as u64);
    if expected != actual {
        return Err(Error::WrongSize { subject, expected, actual });
    }
    let actual = descriptor.digest.of_same_kind(bytes);
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

    /// Whether it points to the configuration of an image, rather than of a chart, a signature or a module.
    pub fn is_image_config(&self) -> bool {
        // Archives of Docker's name no type.
        matches!(
            self.media_type.as_str(),
            "" | "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    }

    /// Whether it points to an index rather than to a manifest.
    pub fn is_index(&self) -> bool {
        self.media_type.contains("image.index") || self.media_type.contains("manifest.list")
    }

    /// Whether it points to what Docker's builder says of an image, and to no image.
    pub fn is_attestation(&self) -> bool {
        let by_annotation = |annotations: &std::collections::BTreeMap<String, String>| {
            annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
        };
        self.annotations.as_ref().is_some_and(by_annotation)
            || self.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
    }

    /// Whether a layer is elsewhere than in the registry, as Windows' base layers are.
    pub fn is_foreign(&self) -> bool {
        self.media_type.contains("nondistributable") || self.media_type.contains(".foreign.")
    }

    /// How a layer is stored, by its first bytes: media types are often wrong.
    pub fn packing(start: &[u8]) -> Packing {
        match start {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            // A frame, or one that is skipped (RFC 8878 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

// === impl ImageConfig ===

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let raw: RawConfig =
            serde_json::from_slice(bytes).map_err(|error| Error::malformed(Subject::Config, error.to_string()))?;
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
        if words.map(String::len).sum::<usize>() + process.working_dir.len() > COMMAND_MAX {
            return Err(Error::TooLarge { subject: Subject::Command, limit_bytes: COMMAND_MAX as u64 });
        }
        // Old builders leave both out; what they built was this.
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        let platform = Platform {
            os: or(os, "linux"),
            arch: or(architecture, "amd64"),
            variant: variant.filter(|v| !v.is_empty()),
        };
        Ok(Self { platform, process, diff_ids: rootfs.map(|root| root.diff_ids).unwrap_or_default() })
    }
}
