//! Whether a path is one of many, told from little: a Bloom filter over the paths of an image's ordinary programs, of which there can
//! be thousands. It never forgets one; of those that are not there it takes 1 in 100 for one that is, up to [`FULL`] paths. Must not
//! know what the paths are.

use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use fnv::FnvHasher;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits for each path, and how many of them a path sets: 10 and 7 give 0.8 % (Bloom 1970).
const BITS_EACH: usize = 10;
const HASHES: u64 = 7;
/// The most paths for which there are bits enough; an image of Debian with Python and Node has some 1,500 programs.
const FULL: usize = 8192;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Box<[u8]>);

// === impl Names ===

impl Names {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Whether the path is one of them, but for a small mistake.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let Self(bytes) = self;
        !bytes.is_empty()
            && places(path, bytes.len()).all(|(byte, bit)| bytes.get(byte).is_some_and(|byte| byte & bit != 0))
    }
}

impl<'p> FromIterator<&'p str> for Names {
    fn from_iter<I: IntoIterator<Item = &'p str>>(paths: I) -> Self {
        let paths: Vec<&str> = paths.into_iter().collect();
        let mut bytes = vec![0; (paths.len().min(FULL) * BITS_EACH).div_ceil(8)].into_boxed_slice();
        for path in paths {
            for (byte, bit) in places(path, bytes.len()) {
                if let Some(byte) = bytes.get_mut(byte) {
                    *byte |= bit;
                }
            }
        }
        Self(bytes)
    }
}

/// The bits of a path among those of so many bytes. The hash is one that stays the same in all releases of Rust, since the set is
/// stored; two of it make all (Kirsch and Mitzenmacher 2006).
fn places(path: &str, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let mut hasher = FnvHasher::default();
    hasher.write(path.as_bytes());
    let hash = hasher.finish();
    let (one, other) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    let bits = (bytes as u64) * 8;
    (0..HASHES).map(move |number| {
        let bit = (one + number * other) % bits.max(1);
        (usize::try_from(bit / 8).unwrap_or(0), 1 << (bit % 8))
    })
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        if bytes.len() > FULL * BITS_EACH / 8 {
            return Err(serde::de::Error::custom("it holds more names than muslin keeps"));
        }
        Ok(Self(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_each_path_again_and_hardly_any_other() {
        let paths: Vec<String> = (0..1500).map(|number| format!("usr/bin/tool{number}")).collect();
        let names: Names = paths.iter().map(String::as_str).collect();
        let names: Names = serde_json::from_str(&serde_json::to_string(&names).unwrap()).unwrap();
        assert!(paths.iter().all(|path| names.contains(path)));
        let mistaken = (0..10_000).filter(|number| names.contains(&format!("usr/bin/other{number}"))).count();
        assert!(mistaken < 200, "{mistaken} of 10000");
        assert!(!Names::default().contains("bin/sh"));
    }
}
