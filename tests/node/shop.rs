//! A Deployment on musl in the node: its container's options, and the output of kubectl about it.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::Topic;
use crate::common::harness::tests;
use crate::node::real_node::{Node, eventually, run};

pub(crate) const TESTS: Topic =
    tests![a_running_container_has_the_options_and_resolves_a_service, kubectl_prints_what_docs_story_md_shows];

pub(crate) const ON_REQUEST: Topic = tests![records_docs_story_md];

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/shop.yaml");

/// The page of the documentation with the output of kubectl.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/story.md");

/// Time limit until all Events are written, which happens after the pod starts.
const DEADLINE: Duration = Duration::from_secs(60);

/// The commands of a developer, in order.
const COMMANDS: [&[&str]; 4] = [
    &["describe", "deployment", "shop", "-n", "shop"],
    &["describe", "pods", "-n", "shop"],
    &["get", "events", "-n", "shop"],
    &["exec", "-n", "shop", "deployment/shop", "--", "/shop", "show", "/etc/resolv.conf"],
];

/// Pushes the image to the registry, and deploys it.
pub(crate) fn deploy(node: &Node) -> Result<()> {
    let layout = node.folder().join("shop.image");
    let layout = layout.to_str().context("the folder's name is not UTF-8")?;
    run(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/image"), &["shop", layout])?;
    node.push(layout.as_ref(), "shop:1.4")?;
    let (created, warnings) = node.kubectl(&["apply", "-f", MANIFEST])?;
    fs::write(node.folder().join("shop.applied"), warnings + &created)?;
    node.kubectl(&["rollout", "status", "deployment/shop", "-n", "shop", "--timeout=60s"]).with_context(|| {
        node.kubectl(&["describe", "pods", "-n", "shop"]).map_or_else(|e| e.to_string(), |pods| pods.0)
    })?;
    Ok(())
}

fn a_running_container_has_the_options_and_resolves_a_service(node: &mut Node) -> Result<()> {
    let inside = |arguments: &[&str]| {
        let command = [["exec", "-n", "shop", "deployment/shop", "--", "/shop"].as_slice(), arguments].concat();
        anyhow::Ok(node.kubectl(&command)?.0)
    };
    let file = inside(&["show", "/etc/resolv.conf"])?;
    let options = file.lines().find_map(|line| line.strip_prefix("options ")).context("no options")?;
    let mut options: Vec<&str> = options.split_whitespace().collect();
    // The kubelet writes options in any order.
    options.sort_unstable();
    ensure!(options == ["attempts:2", "ndots:5"], "{file}");

    let (address, _) = node.kubectl(&["get", "service", "shop", "-n", "shop", "-o", "jsonpath={.spec.clusterIP}"])?;
    for name in ["shop", "shop.shop", "shop.shop.svc.cluster.local"] {
        let found = inside(&["once", name])?;
        ensure!(found.contains(&format!("{name}: {address}")), "{found}");
    }
    Ok(())
}

fn kubectl_prints_what_docs_story_md_shows(node: &mut Node) -> Result<()> {
    let page = fs::read_to_string(PAGE).with_context(|| format!("reading {PAGE}"))?;
    let told = lines_of_muslin(&page);
    ensure!(told.len() >= 5, "{PAGE} shows too few lines of muslin: {told:?}");
    for reason in ["DNSOptionsInjected muslin", "DNSOptionsInjected shop-*"] {
        ensure!(told.iter().any(|line| line.contains(reason)), "{PAGE} shows no Event {reason}: {told:#?}");
    }
    eventually(DEADLINE, || {
        let now = lines_of_muslin(&story(node)?);
        for line in &told {
            ensure!(now.contains(line), "{PAGE} is outdated, kubectl no longer prints:\n{line}\nbut\n{now:#?}");
        }
        Ok(())
    })
}

fn records_docs_story_md(node: &mut Node) -> Result<()> {
    fs::write(PAGE, story(node)?).with_context(|| format!("writing {PAGE}"))
}

/// Returns the page with the output of kubectl in this cluster.
fn story(node: &Node) -> Result<String> {
    let mut page = format!(
        "# What a developer sees

A Deployment on musl with a mistake in it, [shop.yaml](../tests/node/shop.yaml), in a cluster of one node with
image inspection ([image-inspection](../manifests/image-inspection/kustomization.yaml)). `cargo test --test node -- --ignored`
records the output of kubectl; a test compares the output with this page.

```
$ kubectl apply -f shop.yaml
{}```
",
        fs::read_to_string(node.folder().join("shop.applied"))?
    );
    for command in COMMANDS {
        let (output, _) = node.kubectl(command)?;
        let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
        write!(page, "\n```\n$ kubectl {}\n{}\n```\n", command.join(" "), lines.join("\n").trim_end())?;
    }
    Ok(page)
}

/// Returns the lines about muslin or musl in the output of commands, without the parts that differ between clusters.
fn lines_of_muslin(text: &str) -> Vec<String> {
    let is_age = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with(['s', 'm', 'h']);
    let same = |word: &str| if word.contains("shop-") { "shop-*".to_owned() } else { word.to_owned() };
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(str::lines).filter(|line| line.contains("musl"));
    lines
        .map(|line| line.split_whitespace().filter(|word| !is_age(word)).map(same).collect::<Vec<_>>().join(" "))
        .collect()
}
