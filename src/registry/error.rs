//! Errors of reading an image. Each message ends the sentence "cannot inspect IMAGE: …", says what was wrong with what, and what to
//! do where the reader can do something. No message holds a credential or the query of a URL, which may be one.

use std::time::Duration;

use super::digest::{Digest, InvalidDigest};
use super::platform::Platform;
use crate::image::InvalidReference;
use crate::image::contents::LayerTooLarge;

/// An error of reading an image.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The subject has no valid form.
    #[error("{subject} is invalid: {problem}")]
    Malformed {
        /// The invalid part.
        subject: ErrorSubject,
        /// The fault in it.
        problem: String,
    },
    /// The subject is larger than any real one.
    #[error("{subject} exceeds the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The large part.
        subject: ErrorSubject,
        /// The limit.
        limit_bytes: u64,
    },
    /// The image has more of something than any real one.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// The counted things, in the plural.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The layer decompresses to more than anything real compresses to.
    #[error("the layer decompresses to more than {ratio} times its stored size, as a decompression bomb does")]
    Bomb {
        /// The limit.
        ratio: u64,
    },
    /// A layer is encrypted.
    #[error(
        "a layer is encrypted: inspect a decrypted copy (skopeo copy --decryption-key), or declare the image's resolver"
    )]
    Encrypted,
    /// The links and folders of the layers take too much work.
    #[error("the image has too many links or folders: rebuild it with fewer, or declare its resolver")]
    TooManyLinks,
    /// The facts of a layer take too much memory.
    #[error(transparent)]
    Facts(#[from] LayerTooLarge),
    /// The content is not the requested one.
    #[error("{subject} has the digest {actual} instead of {expected}: the registry or a proxy changed it")]
    WrongDigest {
        /// The changed part.
        subject: ErrorSubject,
        /// The requested digest.
        expected: Digest,
        /// The digest of the content that arrived.
        actual: Digest,
    },
    /// The content does not have the announced size.
    #[error("{subject} has {actual} bytes instead of {expected}")]
    WrongSize {
        /// The part of the wrong size.
        subject: ErrorSubject,
        /// The announced size.
        expected: u64,
        /// The size that arrived, as far as it was read.
        actual: u64,
    },
    /// The image is not built for this platform.
    #[error("the image is not built for {wanted}, only for {}", list(.offered))]
    NoPlatform {
        /// The requested platform.
        wanted: Platform,
        /// The platforms of the image.
        offered: Vec<Platform>,
    },
    /// A Windows image.
    #[error("a Windows image reads no resolv.conf")]
    Windows,
    /// The image does not exist, or these credentials may not see it.
    #[error("{host} has no such image, or hides it from these credentials ({status})")]
    NotFound {
        /// The registry.
        host: String,
        /// The status of its answer.
        status: u16,
    },
    /// The registry requires other credentials.
    #[error("{host} denies access: {problem}; pass a dockerconfigjson with credentials for it")]
    Unauthorized {
        /// The registry.
        host: String,
        /// The reason for the denial.
        problem: String,
    },
    /// The registry asked for a pause.
    #[error("{host} limits the rate of requests; try again in {} s", .after.as_secs())]
    RateLimited {
        /// The registry.
        host: String,
        /// The pause that it asked for.
        after: Duration,
    },
    /// The host failed, and its pause is not over.
    #[error("{host} failed recently ({problem}); the next attempt is in {} s", .after.as_secs())]
    BackedOff {
        /// The host.
        host: String,
        /// The message of the last failure.
        problem: String,
        /// The rest of the pause.
        after: Duration,
    },
    /// The address must not be contacted.
    #[error(
        "{host} has the address {address}, which is {kind} and not allowed; if this is intended, pass --allow-network {address}"
    )]
    Forbidden {
        /// The host.
        host: String,
        /// The address of the host.
        address: std::net::IpAddr,
        /// The kind of the address.
        kind: &'static str,
    },
    /// A redirect or a token server that is not followed.
    #[error("{host} redirects to {target}, which is not followed: {problem}")]
    Misdirected {
        /// The host that redirects.
        host: String,
        /// The target, without its query.
        target: String,
        /// The reason for not following.
        problem: &'static str,
    },
    /// The registry answered with an unexpected status.
    #[error("{host} answered {status} to {request}")]
    Status {
        /// The registry.
        host: String,
        /// The request, without its query.
        request: String,
        /// The status of its answer.
        status: u16,
    },
    /// The connection failed.
    #[error("cannot reach {host}, or the connection broke: {problem}")]
    Transport {
        /// The host.
        host: String,
        /// The message of the network or of TLS.
        problem: String,
    },
    /// A time limit passed.
    #[error("{what} took more than {} s", .limit.as_secs_f32())]
    Slow {
        /// The slow step.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// The message of the operating system.
        problem: String,
    },
    /// The text is no image reference.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// The digest in the reference is by an unknown algorithm.
    #[error(transparent)]
    ReferenceDigest(#[from] InvalidDigest),
    /// The registry in the reference has no valid name.
    #[error("`{host}` is not a valid host")]
    InvalidHost {
        /// The registry.
        host: String,
    },
    /// The archive as a whole is compressed.
    #[error("{path} is compressed; decompress it first")]
    CompressedArchive {
        /// The archive.
        path: String,
    },
    /// The archive lacks a file of its kind.
    #[error("{path} has no `{name}`, so it is no image of this kind, or an incomplete one")]
    MissingFromArchive {
        /// The archive.
        path: String,
        /// The missing file or digest.
        name: String,
    },
    /// The archive holds several images and none was named, or none of this name.
    #[error("{path} holds several images, or none of that name; name one of: {}", .names.join(", "))]
    AmbiguousArchive {
        /// The archive.
        path: String,
        /// Names of images in it.
        names: Vec<String>,
    },
    /// The inspection was dropped, or its task failed.
    #[error("the inspection was cancelled")]
    Cancelled,
}

