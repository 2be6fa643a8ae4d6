//! Names of Events, equal for equal contents in every process and release, so that an Event is written once.

use std::hash::Hasher as _;

use fnv::FnvHasher;

/// Limit of the object's name within an Event's name, which may have 253 bytes in all.
const NAME_MAX: usize = 200;

/// Returns a hash that is the same in every process and release.
pub(in crate::cluster) fn stable_hash(texts: &[&str]) -> u64 {
    let mut hasher = FnvHasher::default();
    for text in texts {
        // The length keeps different lists from reading alike.
        hasher.write(&(text.len() as u64).to_le_bytes());
        hasher.write(text.as_bytes());
    }
    hasher.finish()
}

/// Returns the name of an Event about an object.
pub(in crate::cluster) fn event_name(object: &str, hash: u64) -> String {
    let start = object.get(..NAME_MAX).unwrap_or(object).trim_end_matches(['-', '.']);
    format!("{start}.{hash:016x}")
}

/// Returns whether a word consists of the characters of Kubernetes names only, and is safe in a URL's path.
pub(super) fn is_name(word: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !word.is_empty() && word.len() <= 253 && word.bytes().all(is_allowed) && !word.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_the_same_in_every_release() {
        assert_eq!(event_name("web-0", stable_hash(&["705ab4f5", "MuslResolver"])), "web-0.1410c8a4d83ab754");
        assert_ne!(stable_hash(&["ab", "c"]), stable_hash(&["a", "bc"]));
    }

    #[test]
    fn the_name_of_an_event_is_valid_for_a_long_object_name() {
        let long = format!("{}-.{}", "a".repeat(NAME_MAX - 2), "b".repeat(51));
        let name = event_name(&long, 1);
        assert_eq!(name, format!("{}.0000000000000001", "a".repeat(NAME_MAX - 2)));
    }

    #[test]
    fn an_invalid_name_never_becomes_part_of_a_path() {
        for word in ["", "../secrets/x", "a/b", "a?b", "A", "..", "a b", &"a".repeat(254)] {
            assert!(!is_name(word), "{word}");
        }
        assert!(is_name("web-5d.v1"));
    }
}
