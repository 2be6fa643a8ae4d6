//! Shell scripts that take long to follow, in the commands of pods and in images.

use anyhow::Result;
use serde_json::{Value, json};

use crate::attacks::tenant::{NAMESPACE, path};
use crate::attacks::tenant_registry::{HONEST, Pace, TenantRegistry};
use crate::attacks::victim::Victim;
use crate::common::harness::tests;
use crate::common::image::Entry::Script;
use crate::common::pods::pod;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![scripts_in_commands, scripts_in_images];

/// The number of pods at once.
const AT_ONCE: usize = 3;

fn scripts_in_commands(world: &World) -> Result<()> {
    let registry = TenantRegistry::start()?;
    let image = registry.reference(HONEST, 1);
    let mut victim = Victim::start_with(world, &registry.flags(), &image)?;
    for (attack, count, command) in commands() {
        let container = |index: usize| json!({ "name": format!("c{index}"), "image": image, "command": command });
        let mut pod = pod(NAMESPACE, "scripts", &image);
        let field = if attack.contains("init") { "initContainers" } else { "containers" };
        pod["spec"][field] = (0..count).map(container).collect();
        let pod = pod.to_string();
        victim.attack(attack, |_| {
            world.runtime.block_on(world.tenant.create(&path("api/v1", "pods"), &pod, AT_ONCE));
            Ok(())
        })?;
    }
    victim.finish()
}

fn commands() -> Vec<(&'static str, usize, Value)> {
    let sh = |text: String| json!(["sh", "-c", text]);
    let quoted =
        (0..12).fold("exec /app/server".to_owned(), |text, _| format!("sh -c '{}'", text.replace('\'', "'\\''")));
    let text = "a;".repeat(31_000);
    vec![
        ("\"$@\" 100 times and a text of 63 KB", 12, json!(["sh", "-c", "\"$@\";".repeat(100), "x", "sh", "-c", text])),
        ("the same in init containers", 12, json!(["sh", "-c", "\"$@\";".repeat(100), "x", "sh", "-c", text])),
        ("shells in shells, each quoted", 12, sh(quoted.chars().take(60_000).collect())),
        (
            "env before env",
            20,
            json!(["env"].repeat(2_000).into_iter().chain(["sh", "-c", "/app/server"]).collect::<Vec<_>>()),
        ),
        ("20,000 branches", 12, sh("a || b && c;".repeat(5_000) + "exec /app/server")),
        ("functions that call the next 16 times", 12, sh(functions(8, 16))),
        ("substitutions in substitutions", 12, sh("$(".repeat(15_000))),
        ("nested if", 12, sh("if a; then ".repeat(3_000) + "exec /app/server;" + &" fi;".repeat(3_000))),
    ]
}

fn scripts_in_images(world: &World) -> Result<()> {
    let registry = TenantRegistry::start()?;
    let image = registry.reference(HONEST, 1);
    let mut victim = Victim::start_with(world, &registry.flags(), &image)?;
    for (index, (attack, script)) in scripts().into_iter().enumerate() {
        let name = format!("script-{index}");
        let script = format!("#!/bin/sh\n{script}\n");
        registry.add(&name, Pace::AtOnce, &[Script("entry", &script)], &["/entry"])?;
        let mut tag = 0;
        victim.attack(attack, |_| {
            tag += 1;
            let pod = pod(NAMESPACE, "script", &registry.reference(&name, tag)).to_string();
            world.runtime.block_on(world.tenant.create(&path("api/v1", "pods"), &pod, AT_ONCE));
            Ok(())
        })?;
    }
    victim.finish()
}

fn scripts() -> Vec<(&'static str, String)> {
    let arms: String = (0..16).map(|arm| format!("{arm}) NEXT;; ")).collect();
    let cases: String = (0..8)
        .map(|index| {
            format!("f{index}() {{ case $1 in {} esac; }}\n", arms.replace("NEXT", &format!("f{}", index + 1)))
        })
        .collect();
    vec![
        ("an image with 8 functions of 16 branches", functions(8, 16)),
        ("an image with 100 functions of 2 branches", functions(100, 2)),
        ("an image with 8 functions of 16 cases", cases + "f8() { exec /app/server; }\nf0"),
        (
            "an image with functions that call themselves",
            "f() { if a; then f; else f; fi; g; }\ng() { f; g; }\nf\n".repeat(20),
        ),
        (
            "an image with 1,000 loops in loops",
            "while a; do ".repeat(1_000) + "exec /app/server;" + &" done;".repeat(1_000),
        ),
        ("an image with a chain of 20,000 commands", "a || b && ".repeat(10_000) + "exec /app/server"),
        (
            "an image whose script starts itself",
            "if a; then exec \"$0\" \"$@\"; fi\n".repeat(500) + "exec \"$0\" x \"$@\"",
        ),
        ("an image with 3,000 documents in a script", "cat <<E\n$(f)\nE\n".repeat(3_000) + "exec /app/server"),
    ]
}

/// Returns functions of which each calls the next in each of its branches: the number of ways through them is exponential.
fn functions(count: usize, branches: usize) -> String {
    let mut text = String::new();
    for index in 0..count {
        let next = format!("f{}", index + 1);
        let more = format!("elif b; then {next}; ").repeat(branches.saturating_sub(2));
        text.push_str(&format!("f{index}() {{ if a; then {next}; {more}else {next}; fi; }}\n"));
    }
    text.push_str(&format!("f{count}() {{ exec /app/server; }}\nf0\n"));
    text
}
