//! The generated parts of `docs/contract.md` that no floor below knows: commands, exit codes, JSON outputs, custom resources, the keys of
//! muslin.toml, the metrics, and the supported releases of Kubernetes. Must not know what is promised about them.

use std::collections::BTreeSet;

use clap::Command;
use kube::CustomResourceExt as _;
use serde_json::Value;

use super::man::EXIT_STATUS;
use super::schema::SCHEMAS;
use crate::cluster::{DNSObservation, ImageFingerprint, ResolverProfile};
use crate::doctor::TESTED_KUBERNETES;
use crate::explain::GeneratedPart;
use crate::policy::Config;

const PAGE: &str = "contract.md";

/// Returns the parts. `metrics` is the page `docs/metrics.md`, which a test on a real API server compares with the metrics that exist.
pub(super) fn parts(metrics: &str, arguments: &Command) -> Vec<GeneratedPart> {
    let part = |name, text: String| GeneratedPart::new(PAGE, name, text);
    vec![
        part("the commands", commands(arguments)),
        part("the environment variables", variables(arguments)),
        part("the exit codes", exit_codes()),
        part("the JSON outputs", outputs()),
        part("the custom resources", resources()),
        part("the keys of muslin.toml", code_list(Config::KEYS)),
        part("the metrics", metric_names(metrics)),
        part("the releases of Kubernetes", kubernetes()),
    ]
}

fn commands(arguments: &Command) -> String {
    let shown = arguments.get_subcommands().filter(|command| !command.is_hide_set());
    code_list(shown.map(|command| command.get_name()))
}

/// Returns the variables in whose place an option stands, by name.
fn variables(arguments: &Command) -> String {
    let shown = arguments.get_subcommands().filter(|command| !command.is_hide_set());
    let variables: BTreeSet<String> = shown
        .flat_map(|command| command.get_arguments().filter(|argument| !argument.is_hide_set()))
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    code_list(variables.iter().map(String::as_str))
}

fn exit_codes() -> String {
    let rows = EXIT_STATUS.iter().map(|(code, meaning)| format!("| {code} | {meaning} |\n"));
    format!("| code | meaning |\n| --- | --- |\n{}", rows.collect::<String>())
}

fn outputs() -> String {
    let mut table = "| schema | describes | `schemaVersion` |\n| --- | --- | --- |\n".to_owned();
    for schema in &SCHEMAS {
        let version = version_of(&schema.value()).map_or_else(|| "none".to_owned(), |version| version.to_string());
        table.push_str(&format!("| [{0}](schemas/{0}.json) | {1} | {version} |\n", schema.name, schema.of));
    }
    table
}

/// Returns the version of a document, wherever its schema has it.
fn version_of(schema: &Value) -> Option<u64> {
    let own = schema.pointer("/properties/schemaVersion/const").and_then(Value::as_u64);
    own.or_else(|| match schema {
        Value::Object(fields) => fields.values().find_map(version_of),
        Value::Array(items) => items.iter().find_map(version_of),
        _ => None,
    })
}

fn resources() -> String {
    let definitions = [ResolverProfile::crd(), ImageFingerprint::crd(), DNSObservation::crd()];
    let rows = definitions.iter().flat_map(|definition| {
        let row = |version: &str| {
            format!(
                "| `{}` | `{}` | `{}/{version}` |\n",
                definition.spec.names.kind, definition.spec.names.plural, definition.spec.group
            )
        };
        definition.spec.versions.iter().map(|version| row(&version.name)).collect::<Vec<_>>()
    });
    format!("| kind | resource | API version |\n| --- | --- | --- |\n{}", rows.collect::<String>())
}

/// Returns the names of the metrics in the first column of the page's table.
fn metric_names(page: &str) -> String {
    code_list(page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()))
}

fn kubernetes() -> String {
    let [oldest, newest] = TESTED_KUBERNETES;
    format!("Kubernetes 1.{oldest} to 1.{newest}.")
}

fn code_list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Arguments;
    use crate::cli::outcome::Failure;

    #[test]
    fn every_end_of_a_command_has_a_code_of_the_list() {
        let ends = [
            Failure::Findings,
            Failure::Found("x".into()),
            Failure::Input(anyhow!("x")),
            Failure::Usage(anyhow!("x"), "y"),
            Failure::Outside(anyhow!("x")),
        ];
        let listed: BTreeSet<String> = EXIT_STATUS.iter().map(|(code, _)| (*code).to_owned()).collect();
        let mut used = BTreeSet::from(["0".to_owned()]);
        for end in ends {
            let code = format!("{:?}", end.code());
            used.extend(listed.iter().filter(|listed| code.contains(&format!("({listed})"))).cloned());
        }
        assert_eq!(used, listed);
    }

    #[test]
    fn each_json_output_names_its_version() {
        let without: Vec<_> = SCHEMAS.iter().filter(|schema| version_of(&schema.value()).is_none()).collect();
        assert!(matches!(without[..], [schema] if schema.name == "muslin.toml"));
    }

    #[test]
    fn lists_what_exists() {
        let arguments = Arguments::command();
        let found =
            [commands(&arguments), variables(&arguments), resources(), metric_names("| `a_total` | | x |\n| b | |\n")];
        for (text, word) in found.iter().zip(["`doctor`", "`MUSLIN_DOCS_URL`", "`muslin.dev/v1alpha1`", "`a_total`"]) {
            assert!(text.contains(word), "no {word} in {text}");
        }
        assert!(!commands(&arguments).contains("`docs`"), "a hidden command");
    }
}
