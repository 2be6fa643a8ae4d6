//! Images on disk: an OCI layout (`oci:DIR`), one in a tar (`oci-archive:FILE`), and what `docker save` writes
//! (`docker-archive:FILE`). Blocking. Nothing is unpacked: of a tar it is kept where each file begins. Must not know registries.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::digest::Digest;
use super::error::{Error, Subject};
use super::layer::{self, Layer};
use super::limits::Limits;
use super::manifest::{self, Descriptor, Document, ImageConfig};
use super::tar::{self, Found, Kind};

/// The annotation by which an OCI layout names an image.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// How many links from file to file are followed inside an archive; `docker save` writes one.
const LINKS_MAX: usize = 8;

/// An image on disk, or several.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    blobs: Blobs,
    root: Document,
    limits: Limits,
}

/// Where content is.
#[derive(Debug)]
enum Blobs {
    /// In files named for their digest.
    Folder,
    /// In one file: where each begins, and how long it is.
    Tar(HashMap<Digest, (u64, u64)>),
}

/// Where the files of a tar begin, and how long they are; or the name of another.
type Places = HashMap<String, Place>;

enum Place {
    At(u64, u64),
    Link(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

// === impl Archive ===

impl Archive {
    /// An OCI layout. `name` is one of the names in it; without one there must be a single image.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn oci_folder(path: &Path, name: Option<&str>, limits: Limits) -> Result<Self, Error> {
        let index = path.join("index.json");
        let bytes = read_bounded(open(&index)?, Subject::Manifest, limits.document_bytes)?;
        let root = named(Document::parse(&bytes, &limits)?, name, path)?;
        Ok(Self { path: path.to_owned(), blobs: Blobs::Folder, root, limits })
    }

    /// An OCI layout in a tar.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn oci_archive(path: &Path, name: Option<&str>, limits: Limits) -> Result<Self, Error> {
        let mut file = open(path)?;
        let places = places(&mut file, path, &limits)?;
        let bytes = content(&mut file, &places, "index.json", path, &limits)?;
        let root = named(Document::parse(&bytes, &limits)?, name, path)?;
        let mut blobs = HashMap::new();
        for name in places.keys() {
            if let Some(digest) = blob(name)
                && let Some(place) = find(&places, name)
            {
                blobs.insert(digest, place);
            }
        }
        Ok(Self { path: path.to_owned(), blobs: Blobs::Tar(blobs), root, limits })
    }

    /// What `docker save` writes.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn docker_archive(path: &Path, name: Option<&str>, limits: Limits) -> Result<Self, Error> {
        let mut file = open(path)?;
        let places = places(&mut file, path, &limits)?;
        let bytes = content(&mut file, &places, "manifest.json", path, &limits)?;
        let images: Vec<Saved> = serde_json::from_slice(&bytes)
            .map_err(|error| Error::malformed(Subject::Manifest, format!("manifest.json: {error}")))?;
        let has_tag = |image: &&Saved, name: &str| image.repo_tags.iter().flatten().any(|tag| tag == name);
        let names = || images.iter().flat_map(|image| image.repo_tags.iter().flatten());
        let image = match (name, images.as_slice()) {
            (None, [image]) => image,
            (None, _) => return Err(choose(path, names())),
            (Some(name), images) => {
                images.iter().find(|image| has_tag(image, name)).ok_or_else(|| choose(path, names()))?
            }
        };
        let Saved { config, repo_tags: _, layers } = image;
        if layers.len() > limits.layers {
            return Err(Error::too_many("layers", limits.layers));
        }
        let bytes = content(&mut file, &places, config, path, &limits)?;
        let parsed = ImageConfig::parse(&bytes)?;
        let mut blobs = HashMap::new();
        let mut point = |digest: Digest, name: &str| {
            let place = find(&places, name).ok_or_else(|| missing(path, name))?;
            blobs.insert(digest.clone(), place);
            Ok::<_, Error>(Descriptor::new(digest, place.1))
        };
        let config = point(Digest::sha256(&bytes), config)?;
        if layers.len() != parsed.diff_ids.len() {
            let problem = format!("it names {} layers, and its configuration {}", layers.len(), parsed.diff_ids.len());
            return Err(Error::malformed(Subject::Manifest, problem));
        }
        // The layers lie there decompressed, so that their digests are those that the configuration names; or, since Docker 25, as
        // they are stored, in files named for their digest.
        let digest = |diff_id: &Digest, name: &str| blob(name).unwrap_or_else(|| diff_id.clone());
        let layers = parsed.diff_ids.iter().zip(layers).map(|(diff_id, name)| point(digest(diff_id, name), name));
        let layers = layers.collect::<Result<_, _>>()?;
        let root = Document::Manifest { config, layers };
        Ok(Self { path: path.to_owned(), blobs: Blobs::Tar(blobs), root, limits })
    }

    /// The index or manifest from which to start.
    pub const fn root(&self) -> &Document {
        &self.root
    }

    /// A manifest or configuration.
    ///
    /// # Errors
    /// It is not there, or is not what the descriptor says.
    pub fn document(&self, descriptor: &Descriptor, subject: Subject) -> Result<Vec<u8>, Error> {
        let bytes = read_bounded(self.open(&descriptor.digest)?, subject, self.limits.document_bytes)?;
        manifest::check(&bytes, descriptor, subject)?;
        Ok(bytes)
    }

    /// A layer.
    ///
    /// # Errors
    /// It is not there, or [`layer::read`] says why.
    pub fn layer(&self, descriptor: &Descriptor) -> Result<Layer, Error> {
        layer::read(self.open(&descriptor.digest)?, descriptor, &self.limits)
    }

    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        match &self.blobs {
            Blobs::Folder => {
                let (algorithm, digits) = digest.parts();
                Ok(Box::new(open(&self.path.join("blobs").join(algorithm).join(digits))?))
            }
            Blobs::Tar(places) => {
                let (start, length) = places.get(digest).ok_or_else(|| missing(&self.path, digest.as_str()))?;
                let mut file = open(&self.path)?;
                file.seek(SeekFrom::Start(*start)).map_err(|error| failed(&self.path, &error))?;
                Ok(Box::new(file.take(*length)))
            }
        }
    }
}

