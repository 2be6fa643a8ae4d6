//! The beginning of image references, as people write it to speak of many images at once. Must not know what is said of them.

use super::reference::{DEFAULT_REGISTRY, OFFICIAL, Reference, split_registry};

/// The beginning of a reference: a registry, a folder of repositories, a repository, or one with the beginning of a tag. Ends
/// where a part of the reference ends, so that `example.com/app` does not begin `example.com/apple`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// In the full form, as [`Reference`] displays itself.
    full: String,
}

/// A text with which no reference begins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` begins no image reference: write a registry, a repository or a part of one, such as `registry.example.com/team/`"
)]
pub struct InvalidPrefix(String);

// === impl Prefix ===

impl Prefix {
    /// Reads a prefix. As in a reference, what names no registry is on Docker Hub; a host name alone is all of a registry.
    ///
    /// # Errors
    /// It is empty, a URL, or holds what no reference does.
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

    /// Whether the reference begins so.
    pub fn begins(&self, reference: &Reference<'_>) -> bool {
        let Self { full } = self;
        let ends_a_part = full.ends_with(['/', ':', '@', '-', '.', '_']);
        reference
            .to_string()
            .strip_prefix(full.as_str())
            .is_some_and(|rest| ends_a_part || rest.is_empty() || rest.starts_with(['/', ':', '@']))
    }

    /// How many bytes its full form has: of two that begin one reference, the longer says more.
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
    fn ends_where_a_part_ends() {
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
    fn knows_the_names_of_docker_hub() {
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
    fn refuses_what_begins_no_reference() {
        for text in ["", "https://example.com/", "/app", "my app", ":1", "app*"] {
            assert!(Prefix::parse(text).is_err(), "{text}");
        }
    }
}
