//! Programs with their own resolver, and pods whose command starts another one.

use super::{reason, resolver, suggested};
use crate::image::{Evidence, assume_started};
use crate::resolver::{Cgo, Family};

fn started(image: &str, command: &str) -> String {
    assume_started(image, Some(command)).resolver.to_string()
}

#[test]
fn a_go_program_resolves_names_by_itself() {
    for text in [
        "quay.io/argoproj/argocd:v2.9.3",
        "ghcr.io/dexidp/dex:v2.37.0",
        "minio/minio:RELEASE.2023-12-23T07-19-11Z",
        "traefik:v2.10",
        "hashicorp/vault:1.15.4",
        "hashicorp/consul:1.17",
        "caddy:2.4.2",
        "registry:2",
        "ghcr.io/fluxcd/source-controller:v1.2.3",
        "ghcr.io/tailscale/tailscale:v1.56.1",
        "gcr.io/kubebuilder/kube-rbac-proxy:v0.13.1",
        "longhornio/longhorn-manager:v1.5.3",
        "gitea/gitea:1.21",
        "grafana/grafana:10.2.3",
        "grafana/tempo:2.3.1",
        "docker.io/istio/pilot:1.20.1",
        "registry.k8s.io/kubectl:v1.29.0",
        "influxdb:1.8",
        "quay.io/prometheus/prometheus:v2.48.0",
        "registry.k8s.io/coredns/coredns:v1.11.1",
        "registry.k8s.io/etcd:3.5.16-0",
        "quay.io/jetstack/cert-manager-controller:v1.13.3",
        "registry.k8s.io/external-dns/external-dns:v0.14.0",
        "registry.k8s.io/sig-storage/csi-provisioner:v3.6.2",
        "k8s.gcr.io/kube-proxy:v1.20.0",
    ] {
        let fingerprint = suggested(text);
        assert_eq!(fingerprint.resolver.family, Family::Go, "{text}: {}", reason(text));
        assert_eq!(fingerprint.evidence, Evidence::Assumed, "{text}");
        assert!(fingerprint.reason.source().is_some(), "{text}");
    }
    assert_eq!(
        reason("quay.io/argoproj/argocd:v2.9.3"),
        "`quay.io/argoproj/argocd` images start a Go program without cgo, which has its own resolver"
    );
}

#[test]
fn the_base_decides_the_library_that_cgo_links() {
    let cgo = |text| suggested(text).resolver.cgo;
    assert_eq!(cgo("gitea/gitea:1.21"), Cgo::Linked { libc: Family::Musl, version: None });
    assert_eq!(cgo("dexidp/dex:v2.37.0"), Cgo::Linked { libc: Family::Musl, version: None });
    assert_eq!(cgo("traefik:v3.0"), Cgo::Absent);
    assert_eq!(cgo("grafana/grafana:10.2.3"), Cgo::Unknown);
}

#[test]
fn a_tag_that_names_the_base_says_nothing_of_the_program() {
    for text in
        ["caddy:2.4.2-alpine", "influxdb:1.7.9-alpine", "grafana/grafana:10.2.0-ubuntu", "hashicorp/consul:1.17-ubi"]
    {
        assert_eq!(resolver(text), "go", "{text}");
    }
    assert_eq!(resolver("quay.io/prometheus/prometheus:v3.0.0-distroless"), "go");
}

#[test]
fn the_program_counts_for_releases_whose_base_is_unknown() {
    assert_eq!(resolver("grafana/grafana:6.5.0"), "go");
    assert_eq!(started("grafana/grafana:6.5.0", "/bin/sh"), "unknown");
}

#[test]
fn another_command_has_the_library_of_the_base() {
    assert_eq!(started("grafana/grafana:10.2.3", "/bin/sh"), "musl");
    assert_eq!(started("quay.io/argoproj/argocd:v2.9.3", "sh"), "glibc");
    assert_eq!(started("hashicorp/vault:1.15.4", "/bin/sh"), "musl");
    assert_eq!(
        assume_started("grafana/grafana:10.2.3", Some("/bin/sh")).reason.to_string(),
        "`docker.io/grafana/grafana` images from 7.0 on are built on Alpine, which has musl; the pod's command may start another \
         program than the image's own"
    );
}