/// The part of an image that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorSubject {
    /// An index or a manifest.
    Manifest,
    /// A configuration.
    Config,
    /// The command in a configuration, with its environment.
    Command,
    /// The facts collected from all layers of an image.
    Facts,
    /// A layer as it is stored.
    Layer,
    /// A layer after decompression.
    UnpackedLayer,
    /// The header of an entry in a layer.
    EntryHeader,
    /// The answer of a token server.
    Token,
    /// An archive on disk.
    Archive,
    /// A file of credentials or certificates.
    Credentials,
}

// === impl Error ===

impl Error {
    /// Returns whether the registry cannot be reached or does not work, whatever the image is.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::BackedOff { .. }
            | Self::Forbidden { .. }
            | Self::Misdirected { .. }
            | Self::Transport { .. }
            | Self::Slow { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }

    pub(super) fn malformed(subject: ErrorSubject, problem: impl Into<String>) -> Self {
        Self::Malformed { subject, problem: problem.into() }
    }

    pub(super) const fn too_many(what: &'static str, limit: usize) -> Self {
        Self::TooMany { what, limit }
    }

    /// Returns the same error about another subject.
    pub(super) fn with_subject(self, subject: ErrorSubject) -> Self {
        match self {
            Self::Malformed { subject: _, problem } => Self::Malformed { subject, problem },
            Self::TooLarge { subject: _, limit_bytes } => Self::TooLarge { subject, limit_bytes },
            other => other,
        }
    }

    /// Returns whether the user named an image wrongly, rather than a registry, a file or an image failing.
    pub const fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::Reference(_)
                | Self::ReferenceDigest(_)
                | Self::InvalidHost { .. }
                | Self::CompressedArchive { .. }
                | Self::MissingFromArchive { .. }
                | Self::AmbiguousArchive { .. }
        )
    }
}

/// Carries an error through the readers of the standard library.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl std::fmt::Display for ErrorSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Manifest => "the manifest",
            Self::Config => "the image configuration",
            Self::Command => "the image's command",
            Self::Facts => "the set of facts about all layers",
            Self::Layer => "the layer",
            Self::UnpackedLayer => "the decompressed layer",
            Self::EntryHeader => "an entry header in the layer",
            Self::Token => "the token server's answer",
            Self::Archive => "the archive",
            Self::Credentials => "the credentials file",
        })
    }
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "unnamed platforms".to_owned();
    }
    platforms.iter().take(16).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
