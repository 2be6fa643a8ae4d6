//! Images on disk: an OCI layout (`oci:DIR`), one in a tar (`oci-archive:FILE`), and the output of `docker save`
//! (`docker-archive:FILE`). Blocking. Nothing is unpacked: an index of a tar keeps the position of each file. Must not know
//! registries.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Deserialize;

use super::digest::Digest;
use super::error::{Error, ErrorSubject};
use super::layer::{Layer, read_layer_unless};
use super::limits::Limits;
use super::manifest::{self, Descriptor, ImageConfig, IndexOrManifest};
use super::tar::{TarEntry, TarEntryKind, TarReader, unwrap_error};
use crate::text::one_line;

/// The annotation with the name of an image in an OCI layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Links in a row that are followed inside an archive; `docker save` writes one.
const LINKS_MAX: usize = 8;
/// Names of images that an error shows, and characters of the name of a missing file.
const NAMES_SHOWN: usize = 16;
const NAME_SHOWN: usize = 160;

/// One or several images on disk.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    blobs: Blobs,
    root: IndexOrManifest,
    limits: Limits,
}

/// The positions of content by its digest.
#[derive(Debug)]
enum Blobs {
    /// In files that are named for their digest.
    Folder,
    /// In one file.
    Tar(HashMap<Digest, Span>),
}

/// A file inside a tar, in bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    length: u64,
}

/// The files of a tar by name.
type TarIndex = HashMap<String, TarFile>;

enum TarFile {
    Content(Span),
    /// A link to the file of this name.
    Link(String),
}

/// One image in the `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

// === impl Archive ===

impl Archive {
    /// Opens an OCI layout. `name` is one of the names in it; without one there must be a single image.
    ///
    /// # Errors
    /// The folder cannot be read, or is no OCI layout.
    pub fn oci_folder(path: &Path, name: Option<&str>, limits: Limits) -> Result<Self, Error> {
        let index = path.join("index.json");
        let bytes = read_bounded(open(&index)?, ErrorSubject::Manifest, limits.document_bytes)?;
        let root = select_named(IndexOrManifest::parse(&bytes, &limits)?, name, path)?;
        Ok(Self { path: path.to_owned(), blobs: Blobs::Folder, root, limits })
    }

    /// Opens an OCI layout in a tar.
    ///
    /// # Errors
    /// The file cannot be read, or holds no OCI layout.
    pub fn oci_archive(path: &Path, name: Option<&str>, limits: Limits) -> Result<Self, Error> {
        let mut file = open(path)?;
        let index = index_tar(&mut file, path, &limits)?;
        let bytes = read_content(&mut file, &index, "index.json", path, &limits)?;
        let root = select_named(IndexOrManifest::parse(&bytes, &limits)?, name, path)?;
        let mut blobs = HashMap::new();
        for name in index.keys() {
            if let Some(digest) = digest_of_blob(name)
                && let Some(span) = find_content(&index, name)
            {
                blobs.insert(digest, span);
            }
        }
        Ok(Self { path: path.to_owned(), blobs: Blobs::Tar(blobs), root, limits })
    }

