//! Images that muslin reads: a real registry beside the real API server, and names that say nothing.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::image::Entry::{Link, Part, Text};
use crate::image::{Entry, Image, layer, run};
use crate::pods::pod;
use crate::registry::Registry;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = &[
    ("a_pod_is_mended_for_what_is_in_its_image_and_the_next_one_with_no_registry", mended_for_what_is_in_it),
    ("a_go_program_on_an_alpine_root_gets_no_musl_warnings", go_on_alpine),
    ("a_pod_whose_image_cannot_be_read_goes_by_its_reference", unreadable),
];

const ALPINE: &[Entry<'_>] = &[
    Part("lib/ld-musl-x86_64.so.1", "ld-musl"),
    Link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"),
    Text("etc/os-release", "ID=alpine\nVERSION_ID=3.16.2\n"),
    Text("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.3-r3\nA:x86_64\n\n"),
];

/// A registry that holds one image, and the image's reference.
fn registry(name: &str, program: &str) -> Result<(Registry, String)> {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry/tools");
    let printed = String::from_utf8(run(tools, &[])?)?;
    let parts: PathBuf = printed.lines().last().context("the tools print a folder")?.into();
    let layers = vec![layer(&parts, ALPINE)?, layer(&parts, &[Part("app/server", program)])?];
    let registry = Registry::start()?;
    registry.push(name, &[Image::new(layers, json!({"Entrypoint": ["/app/server"]}))])?;
    let reference = format!("{}/{name}", registry.address);
    Ok((registry, reference))
}

/// What makes muslin read the images of this registry, and wait until it has.
fn reading(registry: &Registry) -> [String; 7] {
    let arguments = ["--inspect-images", "--inspection-budget", "4000", "--allow-network", "127.0.0.1", "--plain-http"];
    let [a, b, c, d, e, f] = arguments.map(str::to_owned);
    [a, b, c, d, e, f, registry.address.to_string()]
}

fn resolvers(pod: &Value) -> &Value {
    &pod["metadata"]["annotations"]["muslin.dev/resolvers"]
}

fn mended_for_what_is_in_it(cluster: &Cluster) -> Result<()> {
    let (registry, reference) = registry("team/nothing:1", "musl-lookup")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("inspected", &[])?;
    let (first, warnings) = cluster.created(&pod("inspected", "first", &reference))?;
    ensure!(resolvers(&first) == "app=musl-1.2.3 (inspected)", "{first:#}");
    // What is known to be musl needs nothing that only glibc honours.
    let options = json!([{ "name": "timeout", "value": "5" }, { "name": "attempts", "value": "10" }]);
    ensure!(first["spec"]["dnsConfig"]["options"] == options, "{first:#}");
    ensure!(first["metadata"]["labels"]["muslin.dev/libc"] == "musl", "{first:#}");
    ensure!(warnings.contains("musl-no-tcp: app: musl 1.2.3"), "{warnings}");
    drop(registry);
    let (second, again) = cluster.created(&pod("inspected", "second", &reference))?;
    ensure!(resolvers(&second) == resolvers(&first) && again == warnings.replace("first", "second"), "{second:#}");
    Ok(())
}

fn go_on_alpine(cluster: &Cluster) -> Result<()> {
    let (registry, reference) = registry("team/go-on-alpine:1", "go-pure")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("inspected-go", &[])?;
    let (created, warnings) = cluster.created(&pod("inspected-go", "app", &reference))?;
    let told = resolvers(&created).as_str().unwrap_or_default();
    ensure!(told.starts_with("app=go-1.") && told.ends_with(" (inspected)"), "{created:#}");
    ensure!(!warnings.contains("musl-"), "{warnings}");
    Ok(())
}

fn unreadable(cluster: &Cluster) -> Result<()> {
    let (registry, _) = registry("team/other:1", "go-pure")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("unread", &[])?;
    let missing = format!("{}/library/alpine:3.19", registry.address);
    let (created, _) = cluster.created(&pod("unread", "app", &missing))?;
    ensure!(resolvers(&created) == "app=musl-1.2.4 (assumed)", "{created:#}");
    Ok(())
}