#[test]
fn a_command_may_be_the_image_s_own_program() {
    for (image, command) in [
        ("quay.io/argoproj/argocd:v2.9.3", "/usr/local/bin/argocd-server"),
        ("docker.io/istio/pilot:1.20.1", "/usr/local/bin/pilot-discovery"),
        ("registry.k8s.io/etcd:3.5.16-0", "etcd"),
        ("quay.io/prometheus/node-exporter:v1.7.0", "/bin/node_exporter"),
        ("longhornio/longhorn-manager:v1.5.3", "longhorn-manager"),
        // Without a C library and a shell, the image has only its publisher's programs.
        ("registry.k8s.io/metrics-server/metrics-server:v0.6.4", "/manager"),
        ("registry.k8s.io/kube-apiserver:v1.29.1", "kube-apiserver"),
        ("quay.io/cilium/operator-generic:v1.14.5", "cilium-operator-generic"),
    ] {
        assert_eq!(started(image, command), "go", "{image} {command}");
    }
    for (image, command) in [
        ("registry.k8s.io/etcd:3.5.16-0", "etcdctl"),
        ("grafana/grafana:10.2.3", "/run.sh"),
        ("grafana/grafana:10.2.3", "/"),
        ("registry.k8s.io/coredns/coredns:v1.11.1", "/busybox/sh"),
    ] {
        assert_ne!(started(image, command), "go", "{image} {command}");
    }
}

#[test]
fn envoy_resolves_by_c_ares() {
    for text in ["envoyproxy/envoy:v1.32.1", "envoyproxy/envoy:distroless-v1.32.1", "envoyproxy/envoy-alpine:v1.19.0"] {
        assert_eq!(resolver(text), "c-ares", "{text}");
    }
    assert_eq!(
        reason("envoyproxy/envoy:v1.32.1"),
        "`docker.io/envoyproxy/envoy` images start a program that resolves names by c-ares"
    );
    assert_eq!(started("envoyproxy/envoy:v1.32.1", "envoy"), "c-ares");
    assert_eq!(started("envoyproxy/envoy:v1.32.1", "bash"), "glibc");
}

#[test]
fn alpine_in_a_tag_is_no_proof_for_programs_that_exist_for_glibc_alone() {
    for text in [
        "denoland/deno:alpine",
        "denoland/deno:alpine-1.40.0",
        "continuumio/miniconda3:4.12.0-alpine",
        "oven/bun:1.0-alpine",
    ] {
        assert_eq!(resolver(text), "glibc", "{text}: {}", reason(text));
        assert_eq!(started(text, "sh"), "unknown", "{text}");
    }
    for text in [
        "clickhouse/clickhouse-keeper:23.8-alpine",
        "clickhouse/clickhouse-server:23.8-alpine",
        "oven/bun:1.1-alpine",
        "adoptopenjdk/openjdk11:alpine-jre",
        "example/deno:alpine",
        "example/miniconda3-alpine",
        "registry.example.com/team/clickhouse:1-alpine",
    ] {
        assert_eq!(resolver(text), "unknown", "{text}: {}", reason(text));
    }
    assert_eq!(resolver("oven/bun:1.2-alpine"), "musl");
    assert_eq!(resolver("oven/bun:alpine"), "musl");
    assert_eq!(resolver("denoland/deno:1.40.0"), "glibc");
}

#[test]
fn the_organisation_alpine_is_not_the_distribution() {
    for (text, expected) in [
        ("alpine/git", "musl"),
        ("alpine/k8s:1.29.2", "musl"),
        ("alpine/mysql", "musl"),
        ("alpine/helm:3.14.0", "go"),
        ("alpine/ollama", "glibc"),
        ("alpine/something:1", "unknown"),
    ] {
        assert_eq!(resolver(text), expected, "{text}: {}", reason(text));
    }
}

#[test]
fn old_alpine_and_busybox_had_other_libraries() {
    for (text, expected) in [
        ("alpine:2.7", "uclibc"),
        ("alpine:2", "uclibc"),
        ("alpine:3.1", "musl 1.1.5"),
        ("busybox:1.33.1", "uclibc"),
        ("busybox:1.34.1", "unknown"),
        ("busybox:1.34", "unknown"),
        ("busybox:1.36", "glibc"),
    ] {
        assert_eq!(resolver(text), expected, "{text}: {}", reason(text));
    }
}

#[test]
fn distroless_static_has_no_library_in_any_release() {
    for text in [
        "gcr.io/distroless/static",
        "gcr.io/distroless/static-debian12:nonroot",
        "gcr.io/distroless/static-debian14",
        "registry.example.com/distroless/static-debian12:latest",
        "registry.example.com/mirror/static-debian11",
        "example/app:1-distroless-static-debian12",
    ] {
        assert_eq!(resolver(text), "static", "{text}: {}", reason(text));
    }
    assert_eq!(resolver("gcr.io/distroless/base-debian12"), "glibc");
}

