//! Reviews whose nesting is as deep as a body allows, sent to muslin's port itself: the API server stops at 10,000 levels.

use anyhow::Result;
use axum::body::Bytes;
use futures::future::join_all;
use serde_json::json;

use crate::attacks::peers::{Ports, post_once};
use crate::attacks::victim::Victim;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![deeply_nested_reviews];

/// The mark in a review that the nested text replaces.
const MARK: &str = "\"NESTED\"";

/// The levels that overflowed the stack, and as many as a body can have.
const DEEP: usize = 18_069;
const DEEPEST: usize = 3_900_000;

fn deeply_nested_reviews(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    let arrays = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    for (attack, path, pointer, nested) in [
        (
            "18,069 nested arrays in a field that is not read",
            "/mutate",
            "/request/object/metadata/future",
            arrays(DEEP),
        ),
        ("the same arrays in a template", "/workloads", "/request/object/metadata/future", arrays(DEEP)),
        ("nested objects in a field that is not read", "/mutate", "/request/object/spec/future", objects(DEEP)),
        ("nested arrays in the list of containers", "/mutate", "/request/object/spec/containers", arrays(DEEP)),
        ("nested objects in the affinity", "/mutate", "/request/object/spec/affinity", objects(DEEP)),
        ("nested arrays in the user's name", "/enforce", "/request/userInfo", arrays(DEEP)),
        ("nested arrays in a Namespace", "/namespaces", "/request/object/metadata/labels", arrays(DEEP)),
        ("nested objects in a profile", "/profiles", "/request/object/spec", objects(DEEP)),
        ("3,900,000 nested arrays", "/mutate", "/request/object/metadata/managedFields", arrays(DEEPEST)),
        ("1,300,000 open objects", "/mutate", "/request/object/status", "{\"a\":".repeat(1_300_000)),
    ] {
        let review = Bytes::from(review(path, pointer, &nested));
        victim.attack(attack, |muslin| {
            let ports = Ports::of(muslin)?;
            // The same twice at once, and again and again: once an answer was cached by its shape.
            let posts = (0..2).map(|_| post_once(&ports, 1, path, review.clone()));
            for posted in world.runtime.block_on(join_all(posts)) {
                posted?;
            }
            Ok(())
        })?;
    }
    victim.finish()
}

/// Returns a review for this hook with the nested text at a place of its own.
fn review(path: &str, pointer: &str, nested: &str) -> String {
    let (group, kind, name) = match path {
        "/workloads" => ("apps", "Deployment", "deployments"),
        "/namespaces" => ("", "Namespace", "namespaces"),
        "/profiles" => ("muslin.dev", "ResolverProfile", "resolverprofiles"),
        _ => ("", "Pod", "pods"),
    };
    let mut object = pod("tenant", "nested", "alpine:3.19");
    if path == "/workloads" {
        object = json!({ "metadata": {}, "spec": { "template": object } });
    }
    let mut review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": "tenant",
            "kind": { "group": group, "version": "v1", "kind": kind }, "resource": { "resource": name }, "object": object
        }
    });
    let mut place = &mut review;
    for key in pointer.split('/').skip(1) {
        place = &mut place[key];
    }
    *place = json!("NESTED");
    review.to_string().replace(MARK, nested)
}
