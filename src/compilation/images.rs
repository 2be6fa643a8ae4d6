//! The images that policies know, and their kinds: images of one kind get the same answers. Must not know situations.

use std::collections::BTreeMap;

use crate::image::{self, Evidence, Fingerprint, Reference};
use crate::policy::Profile;
use crate::resolver::Resolver;
use crate::rules::is_judged_by_image_name;

/// An image, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownImage {
    image: String,
    /// The resolver of the image's own program; `None` if the name has to do.
    fingerprint: Option<Fingerprint>,
}

/// An image that the policies do not know, so that pods with it stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The image.
    pub image: String,
    /// The reason, which follows the image in a sentence.
    pub why: &'static str,
}

/// The properties of an image on which answers depend: the resolver with its evidence, whether the image holds a JVM, and a resolver beside it.
type Class = (String, Resolver, bool, Option<(Resolver, bool)>);

/// Images with the same answers.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    /// One of the images.
    pub(super) image: String,
    /// The fingerprint of that image.
    pub(super) fingerprint: Fingerprint,
}

/// The known images and their kinds.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// The kinds, in the order in which they were found.
    pub(super) kinds: Vec<Kind>,
    /// The key of a container → the index of its kind: the image, for its own program; with a space and the first word of the command,
    /// [`USUAL_COMMAND`] or [`ANY_COMMAND`], for another one.
    pub(super) entries: BTreeMap<String, usize>,
    /// The images that are left out.
    pub(super) left_out: Vec<LeftOut>,
}

/// The bytes of an entry of the table besides its key: quotes, the key of the kind, and signs between them.
const ENTRY_BYTES: usize = 12;

/// The bounds of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most kinds.
    pub(super) kinds: usize,
    /// The most bytes of all entries.
    pub(super) bytes: usize,
}

/// The end of the key for every command of [`COMMANDS`], and for every command that starts no program with a resolver of its own.
pub(super) const USUAL_COMMAND: &str = " ";
pub(super) const ANY_COMMAND: &str = " *";

/// The first words of commands with which containers often start another program than their image's own.
pub(super) const COMMANDS: [&str; 12] = [
    "sh",
    "/bin/sh",
    "bash",
    "/bin/bash",
    "/bin/ash",
    "sleep",
    "/bin/sleep",
    "python",
    "python3",
    "node",
    "java",
    "/usr/bin/env",
];

/// The tags of official images that a pod is likely to have.
const USUAL_TAGS: [&str; 3] = ["", ":latest", ":alpine"];

/// The newest branch of Alpine with a musl that muslin knows.
const NEWEST_ALPINE: u16 = 24;

/// Returns images that many clusters run: Docker's official images without a release, and the releases of Alpine. The names of others
/// come from the cluster.
pub fn usual_images() -> impl Iterator<Item = KnownImage> {
    let official = image::publishers::rows().filter(|(registry, _)| registry.is_none()).map(|(_, row)| row.name);
    let official = official.flat_map(|name| USUAL_TAGS.map(|tag| format!("{name}{tag}")));
    let alpine = (1..=NEWEST_ALPINE).map(|branch| format!("alpine:3.{branch}"));
    let known = |name: String| {
        let image = KnownImage::by_name(name);
        image.fingerprint(None).is_some_and(|fingerprint| fingerprint.evidence > Evidence::None).then_some(image)
    };
    official.chain(alpine).filter(|name| !name.contains("/:") && !name.ends_with('/')).filter_map(known)
}

// === impl KnownImage ===

impl KnownImage {
    /// An image whose name has to tell.
    pub fn by_name(image: impl Into<String>) -> Self {
        Self { image: image.into(), fingerprint: None }
    }

    /// An image whose own program has a known resolver.
    pub fn with(image: impl Into<String>, fingerprint: Fingerprint) -> Self {
        Self { image: image.into(), fingerprint: Some(fingerprint) }
    }

    /// Returns the fingerprint of a container with this image whose command begins with a word; `None` if it is not known.
    pub fn fingerprint(&self, command: Option<&str>) -> Option<Fingerprint> {
        match (&self.fingerprint, command) {
            (None, command) => Some(image::assume_started(&self.image, command)),
            (Some(known), None) => Some(known.clone()),
            (Some(_), Some(_)) => None,
        }
    }

    /// Returns the bytes that the image usually needs in the table, in all of its spellings.
    pub fn table_bytes(&self) -> usize {
        spellings(&self.image).iter().map(|name| 3 * (name.len() + ENTRY_BYTES)).sum()
    }

    /// Returns the image as pods write it.
    pub fn name(&self) -> &str {
        &self.image
    }

