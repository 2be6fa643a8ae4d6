//! Each test shows one convention in image names.

use super::{reason, resolver, suggested};
use crate::image::Evidence;

fn assert_all(texts: &[&str], expected: &str) {
    for text in texts {
        assert_eq!(resolver(text), expected, "{text}: {}", reason(text));
    }
}

#[test]
fn alpine_in_a_tag_is_musl() {
    assert_all(
        &["x/y:alpine", "x/y:1-alpine", "x/y:alpine-slim", "x/y:1.27-alpine-slim", "x/y:1.0_alpine", "x/y:1.2.alpine"],
        "musl",
    );
    assert_all(&["x/y:1-Alpine", "x/y:1.0alpine", "x/y:alpinelinux"], "musl");
    assert_eq!(suggested("x/y:alpine").evidence, Evidence::Assumed);
}

#[test]
fn the_release_after_alpine_decides_the_musl() {
    assert_all(
        &["x/y:20-alpine3.18", "x/y:alpine3.18", "x/y:alpine3.18.4", "x/y:1.2-alpine-3.18", "x/y:3.19-alpine3.18"],
        "musl 1.2.4",
    );
    assert_all(&["x/y:python3.8-alpine3.11", "x/python-alpine3.11:3.8"], "musl 1.1.24");
    assert_eq!(reason("node:20-alpine3.18"), "the tag says Alpine 3.18, which has musl 1.2.4");
}

#[test]
fn the_version_of_the_program_is_no_release_of_alpine() {
    assert_all(
        &[
            "node:20-alpine",
            "python:3.12-alpine",
            "x/y:3.18-alpine",
            "x/y:alpine-3.4.1",
            "x/y:alpine3",
            "x/y:1-alpine-5.0",
        ],
        "musl",
    );
    assert_eq!(reason("node:20-alpine"), "the tag says Alpine, which has musl, but names no release");
}

#[test]
fn the_tag_of_alpine_itself_is_the_release() {
    assert_all(
        &["alpine:3.19.1", "alpine:3.19", "x/alpine:3.19", "registry.example.com/mirror/alpine:v3.19"],
        "musl 1.2.4",
    );
    assert_all(&["ghcr.io/linuxserver/baseimage-alpine:3.19", "arm64v8/alpine:3.19"], "musl 1.2.4");
    assert_all(&["alpine", "alpine:3", "alpine:latest", "alpine:edge", "alpine:20230901", "alpine:3.99"], "musl");
    assert_eq!(reason("alpine"), "official `alpine` images are Alpine, which has musl; the tag names no release");
    assert_eq!(reason("alpine:3.19.1"), "official `alpine` images are Alpine 3.19, which has musl 1.2.4");
}

#[test]
fn alpine_in_the_name_of_a_repository_is_musl() {
    assert_all(
        &["x/alpine-mongo:3.6.3-0", "x/nginx-alpine", "x/docker-alpine-tools:1", "registry.example.com/x/alpine"],
        "musl",
    );
    assert_eq!(reason("x/nginx-alpine"), "the repository's name says Alpine, which has musl, but names no release");
}

#[test]
fn an_owner_named_alpine_on_another_registry_is_no_hint() {
    assert_all(&["registry.example.com/alpine/app:1", "alpine.example.com/team/app:1"], "unknown");
}

#[test]
fn a_longer_word_that_contains_alpine_is_no_hint() {
    assert_all(&["x/y:alpinesque", "x/subalpine:1", "x/muslin:1", "x/y:muslrust", "x/y:ubuntufied"], "unknown");
}

#[test]
fn a_distribution_in_a_tag_is_glibc() {
    assert_all(
        &[
            "x/y:1-buster",
            "x/y:bullseye-slim",
            "x/y:1-bookworm",
            "x/y:trixie",
            "x/y:1-stretch",
            "x/y:jessie",
            "x/y:sid",
        ],
        "glibc",
    );
    assert_all(
        &["x/y:bionic", "x/y:1-focal", "x/y:jammy", "x/y:noble-chiseled", "x/y:1-ubuntu22.04", "x/y:ubuntu-v1"],
        "glibc",
    );
    assert_all(
        &["x/y:1-debian-12-r3", "x/y:debian12", "x/y:1-deb11", "x/y:ubi9", "x/y:1-ubi", "x/y:1.el8", "x/y:rhel-9"],
        "glibc",
    );
    assert_all(
        &["x/y:al2023", "x/y:1-amzn2", "x/y:centos7", "x/y:1-rocky9", "x/y:leap15.5", "x/y:wolfi", "x/y:glibc"],
        "glibc",
    );
    assert_eq!(reason("x/y:1-bookworm"), "the tag says `bookworm`: that is Debian, which has glibc");
}

