//! Images on disk, as arguments name them: `oci:DIR[:NAME]`, or the path of an archive that exists. Must not know what is in an image.

use std::path::Path;

use crate::registry::{Archive, Error, Limits};

/// The forms of arguments that name an image on disk.
pub(super) const FORMS: &str = "oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME]";
/// The hint for an argument that looks like a path.
pub(super) const HINT: &str =
    "name an image on disk by docker-archive:FILE (from `docker save`), oci-archive:FILE or oci:DIR";

/// An image on disk, and the scheme of its name.
pub(super) type DiskImage = (&'static str, Result<Archive, Error>);

type Open = fn(&Path, Option<&str>, Limits) -> Result<Archive, Error>;

const SCHEMES: [(&str, Open); 3] =
    [("oci", Archive::oci_folder), ("oci-archive", Archive::oci_archive), ("docker-archive", Archive::docker_archive)];

/// Opens the image on disk that a text names; `None` for other texts.
pub(super) fn on_disk(text: &str) -> Option<DiskImage> {
    let scheme = text.split_once(':').and_then(|(scheme, rest)| {
        let (scheme, open) = SCHEMES.into_iter().find(|(known, _)| *known == scheme)?;
        Some((scheme, open, rest))
    });
    if let Some((scheme, open, rest)) = scheme {
        let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
        return Some((scheme, open(Path::new(path), name, Limits::default())));
    }
    let path = Path::new(text);
    if !is_path(text) || !path.exists() {
        return None;
    }
    if path.is_dir() {
        return Some(("oci", Archive::oci_folder(path, None, Limits::default())));
    }
    Some(match Archive::docker_archive(path, None, Limits::default()) {
        // `docker save` writes this index, other tools do not.
        Err(Error::MissingFromArchive { .. }) => ("oci-archive", Archive::oci_archive(path, None, Limits::default())),
        archive => ("docker-archive", archive),
    })
}

/// Returns true if a text looks like the path of an image on disk. An image name can end in `.tar`, too.
pub(super) fn is_path(text: &str) -> bool {
    let has_ending = Path::new(text).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tar"));
    text.starts_with(['.', '/', '~']) || has_ending
}