    /// Opens the output of `docker save`.
    ///
    /// # Errors
    /// The file cannot be read, or is no such output.
    pub fn docker_archive(path: &Path, name: Option<&str>, limits: Limits) -> Result<Self, Error> {
        let mut file = open(path)?;
        let index = index_tar(&mut file, path, &limits)?;
        let bytes = read_content(&mut file, &index, "manifest.json", path, &limits)?;
        let images: Vec<SavedImage> = serde_json::from_slice(&bytes)
            .map_err(|error| Error::malformed(ErrorSubject::Manifest, format!("manifest.json: {error}")))?;
        let has_tag = |image: &&SavedImage, name: &str| image.repo_tags.iter().flatten().any(|tag| tag == name);
        let names = || images.iter().flat_map(|image| image.repo_tags.iter().flatten());
        let image = match (name, images.as_slice()) {
            (None, [image]) => image,
            (None, _) => return Err(ambiguous(path, names())),
            (Some(name), images) => {
                images.iter().find(|image| has_tag(image, name)).ok_or_else(|| ambiguous(path, names()))?
            }
        };
        let SavedImage { config, repo_tags: _, layers } = image;
        if layers.len() > limits.layers {
            return Err(Error::too_many("layers", limits.layers));
        }
        let bytes = read_content(&mut file, &index, config, path, &limits)?;
        let parsed = ImageConfig::parse(&bytes)?;
        let mut blobs = HashMap::new();
        let mut describe = |digest: Digest, name: &str| {
            let span = find_content(&index, name).ok_or_else(|| missing(path, name))?;
            blobs.insert(digest.clone(), span);
            Ok::<_, Error>(Descriptor::new(digest, span.length))
        };
        let config = describe(Digest::sha256(&bytes), config)?;
        if layers.len() != parsed.diff_ids.len() {
            let problem = format!("it names {} layers, and its configuration {}", layers.len(), parsed.diff_ids.len());
            return Err(Error::malformed(ErrorSubject::Manifest, problem));
        }
        // The layers are decompressed, so their digests are the ones in the configuration; since Docker 25 they are as stored, in
        // files that are named for their digest.
        let digest = |diff_id: &Digest, name: &str| digest_of_blob(name).unwrap_or_else(|| diff_id.clone());
        let layers = parsed.diff_ids.iter().zip(layers).map(|(diff_id, name)| describe(digest(diff_id, name), name));
        let layers = layers.collect::<Result<_, _>>()?;
        let root = IndexOrManifest::Manifest { config, layers };
        Ok(Self { path: path.to_owned(), blobs: Blobs::Tar(blobs), root, limits })
    }

    /// Returns the index or manifest to start from.
    pub(super) const fn root(&self) -> &IndexOrManifest {
        &self.root
    }

    /// Reads a manifest or configuration.
    ///
    /// # Errors
    /// The archive lacks it, or it differs from the descriptor.
    pub(super) fn document(&self, descriptor: &Descriptor, subject: ErrorSubject) -> Result<Vec<u8>, Error> {
        let bytes = read_bounded(self.open_blob(&descriptor.digest)?, subject, self.limits.document_bytes)?;
        manifest::check_content(&bytes, descriptor, subject)?;
        Ok(bytes)
    }

    /// Reads a layer.
    ///
    /// # Errors
    /// The archive lacks it, or those of [`read_layer_unless`].
    pub(super) fn layer(&self, descriptor: &Descriptor, is_cancelled: &AtomicBool) -> Result<Layer, Error> {
        read_layer_unless(is_cancelled, self.open_blob(&descriptor.digest)?, descriptor, &self.limits)
    }

    fn open_blob(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        match &self.blobs {
            Blobs::Folder => {
                let (algorithm, digits) = digest.parts();
                Ok(Box::new(open(&self.path.join("blobs").join(algorithm).join(digits))?))
            }
            Blobs::Tar(spans) => {
                let Span { start, length } = *spans.get(digest).ok_or_else(|| missing(&self.path, digest.as_str()))?;
                let mut file = open(&self.path)?;
                file.seek(SeekFrom::Start(start)).map_err(|error| failed(&self.path, &error))?;
                Ok(Box::new(file.take(length)))
            }
        }
    }
}

// === the files of a tar ===

/// Returns the digest in a file name such as `blobs/sha256/…`.
fn digest_of_blob(name: &str) -> Option<Digest> {
    let (algorithm, digits) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{digits}").parse().ok()
}

