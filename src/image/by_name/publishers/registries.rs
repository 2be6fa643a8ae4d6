//! Publishers on registries other than Docker Hub, one table for each registry. Must not have rows for Docker Hub.

use super::row::Base::{Alpine, Bare, Glibc, Several, Uclibc, Windows};
use super::row::Build::{Unknown, WithCgo, WithoutCgo};
use super::row::Tags::{Before, Between, Every, From, Latest, Plain, Word};
use super::row::{Row, row};

/// quay.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const QUAY: &[Row] = &[
    row("argoprojlabs/argocd-image-updater", Plain, Alpine, "argoproj-labs/argocd-image-updater@de2cfec Dockerfile FROM alpine, since v0.1.0; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("brancz/kube-rbac-proxy", Before(0, 6), Alpine, "brancz/kube-rbac-proxy@acd2528 Dockerfile FROM alpine:3.7").go(Unknown),
    row("brancz/kube-rbac-proxy", From(0, 6), Bare("distroless static"), "brancz/kube-rbac-proxy@898a9f4 Dockerfile FROM gcr.io/distroless/static; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("ceph/ceph", Plain, Glibc("CentOS"), "ceph/ceph@034e3d8 container/Containerfile FROM quay.io/centos/centos:stream9"),
    row("cephcsi/ceph-csi-operator", Plain, Bare("distroless static"), "ceph/ceph-csi-operator@1cfa904 Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("cephcsi/cephcsi", Plain, Glibc("the base of Ceph"), "ceph/ceph-csi@0b8fbac deploy/cephcsi/image/Dockerfile CGO_ENABLED=1, links librados, FROM a CentOS of Ceph").go(WithCgo),
    row("cilium/cilium", Plain, Glibc("Ubuntu"), "cilium/cilium images/runtime/Dockerfile FROM ubuntu"),
    row("cilium/operator", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch, CGO_ENABLED=0").go(WithoutCgo),
    row("cilium/operator-aws", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch, CGO_ENABLED=0").go(WithoutCgo),
    row("cilium/operator-azure", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch, CGO_ENABLED=0").go(WithoutCgo),
    row("cilium/operator-generic", Plain, Bare("scratch"), "cilium/cilium@001bb35 images/operator/Dockerfile BASE_IMAGE=scratch, CGO_ENABLED=0").go(WithoutCgo),
    row("coreos/etcd", Plain, Several, "etcd-io/etcd Dockerfile-release: alpine in 3.2 and 3.3, Debian in 3.4 and 3.5, now distroless static; CGO_ENABLED=0 in v3.1.0 build, v3.4.0 build, @c34dc7e scripts/build_lib.sh").go(WithoutCgo),
    row("coreos/flannel", From(0, 10), Alpine, "flannel-io/flannel@3e883b8 Dockerfile.amd64 FROM alpine, flanneld of Go").go(Unknown),
    row("coreos/kube-state-metrics", Between((1, 4), (1, 7)), Alpine, "kubernetes/kube-state-metrics@12b9ac4 Dockerfile FROM alpine:3.7").go(Unknown),
    row("coreos/kube-state-metrics", From(1, 7), Bare("distroless static"), "kubernetes/kube-state-metrics@7ea293e Dockerfile FROM gcr.io/distroless/static; @c92fe0c Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("coreos/prometheus-config-reloader", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("coreos/prometheus-operator", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("dexidp/dex", Plain, Alpine, "dexidp/dex@ab64ed7 Dockerfile CGO_ENABLED=1 BASE_IMAGE=alpine, since v2.0.0 (the other is tagged -distroless)").go(WithCgo),
    row("fedora/", Every, Glibc("Fedora"), "the distribution itself"),
    row("fluentd_elasticsearch/fluentd", Plain, Glibc("Debian or Ubuntu"), "kubernetes/kubernetes@0fe831c cluster/addons/fluentd-elasticsearch/fluentd-es-image/Dockerfile FROM ubuntu-slim, later Debian"),
    row("frrouting/frr", Plain, Alpine, "FRRouting/frr@003b200 docker/alpine/Dockerfile FROM alpine:3.18"),
    row("jetstack/cert-manager-acmesolver", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager@2d0d7f7 make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static; make/00_mod.mk CGO_ENABLED ?= 0").go(WithoutCgo),
    row("jetstack/cert-manager-cainjector", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager@2d0d7f7 make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static; make/00_mod.mk CGO_ENABLED ?= 0").go(WithoutCgo),
    row("jetstack/cert-manager-controller", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager@2d0d7f7 make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static; make/00_mod.mk CGO_ENABLED ?= 0").go(WithoutCgo),
    row("jetstack/cert-manager-ctl", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager@2d0d7f7 make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static; make/00_mod.mk CGO_ENABLED ?= 0").go(WithoutCgo),
    row("jetstack/cert-manager-startupapicheck", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager@2d0d7f7 hack/containers/Containerfile.startupapicheck, make/base_images.mk gcr.io/distroless/static; make/00_mod.mk CGO_ENABLED ?= 0").go(WithoutCgo),
    row("jetstack/cert-manager-webhook", From(1, 0), Bare("distroless static"), "cert-manager/cert-manager@2d0d7f7 make/base_images.mk STATIC_BASE_IMAGE gcr.io/distroless/static; make/00_mod.mk CGO_ENABLED ?= 0").go(WithoutCgo),
    row("keycloak/keycloak", Plain, Glibc("Red Hat UBI"), "keycloak/keycloak quarkus/container/Dockerfile FROM ubi9-micro; keycloak/keycloak-containers@033a676 ubi8-minimal"),
    row("kiali/kiali", Word("distroless"), Several, "kiali/kiali@d733a09 deploy/docker/Dockerfile-multi-arch-distroless FROM scratch, with files of UBI").go(Unknown),
    row("kiali/kiali", Plain, Glibc("Red Hat UBI or CentOS"), "kiali/kiali@d733a09 deploy/docker/Dockerfile-multi-arch FROM ubi9-minimal, before 0.21 centos7; Makefile CGO_ENABLED ?= 0").go(Unknown),
    row("kiwigrid/k8s-sidecar", From(1, 0), Alpine, "kiwigrid/k8s-sidecar@a61c7ac Dockerfile FROM python:*-alpine, since 2020-02"),
    row("kuberay/operator", Plain, Several, "ray-project/kuberay@d7855fb ray-operator/Dockerfile CGO_ENABLED=1 FROM distroless, before CGO_ENABLED=0 FROM distroless static").go(Unknown),
    row("metallb/controller", Before(0, 14), Alpine, "metallb/metallb@9c4ea30 controller/Dockerfile FROM alpine").go(Unknown),
    row("metallb/controller", From(0, 15), Bare("distroless static"), "metallb/metallb@66d8395 controller/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static").go(WithoutCgo),
    row("metallb/frr-k8s", Plain, Several, "metallb/frr-k8s@08ef923 Dockerfile CGO_ENABLED=0 FROM alpine").go(Unknown),
    row("metallb/speaker", Before(0, 14), Alpine, "metallb/metallb@9c4ea30 speaker/Dockerfile FROM alpine").go(Unknown),
    row("metallb/speaker", From(0, 15), Bare("distroless static"), "metallb/metallb@66d8395 speaker/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static").go(WithoutCgo),
    row("minio/mc", Plain, Several, "minio/mc@1ad9516 Dockerfile.release FROM alpine:3.5, later UBI, ENTRYPOINT mc, of Go").go(Unknown),
    row("minio/minio", Between((2018, 0), (2020, 0)), Alpine, "minio/minio@11c4223 Dockerfile.release FROM alpine; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("minio/minio", From(2021, 0), Glibc("Red Hat UBI"), "minio/minio@7aac2a2 Dockerfile.release CGO_ENABLED=0 FROM ubi9/ubi-micro; since 2020-12-08 UBI").go(WithoutCgo),
    row("minio/operator", Plain, Several, "minio/operator@0ee2c25 Dockerfile FROM ubi9/ubi-micro, ENTRYPOINT minio-operator, of Go").go(Unknown),
    row("numaio/numaflow-rs/", Plain, Glibc("Debian"), "numaproj/numaflow-rs@052a936 examples/*/Dockerfile FROM debian:bullseye"),
    row("oauth2-proxy/oauth2-proxy", Between((5, 0), (7, 6)), Alpine, "oauth2-proxy/oauth2-proxy@a84e9f4 Dockerfile RUNTIME_IMAGE=alpine; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("oauth2-proxy/oauth2-proxy", From(7, 6), Bare("distroless static"), "oauth2-proxy/oauth2-proxy@be84906 Dockerfile RUNTIME_IMAGE=gcr.io/distroless/static:nonroot; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("operator-framework/scorecard-test", Plain, Glibc("Red Hat UBI"), "operator-framework/operator-sdk@015e39f images/scorecard-test/Dockerfile CGO_ENABLED=0 FROM ubi8/ubi-minimal").go(WithoutCgo),
    row("prometheuscommunity/postgres-exporter", From(0, 9), Uclibc("busybox"), "prometheus-community/postgres_exporter@dbb1987 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest, since v0.9.0; of Go").go(Unknown),
    row("strimzi/kafka", Plain, Glibc("CentOS or Red Hat UBI"), "strimzi/strimzi-kafka-operator@8541da1 docker-images/base/Dockerfile FROM ubi9-minimal, before 0.24 centos:7"),
    row("strimzi/operator", Plain, Glibc("CentOS or Red Hat UBI"), "strimzi/strimzi-kafka-operator@8541da1 docker-images/base/Dockerfile FROM ubi9-minimal, before 0.24 centos:7"),
    row("thanos/thanos", From(0, 1), Uclibc("busybox"), "thanos-io/thanos@e103a81 Dockerfile FROM quay.io/prometheus/busybox; .promu.yml netgo").go(WithoutCgo),
];

/// ghcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const GITHUB: &[Row] = &[
    row("actions/actions-runner", Plain, Glibc("Ubuntu"), "actions/runner@0024247 images/Dockerfile FROM mcr.microsoft.com/dotnet/runtime-deps:8.0-jammy"),
    row("actions/gha-runner-scale-set-controller", Plain, Bare("distroless static"), "actions/actions-runner-controller@2ee6b3b Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("apache/flink-kubernetes-operator", Plain, Glibc("Debian or Ubuntu"), "apache/flink-kubernetes-operator@6e9caeb Dockerfile FROM eclipse-temurin:17-jre-jammy, before openjdk"),
    row("cloudnative-pg/cloudnative-pg", From(1, 15), Bare("distroless static"), "cloudnative-pg/cloudnative-pg@a95a534 Dockerfile BASE=gcr.io/distroless/static-debian13, since v1.15.0 static; .goreleaser.yml CGO_ENABLED=0").go(WithoutCgo),
    row("cloudnative-pg/postgresql", Plain, Glibc("Debian"), "cloudnative-pg/postgres-containers@22f0691 Dockerfile BASE=debian, before FROM postgres"),
    row("dexidp/dex", Plain, Alpine, "dexidp/dex@ab64ed7 Dockerfile CGO_ENABLED=1 BASE_IMAGE=alpine, since v2.0.0 (the other is tagged -distroless)").go(WithCgo),
    row("external-secrets/external-secrets", From(0, 4), Bare("distroless static"), "external-secrets/external-secrets@cc5bfbc Dockerfile FROM gcr.io/distroless/static (the other is tagged -ubi); Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("flannel-io/flannel", From(0, 10), Alpine, "flannel-io/flannel@2a5c190 images/Dockerfile FROM alpine, flanneld built by golang:alpine").go(Unknown),
    row("fluxcd/flagger", Plain, Alpine, "fluxcd/flagger@15bd6ad Dockerfile CGO_ENABLED=0 FROM alpine, since 0.0.1").go(WithoutCgo),
    row("fluxcd/helm-controller", From(0, 1), Alpine, "fluxcd/helm-controller@0f61a86 Dockerfile CGO_ENABLED=0 FROM alpine, since v0.0.1").go(WithoutCgo),
    row("fluxcd/image-automation-controller", From(1, 0), Alpine, "fluxcd/image-automation-controller@d36e2ea Dockerfile CGO_ENABLED=0 FROM alpine; with cgo before v1.0.0").go(WithoutCgo),
    row("fluxcd/image-reflector-controller", From(0, 1), Alpine, "fluxcd/image-reflector-controller@debe2aa Dockerfile CGO_ENABLED=0 FROM alpine, since v0.1.0").go(WithoutCgo),
    row("fluxcd/kustomize-controller", From(0, 1), Alpine, "fluxcd/kustomize-controller@186fb3b Dockerfile CGO_ENABLED=0 FROM alpine, since v0.0.1").go(WithoutCgo),
    row("fluxcd/notification-controller", From(0, 1), Alpine, "fluxcd/notification-controller@2e46958 Dockerfile CGO_ENABLED=0 FROM alpine, since v0.0.1").go(WithoutCgo),
    row("fluxcd/source-controller", From(0, 21), Alpine, "fluxcd/source-controller@39b711b Dockerfile FROM alpine; CGO_ENABLED=0 since v1.6.0, netgo from v0.21 on").go(WithoutCgo),
    row("home-assistant/home-assistant", Plain, Alpine, "home-assistant/docker-base@c8de5ab alpine/Dockerfile ARG BASE_IMAGE=alpine"),
    row("home-operations/actions-runner", Plain, Glibc("Ubuntu"), "home-operations/containers@a9b84a4 apps/actions-runner/Dockerfile FROM ghcr.io/actions/actions-runner, which is Ubuntu"),
    row("home-operations/bazarr", Latest, Alpine, "home-operations/containers@a9b84a4 apps/bazarr/Dockerfile FROM python:3.14-alpine3.24"),
    row("home-operations/esphome", Latest, Glibc("Debian"), "home-operations/containers@a9b84a4 apps/esphome/Dockerfile FROM python:3.14-slim"),
    row("home-operations/home-assistant", Latest, Alpine, "home-operations/containers@a9b84a4 apps/home-assistant/Dockerfile FROM ghcr.io/home-assistant/ARCH-base-python:3.14-alpine3.24"),
    row("home-operations/jackett", Latest, Alpine, "home-operations/containers@a9b84a4 apps/jackett/Dockerfile FROM alpine:3.24"),
    row("home-operations/lidarr", Latest, Alpine, "home-operations/containers@a9b84a4 apps/lidarr/Dockerfile FROM alpine:3.24"),
    row("home-operations/plex", Plain, Glibc("Ubuntu"), "home-operations/containers@a9b84a4 apps/plex/Dockerfile FROM ubuntu:26.04"),
    row("home-operations/prowlarr", Latest, Alpine, "home-operations/containers@a9b84a4 apps/prowlarr/Dockerfile FROM alpine:3.24"),
    row("home-operations/qbittorrent", Latest, Alpine, "home-operations/containers@a9b84a4 apps/qbittorrent/Dockerfile FROM python:3.14-alpine3.24"),
    row("home-operations/radarr", Latest, Alpine, "home-operations/containers@a9b84a4 apps/radarr/Dockerfile FROM alpine:3.24"),
    row("home-operations/sabnzbd", Latest, Alpine, "home-operations/containers@a9b84a4 apps/sabnzbd/Dockerfile FROM python:3.14-alpine3.24"),
    row("home-operations/sonarr", Latest, Alpine, "home-operations/containers@a9b84a4 apps/sonarr/Dockerfile FROM alpine:3.24"),
    row("jimmidyson/configmap-reload", From(0, 12), Bare("distroless static"), "jimmidyson/configmap-reload@0ec4d67 Dockerfile CGO_ENABLED=0 BASEIMAGE=gcr.io/distroless/static-debian12").go(WithoutCgo),
    row("kedacore/keda", From(2, 0), Bare("distroless static"), "kedacore/keda@8b4f083 Dockerfile FROM gcr.io/distroless/static:nonroot; Makefile CGO ?= 0").go(WithoutCgo),
    row("kedacore/keda-admission-webhooks", From(2, 10), Bare("distroless static"), "kedacore/keda@8b4f083 Dockerfile.webhooks FROM gcr.io/distroless/static:nonroot; Makefile CGO ?= 0").go(WithoutCgo),
    row("kedacore/keda-metrics-apiserver", From(2, 0), Bare("distroless static"), "kedacore/keda@8b4f083 Dockerfile.adapter FROM gcr.io/distroless/static:nonroot; Makefile CGO ?= 0").go(WithoutCgo),
    row("kiwigrid/k8s-sidecar", From(1, 0), Alpine, "kiwigrid/k8s-sidecar@a61c7ac Dockerfile FROM python:*-alpine, since 2020-02"),
    row("kubeflow/katib/darts-cnn-cifar10-cpu", Plain, Glibc("Debian"), "kubeflow/katib@33c8ff4 examples/v1beta1/trial-images/darts-cnn-cifar10/Dockerfile.cpu FROM python:3.11-slim"),
    row("kubeflow/katib/earlystopping-medianstop", Plain, Glibc("Debian"), "kubeflow/katib@33c8ff4 cmd/earlystopping/medianstop/v1beta1/Dockerfile FROM python:3.11-slim, before python:3.9"),
    row("kubeflow/katib/enas-cnn-cifar10-cpu", Plain, Glibc("Debian or Ubuntu"), "kubeflow/katib@33c8ff4 examples/v1beta1/trial-images/enas-cnn-cifar10/Dockerfile.cpu FROM python:3.11-slim, before tensorflow"),
    row("kubeflow/katib/file-metrics-collector", Plain, Alpine, "kubeflow/katib@33c8ff4 cmd/metricscollector/v1beta1/file-metricscollector/Dockerfile CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("kubeflow/katib/katib-controller", Plain, Alpine, "kubeflow/katib@33c8ff4 cmd/katib-controller/v1beta1/Dockerfile CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("kubeflow/katib/katib-db-manager", Plain, Alpine, "kubeflow/katib@33c8ff4 cmd/db-manager/v1beta1/Dockerfile CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("kubeflow/katib/katib-ui", Plain, Alpine, "kubeflow/katib@33c8ff4 cmd/ui/v1beta1/Dockerfile CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("kubeflow/katib/pytorch-mnist-cpu", Plain, Glibc("Debian"), "kubeflow/katib@33c8ff4 examples/v1beta1/trial-images/pytorch-mnist/Dockerfile.cpu FROM python:3.11-slim"),
    row("kubeflow/katib/simple-pbt", Plain, Glibc("Debian"), "kubeflow/katib@33c8ff4 examples/v1beta1/trial-images/simple-pbt/Dockerfile FROM python:3.11-slim"),
    row("kubeflow/katib/suggestion-", Plain, Glibc("Debian"), "kubeflow/katib@33c8ff4 cmd/suggestion/*/v1beta1/Dockerfile FROM python:*-slim, but goptuna"),
    row("kubeflow/katib/suggestion-goptuna", Plain, Alpine, "kubeflow/katib@33c8ff4 cmd/suggestion/goptuna/v1beta1/Dockerfile CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("kubeflow/katib/tf-mnist-with-summaries", Plain, Glibc("Debian or Ubuntu"), "kubeflow/katib@33c8ff4 examples/v1beta1/trial-images/tf-mnist-with-summaries/Dockerfile FROM python:3.11-slim, before tensorflow"),
    row("kubeflow/katib/tfevent-metrics-collector", Plain, Glibc("Debian"), "kubeflow/katib@33c8ff4 cmd/metricscollector/v1beta1/tfevent-metricscollector/Dockerfile FROM python:3.11-slim, before python:3.9"),
    row("kubeflow/kfp-api-server", Plain, Glibc("Debian"), "kubeflow/pipelines@7b70c7b backend/Dockerfile FROM debian:stable-slim, since 0.1.12 debian; go build").go(Unknown),
    row("kubeflow/kfp-cache-deployer", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/src/cache/deployer/Dockerfile FROM google-cloud-cli:alpine"),
    row("kubeflow/kfp-cache-server", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.cacheserver FROM alpine, go build").go(Unknown),
    row("kubeflow/kfp-driver", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.driver CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("kubeflow/kfp-frontend", Plain, Alpine, "kubeflow/pipelines@7b70c7b frontend/Dockerfile FROM node:*-alpine"),
    row("kubeflow/kfp-launcher", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.launcher CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("kubeflow/kfp-metadata-envoy", Plain, Glibc("Ubuntu"), "kubeflow/pipelines@7b70c7b third_party/metadata_envoy/Dockerfile FROM envoyproxy/envoy, ENTRYPOINT envoy").c_ares(),
    row("kubeflow/kfp-metadata-writer", Plain, Glibc("Debian"), "kubeflow/pipelines@7b70c7b backend/metadata_writer/Dockerfile FROM python:3.11-slim, before python:3.7"),
    row("kubeflow/kfp-persistence-agent", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.persistenceagent FROM alpine, go build").go(Unknown),
    row("kubeflow/kfp-scheduled-workflow-controller", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.scheduledworkflow FROM alpine, go build").go(Unknown),
    row("kubeflow/kfp-viewer-crd-controller", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.viewercontroller FROM alpine, go build").go(Unknown),
    row("kubeflow/kfp-visualization-server", Plain, Glibc("Debian or Ubuntu"), "kubeflow/pipelines@7b70c7b backend/Dockerfile.visualization FROM python:3.11-slim, before tensorflow/tensorflow"),
    row("kubeflow/kubeflow/central-dashboard", Plain, Alpine, "kubeflow/kubeflow v1.10.0 components/centraldashboard/Dockerfile FROM node:*-alpine, since v0.6.0"),
    row("kubeflow/kubeflow/jupyter-web-app", Plain, Glibc("Debian"), "kubeflow/kubeflow v1.10.0 components/crud-web-apps/jupyter/Dockerfile FROM python:3.8-slim, since v1.3.0 a slim python"),
    row("kubeflow/kubeflow/kfam", Plain, Several, "kubeflow/kubeflow v1.10.0 components/access-management/Dockerfile CGO_ENABLED=0 FROM distroless/static, before distroless/base").go(WithoutCgo),
    row("kubeflow/kubeflow/notebook-controller", Plain, Several, "kubeflow/kubeflow v1.10.0 components/notebook-controller/Dockerfile CGO_ENABLED=0 FROM distroless/static, before distroless/base").go(WithoutCgo),
    row("kubeflow/kubeflow/notebook-servers/", Plain, Glibc("Ubuntu"), "kubeflow/kubeflow v1.7.0 components/example-notebook-servers/base/Dockerfile FROM ubuntu:20.04, of which all others are built"),
    row("kubeflow/kubeflow/poddefaults-webhook", Plain, Bare("distroless static"), "kubeflow/kubeflow v1.10.0 components/admission-webhook/Dockerfile CGO_ENABLED=0 FROM distroless/static, since v1.1.0").go(WithoutCgo),
    row("kubeflow/kubeflow/profile-controller", Plain, Several, "kubeflow/kubeflow v1.10.0 components/profile-controller/Dockerfile CGO_ENABLED=0 FROM distroless/static, before distroless/base").go(WithoutCgo),
    row("kubeflow/kubeflow/tensorboard-controller", Plain, Bare("distroless static"), "kubeflow/kubeflow v1.10.0 components/tensorboard-controller/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static").go(WithoutCgo),
    row("kubeflow/kubeflow/tensorboards-web-app", Plain, Glibc("Debian"), "kubeflow/kubeflow v1.10.0 components/crud-web-apps/tensorboards/Dockerfile FROM python:3.8-slim"),
    row("kubeflow/kubeflow/volumes-web-app", Plain, Glibc("Debian"), "kubeflow/kubeflow v1.10.0 components/crud-web-apps/volumes/Dockerfile FROM python:3.7-slim"),
    row("kubeflow/model-registry/controller", Plain, Glibc("Red Hat UBI"), "kubeflow/model-registry@bd07139 cmd/controller/Dockerfile.controller CGO_ENABLED=0 FROM ubi9/ubi-minimal").go(WithoutCgo),
    row("kubeflow/model-registry/server", Plain, Glibc("Red Hat UBI"), "kubeflow/model-registry@bd07139 Dockerfile CGO_ENABLED=0 FROM ubi9/ubi-minimal, since v0.2.9 ubi").go(WithoutCgo),
    row("kubeflow/model-registry/storage-initializer", Plain, Glibc("Red Hat UBI"), "kubeflow/model-registry@bd07139 cmd/csi/Dockerfile.csi CGO_ENABLED=0 FROM ubi9/ubi-minimal").go(WithoutCgo),
    row("kubeflow/model-registry/ui", Plain, Bare("distroless static"), "kubeflow/model-registry@bd07139 clients/ui/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("kubeflow/spark-operator/controller", From(2, 0), Glibc("Ubuntu"), "kubeflow/spark-operator@38082f3 Dockerfile CGO_ENABLED=0 FROM the official spark image, which is Ubuntu").go(WithoutCgo),
    row("kubeflow/trainer/dataset-initializer", Plain, Glibc("Debian"), "kubeflow/trainer@8c0f505 cmd/initializers/dataset/Dockerfile FROM python:3.14-slim-bookworm"),
    row("kubeflow/trainer/deepspeed-runtime", Plain, Glibc("Ubuntu"), "kubeflow/trainer@8c0f505 cmd/runtimes/deepspeed/Dockerfile FROM nvidia/cuda:*-ubuntu22.04"),
    row("kubeflow/trainer/mlx-runtime", Plain, Glibc("Ubuntu"), "kubeflow/trainer@8c0f505 cmd/runtimes/mlx/Dockerfile FROM nvidia/cuda:*-ubuntu22.04"),
    row("kubeflow/trainer/model-initializer", Plain, Glibc("Debian"), "kubeflow/trainer@8c0f505 cmd/initializers/model/Dockerfile FROM python:3.14-slim-bookworm"),
    row("kubeflow/trainer/torchtune-trainer", Plain, Glibc("Ubuntu"), "kubeflow/trainer@8c0f505 cmd/trainers/torchtune/Dockerfile FROM pytorch/pytorch, which is Ubuntu"),
    row("kubeflow/trainer/trainer-controller-manager", Plain, Bare("distroless static"), "kubeflow/trainer@8c0f505 cmd/trainer-controller-manager/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("kubeflow/trainer/xgboost-runtime", Plain, Glibc("Ubuntu"), "kubeflow/trainer@8c0f505 cmd/runtimes/xgboost/Dockerfile FROM nvidia/cuda:*-ubuntu22.04"),
    row("kyverno/background-controller", From(1, 10), Bare("a static base"), "kyverno/kyverno@111e07b .ko.yaml defaultBaseImage ghcr.io/wolfi-dev/static; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("kyverno/cleanup-controller", From(1, 10), Bare("a static base"), "kyverno/kyverno@111e07b .ko.yaml defaultBaseImage ghcr.io/wolfi-dev/static; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("kyverno/kyverno", From(1, 10), Bare("a static base"), "kyverno/kyverno@111e07b .ko.yaml defaultBaseImage ghcr.io/wolfi-dev/static; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("kyverno/kyverno-cli", From(1, 10), Bare("a static base"), "kyverno/kyverno@111e07b .ko.yaml defaultBaseImage ghcr.io/wolfi-dev/static; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("kyverno/kyvernopre", From(1, 10), Bare("a static base"), "kyverno/kyverno@111e07b .ko.yaml defaultBaseImage ghcr.io/wolfi-dev/static; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("kyverno/reports-controller", From(1, 10), Bare("a static base"), "kyverno/kyverno@111e07b .ko.yaml defaultBaseImage ghcr.io/wolfi-dev/static; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("llm-d/llm-d", Plain, Glibc("Ubuntu"), "llm-d/llm-d@f458af2 Dockerfile RUNTIME_IMAGE=nvcr.io/nvidia/cuda 12.8.1-devel-ubuntu24.04"),
    row("llm-d/llm-d-cuda", Plain, Glibc("Red Hat UBI or Ubuntu"), "llm-d/llm-d@a22af71 docker/Dockerfile.cuda FROM nvcr.io/nvidia/cuda:*-devel-ubi9, or ubuntu"),
    row("llm-d/llm-d-dev", Plain, Glibc("Ubuntu"), "llm-d/llm-d@f458af2 Dockerfile RUNTIME_IMAGE=nvcr.io/nvidia/cuda 12.8.1-devel-ubuntu24.04"),
    row("llm-d/llm-d-inference-scheduler", Plain, Glibc("Red Hat UBI"), "llm-d/llm-d-inference-scheduler@08cee2b Dockerfile CGO_ENABLED=1 FROM ubi9/ubi, links tokenizers").go(WithCgo),
    row("llm-d/llm-d-routing-sidecar", Plain, Glibc("Red Hat UBI"), "llm-d/llm-d-routing-sidecar@78051b8 Dockerfile CGO_ENABLED=0 FROM ubi9/ubi-micro, before ubi9/ubi").go(WithoutCgo),
    row("mccutchen/go-httpbin", Plain, Several, "mccutchen/go-httpbin@697b6e3 Dockerfile FROM gcr.io/distroless/static:nonroot, before v2.19 distroless/base; built by golang").go(Unknown),
    row("metacontroller/metacontroller", Plain, Alpine, "metacontroller/metacontroller@00f9858 Dockerfile CGO_ENABLED=0 FROM alpine (the other is tagged -distroless)").go(Unknown),
    row("open-telemetry/opentelemetry-collector-releases/opentelemetry-collector", Plain, Bare("scratch"), "open-telemetry/opentelemetry-collector-releases@ceccc19 distributions/otelcol/Dockerfile FROM scratch; cmd/goreleaser/internal/builder.go CGO_ENABLED=0").go(WithoutCgo),
    row("open-telemetry/opentelemetry-collector-releases/opentelemetry-collector-contrib", Plain, Bare("scratch"), "open-telemetry/opentelemetry-collector-releases@ceccc19 distributions/otelcol-contrib/Dockerfile FROM scratch; cmd/goreleaser/internal/builder.go CGO_ENABLED=0").go(WithoutCgo),
    row("open-telemetry/opentelemetry-collector-releases/opentelemetry-collector-k8s", Plain, Bare("scratch"), "open-telemetry/opentelemetry-collector-releases@ceccc19 distributions/otelcol-k8s/Dockerfile FROM scratch; cmd/goreleaser/internal/builder.go CGO_ENABLED=0").go(WithoutCgo),
    row("open-telemetry/opentelemetry-operator/e2e-test-app-apache-httpd", Plain, Glibc("Debian"), "open-telemetry/opentelemetry-operator@be89444 tests/test-e2e-apps/apache-httpd/Dockerfile FROM httpd:2.4"),
    row("open-telemetry/opentelemetry-operator/e2e-test-app-dotnet", Plain, Glibc("Debian"), "open-telemetry/opentelemetry-operator@be89444 tests/test-e2e-apps/dotnet/Dockerfile FROM dotnet/aspnet:9.0-bookworm-slim"),
    row("open-telemetry/opentelemetry-operator/e2e-test-app-java", Plain, Glibc("Ubuntu"), "open-telemetry/opentelemetry-operator@be89444 tests/test-e2e-apps/java/Dockerfile FROM eclipse-temurin:17.0.8.1_1-jre"),
    row("open-telemetry/opentelemetry-operator/e2e-test-app-metrics-basic-auth", Plain, Glibc("Debian"), "open-telemetry/opentelemetry-operator@be89444 tests/test-e2e-apps/metrics-basic-auth/Dockerfile FROM python:3.14-slim"),
    row("open-telemetry/opentelemetry-operator/e2e-test-app-nodejs", Plain, Glibc("Debian"), "open-telemetry/opentelemetry-operator@be89444 tests/test-e2e-apps/nodejs/Dockerfile FROM node:lts-trixie-slim"),
    row("open-telemetry/opentelemetry-operator/opentelemetry-operator", Plain, Bare("scratch, earlier distroless static"), "open-telemetry/opentelemetry-operator@be89444 Dockerfile FROM scratch, before 0.83 distroless static; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("open-telemetry/opentelemetry-operator/operator-opamp-bridge", Plain, Several, "open-telemetry/opentelemetry-operator@be89444 cmd/operator-opamp-bridge/Dockerfile FROM scratch, before distroless, of Go").go(Unknown),
    row("open-telemetry/opentelemetry-operator/target-allocator", From(0, 68), Bare("scratch"), "open-telemetry/opentelemetry-operator@be89444 cmd/otel-allocator/Dockerfile FROM scratch since v0.68; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("projectcontour/contour", Plain, Bare("scratch, later distroless static"), "projectcontour/contour@00996a1 Dockerfile CGO_ENABLED=0 FROM scratch").go(Unknown),
    row("prometheus-community/windows-exporter", Every, Windows, "prometheus-community/windows_exporter@0acdf4e Dockerfile FROM windows-host-process-containers-base-image"),
    row("stakater/reloader", From(1, 0), Bare("distroless static"), "stakater/Reloader@655a2b3 Dockerfile CGO_ENABLED=0 BASE_IMAGE gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("stefanprodan/podinfo", Plain, Alpine, "stefanprodan/podinfo@eec06d1 Dockerfile CGO_ENABLED=0 FROM alpine, since 0.2.2").go(WithoutCgo),
    row("tailscale/tailscale", Plain, Alpine, "tailscale/tailscale@de9ec7e build_docker.sh DEFAULT_BASE=tailscale/alpine-base:3.22, Dockerfile built by golang:alpine").go(Unknown),
    row("tektoncd/pipeline/", Every, Several, "tektoncd/pipeline@3ee1745 .ko.yaml: programs built by ko from Go, on static or other bases").go(Unknown),
    row("zalando/postgres-operator", From(1, 0), Alpine, "zalando/postgres-operator@a7aaad0 docker/Dockerfile CGO_ENABLED=0 BASE_IMAGE=alpine, since v1.0.0 alpine").go(Unknown),
];

/// registry.k8s.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const KUBERNETES: &[Row] = &[
    row("autoscaling/cluster-autoscaler", From(1, 20), Bare("distroless static"), "kubernetes/autoscaler@26388dd cluster-autoscaler/Dockerfile.amd64 BASEIMAGE=gcr.io/distroless/static").go(Unknown),
    row("build-image/debian-base", Every, Glibc("Debian"), "kubernetes/release@f618b2a images/build/debian-base/Makefile BASEIMAGE?=debian:$(CONFIG)-slim"),
    row("build-image/distroless-iptables", Every, Glibc("distroless base"), "kubernetes/release@f618b2a images/build/distroless-iptables/distroless-bookworm/Dockerfile FROM gcr.io/distroless/base-debian12"),
    row("coredns", From(1, 2), Bare("scratch, later distroless static"), "coredns/coredns@4b26cce Dockerfile FROM gcr.io/distroless/static-debian12, before v1.11 scratch").go(Unknown),
    row("coredns/coredns", Before(1, 1), Alpine, "coredns/coredns@da447e2 Dockerfile FROM alpine (until v1.1.3)").go(Unknown),
    row("coredns/coredns", From(1, 2), Bare("scratch, later distroless static"), "coredns/coredns@4b26cce Dockerfile FROM gcr.io/distroless/static-debian12; from v1.1.4 to v1.10 scratch").go(Unknown),
    row("cpa/cluster-proportional-autoscaler", From(1, 8), Bare("distroless static"), "kubernetes-sigs/cluster-proportional-autoscaler 1.8.1 Dockerfile.in FROM gcr.io/distroless/static:nonroot; @5a5dd5a Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("cpa/cluster-proportional-autoscaler-", From(1, 8), Bare("distroless static"), "kubernetes-sigs/cluster-proportional-autoscaler 1.8.1 Dockerfile.in FROM gcr.io/distroless/static:nonroot; @5a5dd5a Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("csi-secrets-store/driver", Plain, Glibc("Debian"), "kubernetes-sigs/secrets-store-csi-driver@0aad886 docker/Dockerfile BASEIMAGE=build-image/debian-base; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("descheduler/descheduler", From(0, 10), Bare("scratch"), "kubernetes-sigs/descheduler@7d2b28b Dockerfile FROM scratch, since v0.5.0; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("dns/k8s-dns-dnsmasq-nanny", Plain, Several, "kubernetes/dns@9aa70b8 Dockerfile.dnsmasq-nanny ENTRYPOINT of Go, which starts dnsmasq; build/build.sh CGO_ENABLED=0").go(WithoutCgo),
    row("dns/k8s-dns-kube-dns", Plain, Several, "kubernetes/dns@9aa70b8 rules.mk BASEIMAGE gcr.io/distroless/static-debian12, earlier others; build/build.sh CGO_ENABLED=0").go(WithoutCgo),
    row("dns/k8s-dns-node-cache", Plain, Glibc("Debian or distroless base"), "kubernetes/dns@9aa70b8 rules.mk IPTIMAGE build-image/distroless-iptables; build/build.sh CGO_ENABLED=0").go(WithoutCgo),
    row("dns/k8s-dns-sidecar", Plain, Several, "kubernetes/dns@9aa70b8 rules.mk BASEIMAGE gcr.io/distroless/static-debian12, earlier others; build/build.sh CGO_ENABLED=0").go(WithoutCgo),
    row("e2e-test-images/agnhost", Plain, Alpine, "kubernetes/kubernetes@00238ed test/images/agnhost/BASEIMAGE alpine:3.21, @05c351a Dockerfile apk, ENTRYPOINT /agnhost of Go").go(Unknown),
    row("e2e-test-images/httpd", Plain, Alpine, "kubernetes/kubernetes@04bb4ce test/images/httpd/BASEIMAGE httpd:2.4.38-alpine"),
    row("e2e-test-images/nginx", Plain, Alpine, "kubernetes/kubernetes@01aa0f3 test/images/nginx/BASEIMAGE nginx:1.14-alpine"),
    row("e2e-test-images/sample-apiserver", Plain, Several, "kubernetes/kubernetes@021e7c5 test/images/sample-apiserver/Dockerfile CGO_ENABLED=0 go get, FROM $BASEIMAGE").go(WithoutCgo),
    row("etcd", Plain, Several, "kubernetes/kubernetes@147581e cluster/images/etcd/Dockerfile copies etcd; etcd-io/etcd CGO_ENABLED=0 in v3.1.0 build, v3.4.0 build, @c34dc7e scripts/build_lib.sh").go(WithoutCgo),
    row("example-dns-backend", Plain, Glibc("Debian"), "kubernetes/examples@279e8e4 _archived/cluster-dns/images/backend/Dockerfile FROM python:3-slim"),
    row("example-dns-frontend", Plain, Glibc("Debian"), "kubernetes/examples@279e8e4 _archived/cluster-dns/images/frontend/Dockerfile FROM python:2.7-slim"),
    row("explorer", Plain, Bare("scratch"), "kubernetes/examples@279e8e4 _archived/explorer/Dockerfile FROM scratch, explorer.go").go(Unknown),
    row("external-dns/external-dns", Between((0, 5), (0, 13)), Alpine, "kubernetes-sigs/external-dns@f2eebfa Dockerfile FROM alpine; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("external-dns/external-dns", From(0, 14), Bare("distroless static"), "kubernetes-sigs/external-dns@2bf1bf8 .ko.yaml CGO_ENABLED=0 defaultBaseImage gcr.io/distroless/static-debian12, since v0.13.6").go(WithoutCgo),
    row("gb-frontend", Plain, Glibc("Debian"), "kubernetes/examples@279e8e4 web/guestbook/php-redis/Dockerfile FROM php:5-apache"),
    row("guestbook", Plain, Several, "kubernetes/examples@279e8e4 web/guestbook-go/Dockerfile FROM scratch, before 188c3d9b busybox:ubuntu-14.04; go build").go(Unknown),
    row("ingress-nginx/controller", Plain, Alpine, "kubernetes/ingress-nginx@dbb11b9 images/nginx/rootfs/Dockerfile FROM alpine, since 2019-12"),
    row("ingress-nginx/custom-error-pages", Plain, Bare("distroless static"), "kubernetes/ingress-nginx@dbb11b9 images/custom-error-pages/rootfs/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("ingress-nginx/kube-webhook-certgen", Plain, Bare("distroless static"), "kubernetes/ingress-nginx@dbb11b9 images/kube-webhook-certgen/rootfs/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("jobset/jobset", Plain, Bare("distroless static"), "kubernetes-sigs/jobset@08dfbdf Dockerfile BASE_IMAGE=gcr.io/distroless/static:nonroot; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("k8s-dns-node-cache", Plain, Glibc("Debian or distroless base"), "kubernetes/dns@9aa70b8 rules.mk IPTIMAGE build-image/distroless-iptables; build/build.sh CGO_ENABLED=0").go(WithoutCgo),
    row("kube-apiserver", From(1, 22), Bare("distroless static"), "kubernetes/release@f618b2a images/build/go-runner/Makefile DISTROLESS_IMAGE ?= static-debian12; kubernetes/kubernetes@0029a64 hack/lib/golang.sh KUBE_STATIC_LIBRARIES").go(WithoutCgo),
    row("kube-controller-manager", From(1, 22), Bare("distroless static"), "kubernetes/release@f618b2a images/build/go-runner/Makefile DISTROLESS_IMAGE ?= static-debian12; kubernetes/kubernetes@0029a64 hack/lib/golang.sh KUBE_STATIC_LIBRARIES").go(WithoutCgo),
    row("kube-proxy", From(1, 12), Glibc("Debian or distroless base"), "kubernetes/release@f618b2a images/build/distroless-iptables, before debian-iptables; kubernetes/kubernetes@0029a64 hack/lib/golang.sh KUBE_STATIC_LIBRARIES").go(WithoutCgo),
    row("kube-scheduler", From(1, 22), Bare("distroless static"), "kubernetes/release@f618b2a images/build/go-runner/Makefile DISTROLESS_IMAGE ?= static-debian12; kubernetes/kubernetes@0029a64 hack/lib/golang.sh KUBE_STATIC_LIBRARIES").go(WithoutCgo),
    row("kube-state-metrics/kube-state-metrics", From(2, 0), Bare("distroless static"), "kubernetes/kube-state-metrics@c92fe0c Dockerfile FROM gcr.io/distroless/static-debian13; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("kubectl", From(1, 28), Several, "kubernetes/kubernetes@109cf68 build/server-image/kubectl/Dockerfile FROM debian-base, ENTRYPOINT kubectl; @0029a64 hack/lib/golang.sh KUBE_STATIC_LIBRARIES").go(WithoutCgo),
    row("kueue/kueue", Plain, Bare("distroless static"), "kubernetes-sigs/kueue@ff69552 Dockerfile BASE_IMAGE=gcr.io/distroless/static:nonroot, CGO_ENABLED=0").go(WithoutCgo),
    row("kueue/kueueviz-backend", Plain, Bare("distroless static"), "kubernetes-sigs/kueue@ff69552 cmd/kueueviz/backend/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static:nonroot").go(WithoutCgo),
    row("kueue/kueueviz-frontend", Plain, Glibc("Debian"), "kubernetes-sigs/kueue@ff69552 cmd/kueueviz/frontend/Dockerfile FROM node:26-slim"),
    row("lws/lws", Plain, Bare("distroless static"), "kubernetes-sigs/lws@060ab4d Dockerfile BASE_IMAGE=gcr.io/distroless/static:nonroot; Makefile CGO_ENABLED ?= 0").go(WithoutCgo),
    row("metrics-server/metrics-server", From(0, 4), Bare("distroless static"), "kubernetes-sigs/metrics-server@5ed5d3a Dockerfile FROM gcr.io/distroless/static; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("node-problem-detector/node-problem-detector", From(0, 8), Glibc("Debian"), "kubernetes/node-problem-detector@6632ca6 Dockerfile FROM registry.k8s.io/build-image/debian-base, ENTRYPOINT of Go").go(Unknown),
    row("pause", Every, Bare("scratch"), "kubernetes/kubernetes build/pause/Dockerfile FROM scratch, a static C program"),
    row("pause-", Every, Bare("scratch"), "kubernetes/kubernetes@10765f6 build/pause/Dockerfile FROM scratch, for one architecture"),
    row("prometheus-adapter/prometheus-adapter", From(0, 9), Bare("distroless static"), "kubernetes-sigs/prometheus-adapter@01919d0 Dockerfile FROM gcr.io/distroless/static; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("provider-aws/aws-ebs-csi-driver", Plain, Glibc("Amazon Linux or Debian"), "kubernetes-sigs/aws-ebs-csi-driver@429e202 Dockerfile FROM eks-distro-minimal-base-csi-ebs:latest-al23, before debian-base; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("redis-slave", Plain, Glibc("Debian"), "kubernetes/examples@279e8e4 web/guestbook/redis-slave/Dockerfile FROM redis:3.2.9, before redis"),
    row("rethinkdb", Plain, Glibc("Debian"), "kubernetes/examples@279e8e4 _archived/storage/rethinkdb/image/Dockerfile FROM rethinkdb:1.16.0"),
    row("sig-storage/csi-attacher", From(1, 1), Bare("distroless static"), "kubernetes-csi/external-attacher Dockerfile FROM gcr.io/distroless/static since v1.1.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/csi-node-driver-registrar", From(1, 1), Bare("distroless static"), "kubernetes-csi/node-driver-registrar Dockerfile FROM gcr.io/distroless/static since v1.1.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/csi-provisioner", From(1, 1), Bare("distroless static"), "kubernetes-csi/external-provisioner Dockerfile FROM gcr.io/distroless/static since v1.1.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/csi-resizer", Plain, Bare("distroless static"), "kubernetes-csi/external-resizer Dockerfile FROM gcr.io/distroless/static since v0.1.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/csi-snapshotter", From(1, 1), Bare("distroless static"), "kubernetes-csi/external-snapshotter@afb2f0d cmd/csi-snapshotter/Dockerfile FROM gcr.io/distroless/static since v1.1.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/hostpathplugin", From(1, 1), Alpine, "kubernetes-csi/csi-driver-host-path Dockerfile FROM alpine since v1.1.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/livenessprobe", From(1, 1), Bare("distroless static"), "kubernetes-csi/livenessprobe Dockerfile FROM gcr.io/distroless/static since v1.1.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/nfs-subdir-external-provisioner", From(4, 0), Several, "kubernetes-sigs/nfs-subdir-external-provisioner@59a3ca2 Dockerfile FROM gcr.io/distroless/static, Dockerfile.multiarch CGO_ENABLED=0 FROM alpine").go(WithoutCgo),
    row("sig-storage/nfsplugin", From(2, 0), Glibc("Debian or CentOS"), "kubernetes-csi/csi-driver-nfs@d3b27c0 Dockerfile FROM debian-base since v3.0.0, before centos; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/snapshot-controller", From(2, 0), Bare("distroless static"), "kubernetes-csi/external-snapshotter@afb2f0d cmd/snapshot-controller/Dockerfile FROM gcr.io/distroless/static since v2.0.0; release-tools/build.make CGO_ENABLED=0").go(WithoutCgo),
    row("sig-storage/snapshot-conversion-webhook", Plain, Bare("distroless static"), "kubernetes-csi/external-snapshotter@afb2f0d cmd/snapshot-conversion-webhook/Dockerfile FROM gcr.io/distroless/static").go(WithoutCgo),
    row("spark", Plain, Glibc("Debian"), "kubernetes/application-images@57441a9 spark/Dockerfile FROM java:openjdk-8-jdk"),
    row("test-webserver", Plain, Bare("scratch"), "kubernetes/kubernetes@2876d1a test/images/test-webserver/Dockerfile FROM scratch, of Go").go(Unknown),
    row("volume-nfs", Plain, Glibc("CentOS"), "kubernetes/examples@279e8e4 _archived/volumes/nfs/nfs-data/Dockerfile FROM centos"),
    row("zeppelin", Plain, Glibc("Debian"), "kubernetes/application-images@57441a9 spark/zeppelin/Dockerfile FROM spark-base, which is Debian"),
];

/// gcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const GOOGLE: &[Row] = &[
    row("cloud-sql-connectors/cloud-sql-proxy", Plain, Bare("distroless static"), "GoogleCloudPlatform/cloud-sql-proxy@31c3b33 Dockerfile FROM gcr.io/distroless/static:nonroot (others are tagged -alpine, -bullseye)"),
    row("cloudsql-docker/gce-proxy", Between((1, 15), (1, 23)), Glibc("distroless base"), "GoogleCloudPlatform/cloud-sql-proxy@46c5533 Dockerfile FROM gcr.io/distroless/base-debian10"),
    row("cloudsql-docker/gce-proxy", From(1, 23), Bare("distroless static"), "GoogleCloudPlatform/cloud-sql-proxy@d66233e Dockerfile FROM gcr.io/distroless/static:nonroot"),
    row("distroless/", Every, Glibc("distroless base"), "GoogleContainerTools/distroless@cd08076 README.md: all but static have glibc"),
    row("distroless/static", Every, Bare("distroless static"), "GoogleContainerTools/distroless@cd08076 base/README.md"),
    row("distroless/static-", Every, Bare("distroless static"), "GoogleContainerTools/distroless@cd08076 base/README.md"),
    row("etcd-development/etcd", Plain, Several, "etcd-io/etcd Dockerfile-release: alpine in 3.2 and 3.3, Debian in 3.4 and 3.5, now distroless static; CGO_ENABLED=0 in v3.1.0 build, v3.4.0 build, @c34dc7e scripts/build_lib.sh").go(WithoutCgo),
    row("google.com/cloudsdktool/cloud-sdk", Plain, Glibc("Debian"), "GoogleCloudPlatform/cloud-sdk-docker@47328f7 Dockerfile FROM debian:trixie-slim"),
    row("google.com/cloudsdktool/google-cloud-cli", Plain, Glibc("Debian"), "GoogleCloudPlatform/cloud-sdk-docker@47328f7 Dockerfile FROM debian:trixie-slim"),
    row("kaniko-project/executor", Plain, Bare("scratch"), "GoogleContainerTools/kaniko@236ba56 deploy/Dockerfile FROM scratch"),
    row("knative-nightly/knative.dev/", Every, Bare("distroless static"), "knative/serving@98e5ef9, knative/eventing@8cf4c4b .ko.yaml defaultBaseImage: static since 2019, programs built by ko from Go").go(Unknown),
    row("knative-releases/knative.dev/", Every, Bare("distroless static"), "knative/serving@98e5ef9, knative/eventing@8cf4c4b .ko.yaml defaultBaseImage: static since 2019, programs built by ko from Go").go(Unknown),
    row("kubebuilder/kube-rbac-proxy", From(0, 6), Bare("distroless static"), "brancz/kube-rbac-proxy@898a9f4 Dockerfile FROM gcr.io/distroless/static, since v0.6.0; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("ml-pipeline/api-server", Plain, Glibc("Debian"), "kubeflow/pipelines@7b70c7b backend/Dockerfile FROM debian:stable-slim, since 0.1.12 debian; go build").go(Unknown),
    row("ml-pipeline/cache-server", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.cacheserver FROM alpine, go build").go(Unknown),
    row("ml-pipeline/frontend", Plain, Alpine, "kubeflow/pipelines@7b70c7b frontend/Dockerfile FROM node:*-alpine"),
    row("ml-pipeline/google-cloud-pipeline-components", Plain, Glibc("Ubuntu"), "kubeflow/pipelines@6684b6d components/google-cloud/Dockerfile FROM marketplace.gcr.io/google/ubuntu2404, before ubuntu2004"),
    row("ml-pipeline/metadata-envoy", Plain, Glibc("Ubuntu"), "kubeflow/pipelines@7b70c7b third_party/metadata_envoy/Dockerfile FROM envoyproxy/envoy, ENTRYPOINT envoy").c_ares(),
    row("ml-pipeline/metadata-writer", Plain, Glibc("Debian"), "kubeflow/pipelines@7b70c7b backend/metadata_writer/Dockerfile FROM python:3.11-slim, before python:3.7"),
    row("ml-pipeline/persistenceagent", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.persistenceagent FROM alpine, go build").go(Unknown),
    row("ml-pipeline/scheduledworkflow", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.scheduledworkflow FROM alpine, go build").go(Unknown),
    row("ml-pipeline/viewer-crd-controller", Plain, Alpine, "kubeflow/pipelines@7b70c7b backend/Dockerfile.viewercontroller FROM alpine, go build").go(Unknown),
    row("ml-pipeline/visualization-server", Plain, Glibc("Debian or Ubuntu"), "kubeflow/pipelines@7b70c7b backend/Dockerfile.visualization FROM python:3.11-slim, before tensorflow/tensorflow"),
    row("tekton-releases/github.com/tektoncd/pipeline/cmd/", Every, Several, "tektoncd/pipeline@3ee1745 .ko.yaml: programs built by ko from Go, on static or other bases").go(Unknown),
    row("tfx-oss-public/ml_metadata_store_server", Plain, Glibc("Ubuntu"), "google/ml-metadata@b37bfad ml_metadata/tools/docker_server/Dockerfile FROM ubuntu:20.04"),
];

/// public.ecr.aws. The official images in its `docker/library/` need no rows.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const AMAZON: &[Row] = &[
    row("aws-cli/aws-cli", Plain, Glibc("Amazon Linux"), "aws/aws-cli@73fb33b docker/Dockerfile FROM public.ecr.aws/amazonlinux/amazonlinux:2023"),
    row("ebs-csi-driver/aws-ebs-csi-driver", Plain, Glibc("Amazon Linux or Debian"), "kubernetes-sigs/aws-ebs-csi-driver@429e202 Dockerfile FROM eks-distro-minimal-base-csi-ebs:latest-al23, before debian-base; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("eks/aws-load-balancer-controller", Plain, Several, "kubernetes-sigs/aws-load-balancer-controller@225f445 Dockerfile -tags osusergo,netgo,static_build since v2.2.4").go(Unknown),
    row("lambda/", Every, Glibc("Amazon Linux"), "aws/aws-lambda-base-images: Amazon Linux 2 or 2023"),
    row("opensearchproject/opensearch", Plain, Glibc("Amazon Linux"), "opensearch-project/opensearch-build@4372bf7 docker/release/dockerfiles/opensearch.al2023.dockerfile FROM amazonlinux:2023, before amazonlinux:2"),
    row("opensearchproject/opensearch-dashboards", Plain, Glibc("Amazon Linux"), "opensearch-project/opensearch-build@4372bf7 docker/release/dockerfiles/opensearch-dashboards.al2023.dockerfile FROM amazonlinux:2023, before amazonlinux:2"),
];

/// mcr.microsoft.com.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const MICROSOFT: &[Row] = &[
    row("azurelinux/", Every, Glibc("Azure Linux"), "the distribution itself"),
    row("cbl-mariner/", Every, Glibc("CBL-Mariner"), "the distribution itself"),
    row("dotnet/", Plain, Glibc("Debian or Ubuntu"), "dotnet/dotnet-docker@3ed00b6 README.aspnet.md: 8.0 = bookworm-slim, 10.0 = noble"),
    row("dotnet/framework/", Every, Windows, "dotnet/dotnet-docker@3ed00b6 README.aspnet.md: .NET Framework is Windows only"),
    row("dotnet/monitor", Plain, Several, "dotnet/dotnet-docker@001c831 README.monitor.md: 6 and 7 are Alpine"),
    row("dotnet/nightly/monitor", Plain, Several, "dotnet/dotnet-docker@001c831 README.monitor.md: 6 and 7 are Alpine"),
    row("dotnet/samples", Plain, Several, "dotnet/dotnet-docker@00e818e README.samples.md: aspnetapp was Debian in 2020 and names no version, so its base may have changed"),
    row("onnxruntime/server", Plain, Glibc("Ubuntu"), "microsoft/onnxruntime@03a0ef4 dockerfiles/Dockerfile.server FROM ubuntu:16.04"),
    row("windows", Every, Windows, "nats-io/nats-docker 2.10.x/windowsservercore-ltsc2022/Dockerfile FROM mcr.microsoft.com/windows/servercore: the same system, in full"),
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
    row("eck/eck-operator", Plain, Several, "elastic/cloud-on-k8s@7b93383 build/Dockerfile FROM wolfi static, before others, ENTRYPOINT elastic-operator, of Go").go(Unknown),
    row("elasticsearch/", Before(9, 0), Glibc("CentOS or Ubuntu"), "elastic/dockerfiles 6.8, 7.17, 8.19 elasticsearch/Dockerfile FROM centos:7, ubuntu:20.04, ubuntu:24.04"),
    row("kibana/", Before(9, 0), Glibc("CentOS or Ubuntu"), "elastic/dockerfiles 6.8, 7.17, 8.19 kibana/Dockerfile FROM centos:7, ubuntu:20.04, ubuntu:24.04"),
    row("logstash/", Before(9, 0), Glibc("CentOS or Ubuntu"), "elastic/dockerfiles 6.8, 7.17, 8.19 logstash/Dockerfile FROM centos:7, ubuntu:20.04, ubuntu:24.04"),
];

/// cr.l5d.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const LINKERD: &[Row] = &[
    row("linkerd/controller", Plain, Bare("scratch"), "linkerd/linkerd2@b24cd40 Dockerfile.controller FROM scratch"),
    row("linkerd/debug", Plain, Glibc("Debian"), "linkerd/linkerd2@b24cd40 Dockerfile-debug FROM debian:bookworm-slim, since 2018 Debian"),
    row("linkerd/metrics-api", Plain, Bare("scratch"), "linkerd/linkerd2@b24cd40 viz/metrics-api/Dockerfile CGO_ENABLED=0 FROM scratch").go(WithoutCgo),
    row("linkerd/tap", Plain, Bare("scratch"), "linkerd/linkerd2@b24cd40 viz/tap/Dockerfile CGO_ENABLED=0 FROM scratch").go(WithoutCgo),
    row("linkerd/web", Plain, Bare("scratch"), "linkerd/linkerd2@b24cd40 web/Dockerfile CGO_ENABLED=0 FROM scratch").go(WithoutCgo),
];

/// docker.gitea.com.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const GITEA: &[Row] = &[
    row("gitea", Plain, Alpine, "go-gitea/gitea@03173b3 Dockerfile FROM alpine:3.22, built by golang:alpine with SQLite and build-base, which need cgo").go(WithCgo),
];

/// registry.suse.com.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const SUSE: &[Row] = &[
    row("bci/", Every, Glibc("SUSE Linux"), "SUSE/BCI-dockerfile-generator@bcb9ba8: the distribution's own images"),
    row("suse/", Every, Glibc("SUSE Linux"), "SUSE/BCI-dockerfile-generator@bcb9ba8: the distribution's own images"),
];

/// registry.fedoraproject.org.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const FEDORA: &[Row] = &[
    row("fedora", Every, Glibc("Fedora"), "the distribution itself"),
    row("fedora-minimal", Every, Glibc("Fedora"), "the distribution itself"),
    row("fedora-toolbox", Every, Glibc("Fedora"), "the distribution itself"),
];

/// nvcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const NVIDIA: &[Row] = &[
    row("nvidia/k8s-device-plugin", Before(0, 18), Glibc("Ubuntu or Red Hat UBI"), "NVIDIA/k8s-device-plugin v0.17.0 deployments/container/Dockerfile FROM nvidia/cuda:*-base-ubi9, before *-base-ubuntu20.04; built by golang").go(Unknown),
    row("nvidia/k8s-device-plugin", From(0, 18), Several, "NVIDIA/k8s-device-plugin@1b826ac deployments/container/Dockerfile FROM nvcr.io/nvidia/distroless/go; built by golang").go(Unknown),
    row("nvidia/tensorrtserver", Plain, Glibc("Ubuntu"), "docs.nvidia.com Triton release notes, from TensorRT Inference Server 18.12 on: contains Ubuntu"),
    row("nvidia/tritonserver", Plain, Glibc("Ubuntu"), "docs.nvidia.com Triton release notes 20.10: Ubuntu 18.04, 20.12: Ubuntu 20.04"),
];
