//! Publishers on registries other than Docker Hub, one table for each registry. Must not have rows for Docker Hub.

use super::row::Base::{Alpine, Bare, Glibc, Uclibc, Windows};
use super::row::Tags::{Before, Between, Every, From, Plain, Word};
use super::row::{Row, row};

/// quay.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const QUAY: &[Row] = &[
    row("argoproj/argocd", Plain, Glibc("Debian or Ubuntu"), "argoproj/argo-cd@37ee009 Dockerfile BASE_IMAGE=ubuntu"),
    row("brancz/kube-rbac-proxy", Before(0, 6), Alpine, "brancz/kube-rbac-proxy@acd2528 Dockerfile FROM alpine:3.7"),
    row("brancz/kube-rbac-proxy", From(0, 6), Bare("distroless static"), "brancz/kube-rbac-proxy@2b96394 Dockerfile FROM gcr.io/distroless/static"),
    row("cilium/cilium", Plain, Glibc("Ubuntu"), "cilium/cilium images/runtime/Dockerfile FROM ubuntu"),
    row("cilium/operator", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch"),
    row("cilium/operator-aws", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch"),
    row("cilium/operator-azure", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch"),
    row("cilium/operator-generic", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch"),
    row("coreos/flannel", From(0, 10), Alpine, "flannel-io/flannel@3e883b8 Dockerfile.amd64 FROM alpine"),
    row("coreos/kube-state-metrics", Between((1, 4), (1, 7)), Alpine, "kubernetes/kube-state-metrics@12b9ac4 Dockerfile FROM alpine:3.7"),
    row("coreos/kube-state-metrics", From(1, 7), Bare("distroless static"), "kubernetes/kube-state-metrics@7ea293e Dockerfile FROM gcr.io/distroless/static"),
    row("coreos/prometheus-config-reloader", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("coreos/prometheus-operator", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("dexidp/dex", Plain, Alpine, "dexidp/dex@ab64ed7 Dockerfile BASE_IMAGE=alpine (the other is tagged -distroless)"),
    row("fedora/fedora", Every, Glibc("Fedora"), "the distribution itself"),
    row("jetstack/cert-manager-acmesolver", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static"),
    row("jetstack/cert-manager-cainjector", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static"),
    row("jetstack/cert-manager-controller", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static"),
    row("jetstack/cert-manager-ctl", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static"),
    row("jetstack/cert-manager-webhook", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static"),
    row("keycloak/keycloak", Plain, Glibc("Red Hat UBI"), "keycloak/keycloak quarkus/container/Dockerfile FROM ubi9-micro; keycloak/keycloak-containers@033a676 ubi8-minimal"),
    row("kiwigrid/k8s-sidecar", From(1, 0), Alpine, "kiwigrid/k8s-sidecar@a61c7ac Dockerfile FROM python:*-alpine, since 2020-02"),
    row("metallb/controller", Before(0, 14), Alpine, "metallb/metallb@9c4ea30 controller/Dockerfile FROM alpine"),
    row("metallb/controller", From(0, 15), Bare("distroless static"), "metallb/metallb@66d8395 controller/Dockerfile FROM gcr.io/distroless/static"),
    row("metallb/speaker", Before(0, 14), Alpine, "metallb/metallb@9c4ea30 speaker/Dockerfile FROM alpine"),
    row("metallb/speaker", From(0, 15), Bare("distroless static"), "metallb/metallb@66d8395 speaker/Dockerfile FROM gcr.io/distroless/static"),
    row("minio/minio", Between((2018, 0), (2020, 0)), Alpine, "minio/minio@11c4223 Dockerfile.release FROM alpine"),
    row("minio/minio", From(2021, 0), Glibc("Red Hat UBI"), "minio/minio@7aac2a2 Dockerfile.release FROM ubi9/ubi-micro; since 2020-12-08 UBI"),
    row("oauth2-proxy/oauth2-proxy", Between((5, 0), (7, 6)), Alpine, "oauth2-proxy/oauth2-proxy@a84e9f4 Dockerfile RUNTIME_IMAGE=alpine"),
    row("oauth2-proxy/oauth2-proxy", From(7, 6), Bare("distroless static"), "oauth2-proxy/oauth2-proxy@be84906 Dockerfile RUNTIME_IMAGE=gcr.io/distroless/static:nonroot"),
    row("prometheus-operator/prometheus-config-reloader", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus-operator/prometheus-operator", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus/alertmanager", Word("distroless"), Bare("distroless static"), "prometheus/alertmanager@68fb2d5 Dockerfile.distroless"),
    row("prometheus/alertmanager", From(0, 3), Uclibc("busybox"), "prometheus/alertmanager@68fb2d5 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus/blackbox-exporter", From(0, 2), Uclibc("busybox"), "prometheus/blackbox_exporter@e39d7d4 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus/busybox", Plain, Uclibc("busybox"), "prometheus/busybox@869afd4 Makefile: latest is uclibc on amd64, armv7 and arm64"),
    row("prometheus/mysqld-exporter", From(0, 9), Uclibc("busybox"), "prometheus/mysqld_exporter@55c0976 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus/node-exporter", Between((0, 14), (1, 2)), Glibc("the glibc build of busybox"), "prometheus/node_exporter@e8d724c Dockerfile FROM quay.io/prometheus/busybox:glibc"),
    row("prometheus/node-exporter", From(1, 2), Uclibc("busybox"), "prometheus/node_exporter@7b895d8 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus/prometheus", Word("distroless"), Bare("distroless static"), "prometheus/prometheus@d15adb9 Dockerfile.distroless FROM gcr.io/distroless/static-debian13"),
    row("prometheus/prometheus", From(1, 0), Uclibc("busybox"), "prometheus/prometheus@d15adb9 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus/pushgateway", From(0, 4), Uclibc("busybox"), "prometheus/pushgateway@412bd22 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("prometheus/statsd-exporter", From(0, 5), Uclibc("busybox"), "prometheus/statsd_exporter@ac592b1 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest"),
    row("strimzi/kafka", Plain, Glibc("CentOS or Red Hat UBI"), "strimzi/strimzi-kafka-operator@8541da1 docker-images/base/Dockerfile FROM ubi9-minimal, before 0.24 centos:7"),
    row("strimzi/operator", Plain, Glibc("CentOS or Red Hat UBI"), "strimzi/strimzi-kafka-operator@8541da1 docker-images/base/Dockerfile FROM ubi9-minimal, before 0.24 centos:7"),
    row("thanos/thanos", From(0, 1), Uclibc("busybox"), "thanos-io/thanos@e103a81 Dockerfile FROM quay.io/prometheus/busybox"),
];

/// ghcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const GITHUB: &[Row] = &[
    row("dexidp/dex", Plain, Alpine, "dexidp/dex@ab64ed7 Dockerfile BASE_IMAGE=alpine (the other is tagged -distroless)"),
    row("external-secrets/external-secrets", From(0, 4), Bare("distroless static"), "external-secrets/external-secrets@cc5bfbc Dockerfile FROM gcr.io/distroless/static (the other is tagged -ubi)"),
    row("fluxcd/helm-controller", From(0, 1), Alpine, "fluxcd/helm-controller Dockerfile FROM alpine"),
    row("fluxcd/kustomize-controller", From(0, 1), Alpine, "fluxcd/kustomize-controller Dockerfile FROM alpine"),
    row("fluxcd/notification-controller", From(0, 1), Alpine, "fluxcd/notification-controller Dockerfile FROM alpine"),
    row("fluxcd/source-controller", From(0, 21), Alpine, "fluxcd/source-controller Dockerfile FROM alpine"),
    row("home-assistant/home-assistant", Plain, Alpine, "home-assistant/docker-base@c8de5ab alpine/Dockerfile ARG BASE_IMAGE=alpine"),
    row("jimmidyson/configmap-reload", From(0, 12), Bare("distroless static"), "jimmidyson/configmap-reload@0ec4d67 Dockerfile BASEIMAGE=gcr.io/distroless/static-debian12"),
    row("kedacore/keda", From(2, 0), Bare("distroless static"), "kedacore/keda@8b4f083 Dockerfile FROM gcr.io/distroless/static:nonroot"),
    row("kiwigrid/k8s-sidecar", From(1, 0), Alpine, "kiwigrid/k8s-sidecar@a61c7ac Dockerfile FROM python:*-alpine, since 2020-02"),
    row("stakater/reloader", From(1, 0), Bare("distroless static"), "stakater/Reloader@655a2b3 Dockerfile BASE_IMAGE gcr.io/distroless/static:nonroot"),
    row("tailscale/tailscale", Plain, Alpine, "tailscale/tailscale@de9ec7e build_docker.sh DEFAULT_BASE=tailscale/alpine-base:3.22"),
];

/// registry.k8s.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const KUBERNETES: &[Row] = &[
    row("autoscaling/cluster-autoscaler", From(1, 20), Bare("distroless static"), "kubernetes/autoscaler@26388dd cluster-autoscaler/Dockerfile.amd64 BASEIMAGE=gcr.io/distroless/static"),
    row("coredns", From(1, 2), Bare("scratch, later distroless static"), "coredns/coredns Dockerfile FROM scratch, since v1.11 gcr.io/distroless/static"),
    row("coredns/coredns", Before(1, 1), Alpine, "coredns/coredns@da447e2 Dockerfile FROM alpine (until v1.1.3)"),
    row("coredns/coredns", From(1, 2), Bare("scratch, later distroless static"), "coredns/coredns@4b26cce Dockerfile FROM gcr.io/distroless/static-debian12; from v1.1.4 to v1.10 scratch"),
    row("external-dns/external-dns", Between((0, 5), (0, 13)), Alpine, "kubernetes-sigs/external-dns@f2eebfa Dockerfile FROM alpine"),
    row("external-dns/external-dns", From(0, 14), Bare("distroless static"), "kubernetes-sigs/external-dns@2bf1bf8 .ko.yaml defaultBaseImage gcr.io/distroless/static-debian12, since v0.13.6"),
    row("ingress-nginx/controller", Plain, Alpine, "kubernetes/ingress-nginx@dbb11b9 images/nginx/rootfs/Dockerfile FROM alpine, since 2019-12"),
    row("kube-apiserver", From(1, 22), Bare("distroless static"), "kubernetes/release@f618b2a images/build/go-runner/Makefile DISTROLESS_IMAGE ?= static-debian12"),
    row("kube-controller-manager", From(1, 22), Bare("distroless static"), "kubernetes/release@f618b2a images/build/go-runner/Makefile DISTROLESS_IMAGE ?= static-debian12"),
    row("kube-scheduler", From(1, 22), Bare("distroless static"), "kubernetes/release@f618b2a images/build/go-runner/Makefile DISTROLESS_IMAGE ?= static-debian12"),
    row("kube-state-metrics/kube-state-metrics", From(2, 0), Bare("distroless static"), "kubernetes/kube-state-metrics@c92fe0c Dockerfile FROM gcr.io/distroless/static-debian13"),
    row("metrics-server/metrics-server", From(0, 4), Bare("distroless static"), "kubernetes-sigs/metrics-server@5ed5d3a Dockerfile FROM gcr.io/distroless/static"),
    row("node-problem-detector/node-problem-detector", From(0, 8), Glibc("Debian"), "kubernetes/node-problem-detector@6632ca6 Dockerfile FROM registry.k8s.io/build-image/debian-base"),
    row("pause", Every, Bare("scratch"), "kubernetes/kubernetes build/pause/Dockerfile FROM scratch, a static C program"),
    row("sig-storage/csi-attacher", From(3, 1), Bare("distroless static"), "kubernetes-csi/external-attacher Dockerfile FROM gcr.io/distroless/static"),
    row("sig-storage/csi-node-driver-registrar", From(2, 1), Bare("distroless static"), "kubernetes-csi/node-driver-registrar Dockerfile FROM gcr.io/distroless/static"),
    row("sig-storage/csi-provisioner", From(1, 1), Bare("distroless static"), "kubernetes-csi/external-provisioner Dockerfile FROM gcr.io/distroless/static"),
    row("sig-storage/csi-resizer", From(1, 1), Bare("distroless static"), "kubernetes-csi/external-resizer Dockerfile FROM gcr.io/distroless/static"),
    row("sig-storage/csi-snapshotter", From(4, 0), Bare("distroless static"), "kubernetes-csi/external-snapshotter Dockerfile FROM gcr.io/distroless/static"),
    row("sig-storage/livenessprobe", From(2, 2), Bare("distroless static"), "kubernetes-csi/livenessprobe Dockerfile FROM gcr.io/distroless/static"),
    row("sig-storage/snapshot-controller", From(4, 0), Bare("distroless static"), "kubernetes-csi/external-snapshotter Dockerfile FROM gcr.io/distroless/static"),
];

/// gcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const GOOGLE: &[Row] = &[
    row("cloud-sql-connectors/cloud-sql-proxy", Plain, Bare("distroless static"), "GoogleCloudPlatform/cloud-sql-proxy@31c3b33 Dockerfile FROM gcr.io/distroless/static:nonroot (others are tagged -alpine, -bullseye)"),
    row("cloudsql-docker/gce-proxy", Between((1, 15), (1, 23)), Glibc("distroless base"), "GoogleCloudPlatform/cloud-sql-proxy@46c5533 Dockerfile FROM gcr.io/distroless/base-debian10"),
    row("cloudsql-docker/gce-proxy", From(1, 23), Bare("distroless static"), "GoogleCloudPlatform/cloud-sql-proxy@d66233e Dockerfile FROM gcr.io/distroless/static:nonroot"),
    row("distroless/", Every, Glibc("distroless base"), "GoogleContainerTools/distroless@cd08076 README.md: all but static have glibc"),
    row("distroless/static", Every, Bare("distroless static"), "GoogleContainerTools/distroless@cd08076 base/README.md"),
    row("distroless/static-debian10", Every, Bare("distroless static"), "GoogleContainerTools/distroless@cd08076 base/README.md"),
    row("distroless/static-debian11", Every, Bare("distroless static"), "GoogleContainerTools/distroless@cd08076 base/README.md"),
    row("distroless/static-debian12", Every, Bare("distroless static"), "GoogleContainerTools/distroless@cd08076 base/README.md"),
    row("distroless/static-debian13", Every, Bare("distroless static"), "GoogleContainerTools/distroless@cd08076 base/README.md"),
    row("google-containers/pause", Every, Bare("scratch"), "kubernetes/kubernetes build/pause/Dockerfile FROM scratch"),
    row("google-containers/pause-amd64", Every, Bare("scratch"), "kubernetes/kubernetes build/pause/Dockerfile FROM scratch"),
    row("google.com/cloudsdktool/cloud-sdk", Plain, Glibc("Debian"), "GoogleCloudPlatform/cloud-sdk-docker@47328f7 Dockerfile FROM debian:trixie-slim"),
    row("google.com/cloudsdktool/google-cloud-cli", Plain, Glibc("Debian"), "GoogleCloudPlatform/cloud-sdk-docker@47328f7 Dockerfile FROM debian:trixie-slim"),
    row("google_containers/pause", Every, Bare("scratch"), "kubernetes/kubernetes build/pause/Dockerfile FROM scratch"),
    row("google_containers/pause-amd64", Every, Bare("scratch"), "kubernetes/kubernetes build/pause/Dockerfile FROM scratch"),
    row("istio-release/pilot", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 docker/Dockerfile.base, of pilot/docker/Dockerfile.pilot BASE_DISTRIBUTION=debug, is ubuntu"),
    row("istio-release/proxyv2", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 docker/Dockerfile.base, of pilot/docker/Dockerfile.proxyv2 BASE_DISTRIBUTION=debug, is ubuntu"),
    row("kaniko-project/executor", Plain, Bare("scratch"), "GoogleContainerTools/kaniko@236ba56 deploy/Dockerfile FROM scratch"),
];

/// public.ecr.aws. The official images in its `docker/library/` need no rows.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const AMAZON: &[Row] = &[
    row("aws-cli/aws-cli", Plain, Glibc("Amazon Linux"), "aws/aws-cli@73fb33b docker/Dockerfile FROM public.ecr.aws/amazonlinux/amazonlinux:2023"),
    row("bitnami/", Plain, Glibc("Debian"), "bitnami/containers, as on Docker Hub"),
    row("lambda/", Every, Glibc("Amazon Linux"), "aws/aws-lambda-base-images: Amazon Linux 2 or 2023"),
];

/// mcr.microsoft.com.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const MICROSOFT: &[Row] = &[
    row("azurelinux/", Every, Glibc("Azure Linux"), "the distribution itself"),
    row("cbl-mariner/", Every, Glibc("CBL-Mariner"), "the distribution itself"),
    row("dotnet/", Plain, Glibc("Debian or Ubuntu"), "dotnet/dotnet-docker@3ed00b6 README.aspnet.md: 8.0 = bookworm-slim, 10.0 = noble"),
    row("dotnet/framework/", Every, Windows, "dotnet/dotnet-docker@3ed00b6 README.aspnet.md: .NET Framework is Windows only"),
    row("windows/", Every, Windows, "nats-io/nats-docker 2.10.x/nanoserver-ltsc2022/Dockerfile FROM"),
];

/// cgr.dev. Most other images have one static program, or a C library beside it.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const CHAINGUARD: &[Row] = &[
    row("chainguard/glibc-dynamic", Every, Glibc("Wolfi"), "chainguard-images/images@cd7edd2 images/glibc-dynamic/README.md"),
    row("chainguard/jdk", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/jre", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/nginx", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/node", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/php", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/postgres", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/python", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/redis", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/ruby", Plain, Glibc("Wolfi"), "edu.chainguard.dev glibc-vs-musl: Wolfi, of which all Chainguard containers are built, has glibc"),
    row("chainguard/static", Every, Bare("Chainguard static"), "chainguard-images/images@cd7edd2 images/static/README.md (no libc)"),
];

/// registry.access.redhat.com and registry.redhat.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const RED_HAT: &[Row] = &[
    row("", Every, Glibc("Red Hat Enterprise Linux"), "Red Hat Ecosystem Catalog: the vendor's own images, on RHEL or UBI"),
];

/// docker.elastic.co.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const ELASTIC: &[Row] = &[
    row("elasticsearch/", Before(9, 0), Glibc("CentOS or Ubuntu"), "elastic/dockerfiles 6.8, 7.17, 8.19 elasticsearch/Dockerfile FROM centos:7, ubuntu:20.04, ubuntu:24.04"),
    row("kibana/", Before(9, 0), Glibc("CentOS or Ubuntu"), "elastic/dockerfiles 6.8, 7.17, 8.19 kibana/Dockerfile FROM centos:7, ubuntu:20.04, ubuntu:24.04"),
    row("logstash/", Before(9, 0), Glibc("CentOS or Ubuntu"), "elastic/dockerfiles 6.8, 7.17, 8.19 logstash/Dockerfile FROM centos:7, ubuntu:20.04, ubuntu:24.04"),
];

/// cr.l5d.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const LINKERD: &[Row] = &[
    row("linkerd/controller", Plain, Bare("scratch"), "linkerd/linkerd2@b24cd40 Dockerfile.controller FROM scratch"),
];

/// docker.gitea.com.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const GITEA: &[Row] = &[
    row("gitea", Plain, Alpine, "go-gitea/gitea Dockerfile FROM alpine:3.22"),
];
