//! The grammar of image references, as `distribution/reference` v0.6 defines it and as the kubelet and container runtimes read it.
//! Borrows from the text; allocates only for errors. Must not know what any name means.

use std::borrow::Cow;
use std::fmt;

use crate::text::cut;

#[cfg(test)]
mod tests;

/// The registry of a reference without one.
pub(crate) const DEFAULT_REGISTRY: &str = "docker.io";
/// The old name of that registry.
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";
/// The path prefix of Docker Hub's official images: `alpine` is `library/alpine`.
pub(crate) const OFFICIAL: &str = "library/";
/// The longest repository, in bytes (`RepositoryNameTotalLengthMax`).
const REPOSITORY_MAX_BYTES: usize = 255;
/// The longest tag, in bytes.
const TAG_MAX_BYTES: usize = 128;
/// The shortest digest of an algorithm that muslin does not know, in hexadecimal digits.
const DIGEST_MIN_DIGITS: usize = 32;
/// The length of an image id, which is a SHA-256.
const IMAGE_ID_DIGITS: usize = 64;
/// The most bytes of an invalid text that its message repeats.
const SHOWN_MAX_BYTES: usize = 80;

/// An image reference such as `registry.example.com:5000/team/app:1.2@sha256:…`, normalised: `redis` and
/// `docker.io/library/redis` are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference<'a> {
    registry: &'a str,
    /// The path, without `library/` for official images.
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// A text that is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not an image reference: {problem}")]
pub struct InvalidReference {
    shown: String,
    problem: Problem,
}

/// The problem with a text that is no image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// A blank or a control character.
    #[error("it has a blank or a control character")]
    Blank,
    /// An address instead of a name.
    #[error("it is a URL; leave out `//` and everything before it")]
    Url,
    /// An image id.
    #[error("64 hexadecimal digits are an image id; write the repository, as in `app@sha256:…`")]
    ImageId,
    /// The part before the first `/` is no registry.
    #[error("the part before the first `/` is neither a host name nor an address, with or without `:port`")]
    Registry,
    /// The repository is missing.
    #[error("it has no repository")]
    NoRepository,
    /// A capital letter in the repository.
    #[error("its repository has a capital letter; repositories are lower case")]
    Uppercase,
    /// Another wrong character, or a separator in the wrong place.
    #[error("its repository may only have a-z and 0-9 and, between those, `.`, `_`, `__` or dashes")]
    Repository,
    /// The repository is too long.
    #[error("its repository is longer than {REPOSITORY_MAX_BYTES} characters")]
    TooLong,
    /// The tag is wrong.
    #[error("its tag must be 1 to {TAG_MAX_BYTES} letters, digits, `_`, `.` or `-`, and may not begin with `.` or `-`")]
    Tag,
    /// The digest is wrong.
    #[error("its digest must be an algorithm, `:` and hexadecimal digits: for sha256, 64 of them in lower case")]
    Digest,
}

// === impl Reference ===

impl<'a> Reference<'a> {
    /// Parses a reference.
    ///
    /// # Errors
    /// [`InvalidReference`] says which part is wrong, and how to fix it.
    pub fn parse(text: &'a str) -> Result<Self, InvalidReference> {
        Self::parse_parts(text).map_err(|problem| InvalidReference::new(text, problem))
    }

    fn parse_parts(text: &'a str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::Empty);
        }
        if text.len() == IMAGE_ID_DIGITS && text.bytes().all(is_lower_hex) {
            return Err(Problem::ImageId);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (registry, rest) = split_registry(name);
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let problem = Self::problem_of(registry, path, tag, digest);
        match problem {
            // The most common mistakes are named, rather than the part that they are in.
            Some(_) if text.contains("://") => Err(Problem::Url),
            Some(_) if text.chars().any(|c| c.is_whitespace() || c.is_control()) => Err(Problem::Blank),
            Some(problem) => Err(problem),
            None => Ok(Self { registry, path: strip_official(registry, path), tag, digest }),
        }
    }

