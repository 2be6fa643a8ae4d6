//! Which publisher builds its images on what, for names that do not say so themselves. Facts only, each with its source; must not
//! know what a tag's words mean.
//!
//! To add one, put a line into the table of its registry, in the order of names, and say where that can be read:
//! ```text
//! row("example/app", Plain, Alpine, "example/app@1a2b3c4 Dockerfile FROM alpine:3.20"),
//! ```
//! - The name is a path in the registry. One that ends in `/` stands for everything below it, and the longest fitting name wins.
//! - Several rows of one name are tried in their order. Where a publisher changed the base and the release is not certain, leave a
//!   gap between the rows: an honest unknown beats a confident guess.
//! - The words of a tag (`-alpine`, `bookworm`, `ubi9`) need no row.

mod docker_hub;
mod official;
mod registries;

use super::Reference;
use super::conventions::holds;
use super::tag::Asked;

/// What one repository, or everything of one owner, is built on.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The path in its registry: `grafana/grafana`, or `linuxserver/` for everything below it.
    pub name: &'static str,
    /// Which of its images.
    pub tags: Tags,
    /// What these are built on.
    pub base: Base,
    /// Who says so: repository, commit or age, file, and what it says.
    pub source: &'static str,
}

/// Which images of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// All, even where only a digest is known.
    Every,
    /// All whose tag says nothing of a base.
    Plain,
    /// The newest: no tag, `latest`, `stable`.
    Latest,
    /// This release and all later ones, the newest included.
    From(u16, u16),
    /// All earlier releases.
    Before(u16, u16),
    /// From the first to before the second.
    Between((u16, u16), (u16, u16)),
    /// Those whose tag holds this word, whatever the word means elsewhere.
    Word(&'static str),
}

/// What an image is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Alpine, of a release that the tag does not tell.
    Alpine,
    /// Alpine itself: the tag is its release.
    AlpineItself,
    /// A distribution with glibc.
    Glibc(&'static str),
    /// Something small with uClibc.
    Uclibc(&'static str),
    /// Nothing: a static program on `scratch`, or on a base with no C library.
    Bare(&'static str),
    /// Alpine with glibc added for its program.
    GlibcBesideMusl,
    /// Windows.
    Windows,
}

/// A registry and what is known of its images.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) host: &'static str,
    /// Sorted by name.
    pub(super) rows: &'static [Row],
}

/// The rows of one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// `None` for Docker's official images.
    pub(super) registry: Option<&'static str>,
    pub(super) rows: &'static [Row],
}

/// The registries with a table, most used first.
pub(super) const REGISTRIES: &[Registry] = &[
    Registry { host: DOCKER_HUB, rows: docker_hub::ROWS },
    Registry { host: "quay.io", rows: registries::QUAY },
    Registry { host: "ghcr.io", rows: registries::GITHUB },
    Registry { host: "registry.k8s.io", rows: registries::KUBERNETES },
    Registry { host: "gcr.io", rows: registries::GOOGLE },
    Registry { host: "public.ecr.aws", rows: registries::AMAZON },
    Registry { host: "mcr.microsoft.com", rows: registries::MICROSOFT },
    Registry { host: "cgr.dev", rows: registries::CHAINGUARD },
    Registry { host: "registry.access.redhat.com", rows: registries::RED_HAT },
    Registry { host: "registry.redhat.io", rows: registries::RED_HAT },
    Registry { host: "docker.elastic.co", rows: registries::ELASTIC },
    Registry { host: "cr.l5d.io", rows: registries::LINKERD },
    Registry { host: "docker.gitea.com", rows: registries::GITEA },
];

const DOCKER_HUB: &str = "docker.io";

/// Registries that serve the images of another: host, owner (all where empty), and the registry that holds them.
const ALIASES: &[(&str, &str, &str)] = &[
    ("ghcr.io", "linuxserver/", DOCKER_HUB),
    ("k8s.gcr.io", "", "registry.k8s.io"),
    ("lscr.io", "linuxserver/", DOCKER_HUB),
    ("mirror.gcr.io", "", DOCKER_HUB),
    ("registry-1.docker.io", "", DOCKER_HUB),
    ("registry.hub.docker.com", "", DOCKER_HUB),
];

/// Owners under which Docker Hub keeps the official images of one architecture. `arm32v6` is left out: its busybox has musl.
const ARCHITECTURES: &[&str] =
    &["amd64", "arm32v5", "arm32v7", "arm64v8", "i386", "mips64le", "ppc64le", "riscv64", "s390x"];

/// Names that mirrors give to what they copy from Docker Hub.
const HUB_COPIES: &[&str] = &["docker-hub", "dockerhub"];

/// Rancher's copies of official images: `rancher/mirrored-library-traefik`.
const RANCHER_OFFICIAL: &str = "rancher/mirrored-library-";

const fn row(name: &'static str, tags: Tags, base: Base, source: &'static str) -> Row {
    Row { name, tags, base, source }
}

