//! The start of image references, which stands for many images at once. Must not know what it is used for.

use super::reference::{DEFAULT_REGISTRY, OFFICIAL, Reference, split_registry};

/// The start of a reference: a registry, a folder of repositories, a repository, or a repository with the start of a tag. Must end
/// where a part of the reference ends: `example.com/app` is no prefix of `example.com/apple`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The full form, as [`Reference`] displays itself.
    full: String,
}

/// A text that is not the start of any reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the start of an image reference: write a registry, a repository or a part of one, such as `registry.example.com/team/`"
)]
pub struct InvalidPrefix(String);

// === impl Prefix ===

impl Prefix {
    /// Parses a prefix. As in a reference, a name without a registry is on Docker Hub; a host name alone is a whole registry.
    ///
    /// # Errors
    /// The text is empty, a URL, or has a character that no reference has.
    pub fn parse(text: &str) -> Result<Self, InvalidPrefix> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "./:@_-[]".contains(c);
        if text.is_empty() || text.contains("//") || text.starts_with(['/', ':', '@']) || !text.chars().all(is_part) {
            return Err(InvalidPrefix(text.to_owned()));
        }
        let name = text.split(':').next().unwrap_or_default();
        if !text.contains('/') && (name.contains('.') || name == "localhost") {
            return Ok(Self { full: format!("{text}/") });
        }
        let (registry, path) = split_registry(text);
        let is_official = registry == DEFAULT_REGISTRY && !path.is_empty() && !path.contains('/');
        Ok(Self { full: format!("{registry}/{}{path}", if is_official { OFFICIAL } else { "" }) })
    }

    /// Returns true if the reference starts with this prefix.
    pub fn begins(&self, reference: &Reference<'_>) -> bool {
        let Self { full } = self;
        let ends_a_part = full.ends_with(['/', ':', '@', '-', '.', '_']);
        reference
            .to_string()
            .strip_prefix(full.as_str())
            .is_some_and(|rest| ends_a_part || rest.is_empty() || rest.starts_with(['/', ':', '@']))
    }

    /// Returns the length of the full form, in bytes. If several prefixes match, the longest one is the most precise.
    pub fn length(&self) -> usize {
        self.full.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(prefix: &str, reference: &str) -> bool {
        Prefix::parse(prefix).unwrap().begins(&Reference::parse(reference).unwrap())
    }

    #[test]
    fn matches_only_whole_parts() {
        for (prefix, reference, expected) in [
            ("example.com/app", "example.com/app:1", true),
            ("example.com/app", "example.com/app/web:1", true),
            ("example.com/app", "example.com/apple:1", false),
            ("example.com/app", "example.com/app-glibc:1", false),
            ("example.com/app-", "example.com/app-glibc:1", true),
            ("example.com/app:1", "example.com/app:1", true),
            ("example.com/app:1", "example.com/app:10", false),
            ("example.com/app:1.", "example.com/app:1.2", true),
            ("example.com", "example.com/app:1", true),
            ("example.com", "example.com.evil.net/app:1", false),
            ("example.com:5000", "example.com:5000/app", true),
            ("example.com:5000", "example.com/app", false),
            ("localhost", "localhost/app", true),
        ] {
            assert_eq!(begins(prefix, reference), expected, "{prefix} {reference}");
        }
    }

    #[test]
    fn matches_all_names_of_docker_hub() {
        for prefix in [
            "alpine",
            "library/alpine",
            "docker.io/alpine",
            "index.docker.io/library/alpine",
            "docker.io",
            "docker.io/",
        ] {
            assert!(begins(prefix, "alpine:3.19"), "{prefix}");
            assert!(begins(prefix, "docker.io/library/alpine:3.19"), "{prefix}");
        }
        assert!(begins("grafana/", "grafana/grafana:10"));
        assert!(!begins("alpine", "example.com/alpine:3.19"));
        assert!(begins(
            "alpine:3.19",
            "alpine:3.19@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ));
    }

    #[test]
    fn rejects_texts_that_start_no_reference() {
        for text in ["", "https://example.com/", "/app", "my app", ":1", "app*"] {
            assert!(Prefix::parse(text).is_err(), "{text}");
        }
    }
}