// === the files of a tar ===

/// The digest for which a file is named, `blobs/sha256/…`.
fn blob(name: &str) -> Option<Digest> {
    let (algorithm, digits) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{digits}").parse().ok()
}

fn places(file: &mut File, path: &Path, limits: &Limits) -> Result<Places, Error> {
    let mut start = [0; 6];
    let read = file.read(&mut start).map_err(|error| failed(path, &error))?;
    let xz_or_bzip2 = start.starts_with(b"\xfd7zXZ") || start.starts_with(b"BZh");
    if xz_or_bzip2 || Descriptor::packing(&start[..read]) != manifest::Packing::Plain {
        return Err(Error::NoImage(format!("{} is compressed; decompress it first", path.display())));
    }
    file.rewind().map_err(|error| failed(path, &error))?;
    let length = file.metadata().map_err(|error| failed(path, &error))?.len();
    let mut places = Places::new();
    let mut reader = tar::Reader::new(file, *limits);
    while let Some(Found { path: name, kind }) = reader.next().map_err(|error| error.of(Subject::Archive))? {
        let name = name.trim_start_matches("./").to_owned();
        match kind {
            Kind::File { size, .. } => {
                let begun = reader.seek_past().map_err(|error| failed(path, &error))?;
                if begun.saturating_add(size) > length {
                    return Err(Error::malformed(Subject::Archive, format!("it is truncated inside of `{name}`")));
                }
                places.insert(name, Place::At(begun, size));
            }
            Kind::Symlink(target) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                places.insert(
                    name.clone(),
                    Place::Link(crate::image::contents::normalise(&format!("{folder}/{target}"))),
                );
            }
            Kind::Hardlink(target) => {
                places.insert(name, Place::Link(target.trim_start_matches("./").to_owned()));
            }
            Kind::Folder | Kind::Sparse | Kind::Other => {}
        }
    }
    Ok(places)
}

fn find(places: &Places, name: &str) -> Option<(u64, u64)> {
    let mut name = name;
    for _ in 0..LINKS_MAX {
        match places.get(name)? {
            Place::At(start, length) => return Some((*start, *length)),
            Place::Link(target) => name = target,
        }
    }
    None
}

fn content(file: &mut File, places: &Places, name: &str, path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let (start, length) = find(places, name).ok_or_else(|| missing(path, name))?;
    file.seek(SeekFrom::Start(start)).map_err(|error| failed(path, &error))?;
    read_bounded(file.take(length), Subject::Manifest, limits.document_bytes)
}

// === files ===

fn open(path: &Path) -> Result<File, Error> {
    // A pipe would be waited for.
    let is_file = std::fs::metadata(path).map_err(|error| failed(path, &error))?.is_file();
    if !is_file {
        return Err(Error::File { path: path.display().to_string(), problem: "it is no file".to_owned() });
    }
    File::open(path).map_err(|error| failed(path, &error))
}

fn read_bounded(reader: impl Read, subject: Subject, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reader.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(|error| tar::unwrap(error, subject))?;
    if bytes.len() as u64 > limit_bytes { Err(Error::TooLarge { subject, limit_bytes }) } else { Ok(bytes) }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), problem: error.to_string() }
}

fn missing(path: &Path, name: &str) -> Error {
    let shown: String = name.chars().take(160).collect();
    Error::NoImage(format!(
        "{} has no `{shown}`, so that it is no image of this kind, or not a whole one",
        path.display()
    ))
}

fn choose<'a>(path: &Path, names: impl Iterator<Item = &'a String>) -> Error {
    let names: Vec<&str> = names.take(16).map(String::as_str).collect();
    Error::NoImage(format!(
        "{} holds several images, or others than that one; name one of: {}",
        path.display(),
        names.join(", ")
    ))
}

/// Of an OCI layout's index the image of that name. Without a name all of it, which then must be one image.
fn named(root: Document, name: Option<&str>, path: &Path) -> Result<Document, Error> {
    let Document::Index(entries) = &root else { return Ok(root) };
    let of = |entry: &Descriptor| entry.annotations.as_ref().and_then(|annotations| annotations.get(REF_NAME)).cloned();
    let mut names: Vec<String> = entries.iter().filter_map(of).collect();
    names.sort_unstable();
    names.dedup();
    let Some(name) = name else {
        return if names.len() > 1 { Err(choose(path, names.iter())) } else { Ok(root) };
    };
    let found: Vec<Descriptor> = entries.iter().filter(|entry| of(entry).as_deref() == Some(name)).cloned().collect();
    if found.is_empty() { Err(choose(path, names.iter())) } else { Ok(Document::Index(found)) }
}
