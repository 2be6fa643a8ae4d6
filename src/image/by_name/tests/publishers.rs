//! The tables are sorted, and each row is found.

use super::{reason, resolver, suggested};
use crate::image::by_name::publishers::{self, Tags};

const DIGEST: &str = "sha256:141c253bc4c3fd0a201d32dc1f493bcf3fff003b6df416dea4f41046e0f37d47";

#[test]
fn every_row_has_a_source_and_a_name_that_can_be_found() {
    for (registry, row) in publishers::rows() {
        assert!(row.source.len() > 10, "{row:?}");
        let name = format!("{}/{}x", registry.unwrap_or("docker.io/library"), row.name);
        assert!(crate::image::Reference::parse(&name).is_ok(), "{row:?}");
        assert!(registry.is_some() || !row.name.contains('/'), "{row:?}");
    }
}

#[test]
fn every_table_is_sorted_and_has_no_row_twice() {
    let rows: Vec<_> = publishers::rows().collect();
    for pair in rows.windows(2) {
        let [(first_table, first), (second_table, second)] = pair else { continue };
        if first_table == second_table {
            assert!(first.name <= second.name, "{} stands before {}", first.name, second.name);
        }
    }
    for (at, (table, row)) in rows.iter().enumerate() {
        let twice = rows
            .iter()
            .skip(at + 1)
            .any(|(other, also)| table == other && row.name == also.name && row.tags == also.tags);
        assert!(!twice, "{row:?}");
    }
}

#[test]
fn no_row_hides_a_later_row_of_the_same_name() {
    let rows: Vec<_> = publishers::rows().collect();
    for pair in rows.windows(2) {
        if let [(first_table, first), (second_table, second)] = pair
            && (first_table, first.name) == (second_table, second.name)
        {
            assert!(!matches!(first.tags, Tags::Every | Tags::Plain), "{first:?} hides {second:?}");
        }
    }
}

#[test]
fn every_plain_row_is_found_by_its_name() {
    for (registry, row) in publishers::rows() {
        if matches!(row.tags, Tags::Every | Tags::Plain) {
            let name =
                if row.name.ends_with(['/', '-']) { format!("{}anything", row.name) } else { row.name.to_owned() };
            let text = match registry {
                None => name,
                Some(registry) if name.is_empty() => format!("{registry}/anything"),
                Some(registry) => format!("{registry}/{name}"),
            };
            let found = suggested(&text).reason.source();
            assert!(found.is_some(), "{text}: {row:?}");
        }
    }
}

#[test]
fn the_reason_names_the_publisher_and_the_base() {
    assert_eq!(
        reason("redis:7"),
        "official `redis` images whose tag names no other base are built on Debian, which has glibc"
    );
    assert_eq!(
        reason("gcr.io/google_containers/pause:3.2"),
        "`registry.k8s.io/pause` images are built on scratch, which has no C library"
    );
    assert_eq!(
        reason("kong:2.8"),
        "official `kong` images from 0.13 to before 3.2 are built on Alpine, which has musl"
    );
    assert_eq!(
        reason("bitnami/redis:7"),
        "images in `docker.io/bitnami` whose tag names no other base are built on Debian, which has glibc"
    );
}

#[test]
fn an_image_for_one_architecture_has_the_base_of_the_others() {
    for text in ["k8s.gcr.io/pause-amd64:3.1", "gcr.io/google_containers/pause-arm64:3.0", "registry.k8s.io/pause:3.9"]
    {
        assert_eq!(resolver(text), "static", "{text}");
    }
}

#[test]
fn the_version_decides_if_a_publisher_changed_the_base() {
    for (text, expected) in [
        ("busybox:1.28", "uclibc"),
        ("busybox:1.34.1", "unknown"),
        ("busybox:1.35", "unknown"),
        ("busybox:1.36.1", "glibc"),
        ("busybox:1", "glibc"),
        ("busybox", "glibc"),
        ("kong:0.12", "glibc"),
        ("kong:2", "musl"),
        ("kong:latest", "glibc"),
        ("gcr.io/cloudsql-docker/gce-proxy:1.20.0", "glibc"),
        ("gcr.io/cloudsql-docker/gce-proxy:1.33.2", "static"),
        ("pihole/pihole:2023.05.2", "glibc"),
        ("pihole/pihole:2025.03.0", "musl"),
    ] {
        assert_eq!(resolver(text), expected, "{text}: {}", reason(text));
    }
}

#[test]
fn a_tag_outranks_the_publisher() {
    for (text, expected) in [("redis:7-alpine", "musl"), ("redmine:5-alpine3.18", "musl 1.2.4")] {
        assert_eq!(resolver(text), expected, "{text}");
    }
}

#[test]
fn a_publisher_outranks_a_word_with_another_meaning() {
    assert_eq!(resolver("clickhouse/clickhouse-server:23.8-alpine"), "unknown");
    assert_eq!(resolver("frolvlad/alpine-glibc:alpine-3.12"), "unknown");
    assert_eq!(resolver("timescale/timescaledb:2.1-bitnami"), "glibc");
}

#[test]
fn finds_official_images_on_any_registry_by_their_library_path() {
    for text in [
        "docker.io/library/redis:7",
        "public.ecr.aws/docker/library/redis:7",
        "harbor.example.com/proxy/library/redis:7",
        "registry.example.com/mirror/docker.io/redis:7",
        "amd64/redis:7",
        "rancher/mirrored-library-redis:7",
    ] {
        assert_eq!(resolver(text), "glibc", "{text}");
    }
    for text in ["example/redis:7", "registry.example.com/redis:7", "harbor.example.com/dockerhub/redis:7"] {
        assert_eq!(resolver(text), "unknown", "{text}");
    }
}

#[test]
fn finds_the_origin_in_the_path_of_a_mirror() {
    for text in [
        "registry.example.com/quay.io/prometheus/alertmanager:v0.26.0",
        "registry.example.com:5000/a/b/quay.io/prometheus/alertmanager:v0.26.0",
        "harbor.example.com/dockerhub/prom/alertmanager:v0.26.0",
        "mirror.gcr.io/prom/alertmanager:v0.26.0",
    ] {
        assert_eq!(resolver(text), "go", "{text}");
    }
}

#[test]
fn a_digest_alone_suggests_only_what_all_images_have_in_common() {
    assert_eq!(resolver(&format!("nginx@{DIGEST}")), "unknown");
    assert_eq!(
        reason(&format!("nginx@{DIGEST}")),
        "the reference has a digest but no tag, and this repository has images on several bases"
    );
    assert_eq!(resolver(&format!("ubuntu@{DIGEST}")), "glibc");
    assert_eq!(resolver(&format!("gcr.io/distroless/static@{DIGEST}")), "static");
    assert_eq!(resolver(&format!("nginx:1.27-alpine@{DIGEST}")), "musl");
    assert_eq!(resolver(&format!("alpine:3.20@{DIGEST}")), "musl 1.2.5");
}

#[test]
fn the_words_are_sorted_for_binary_search() {
    assert!(crate::image::by_name::conventions::WORDS.is_sorted_by_key(|word| word.text));
}
