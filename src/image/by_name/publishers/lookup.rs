//! Finds the rows about a reference: the image's registry, also behind a mirror, and the longest name there that fits. Must not know
//! what the words of a tag mean.

use super::row::Row;
use super::{docker_hub, official, registries};
use crate::image::reference::Reference;

/// A registry, with the rows about its images.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) host: &'static str,
    /// The rows, sorted by name.
    pub(crate) rows: &'static [Row],
}

/// The rows about one repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RepositoryRows {
    /// The registry; `None` for Docker's official images.
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

/// Registries that serve the images of another one: host, owner (empty for all), and the registry of the images.
const ALIASES: &[(&str, &str, &str)] = &[
    ("ghcr.io", "linuxserver/", DOCKER_HUB),
    ("k8s.gcr.io", "", "registry.k8s.io"),
    ("lscr.io", "linuxserver/", DOCKER_HUB),
    ("mirror.gcr.io", "", DOCKER_HUB),
    ("registry-1.docker.io", "", DOCKER_HUB),
    ("registry.hub.docker.com", "", DOCKER_HUB),
];

/// Owners of the official images for one architecture on Docker Hub, except `arm32v6`, whose busybox has musl.
const ARCHITECTURES: &[&str] =
    &["amd64", "arm32v5", "arm32v7", "arm64v8", "i386", "mips64le", "ppc64le", "riscv64", "s390x"];

/// Names of mirrors for copies from Docker Hub.
const HUB_COPIES: &[&str] = &["docker-hub", "dockerhub"];

/// Rancher's copies of official images: `rancher/mirrored-library-traefik`.
const RANCHER_OFFICIAL: &str = "rancher/mirrored-library-";

/// Returns the rows about a reference, if there are any.
pub(crate) fn find(reference: &Reference<'_>) -> Option<RepositoryRows> {
    let (host, path) = origin(reference);
    if let Some(name) = official_name(host, path) {
        return rows_named(official::ROWS, name).map(|rows| RepositoryRows { registry: None, rows });
    }
    let registry = REGISTRIES.iter().find(|registry| registry.host == host)?;
    let rows = owners(path).find_map(|name| rows_named(registry.rows, name))?;
    Some(RepositoryRows { registry: Some(registry.host), rows })
}

/// Returns all rows with their registry, which is `None` for Docker's official images.
pub fn rows() -> impl Iterator<Item = (Option<&'static str>, &'static Row)> {
    let official = official::ROWS.iter().map(|row| (None, row));
    let others = REGISTRIES.iter().flat_map(|registry| registry.rows.iter().map(|row| (Some(registry.host), row)));
    official.chain(others)
}

/// Returns the registry and path of an image: its own, or those that a mirror has in the path.
fn origin<'a>(reference: &Reference<'a>) -> (&'a str, &'a str) {
    let (host, path) = (reference.registry(), reference.path());
    if let Some((_, _, holder)) = ALIASES.iter().find(|(alias, owner, _)| *alias == host && path.starts_with(owner)) {
        return (holder, path);
    }
    if REGISTRIES.iter().any(|registry| registry.host == host) {
        return (host, path);
    }
    mirrored(path).unwrap_or((host, path))
}

/// Returns the registry and path in a mirror's path: `mirror/quay.io/prometheus/prometheus` is a copy from quay.io,
/// `dockerhub/grafana/grafana` one from Docker Hub.
fn mirrored(path: &str) -> Option<(&'static str, &str)> {
    let mut rest = path;
    while let Some((component, rest_of_path)) = rest.split_once('/') {
        if let Some(registry) = REGISTRIES.iter().find(|registry| registry.host == component) {
            return Some((registry.host, rest_of_path));
        }
        // A single component after it may be an official image or the mirror's own.
        if HUB_COPIES.contains(&component) && rest_of_path.contains('/') {
            return Some((DOCKER_HUB, rest_of_path));
        }
        rest = rest_of_path;
    }
    None
}

/// Returns the name of a Docker official image, also on a mirror that keeps `library/`.
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

/// Returns a path, and then its owners, nearest first: `a/b/c`, `a/b/`, `a/`, and the empty name of the whole registry.
fn owners(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |name| {
        let inner = name.strip_suffix('/').unwrap_or(name);
        let end = inner.rfind('/').map_or(0, |slash| slash + 1);
        if name.is_empty() { None } else { inner.get(..end) }
    })
}

/// Returns the rows of one name in a sorted table.
fn rows_named(rows: &'static [Row], name: &str) -> Option<&'static [Row]> {
    let start = rows.partition_point(|row| row.name < name);
    let (_, rest) = rows.split_at_checked(start)?;
    let count = rest.iter().take_while(|row| row.name == name).count();
    rest.get(..count).filter(|rows| !rows.is_empty())
}