#[test]
fn the_version_of_an_ubuntu_package_is_glibc() {
    assert_all(&["x/y:version-2.0.3-2201906121747ubuntu18.04.1"], "glibc");
}

#[test]
fn a_commit_has_no_words() {
    assert_all(&["x/y:3f2deb12", "x/y:a1el8f", "x/y:0al2", "x/y:f00-1deb12a", "x/y:deb12u1"], "unknown");
}

#[test]
fn a_distribution_in_the_name_of_a_repository_is_glibc() {
    assert_all(
        &["x/ubuntu-tools:1", "x/nginx-debian", "x/java-ubi8:17", "public.ecr.aws/ubuntu/ubuntu:22.04"],
        "glibc",
    );
}

#[test]
fn code_names_of_releases_are_trusted_only_in_tags() {
    assert_all(&["x/focal:1", "x/noble-app", "islandora/fedora:2", "komoot/photon:1"], "unknown");
}

#[test]
fn slim_is_no_hint() {
    assert_all(&["x/y:slim", "x/y:1-slim"], "unknown");
}

#[test]
fn musl_in_a_tag_is_musl_unless_it_is_the_target_of_a_compiler() {
    assert_all(&["x/y:1-musl", "x/y:x86_64-unknown-linux-musl"], "musl");
    assert_all(
        &["ghcr.io/linkerd/dev:v50-rust-musl", "x/rust-musl-cross:x86_64-musl", "x/rust-musl-builder", "x/app-musl"],
        "unknown",
    );
}

#[test]
fn uclibc_is_uclibc() {
    assert_all(&["busybox:uclibc", "x/busybox-uclibc", "x/y:1-uclibc"], "uclibc");
}

#[test]
fn glibc_beside_alpine_is_unknown() {
    assert_all(&["x/alpine-glibc:3.18", "x/alpine-glibc:alpine-3.18", "x/y:alpine-glibc"], "unknown");
    assert_eq!(
        reason("x/alpine-glibc"),
        "the name says both Alpine and glibc, but not which of the two the program uses"
    );
}

#[test]
fn gcompat_keeps_the_resolver_of_musl() {
    assert_all(&["x/y:alpine-gcompat"], "musl");
}

#[test]
fn words_that_contradict_each_other_are_unknown() {
    assert_all(&["x/y:alpine-bookworm", "x/app-alpine:1-debian", "x/ubuntu-tools:alpine"], "unknown");
    assert_eq!(reason("x/y:1-alpine-bookworm"), "the name says both `alpine` and `bookworm`");
}

#[test]
fn distroless_needs_another_word() {
    assert_all(&["x/y:distroless", "x/y:1-distroless", "x/distroless-app"], "unknown");
    assert_all(&["x/y:distroless-static", "x/y:1-distroless-static-nonroot"], "static");
    assert_all(&["x/y:distroless-libc", "x/y:distroless-cc", "x/y:1-distroless-debian12"], "glibc");
}

#[test]
fn scratch_is_static() {
    assert_all(&["x/y:1-scratch"], "static");
}

#[test]
fn windows_is_unknown() {
    for text in ["x/y:1-windowsservercore-ltsc2022", "x/y:nanoserver-1809", "x/y:ltsc2022", "x/y:1-windows-amd64"] {
        let fingerprint = suggested(text);
        assert_eq!(
            (fingerprint.resolver.to_string().as_str(), fingerprint.evidence),
            ("unknown", Evidence::None),
            "{text}"
        );
        assert!(fingerprint.reason.to_string().contains("Windows"), "{text}: {}", fingerprint.reason);
    }
}

#[test]
fn a_mirror_of_a_distribution_need_not_be_built_on_it() {
    assert_all(&["x/alpine-mirror:1", "x/debian-mirror", "x/ubuntu-builder:2"], "unknown");
    assert_all(&["x/builder:alpine"], "musl");
}

#[test]
fn a_name_without_a_hint_is_unknown() {
    for text in ["x/y", "x/y:1.2.3", "registry.example.com/team/app:main", "registry.example.com/team/redis:7"] {
        let fingerprint = suggested(text);
        assert_eq!(
            (fingerprint.resolver.to_string().as_str(), fingerprint.evidence),
            ("unknown", Evidence::None),
            "{text}"
        );
        assert_eq!(reason(text), "neither the tag nor the repository says what the image is built on");
    }
}
