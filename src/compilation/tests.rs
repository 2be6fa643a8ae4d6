//! Compilations of the built-in profiles.

use std::collections::BTreeSet;

use super::*;
use crate::image::{Fingerprint, Reason};
use crate::policy::{Level, Mode, Profile};
use crate::resolver::{Cgo, Family};
use crate::rules::RULES;

const PAGE: &str = include_str!("../../docs/policies.md");

fn compiled(profile: &Profile, images: &[KnownImage]) -> Compilation {
    compile(&settings(profile, images)).unwrap()
}

fn settings<'s>(profile: &'s Profile, images: &'s [KnownImage]) -> Settings<'s> {
    Settings {
        profile,
        pod_selector: None,
        images,
        cluster_domain: "cluster.local",
        cluster_nameservers: 1,
        default_mode: Mode::Inject,
        default_profile: "default",
        version: ApiVersion::V1,
        webhooks: None,
    }
}

const UNBOUNDED: images::Bounds = images::Bounds { kinds: usize::MAX, bytes: usize::MAX };

fn by_name(names: &[&str]) -> Vec<KnownImage> {
    names.iter().map(|name| KnownImage::by_name(*name)).collect()
}

#[test]
fn an_image_that_is_exempt_or_for_windows_is_left_out() {
    let mut profile = Profile::default();
    profile.exempt.add_image("registry.example.com/vendor").unwrap();
    let images = by_name(&[
        "alpine:3.19",
        "registry.example.com/vendor/agent:1",
        "mcr.microsoft.com/windows/nanoserver:ltsc2022",
        "ghcr.io/linkerd/proxy:edge-26.1.1",
        "::",
    ]);
    let found = images::Images::new(&images, &profile, Vec::new(), UNBOUNDED);
    let left_out: Vec<&str> = found.left_out.iter().map(|one| &*one.image).collect();
    assert_eq!(left_out, images[1..].iter().map(KnownImage::name).collect::<Vec<_>>());
    let kind = |key: &str| found.entries.get(key).copied();
    let (own, spelled) = (kind("alpine:3.19"), kind("docker.io/library/alpine:3.19"));
    assert!(own.is_some() && own == spelled, "{:?}", found.entries);
    assert_eq!([kind("alpine:3.19 "), kind("alpine:3.19 *")], [own, own], "any command has the resolver of the image");
}

#[test]
fn what_a_file_says_of_an_image_outranks_its_name_with_any_command() {
    let declared = "glibc".parse().unwrap();
    let declared = Fingerprint::declared(declared, Reason::Fixed("a test says so"));
    let images = [KnownImage::with("alpine:3.19", declared), KnownImage::by_name("docker.io/library/alpine:3.19")];
    let found = images::Images::new(&images, &Profile::default(), Vec::new(), UNBOUNDED);
    assert_eq!(found.entries.get("alpine:3.19"), Some(&0));
    assert_eq!(found.entries.get("docker.io/library/alpine:3.19"), Some(&0));
    assert_eq!(found.entries.get("alpine:3.19 "), None, "the file says nothing of other commands");
}

#[test]
fn expressions_stay_within_the_limits_of_the_api_server() {
    let many =
        (0..3_000).map(|number| KnownImage::by_name(format!("registry.example.com/team/service-{number}:alpine3.19")));
    let Compilation { objects, kinds, .. } = compiled(&Profile::default(), &many.collect::<Vec<_>>());
    assert_eq!(kinds, 1);
    for object in &objects {
        for variable in object["spec"]["variables"].as_array().into_iter().flatten() {
            assert!(variable["expression"].as_str().unwrap().chars().count() < 100_000, "{}", variable["name"]);
        }
        assert!(object["spec"]["matchConditions"].as_array().map_or(0, Vec::len) <= 64);
    }
}

/// Images with long names, of which each has two spellings. The cases of 22 kinds need 210,000 bytes more (2026-12-01), of one kind few.
#[test]
fn the_largest_table_fits_into_an_object_that_the_api_server_stores() {
    let long = "x".repeat(80);
    let of = |number: usize| KnownImage::by_name(format!("{long}/service-{number}:1-alpine3.19"));
    let many: Vec<KnownImage> = (0..5_000).map(of).collect();
    let (profile, webhooks) = (Profile::default(), Webhooks { is_separated: true, ..Webhooks::default() });
    let settings = Settings { webhooks: Some(&webhooks), ..settings(&profile, &many) };
    let Compilation { objects, left_out, images, .. } = compile(&settings).unwrap();
    let sizes: Vec<usize> = objects.iter().map(|object| object.to_string().len()).collect();
    let most = sizes.iter().max().copied().unwrap_or_default();
    assert!(most > TABLE_BYTES_MAX * 9 / 10 && most < 1_000_000, "{sizes:?}");
    assert!(images > 500 && left_out.iter().all(|one| one.why == "has no room in the table"), "{images}");
}

#[test]
fn the_page_lists_what_the_policies_do_and_leave() {
    let table: String = FEATURES.iter().map(|(what, how)| format!("| {what} | {how} |\n")).collect();
    assert!(PAGE.contains(&table), "{table}");
    let table: String = LIMITS.iter().map(|Limit { what, instead }| format!("| {what} | {instead} |\n")).collect();
    assert!(PAGE.contains(&table), "{table}");
}

#[test]
fn most_situations_have_an_answer_and_the_page_lists_the_rules_in_it() {
    let mut images = by_name(&[
        "alpine:3.4",
        "alpine:3.19",
        "alpine",
        "debian:12",
        "busybox:1.28",
        "traefik:v3.1",
        "example.com/app:1",
    ]);
    let cgo = Cgo::Linked { libc: Family::Musl, version: None };
    let with_cgo = Fingerprint::inspected(Family::Go.unversioned().with_cgo(cgo), Reason::Fixed("a test says so"));
    images.push(KnownImage::with("example.com/cgo:1", with_cgo));
    let mut reported = BTreeSet::new();
    for name in ["default", "fast"] {
        let profile = Profile::builtin(name).unwrap();
        let engine = engine::Engine { profile: &profile, cluster_domain: "cluster.local", cluster_nameservers: 1 };
        let kinds = images::Images::new(&images, &profile, Vec::new(), UNBOUNDED).kinds;
        let cases = cases::Cases::ask(&engine, &kinds, None);
        let excluded: usize = cases.by_key.values().map(|case| case.excluded.len()).sum();
        let conflicts: usize = cases.by_key.values().map(|case| case.conflicts.len()).sum();
        let (asked, all) = (vocabulary::situations().len() * 2, cases.by_key.len());
        assert!(all * 5 > asked * 4, "{name}: {all} of {asked}");
        assert!(excluded * 20 < all * kinds.len(), "{name}: {excluded} of {all} times {}", kinds.len());
        assert_eq!(conflicts, 0, "{name}");
        for group in cases.by_key.values().flat_map(|case| &case.groups) {
            match group {
                groups::Group::Containers { slug, .. } => reported.insert((*slug).to_owned()),
                groups::Group::Pod { line, .. } => reported.insert(line.split(':').next().unwrap().to_owned()),
                groups::Group::Accepted { .. } => true,
            };
        }
    }
    let table: String = RULES
        .iter()
        .map(|rule| {
            let slug = rule.slug;
            let says = if reported.contains(slug) {
                "yes"
            } else if rule.level == Level::Info {
                "no warning by itself: advice"
            } else {
                "no: a pod that could have it stays as it is"
            };
            format!("| [{slug}](rules/{slug}.md) | {says} |\n")
        })
        .collect();
    assert!(PAGE.contains(&table), "{table}");
}