    /// Returns why the policies cannot know the image.
    fn obstacle(&self, profile: &Profile) -> Option<&'static str> {
        let is_windows = self.fingerprint(None).is_some_and(|fingerprint| fingerprint.is_windows());
        if Reference::parse(&self.image).is_err() {
            Some("is no image reference")
        } else if is_windows {
            Some("is for Windows, which has no resolv.conf")
        } else if profile.exempt.is_exempt_image(&self.image) {
            Some("is exempt by the profile")
        } else if is_judged_by_image_name(&self.image) {
            Some("has findings of its own, by its name")
        } else {
            None
        }
    }
}

// === impl Images ===

impl Images {
    /// Sorts images into kinds, as the profile declares them. `earlier` kinds keep their indexes; images beyond the bounds are left out.
    pub(super) fn new(known: &[KnownImage], profile: &Profile, earlier: Vec<Kind>, bounds: Bounds) -> Self {
        let class_of =
            |image: &str, fingerprint: &Fingerprint| class(&profile.images.apply(image, fingerprint.clone()));
        let mut indexes: BTreeMap<Class, usize> = BTreeMap::new();
        for (index, Kind { image, fingerprint }) in earlier.iter().enumerate() {
            indexes.entry(class_of(image, fingerprint)).or_insert(index);
        }
        let mut images = Self { kinds: earlier, ..Self::default() };
        let mut room = bounds.bytes;
        for one in known {
            let mut leave_out = |why| images.left_out.push(LeftOut { image: one.image.clone(), why });
            if let Some(why) = one.obstacle(profile) {
                leave_out(why);
                continue;
            }
            let mut kind_of = |kinds: &mut Vec<Kind>, command| {
                let fingerprint = one.fingerprint(command)?;
                let class = class_of(&one.image, &fingerprint);
                if kinds.len() >= bounds.kinds && !indexes.contains_key(&class) {
                    return None;
                }
                Some(*indexes.entry(class).or_insert_with(|| {
                    kinds.push(Kind { image: one.image.clone(), fingerprint });
                    kinds.len() - 1
                }))
            };
            let Some(own) = kind_of(&mut images.kinds, None) else {
                leave_out("is of one kind too many");
                continue;
            };
            let by_command: Vec<(&str, Option<usize>)> =
                COMMANDS.iter().map(|command| (*command, kind_of(&mut images.kinds, Some(*command)))).collect();
            // The first of several images with one name counts, also for commands.
            let names = spellings(&one.image).into_iter().filter(|name| !images.entries.contains_key(name));
            let entries: Vec<(String, usize)> = names.flat_map(|name| entries(&name, own, &by_command)).collect();
            let bytes = entries.iter().map(|(key, _)| key.len() + ENTRY_BYTES).sum();
            match room.checked_sub(bytes) {
                Some(rest) => {
                    room = rest;
                    images.entries.extend(entries);
                }
                None => leave_out("has no room in the table"),
            }
        }
        images
    }
}

/// Returns the entries of an image with one name: for its own program, and for other commands.
fn entries(name: &str, own: usize, by_command: &[(&str, Option<usize>)]) -> Vec<(String, usize)> {
    let mut entries = vec![(name.to_owned(), own)];
    let first = by_command.first().and_then(|(_, kind)| *kind);
    match first.filter(|_| by_command.iter().all(|(_, kind)| *kind == first)) {
        Some(kind) => {
            entries.push((format!("{name}{USUAL_COMMAND}"), kind));
            // The image's own program has no resolver of its own, so that others have none either.
            entries.extend((kind == own).then(|| (format!("{name}{ANY_COMMAND}"), own)));
        }
        None => {
            let known = by_command.iter().filter_map(|(command, kind)| Some((format!("{name} {command}"), (*kind)?)));
            entries.extend(known);
        }
    }
    entries
}

fn class(fingerprint: &Fingerprint) -> Class {
    let Fingerprint { resolver, evidence, reason: _, holds_java, beside } = fingerprint;
    let beside = beside.as_ref().map(|second| (second.resolver, second.in_program));
    (evidence.name().to_owned(), *resolver, *holds_java, beside)
}

/// Returns the ways to write an image: as it is, in full, and without the default registry.
fn spellings(image: &str) -> Vec<String> {
    let mut spellings = vec![image.to_owned()];
    if let Ok(reference) = Reference::parse(image) {
        let full = reference.to_string();
        for prefix in ["", "docker.io/", "docker.io/library/"] {
            spellings.extend(full.strip_prefix(prefix).filter(|name| same(name, image)).map(str::to_owned));
        }
    }
    spellings.sort_unstable();
    spellings.dedup();
    spellings
}

/// Returns whether both names mean one image.
fn same(name: &str, image: &str) -> bool {
    match (Reference::parse(name), Reference::parse(image)) {
        (Ok(name), Ok(image)) => name == image,
        _ => false,
    }
}
