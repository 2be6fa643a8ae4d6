//! Publishers that have the same images on several registries, one table for each. Names are relative to the publisher's folder, which
//! [`super::lookup`] finds on each of its registries. Must not have rows for other publishers.

use super::row::Base::{Alpine, Bare, Glibc, Several, Uclibc};
use super::row::Build::{Unknown, WithCgo, WithoutCgo};
use super::row::Tags::{Before, Between, Every, Exactly, From, Plain, Word};
use super::row::{Row, row};

/// argoproj on quay.io and Docker Hub.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const ARGO: &[Row] = &[
    row("argo-events", From(1, 3), Bare("scratch"), "argoproj/argo-events@6478ece Dockerfile FROM scratch, since v1.3.0; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("argo-rollouts", From(0, 4), Bare("scratch, later distroless static"), "argoproj/argo-rollouts@9f8d111 Dockerfile FROM gcr.io/distroless/static-debian12, since v0.3.1 scratch; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("argocd", Plain, Glibc("Debian or Ubuntu"), "argoproj/argo-cd@37ee009 Dockerfile BASE_IMAGE=ubuntu, before 2.0 debian; Makefile DEFAULT_CGO_FLAG:=0").go(WithoutCgo),
    row("argocli", From(2, 3), Bare("scratch, later distroless static"), "argoproj/argo-workflows@f016ad8 Dockerfile FROM gcr.io/distroless/static-debian13, before 3.4 scratch; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("argoexec", Plain, Several, "argoproj/argo-workflows@f016ad8 Dockerfile FROM gcr.io/distroless/static-debian13, before 3.4 others; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("argosay", Plain, Glibc("Ubuntu"), "argoproj/argo-workflows@f016ad8 test/e2e/images/argosay/v2/Dockerfile FROM argosay:v1, which is ubuntu; examples/ run sh in it (scratch, without sh, before 2021)"),
    row("kubectl-argo-rollouts", Plain, Bare("scratch, later distroless static"), "argoproj/argo-rollouts@9f8d111 Dockerfile FROM gcr.io/distroless/static-debian12; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("load-tester", Plain, Glibc("Debian"), "argoproj/rollouts-demo@f528fdd load-tester/Dockerfile FROM debian:10.1-slim"),
    row("rollouts-demo", Plain, Bare("scratch"), "argoproj/rollouts-demo@f528fdd Dockerfile FROM scratch; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("workflow-controller", From(2, 3), Bare("scratch, later distroless static"), "argoproj/argo-workflows@f016ad8 Dockerfile FROM gcr.io/distroless/static-debian13, before 3.4 scratch; Makefile CGO_ENABLED=0").go(WithoutCgo),
];

/// Google's samples, on gcr.io and in its Artifact Registry.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const GOOGLE_SAMPLES: &[Row] = &[
    row("cassandra", Plain, Glibc("Debian or Ubuntu"), "kubernetes/examples@279e8e4 databases/cassandra/image/Dockerfile FROM debian-base-amd64:0.3, before ubuntu-slim"),
    row("gb-frontend", Plain, Glibc("Debian"), "GoogleCloudPlatform/kubernetes-engine-samples@2b50365 quickstarts/guestbook/php-redis/Dockerfile FROM php:7.4-apache-buster, before php:5-apache"),
    row("gb-redis-follower", Plain, Glibc("Debian"), "GoogleCloudPlatform/kubernetes-engine-samples@2b50365 quickstarts/guestbook/redis-follower/Dockerfile FROM redis:6.2.17"),
    row("gb-redisslave", Plain, Glibc("Debian"), "kubernetes/examples@279e8e4 web/guestbook/redis-slave/Dockerfile FROM redis:3.2.9, before redis"),
    row("hello-app", Plain, Several, "GoogleCloudPlatform/kubernetes-engine-samples@2b50365 quickstarts/hello-app/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static-debian12").go(Unknown),
    row("hello-app-cdn", Plain, Several, "GoogleCloudPlatform/kubernetes-engine-samples@2b50365 quickstarts/hello-app-cdn/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/base-debian11").go(Unknown),
    row("hello-app-redis", Plain, Several, "GoogleCloudPlatform/kubernetes-engine-samples@2b50365 quickstarts/hello-app-redis/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/base-debian11").go(Unknown),
    row("hello-app-tls", Plain, Several, "GoogleCloudPlatform/kubernetes-engine-samples@2b50365 quickstarts/hello-app-tls/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/base-debian11").go(Unknown),
    row("microservices-demo/adservice", Exactly("v0.1.0"), Alpine, "GoogleCloudPlatform/microservices-demo v0.1.0 src/adservice/Dockerfile FROM openjdk:8-alpine"),
    row("microservices-demo/adservice", Before(0, 4), Glibc("Debian"), "GoogleCloudPlatform/microservices-demo v0.1.1 src/adservice/Dockerfile FROM openjdk:8-slim, until v0.4.0"),
    row("microservices-demo/adservice", Between((0, 4), (1, 0)), Alpine, "GoogleCloudPlatform/microservices-demo@34ffea9 src/adservice/Dockerfile FROM eclipse-temurin:*-jre-alpine, since v0.4.0"),
    row("microservices-demo/cartservice", Before(0, 10), Alpine, "GoogleCloudPlatform/microservices-demo v0.9.0 src/cartservice/src/Dockerfile FROM runtime-deps:*-alpine, before alpine:3.8 (noble-chiseled since v0.10.1)"),
    row("microservices-demo/checkoutservice", Before(0, 10), Alpine, "GoogleCloudPlatform/microservices-demo v0.1.0 src/checkoutservice/Dockerfile FROM alpine, built by golang").go(Unknown),
    row("microservices-demo/checkoutservice", From(0, 10), Several, "GoogleCloudPlatform/microservices-demo@34ffea9 src/checkoutservice/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static, v0.10.0 alpine").go(Unknown),
    row("microservices-demo/currencyservice", Plain, Alpine, "GoogleCloudPlatform/microservices-demo@34ffea9 src/currencyservice/Dockerfile FROM alpine, before node:*-alpine"),
    row("microservices-demo/emailservice", Before(0, 10), Glibc("Debian"), "GoogleCloudPlatform/microservices-demo v0.1.0 src/emailservice/Dockerfile FROM python:3-slim (alpine since v0.10.3)"),
    row("microservices-demo/frontend", Before(0, 10), Alpine, "GoogleCloudPlatform/microservices-demo v0.1.0 src/frontend/Dockerfile FROM alpine, built by golang").go(Unknown),
    row("microservices-demo/frontend", From(0, 10), Several, "GoogleCloudPlatform/microservices-demo@34ffea9 src/frontend/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static, v0.10.0 alpine").go(Unknown),
    row("microservices-demo/loadgenerator", Before(0, 10), Glibc("Debian"), "GoogleCloudPlatform/microservices-demo v0.1.0 src/loadgenerator/Dockerfile FROM python:3-slim (alpine since v0.10.5)"),
    row("microservices-demo/paymentservice", Plain, Alpine, "GoogleCloudPlatform/microservices-demo@34ffea9 src/paymentservice/Dockerfile FROM alpine, before node:*-alpine"),
    row("microservices-demo/productcatalogservice", Before(0, 10), Alpine, "GoogleCloudPlatform/microservices-demo v0.1.0 src/productcatalogservice/Dockerfile FROM alpine, built by golang").go(Unknown),
    row("microservices-demo/productcatalogservice", From(0, 10), Several, "GoogleCloudPlatform/microservices-demo@34ffea9 src/productcatalogservice/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static, v0.10.0 alpine").go(Unknown),
    row("microservices-demo/recommendationservice", Before(0, 10), Glibc("Debian"), "GoogleCloudPlatform/microservices-demo v0.1.0 src/recommendationservice/Dockerfile FROM python:2.7-slim (alpine since v0.10.3)"),
    row("microservices-demo/shippingservice", Before(0, 10), Alpine, "GoogleCloudPlatform/microservices-demo v0.1.0 src/shippingservice/Dockerfile FROM alpine, built by golang").go(Unknown),
    row("microservices-demo/shippingservice", From(0, 10), Several, "GoogleCloudPlatform/microservices-demo@34ffea9 src/shippingservice/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static, v0.10.0 alpine").go(Unknown),
    row("microservices-demo/shoppingassistantservice", Plain, Glibc("Debian"), "GoogleCloudPlatform/microservices-demo@34ffea9 src/shoppingassistantservice/Dockerfile FROM python:*-slim"),
    row("whereami", Plain, Glibc("Debian"), "GoogleCloudPlatform/kubernetes-engine-samples@2b50365 quickstarts/whereami/Dockerfile FROM python:3.14-slim"),
];

/// Istio on registry.istio.io, Docker Hub and gcr.io. Releases, tests and nightly builds come from the same Dockerfiles.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const ISTIO: &[Row] = &[
    row("app", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 pkg/test/echo/docker/Dockerfile.app FROM istio/base, which is ubuntu, ENTRYPOINT server; common/scripts/gobuild.sh CGO_ENABLED=0").go(WithoutCgo),
    row("base", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 docker/Dockerfile.base FROM ubuntu:noble"),
    row("citadel", Plain, Glibc("Ubuntu"), "istio/istio 1.1.4 security/docker/Dockerfile.citadel FROM istionightly/base_debug; bin/gobuild.sh CGO_ENABLED=0").go(Unknown),
    row("distroless", Every, Bare("Chainguard static"), "istio/istio@86c9f01 docker/Dockerfile.distroless FROM cgr.dev/chainguard/static"),
    row("dotdotpwn", Plain, Glibc("Debian"), "istio/istio@86c9f01 tests/integration/security/fuzz/fuzzers/dotdotpwn/Dockerfile FROM perl:5.32.1"),
    row("examples-bookinfo-", Plain, Glibc("Debian, Ubuntu, Oracle Linux or Red Hat UBI"), "istio/istio@86c9f01 samples/bookinfo/src/*/Dockerfile FROM ruby:*-slim, node:*-slim, python:*-slim, open-liberty, mysql, mongo; 0.8.0 to 1.20.3 likewise"),
    row("examples-helloworld-", Plain, Glibc("Debian"), "istio/istio@86c9f01 samples/helloworld/src/Dockerfile FROM python:3.12.1-slim, before python:2-onbuild"),
    row("ext-authz", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 samples/extauthz/docker/Dockerfile FROM istio/base, which is ubuntu, ENTRYPOINT extauthz; common/scripts/gobuild.sh CGO_ENABLED=0").go(WithoutCgo),
    row("fuzz_tomcat", Plain, Glibc("Oracle Linux"), "istio/istio@86c9f01 tests/integration/security/fuzz/backends/tomcat/Dockerfile FROM tomcat:jdk16-openjdk"),
    row("install-cni", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 cni/deployments/kubernetes/Dockerfile.install-cni FROM istio/base, which is ubuntu; common/scripts/gobuild.sh CGO_ENABLED=0").go(WithoutCgo),
    row("istioctl", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 istioctl/docker/Dockerfile.istioctl FROM istio/base, which is ubuntu; common/scripts/gobuild.sh CGO_ENABLED=0").go(WithoutCgo),
    row("jwt-server", Plain, Bare("distroless static"), "istio/istio@86c9f01 samples/jwt-server/src/Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static-debian11").go(WithoutCgo),
    row("metallb/", Plain, Several, "copies of quay.io/metallb for tests; metallb/metallb@66d8395 controller/Dockerfile CGO_ENABLED=0").go(WithoutCgo),
    row("pilot", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 docker/Dockerfile.base, of pilot/docker/Dockerfile.pilot BASE_DISTRIBUTION=debug, is ubuntu; bin/gobuild.sh CGO_ENABLED=0 since 1.1.4").go(WithoutCgo),
    row("proxy_debug", Plain, Glibc("Ubuntu"), "istio/istio 1.1.4 pilot/docker/Dockerfile.proxy_debug FROM istionightly/base_debug, ENTRYPOINT pilot-agent; bin/gobuild.sh CGO_ENABLED=0").go(WithoutCgo),
    row("proxyv2", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 docker/Dockerfile.base, of pilot/docker/Dockerfile.proxyv2 BASE_DISTRIBUTION=debug, is ubuntu, ENTRYPOINT pilot-agent, which starts Envoy; gobuild.sh CGO_ENABLED=0").go(WithoutCgo),
    row("tcp-echo-server", Plain, Several, "istio/istio@86c9f01 samples/tcp-echo/src/Dockerfile CGO_ENABLED=0 FROM scratch; some releases istio/base").go(WithoutCgo),
    row("ztunnel", Plain, Glibc("Ubuntu"), "istio/istio@86c9f01 pilot/docker/Dockerfile.ztunnel FROM istio/base, which is ubuntu"),
];

/// jaegertracing on Docker Hub, quay.io and cr.jaegertracing.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const JAEGER: &[Row] = &[
    row("all-in-one", Plain, Several, "jaegertracing/jaeger@8498073 v1.76.0 cmd/all-in-one/Dockerfile FROM the base of scripts/build/docker/base, alpine, before 1.2x scratch; scripts/makefiles/BuildBinaries.mk CGO_ENABLED=0").go(WithoutCgo),
    row("example-hotrod", Plain, Bare("scratch"), "jaegertracing/jaeger@8498073 examples/hotrod/Dockerfile FROM scratch; scripts/makefiles/BuildBinaries.mk CGO_ENABLED=0").go(WithoutCgo),
    row("jaeger", Plain, Several, "jaegertracing/jaeger@8498073 cmd/jaeger/Dockerfile FROM the base of scripts/build/docker/base, alpine, before 1.2x scratch; scripts/makefiles/BuildBinaries.mk CGO_ENABLED=0").go(WithoutCgo),
    row("jaeger-agent", Plain, Several, "jaegertracing/jaeger@8498073 v1.60.0 cmd/agent/Dockerfile FROM the base of scripts/build/docker/base, alpine, before 1.2x scratch; scripts/makefiles/BuildBinaries.mk CGO_ENABLED=0").go(WithoutCgo),
    row("jaeger-cassandra-schema", Plain, Glibc("Debian or Ubuntu"), "jaegertracing/jaeger@8498073 internal/storage/v1/cassandra/Dockerfile FROM cassandra:5.0.8"),
    row("jaeger-collector", Plain, Several, "jaegertracing/jaeger@8498073 v1.76.0 cmd/collector/Dockerfile FROM the base of scripts/build/docker/base, alpine, before 1.2x scratch; scripts/makefiles/BuildBinaries.mk CGO_ENABLED=0").go(WithoutCgo),
    row("jaeger-ingester", Plain, Several, "jaegertracing/jaeger@8498073 v1.76.0 cmd/ingester/Dockerfile FROM the base of scripts/build/docker/base, alpine, before 1.2x scratch; scripts/makefiles/BuildBinaries.mk CGO_ENABLED=0").go(WithoutCgo),
    row("jaeger-query", Plain, Several, "jaegertracing/jaeger@8498073 v1.76.0 cmd/query/Dockerfile FROM the base of scripts/build/docker/base, alpine, before 1.2x scratch; scripts/makefiles/BuildBinaries.mk CGO_ENABLED=0").go(WithoutCgo),
];

/// The Prometheus project on quay.io (`prometheus/`) and Docker Hub (`prom/`).
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const PROMETHEUS: &[Row] = &[
    row("alertmanager", Word("distroless"), Bare("distroless static"), "prometheus/alertmanager@68fb2d5 Dockerfile.distroless; .promu.yml netgo").go(WithoutCgo),
    row("alertmanager", From(0, 3), Uclibc("busybox"), "prometheus/alertmanager@68fb2d5 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; .promu.yml netgo").go(WithoutCgo),
    row("blackbox-exporter", Word("distroless"), Bare("distroless static"), "prometheus/blackbox_exporter@e39d7d4 Dockerfile.distroless; .promu.yml of Go").go(Unknown),
    row("blackbox-exporter", From(0, 2), Uclibc("busybox"), "prometheus/blackbox_exporter@e39d7d4 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; .promu.yml of Go").go(Unknown),
    row("busybox", Plain, Uclibc("busybox"), "prometheus/busybox@869afd4 Makefile: latest is uclibc on amd64, armv7 and arm64"),
    row("mysqld-exporter", From(0, 9), Uclibc("busybox"), "prometheus/mysqld_exporter@55c0976 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest, of Go").go(Unknown),
    row("node-exporter", Word("distroless"), Bare("distroless static"), "prometheus/node_exporter@a7dcc3a Dockerfile.distroless; .promu.yml of Go").go(Unknown),
    row("node-exporter", Between((0, 14), (1, 2)), Glibc("the glibc build of busybox"), "prometheus/node_exporter@e8d724c Dockerfile FROM quay.io/prometheus/busybox:glibc; .promu.yml of Go").go(Unknown),
    row("node-exporter", From(1, 2), Uclibc("busybox"), "prometheus/node_exporter@a7dcc3a Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; .promu.yml of Go").go(Unknown),
    row("prometheus", Word("distroless"), Bare("distroless static"), "prometheus/prometheus@d15adb9 Dockerfile.distroless FROM gcr.io/distroless/static-debian13; .promu.yml netgo").go(WithoutCgo),
    row("prometheus", From(1, 0), Uclibc("busybox"), "prometheus/prometheus@d15adb9 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; .promu.yml netgo").go(WithoutCgo),
    row("pushgateway", Word("distroless"), Bare("distroless static"), "prometheus/pushgateway@412bd22 Dockerfile.distroless, of Go").go(Unknown),
    row("pushgateway", From(0, 4), Uclibc("busybox"), "prometheus/pushgateway@412bd22 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest, of Go").go(Unknown),
    row("statsd-exporter", From(0, 5), Uclibc("busybox"), "prometheus/statsd_exporter@ac592b1 Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest, of Go").go(Unknown),
];

/// prometheus-operator on quay.io and ghcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const PROMETHEUS_OPERATOR: &[Row] = &[
    row("admission-webhook", Plain, Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc cmd/admission-webhook/Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("prometheus-config-reloader", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc cmd/prometheus-config-reloader/Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; Makefile CGO_ENABLED=0").go(WithoutCgo),
    row("prometheus-operator", From(0, 21), Uclibc("busybox"), "prometheus-operator/prometheus-operator@6adcebc Dockerfile FROM quay.io/prometheus/busybox-OS-ARCH:latest; Makefile CGO_ENABLED=0").go(WithoutCgo),
];

/// spiffe on ghcr.io, and spiffe-io on gcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const SPIFFE: &[Row] = &[
    row("oidc-discovery-provider", Between((0, 10), (1, 6)), Alpine, "spiffe/spire v1.5.4 Dockerfile FROM alpine since v0.9.2, built by golang:*-alpine").go(Unknown),
    row("oidc-discovery-provider", From(1, 6), Bare("scratch"), "spiffe/spire@ef8527e Dockerfile CGO_ENABLED=1 FROM scratch since v1.6.0, statically linked with musl").go(WithCgo),
    row("spiffe-csi-driver", Plain, Bare("scratch"), "spiffe/spiffe-csi@dc1271e Dockerfile CGO_ENABLED=0 FROM scratch, since v0.1.0").go(WithoutCgo),
    row("spiffe-helper", Plain, Bare("distroless static"), "spiffe/spiffe-helper@06cfd7e Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static, since v0.8.0").go(WithoutCgo),
    row("spire-agent", Between((0, 10), (1, 6)), Alpine, "spiffe/spire v1.5.4 Dockerfile FROM alpine since v0.9.2, built by golang:*-alpine").go(Unknown),
    row("spire-agent", From(1, 6), Bare("scratch"), "spiffe/spire@ef8527e Dockerfile CGO_ENABLED=1 FROM scratch since v1.6.0, statically linked with musl").go(WithCgo),
    row("spire-controller-manager", Plain, Several, "spiffe/spire-controller-manager@430567c Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static, before v0.3.0 distroless/base").go(WithoutCgo),
    row("spire-server", Between((0, 10), (1, 6)), Alpine, "spiffe/spire v1.5.4 Dockerfile FROM alpine since v0.9.2, built by golang:*-alpine").go(Unknown),
    row("spire-server", From(1, 6), Bare("scratch"), "spiffe/spire@ef8527e Dockerfile CGO_ENABLED=1 FROM scratch since v1.6.0, statically linked with musl").go(WithCgo),
];

/// Jupyter's stacks on Docker Hub and quay.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const JUPYTER: &[Row] = &[
    row("all-spark-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("base-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("datascience-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("docker-stacks-foundation", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("julia-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("minimal-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("pyspark-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("pytorch-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("r-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("scipy-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
    row("tensorflow-notebook", Plain, Glibc("Debian or Ubuntu"), "jupyter/docker-stacks@0098798 images/docker-stacks-foundation/Dockerfile ROOT_CONTAINER=ubuntu:22.04, the base of all stacks; before 2017 debian"),
];

/// KFServing, KServe's name until 0.6, on Docker Hub and gcr.io.
#[rustfmt::skip] // One line for each row, so that the table can be read and sorted.
pub(crate) const KFSERVING: &[Row] = &[
    row("kfserving-controller", From(0, 4), Bare("distroless static"), "kserve/kserve@ee4b597 Dockerfile CGO_ENABLED=0 FROM gcr.io/distroless/static").go(WithoutCgo),
    row("lgbserver", Plain, Glibc("Debian"), "kserve/kserve@05b19e3 python/lgb.Dockerfile FROM python:3.7-slim"),
    row("models-web-app", Plain, Glibc("Debian"), "kserve/models-web-app@0c9a275 Dockerfile FROM python:*-slim"),
    row("paddleserver", Plain, Glibc("Debian"), "kserve/kserve@b7a52bb python/paddle.Dockerfile FROM python:3.8"),
    row("pmmlserver", Plain, Glibc("Debian"), "kserve/kserve@ae60026 python/pmml.Dockerfile FROM openjdk:11-slim"),
    row("pytorchserver", Plain, Glibc("Ubuntu"), "kserve/kserve@4f6c6aa python/pytorch.Dockerfile FROM ubuntu:18.04, before 16.04"),
    row("sklearnserver", Plain, Glibc("Debian"), "kserve/kserve@31fdcb9 python/sklearn.Dockerfile FROM python:3.7-slim"),
    row("storage-initializer", Plain, Glibc("Debian"), "kserve/kserve@e882f49 python/storage-initializer.Dockerfile FROM python:3.7-slim"),
    row("torchserve-kfs", Plain, Glibc("Ubuntu"), "kserve/kserve@cb2c6e7 docs/samples/v1beta1/custom/torchserve/torchserve-image/Dockerfile BASE_IMAGE=ubuntu:18.04"),
    row("xgbserver", Plain, Glibc("Debian"), "kserve/kserve@31fdcb9 python/xgb.Dockerfile FROM python:3.7-slim"),
];
