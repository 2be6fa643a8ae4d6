//! What can go wrong while an image is read. Each message ends the sentence "cannot inspect IMAGE: …", says what was wrong on
//! what, and, where there is something to do, what. Never holds a credential, nor the query of a URL, which may be one.

use std::time::Duration;

use super::digest::Digest;
use super::platform::Platform;
use crate::image::contents::LayerTooLarge;

/// Why an image cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was read makes no sense.
    #[error("{subject} cannot be understood: {problem}")]
    Malformed {
        /// What was read.
        subject: Subject,
        /// What is wrong with it.
        problem: String,
    },
    /// What was read is larger than anything real.
    #[error("{subject} has more than the {limit_bytes} bytes that are read of one")]
    TooLarge {
        /// What was read.
        subject: Subject,
        /// How much is read.
        limit_bytes: u64,
    },
    /// There are more than any real image has.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// A layer becomes far larger than anything real compresses to.
    #[error("the layer is more than {ratio} times as large as it is stored: that is what bombs are like")]
    Bomb {
        /// How many times.
        ratio: u64,
    },
    /// The facts of a layer take too much memory.
    #[error(transparent)]
    Facts(#[from] LayerTooLarge),
    /// What was read is not what was asked for.
    #[error(
        "{subject} has the digest {actual} and should have {expected}: the registry or what is between has changed it"
    )]
    WrongDigest {
        /// What was read.
        subject: Subject,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// What was read has not the size that was announced.
    #[error("{subject} has {actual} bytes and should have {expected}")]
    WrongSize {
        /// What was read.
        subject: Subject,
        /// What was announced.
        expected: u64,
        /// What came, as far as it was read.
        actual: u64,
    },
    /// The image is not for this platform.
    #[error("the image is not for {wanted}; it is for {}", list(.offered))]
    NoPlatform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        offered: Vec<Platform>,
    },
    /// A Windows image reads no resolv.conf.
    #[error("it is a Windows image, which reads no resolv.conf")]
    Windows,
    /// There is no such image, or none that these credentials may see.
    #[error("{host} has no such image, or does not show it to these credentials ({status})")]
    NotFound {
        /// The registry.
        host: String,
        /// Its answer.
        status: u16,
    },
    /// The registry wants other credentials.
    #[error(
        "{host} refuses the credentials, or the lack of them ({problem}); name a dockerconfigjson that has some for it"
    )]
    Unauthorized {
        /// The registry.
        host: String,
        /// What it said.
        problem: String,
    },
    /// The registry asked to be left alone for a while.
    #[error("{host} limits how often it is asked; it may be asked again in {} s", .after.as_secs())]
    RateLimited {
        /// The registry.
        host: String,
        /// How long it asked for.
        after: Duration,
    },
    /// The registry did not answer before, and is not asked again yet.
    #[error("{host} failed before ({problem}); it is tried again in {} s", .after.as_secs())]
    Resting {
        /// The registry.
        host: String,
        /// What it failed with.
        problem: String,
        /// How long it is left alone.
        after: Duration,
    },
    /// An address that is not to be reached.
    #[error("{host} is at {address}, which is {kind} and not allowed; allow its network if that is meant")]
    Forbidden {
        /// The host.
        host: String,
        /// Its address.
        address: std::net::IpAddr,
        /// What kind of address that is.
        kind: &'static str,
    },
    /// A redirect, or the place of a token, that is not followed.
    #[error("{host} sends us to {target}, which is not followed: {problem}")]
    Misdirected {
        /// Who sends.
        host: String,
        /// Where to, without its query.
        target: String,
        /// Why not.
        problem: &'static str,
    },
    /// The registry answered something that no registry should.
    #[error("{host} answered {status} to {request}")]
    Status {
        /// The registry.
        host: String,
        /// What was asked, without its query.
        request: String,
        /// Its answer.
        status: u16,
    },
    /// The connection failed.
    #[error("{host} cannot be reached, or broke off: {problem}")]
    Transport {
        /// The host.
        host: String,
        /// What happened.
        problem: String,
    },
    /// It took too long.
    #[error("{what} took more than {} s", .limit.as_secs_f32())]
    Slow {
        /// What took so long.
        what: String,
        /// How long is waited.
        limit: Duration,
    },
    /// A file of an archive cannot be read.
    #[error("cannot read {path}: {problem}")]
    File {
        /// Which.
        path: String,
        /// What happened.
        problem: String,
    },
    /// A reference that this source cannot resolve.
    #[error("{0}")]
    NoImage(String),
    /// Reading ended because nobody waits for it, or it failed inside.
    #[error("reading was broken off")]
    Cancelled,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An index or a manifest.
    Manifest,
    /// A configuration.
    Config,
    /// A command and its environment.
    Command,
    /// What the layers of an image say, together.
    Facts,
    /// A layer.
    Layer,
    /// A layer once decompressed.
    UnpackedLayer,
    /// The description of an entry in a layer.
    EntryHeader,
    /// A registry's token.
    Token,
    /// An archive on disk.
    Archive,
    /// A file of credentials.
    Credentials,
}

// === impl Error ===

impl Error {
    pub(super) fn malformed(subject: Subject, problem: impl Into<String>) -> Self {
        Self::Malformed { subject, problem: problem.into() }
    }

    pub(super) const fn too_many(what: &'static str, limit: usize) -> Self {
        Self::TooMany { what, limit }
    }

    /// The same, said of something else.
    pub(super) fn of(self, subject: Subject) -> Self {
        match self {
            Self::Malformed { subject: _, problem } => Self::Malformed { subject, problem },
            Self::TooLarge { subject: _, limit_bytes } => Self::TooLarge { subject, limit_bytes },
            other => other,
        }
    }

    /// Whether the same may go well later: the registry or the network failed, rather than the image.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Resting { .. } | Self::Transport { .. } | Self::Slow { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            Self::Cancelled => true,
            _ => false,
        }
    }
}

/// Errors cross the readers of the standard library on their way up.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Manifest => "the manifest",
            Self::Config => "the image's configuration",
            Self::Command => "the image's command",
            Self::Facts => "what is kept of the image's layers while they are read",
            Self::Layer => "the layer",
            Self::UnpackedLayer => "the decompressed layer",
            Self::EntryHeader => "what the layer says of an entry",
            Self::Token => "the registry's token",
            Self::Archive => "the archive",
            Self::Credentials => "the file of credentials",
        })
    }
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none that is named".to_owned();
    }
    platforms.iter().take(16).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
