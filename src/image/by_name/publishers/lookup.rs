//! The rows about a reference: which registry an image comes from, also behind a mirror, and the longest name there that fits. Must
//! not know what a tag's words mean.

use super::row::Row;
use super::{docker_hub, official, registries};
use crate::image::reference::Reference;

/// A registry and what is known of its images.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) host: &'static str,
    /// Sorted by name.
    pub(crate) rows: &'static [Row],
}

/// The rows of one name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// `None` for Docker's official images.
    pub(crate) registry: Option<&'static str>,
    pub(crate) rows: &'static [Row],
}

/// The registries with a table, most used first.
pub(crate) const REGISTRIES: &[Registry] = &[
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

/// The rows about a reference, if there are any.
pub(crate) fn find(reference: &Reference<'_>) -> Option<Known> {
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