#[test]
fn windows_images_are_recognised() {
    for text in [
        "mcr.microsoft.com/windows/servercore:ltsc2022",
        "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022",
        "mcr.microsoft.com/windows/nanoserver@sha256:141c253bc4c3fd0a201d32dc1f493bcf3fff003b6df416dea4f41046e0f37d47",
        "mcr.microsoft.com/dotnet/framework/aspnet:4.8",
        "mcr.microsoft.com/dotnet/sdk:8.0-nanoserver-ltsc2022",
        "mcr.microsoft.com/windows:1903",
        "microsoft/nanoserver:1803",
        "registry.example.com/base/servercore:1",
        "golang:1.22-windowsservercore",
        "nats:2.10-nanoserver",
        "python:3.12-windowsservercore-ltsc2022",
        "traefik:v3.0-windowsservercore-ltsc2022",
        "registry.k8s.io/pause:3.9-windows-1809-amd64",
        "ghcr.io/prometheus-community/windows-exporter:0.25.1",
    ] {
        assert!(suggested(text).is_windows(), "{text}: {}", reason(text));
        assert_eq!(resolver(text), "unknown", "{text}");
    }
    for text in [
        "dockurr/windows",
        "example/windows-builder:1",
        "mcr.microsoft.com/dotnet/sdk:8.0",
        "mcr.microsoft.com/mssql/server:2022-latest",
        "nats:2.10",
        "alpine:3.19",
    ] {
        assert!(!suggested(text).is_windows(), "{text}: {}", reason(text));
    }
}

#[test]
fn one_publisher_has_the_same_images_on_several_registries() {
    for texts in [
        &[
            "docker.io/istio/proxyv2:1.20.1",
            "registry.istio.io/release/proxyv2:1.20.1",
            "gcr.io/istio-release/proxyv2:1.20.1",
        ][..],
        &["prom/alertmanager:v0.26.0", "quay.io/prometheus/alertmanager:v0.26.0"],
        &[
            "argoproj/argocd:v1.8.0",
            "quay.io/argoproj/argocd:v1.8.0",
            "registry.example.com/quay.io/argoproj/argocd:v1.8.0",
        ],
        &[
            "ghcr.io/prometheus-operator/prometheus-operator:v0.80.0",
            "quay.io/prometheus-operator/prometheus-operator:v0.80.0",
        ],
        &["gcr.io/google_containers/etcd:3.5.1-0", "k8s.gcr.io/etcd:3.5.1-0", "registry.k8s.io/etcd:3.5.1-0"],
        &["gcr.io/google-samples/hello-app:1.0", "us-docker.pkg.dev/google-samples/containers/gke/hello-app:1.0"],
        &["jaegertracing/all-in-one:1.53", "quay.io/jaegertracing/all-in-one:1.53"],
    ] {
        for text in texts {
            assert_eq!(resolver(text), "go", "{text}: {}", reason(text));
        }
    }
    assert_eq!(
        reason("registry.istio.io/release/examples-bookinfo-details-v1:1.20.3"),
        "images of names that begin with `docker.io/istio/examples-bookinfo-` whose tag names no other base are built on Debian, \
         Ubuntu, Oracle Linux or Red Hat UBI, which has glibc"
    );
}

#[test]
fn curl_of_alpine_asks_by_c_ares_since_3_19() {
    for (image, command, expected) in [
        ("alpine:3.19", "curl", "c-ares"),
        ("alpine:3.22.1", "/usr/bin/curl", "c-ares"),
        ("node:20-alpine3.20", "curl", "c-ares"),
        ("alpine:3.18", "curl", "musl 1.2.4"),
        ("alpine:3.19", "wget", "musl 1.2.4"),
        ("alpine", "curl", "musl"),
        // Its own build, without c-ares.
        ("curlimages/curl:8.11.0", "curl", "musl"),
        ("debian:12", "curl", "glibc"),
    ] {
        assert_eq!(started(image, command), expected, "{image} {command}");
    }
    assert_eq!(resolver("alpine/curl:8.12.1"), "c-ares");
    assert_eq!(resolver("alpine/curl:7.80.0"), "musl");
    let beside = |image| suggested(image).beside.map(|second| (second.in_program, second.reason.to_string()));
    let reason = "curl of Alpine asks by c-ares since Alpine 3.19".to_owned();
    assert_eq!(beside("alpine:3.19"), Some((false, reason)));
    assert_eq!([beside("alpine:3.18"), beside("alpine"), beside("debian:12")], [None, None, None]);
}
