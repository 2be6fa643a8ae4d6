//! Finds the rows about a reference: the image's registry, also behind a mirror, and the longest name there that fits. Must not know
//! what the words of a tag mean.

use super::row::{Program, Row};
use super::{docker_hub, official, registries, shared};
use crate::image::by_name::tag::TagVersion;
use crate::image::reference::Reference;

/// A registry, or one folder of it, with the rows about its images.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The host; with a folder if the names of the rows are relative to it.
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
    Registry { host: "nvcr.io", rows: registries::NVIDIA },
    Registry { host: "registry.suse.com", rows: registries::SUSE },
    Registry { host: "registry.fedoraproject.org", rows: registries::FEDORA },
    Registry { host: "docker.io/istio", rows: shared::ISTIO },
    Registry { host: "docker.io/jaegertracing", rows: shared::JAEGER },
    Registry { host: "docker.io/jupyter", rows: shared::JUPYTER },
    Registry { host: "docker.io/kfserving", rows: shared::KFSERVING },
    Registry { host: "gcr.io/google-samples", rows: shared::GOOGLE_SAMPLES },
    Registry { host: "ghcr.io/spiffe", rows: shared::SPIFFE },
    Registry { host: "quay.io/argoproj", rows: shared::ARGO },
    Registry { host: "quay.io/prometheus", rows: shared::PROMETHEUS },
    Registry { host: "quay.io/prometheus-operator", rows: shared::PROMETHEUS_OPERATOR },
];

const DOCKER_HUB: &str = "docker.io";

/// Folders that hold the images of another registry or folder: host, folder (empty for all), the registry of the rows, and the part
/// of the path that its names leave out.
const ALIASES: &[(&str, &str, &str, &str)] = &[
    ("cr.jaegertracing.io", "jaegertracing/", "docker.io/jaegertracing", "jaegertracing/"),
    (DOCKER_HUB, "argoproj/", "quay.io/argoproj", "argoproj/"),
    (DOCKER_HUB, "istio/", "docker.io/istio", "istio/"),
    (DOCKER_HUB, "jaegertracing/", "docker.io/jaegertracing", "jaegertracing/"),
    (DOCKER_HUB, "jupyter/", "docker.io/jupyter", "jupyter/"),
    (DOCKER_HUB, "kfserving/", "docker.io/kfserving", "kfserving/"),
    (DOCKER_HUB, "prom/", "quay.io/prometheus", "prom/"),
    ("gcr.io", "google-containers/", "registry.k8s.io", "google-containers/"),
    ("gcr.io", "google-samples/", "gcr.io/google-samples", "google-samples/"),
    ("gcr.io", "google_containers/", "registry.k8s.io", "google_containers/"),
    ("gcr.io", "google_samples/", "gcr.io/google-samples", "google_samples/"),
    ("gcr.io", "istio-release/", "docker.io/istio", "istio-release/"),
    ("gcr.io", "istio-testing/", "docker.io/istio", "istio-testing/"),
    ("gcr.io", "kfserving/", "docker.io/kfserving", "kfserving/"),
    ("gcr.io", "spiffe-io/", "ghcr.io/spiffe", "spiffe-io/"),
    ("ghcr.io", "linuxserver/", DOCKER_HUB, ""),
    ("ghcr.io", "prometheus-operator/", "quay.io/prometheus-operator", "prometheus-operator/"),
    ("ghcr.io", "spiffe/", "ghcr.io/spiffe", "spiffe/"),
    ("k8s.gcr.io", "", "registry.k8s.io", ""),
    ("lscr.io", "linuxserver/", DOCKER_HUB, ""),
    ("mirror.gcr.io", "", DOCKER_HUB, ""),
    ("public.ecr.aws", "bitnami/", DOCKER_HUB, ""),
    ("quay.io", "argoproj/", "quay.io/argoproj", "argoproj/"),
    ("quay.io", "jaegertracing/", "docker.io/jaegertracing", "jaegertracing/"),
    ("quay.io", "jupyter/", "docker.io/jupyter", "jupyter/"),
    ("quay.io", "prometheus-operator/", "quay.io/prometheus-operator", "prometheus-operator/"),
    ("quay.io", "prometheus/", "quay.io/prometheus", "prometheus/"),
    ("registry-1.docker.io", "", DOCKER_HUB, ""),
    ("registry.hub.docker.com", "", DOCKER_HUB, ""),
    ("registry.istio.io", "release/", "docker.io/istio", "release/"),
    ("registry.istio.io", "testing/", "docker.io/istio", "testing/"),
    ("us-central1-docker.pkg.dev", "google-samples/", "gcr.io/google-samples", "google-samples/"),
    ("us-central1-docker.pkg.dev", "online-boutique-ci/", "gcr.io/google-samples", "online-boutique-ci/"),
    ("us-docker.pkg.dev", "google-samples/containers/gke/", "gcr.io/google-samples", "google-samples/containers/gke/"),
];