/// Finds the files of a tar.
fn index_tar(file: &mut File, path: &Path, limits: &Limits) -> Result<TarIndex, Error> {
    let mut start = [0; 6];
    let read = file.read(&mut start).map_err(|error| failed(path, &error))?;
    let xz_or_bzip2 = start.starts_with(b"\xfd7zXZ") || start.starts_with(b"BZh");
    if xz_or_bzip2 || Descriptor::compression(&start[..read]) != manifest::Compression::None {
        return Err(Error::CompressedArchive { path: path.display().to_string() });
    }
    file.rewind().map_err(|error| failed(path, &error))?;
    let length = file.metadata().map_err(|error| failed(path, &error))?.len();
    let mut index = TarIndex::new();
    let mut reader = TarReader::new(file, *limits);
    while let Some(TarEntry { path: name, kind }) =
        reader.next_entry().map_err(|error| error.with_subject(ErrorSubject::Archive))?
    {
        let name = name.trim_start_matches("./").to_owned();
        match kind {
            TarEntryKind::File { size, .. } => {
                let start = reader.seek_past_content().map_err(|error| failed(path, &error))?;
                if start.saturating_add(size) > length {
                    return Err(Error::malformed(ErrorSubject::Archive, format!("it is truncated inside `{name}`")));
                }
                index.insert(name, TarFile::Content(Span { start, length: size }));
            }
            TarEntryKind::Symlink(target) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                index.insert(
                    name.clone(),
                    TarFile::Link(crate::image::contents::normalise_path(&format!("{folder}/{target}"))),
                );
            }
            TarEntryKind::Hardlink(target) => {
                index.insert(name, TarFile::Link(target.trim_start_matches("./").to_owned()));
            }
            TarEntryKind::Folder | TarEntryKind::Sparse | TarEntryKind::Other => {}
        }
    }
    Ok(index)
}

/// Finds a file by name, through links.
fn find_content(index: &TarIndex, name: &str) -> Option<Span> {
    let mut name = name;
    for _ in 0..LINKS_MAX {
        match index.get(name)? {
            TarFile::Content(span) => return Some(*span),
            TarFile::Link(target) => name = target,
        }
    }
    None
}

fn read_content(file: &mut File, index: &TarIndex, name: &str, path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let Span { start, length } = find_content(index, name).ok_or_else(|| missing(path, name))?;
    file.seek(SeekFrom::Start(start)).map_err(|error| failed(path, &error))?;
    read_bounded(file.take(length), ErrorSubject::Manifest, limits.document_bytes)
}

// === files ===

fn open(path: &Path) -> Result<File, Error> {
    // Opening a pipe would block.
    let is_file = std::fs::metadata(path).map_err(|error| failed(path, &error))?.is_file();
    if !is_file {
        return Err(Error::File { path: path.display().to_string(), problem: "it is not a file".to_owned() });
    }
    File::open(path).map_err(|error| failed(path, &error))
}

fn read_bounded(reader: impl Read, subject: ErrorSubject, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reader.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(|error| unwrap_error(error, subject))?;
    if bytes.len() as u64 > limit_bytes { Err(Error::TooLarge { subject, limit_bytes }) } else { Ok(bytes) }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), problem: error.to_string() }
}

fn missing(path: &Path, name: &str) -> Error {
    Error::MissingFromArchive { path: path.display().to_string(), name: one_line(name, NAME_SHOWN).into_owned() }
}

fn ambiguous<'a>(path: &Path, names: impl Iterator<Item = &'a String>) -> Error {
    let names = names.take(NAMES_SHOWN).cloned().collect();
    Error::AmbiguousArchive { path: path.display().to_string(), names }
}

/// Selects the image of that name from the index of an OCI layout. Without a name, the index must hold one image.
fn select_named(root: IndexOrManifest, name: Option<&str>, path: &Path) -> Result<IndexOrManifest, Error> {
    let IndexOrManifest::Index(entries) = &root else { return Ok(root) };
    let name_of =
        |entry: &Descriptor| entry.annotations.as_ref().and_then(|annotations| annotations.get(REF_NAME)).cloned();
    let mut names: Vec<String> = entries.iter().filter_map(name_of).collect();
    names.sort_unstable();
    names.dedup();
    let Some(name) = name else {
        return if names.len() > 1 { Err(ambiguous(path, names.iter())) } else { Ok(root) };
    };
    let found: Vec<Descriptor> =
        entries.iter().filter(|entry| name_of(entry).as_deref() == Some(name)).cloned().collect();
    if found.is_empty() { Err(ambiguous(path, names.iter())) } else { Ok(IndexOrManifest::Index(found)) }
}
