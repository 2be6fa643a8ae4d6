//! Facts of images on disk, so that a later run reads an image no second time. The files are the user's own, and readable to the user
//! alone, since images may be private. Must not know registries.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::cluster::FACTS_FORMAT;
use crate::image::contents::ImageFacts;
use crate::os;
use crate::registry::{Digest, Image, Platform};

/// The number of images that stay on disk. The facts of one take 2 to 8 KiB.
const IMAGES_MAX: usize = 5000;

/// A folder with a file for each image name and platform.
#[derive(Debug)]
pub(super) struct ImageCache {
    folder: PathBuf,
}

/// An image that was read earlier.
#[derive(Debug)]
pub(super) struct CachedImage {
    pub(super) image: Image,
    /// The time since its name was last known to name it.
    pub(super) age: Duration,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// The number of the format of the facts. Facts of another one are read again.
    format: u32,
    reference: String,
    wanted: Platform,
    digest: String,
    platform: Platform,
    /// Seconds since 1970.
    at: u64,
    facts: ImageFacts,
}

// === impl ImageCache ===

impl ImageCache {
    /// The cache in a folder, which need not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the usual folder: `muslin/images` where the user's caches are (XDG base directory specification).
    pub(super) fn usual_folder() -> Option<PathBuf> {
        let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = xdg.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
        Some(caches.join("muslin/images"))
    }

    /// Returns the image that a reference named on a platform; `None` if the cache has no readable file about it.
    pub(super) fn get(&self, reference: &str, platform: &Platform) -> Option<CachedImage> {
        let text = fs::read(self.file(reference, platform)).ok()?;
        let Entry { format, reference: named, wanted, digest, platform: of, at, facts } =
            serde_json::from_slice(&text).ok()?;
        if format != FACTS_FORMAT || named != reference || wanted != *platform {
            return None;
        }
        // A time in the future, after a change of the clock, is an old one.
        let age = now().checked_sub(at).map_or(Duration::MAX, Duration::from_secs);
        Some(CachedImage { image: Image { digest: digest.parse().ok()?, platform: of, facts }, age })
    }

    /// Stores the image that a reference names now.
    pub(super) fn put(&self, reference: &str, platform: &Platform, image: &Image) -> io::Result<()> {
        os::create_private_folder(&self.folder)?;
        let entry = Entry {
            format: FACTS_FORMAT,
            reference: reference.to_owned(),
            wanted: platform.clone(),
            digest: image.digest.to_string(),
            platform: image.platform.clone(),
            at: now(),
            facts: image.facts.clone(),
        };
        // Other runs may read and write the same file meanwhile.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        file.persist(self.file(reference, platform)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes the files that were written longest ago, beyond the limit.
    pub(super) fn shrink(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let written = |entry: fs::DirEntry| {
            let is_ours = entry.path().extension().is_some_and(|ending| ending == "json");
            is_ours.then_some(())?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        };
        let mut files: Vec<(SystemTime, PathBuf)> = entries.flatten().filter_map(written).collect();
        let extra = files.len().saturating_sub(IMAGES_MAX);
        files.sort_unstable();
        for (_, path) in files.into_iter().take(extra) {
            let _ = fs::remove_file(path);
        }
    }

    fn file(&self, reference: &str, platform: &Platform) -> PathBuf {
        let digest = Digest::sha256(format!("{reference}\0{platform}").as_bytes());
        self.folder.join(format!("{}.json", digest.parts().1))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn image() -> Image {
        Image { digest: Digest::sha256(b"a"), platform: Platform::linux("amd64"), facts: ImageFacts::default() }
    }

    #[test]
    fn keeps_an_image_for_its_name_and_platform_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ImageCache::new(folder.path().join("deep/images"));
        let (amd64, arm64) = (Platform::linux("amd64"), Platform::linux("arm64"));
        assert!(cache.get("a:1", &amd64).is_none());
        cache.put("a:1", &amd64, &image()).unwrap();
        let found = cache.get("a:1", &amd64).unwrap();
        assert_eq!(found.image, image());
        assert!(found.age < Duration::from_secs(60));
        assert!(cache.get("a:2", &amd64).is_none() && cache.get("a:1", &arm64).is_none());
        let file = cache.file("a:1", &amd64);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(cache.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn reads_no_file_that_is_damaged_or_of_another_format() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ImageCache::new(folder.path().to_owned());
        let platform = Platform::linux("amd64");
        cache.put("a:1", &platform, &image()).unwrap();
        let file = cache.file("a:1", &platform);
        let text = fs::read_to_string(&file).unwrap();
        let format = format!("\"format\":{FACTS_FORMAT}");
        for damaged in [
            String::new(),
            text[..text.len() / 2].to_owned(),
            text.replace(&format, "\"format\":999999"),
            text.replace("\"reference\":\"a:1\"", "\"reference\":\"b:1\""),
            text.replace("sha256:", "md5:"),
        ] {
            assert_ne!(damaged, text);
            fs::write(&file, damaged).unwrap();
            assert!(cache.get("a:1", &platform).is_none());
        }
        let future = text.replace("\"at\":", "\"at\":9");
        fs::write(&file, future).unwrap();
        assert_eq!(cache.get("a:1", &platform).unwrap().age, Duration::MAX);
    }

    #[test]
    fn keeps_the_images_of_late() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ImageCache::new(folder.path().to_owned());
        for number in 0..IMAGES_MAX + 3 {
            fs::write(folder.path().join(format!("{number}.json")), "{}").unwrap();
        }
        let long_ago = fs::File::options().write(true).open(folder.path().join("7.json")).unwrap();
        long_ago.set_modified(UNIX_EPOCH).unwrap();
        cache.shrink();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), IMAGES_MAX);
        assert!(!folder.path().join("7.json").exists());
    }
}