/// Owners of the official images for one architecture on Docker Hub, except `arm32v6`, whose busybox has musl.
const ARCHITECTURES: &[&str] =
    &["amd64", "arm32v5", "arm32v7", "arm64v8", "i386", "mips64le", "ppc64le", "riscv64", "s390x"];

/// The ends of names that cover everything that begins so.
const ENDS: [char; 2] = ['/', '-'];

/// Names of mirrors for copies from Docker Hub.
const HUB_COPIES: &[&str] = &["docker-hub", "dockerhub"];

/// Rancher's copies of official images: `rancher/mirrored-library-traefik`.
const RANCHER_OFFICIAL: &str = "rancher/mirrored-library-";

// === impl RepositoryRows ===

impl RepositoryRows {
    /// Returns the row with the program that images of this version and tag start, if it has its own resolver. If no row is about the
    /// tag, all rows of the repository must agree.
    pub(crate) fn program(&self, version: TagVersion, tag: Option<&str>) -> Option<&'static Row> {
        let fitting = self.rows.iter().find(|row| row.fits(version, tag));
        let row = match fitting {
            Some(row) => row,
            None => self.rows.first().filter(|first| self.rows.iter().all(|row| row.program == first.program))?,
        };
        // A row that is only about a word of the tag says nothing about the others.
        let is_about_tag = fitting.is_some() || !row.overrides_tag_words();
        (row.program != Program::OfBase && is_about_tag).then_some(row)
    }
}

/// Returns the rows about a reference, if there are any.
pub(crate) fn find(reference: &Reference<'_>) -> Option<RepositoryRows> {
    let (host, path) = origin(reference);
    if let Some(name) = official_name(host, path) {
        return rows_named(official::ROWS, name).map(|rows| RepositoryRows { registry: None, rows });
    }
    let registry = REGISTRIES.iter().find(|registry| registry.host == host)?;
    let rows = beginnings(path).find_map(|name| rows_named(registry.rows, name))?;
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
    let (mut host, mut path) = (reference.registry(), reference.path());
    // Twice, for the folder of a publisher behind another name of its registry.
    for _ in 0..2 {
        if let Some((_, _, holder, left_out)) =
            ALIASES.iter().find(|(alias, folder, ..)| *alias == host && path.starts_with(folder))
        {
            (host, path) = (holder, path.strip_prefix(left_out).unwrap_or(path));
        } else if REGISTRIES.iter().all(|registry| registry.host != host) {
            (host, path) = mirrored(path).unwrap_or((host, path));
        }
    }
    (host, path)
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

/// Returns a path, and then its beginnings, longest first: `a/b-c`, `a/b-`, `a/`, and the empty name of the whole registry.
fn beginnings(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |name| {
        let inner = name.strip_suffix(ENDS).unwrap_or(name);
        let end = inner.rfind(ENDS).map_or(0, |end| end + 1);
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