/// The rows about a reference, if there are any.
pub(super) fn find(reference: &Reference<'_>) -> Option<Known> {
    let (host, path) = home(reference);
    if let Some(name) = official_name(host, path) {
        return named(official::ROWS, name).map(|rows| Known { registry: None, rows });
    }
    let registry = REGISTRIES.iter().find(|registry| registry.host == host)?;
    let rows = owners(path).find_map(|name| named(registry.rows, name))?;
    Some(Known { registry: Some(registry.host), rows })
}

/// Every official name, with its rows, for tests and for `muslin explain`.
pub fn rows() -> impl Iterator<Item = (Option<&'static str>, &'static Row)> {
    let official = official::ROWS.iter().map(|row| (None, row));
    let others = REGISTRIES.iter().flat_map(|registry| registry.rows.iter().map(|row| (Some(registry.host), row)));
    official.chain(others)
}

/// Where an image comes from: its own registry, or the one that a mirror names in the path.
fn home<'a>(reference: &Reference<'a>) -> (&'a str, &'a str) {
    let (host, path) = (reference.registry(), reference.path());
    if let Some((_, _, holder)) = ALIASES.iter().find(|(alias, owner, _)| *alias == host && path.starts_with(owner)) {
        return (holder, path);
    }
    if REGISTRIES.iter().any(|registry| registry.host == host) {
        return (host, path);
    }
    copied(path).unwrap_or((host, path))
}

/// `mirror/quay.io/prometheus/prometheus` is a copy of what is at quay.io, `dockerhub/grafana/grafana` of what is at Docker Hub.
fn copied(path: &str) -> Option<(&'static str, &str)> {
    let mut rest = path;
    while let Some((component, behind)) = rest.split_once('/') {
        if let Some(registry) = REGISTRIES.iter().find(|registry| registry.host == component) {
            return Some((registry.host, behind));
        }
        // One component behind it could be an official image or the mirror's own.
        if HUB_COPIES.contains(&component) && behind.contains('/') {
            return Some((DOCKER_HUB, behind));
        }
        rest = behind;
    }
    None
}

/// The name of a Docker official image, wherever it is mirrored with its `library/`.
fn official_name<'a>(host: &str, path: &'a str) -> Option<&'a str> {
    let hub = host == DOCKER_HUB;
    match path.rsplit_once('/') {
        None => hub.then_some(path),
        Some((parent, name)) => {
            let library = parent == "library" || parent.ends_with("/library");
            let architecture = hub && ARCHITECTURES.contains(&parent);
            if library || architecture { Some(name) } else { path.strip_prefix(RANCHER_OFFICIAL).filter(|_| hub) }
        }
    }
}

/// A path, and then its owners, nearest first: `a/b/c`, `a/b/`, `a/`, and the empty name of the whole registry.
fn owners(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |name| {
        let inner = name.strip_suffix('/').unwrap_or(name);
        let end = inner.rfind('/').map_or(0, |slash| slash + 1);
        if name.is_empty() { None } else { inner.get(..end) }
    })
}

/// The rows of one name in a sorted table.
fn named(rows: &'static [Row], name: &str) -> Option<&'static [Row]> {
    let start = rows.partition_point(|row| row.name < name);
    let (_, rest) = rows.split_at_checked(start)?;
    let count = rest.iter().take_while(|row| row.name == name).count();
    rest.get(..count).filter(|rows| !rows.is_empty())
}

// === impl Row ===

impl Row {
    /// Whether this is about just the images asked for.
    pub(super) fn fits(&self, asked: Asked, tag: Option<&str>) -> bool {
        match (self.tags, asked) {
            (Tags::Every, _) => true,
            (Tags::Word(word), _) => tag.is_some_and(|tag| holds(tag, word)),
            (_, Asked::Nothing) => false,
            (Tags::Plain, _) | (Tags::Latest | Tags::From(..), Asked::Newest) => true,
            (Tags::From(major, minor), Asked::Version(asked, asked_minor)) => (asked, asked_minor) >= (major, minor),
            (Tags::Before(major, minor), Asked::Version(asked, asked_minor)) => (asked, asked_minor) < (major, minor),
            (Tags::Between(from, below), Asked::Version(asked, asked_minor)) => {
                (from..below).contains(&(asked, asked_minor))
            }
            (Tags::Latest, Asked::Version(..) | Asked::Word)
            | (Tags::Before(..) | Tags::Between(..), Asked::Newest)
            | (Tags::From(..) | Tags::Before(..) | Tags::Between(..), Asked::Word) => false,
        }
    }

    /// Whether this row knows better than the words in the tag: it is about that word, or about an Alpine that is not only musl.
    pub(super) fn outranks_words(&self) -> bool {
        let Self { name: _, tags, base, source: _ } = self;
        matches!(tags, Tags::Word(_)) || (*tags == Tags::Every && *base == Base::GlibcBesideMusl)
    }
}