    fn problem_of(registry: &str, path: &str, tag: Option<&str>, digest: Option<&str>) -> Option<Problem> {
        if !is_registry(registry) {
            return Some(Problem::Registry);
        }
        if path.is_empty() {
            return Some(Problem::NoRepository);
        }
        if !path.split('/').all(is_path_component) {
            let capital = path.bytes().any(|byte| byte.is_ascii_uppercase());
            return Some(if capital { Problem::Uppercase } else { Problem::Repository });
        }
        let prefix = if is_short_official(registry, path) { OFFICIAL.len() } else { 0 };
        if prefix + path.len() > REPOSITORY_MAX_BYTES {
            return Some(Problem::TooLong);
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Some(Problem::Tag);
        }
        digest.is_some_and(|digest| !is_digest(digest)).then_some(Problem::Digest)
    }

    /// Returns the registry's host, with the port if there is one; `docker.io` without a registry.
    pub const fn registry(&self) -> &'a str {
        self.registry
    }

    /// Returns the repository without the `library/` of official images: `alpine`, `grafana/grafana`.
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// Returns true for Docker Hub's official images.
    pub(crate) fn is_official(&self) -> bool {
        is_short_official(self.registry, self.path)
    }

    /// Returns the repository as the registry calls it: `library/alpine`, `grafana/grafana`. Allocates only for official images.
    pub fn repository(&self) -> Cow<'a, str> {
        if self.is_official() { Cow::Owned(format!("{OFFICIAL}{}", self.path)) } else { Cow::Borrowed(self.path) }
    }

    /// Returns the tag as written. A reference with neither tag nor digest means `latest`; the caller adds it.
    pub const fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// Returns the digest as written, with its algorithm: `sha256:…`. With a digest, the tag is only a comment.
    pub const fn digest(&self) -> Option<&'a str> {
        self.digest
    }
}

impl fmt::Display for Reference<'_> {
    /// Writes the full form: `docker.io/library/alpine:3.19`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, path, tag, digest } = self;
        let official = if self.is_official() { OFFICIAL } else { "" };
        write!(f, "{registry}/{official}{path}")?;
        if let Some(tag) = tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

// === impl InvalidReference ===

impl InvalidReference {
    fn new(text: &str, problem: Problem) -> Self {
        Self { shown: cut(text, SHOWN_MAX_BYTES).into_owned(), problem }
    }

    /// Returns the problem.
    pub const fn problem(&self) -> Problem {
        self.problem
    }
}

// === the grammar ===

/// Splits off the registry: the part before the first `/`, if that cannot be the first component of a path.
pub(crate) fn split_registry(name: &str) -> (&str, &str) {
    let is_host = |first: &str| {
        first == "localhost" || first.bytes().any(|byte| matches!(byte, b'.' | b':') || byte.is_ascii_uppercase())
    };
    match name.split_once('/') {
        Some((LEGACY_DEFAULT_REGISTRY, rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn is_short_official(registry: &str, path: &str) -> bool {
    registry == DEFAULT_REGISTRY && !path.contains('/')
}

fn strip_official<'a>(registry: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(OFFICIAL) {
        Some(name) if is_short_official(registry, name) => name,
        _ => path,
    }
}

/// Returns true for a host name, an IPv4 address or an IPv6 address in brackets, with or without a port.
fn is_registry(registry: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = registry.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            let is_address =
                !address.is_empty() && address.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit());
            is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (host, port) = match registry.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (registry, None),
    };
    host.split('.').all(is_host_label) && port.is_none_or(is_port)
}

fn is_host_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Returns true for runs of a-z and 0-9, joined by `.`, `_`, `__` or any number of dashes.
fn is_path_component(component: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator = |separator: &[u8]| {
        matches!(separator, [] | [b'.'] | [b'_'] | [b'_', b'_']) || separator.iter().all(|byte| *byte == b'-')
    };
    let bytes = component.as_bytes();
    bytes.first().is_some_and(is_word) && bytes.last().is_some_and(is_word) && bytes.split(is_word).all(is_separator)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG_MAX_BYTES
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, digits)) = digest.split_once(':') else { return false };
    let exact = |length: usize| digits.len() == length && digits.bytes().all(is_lower_hex);
    match algorithm {
        "sha256" => exact(64),
        "sha384" => exact(96),
        "sha512" => exact(128),
        other => {
            other.split(['-', '_', '+', '.']).all(is_algorithm_part)
                && digits.len() >= DIGEST_MIN_DIGITS
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
    }
}

fn is_algorithm_part(part: &str) -> bool {
    part.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

const fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
