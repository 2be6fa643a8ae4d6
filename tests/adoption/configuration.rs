//! The page on `muslin.toml`: its examples are files that muslin reads and that the schema takes, and every key has its section.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::common::schemas::ensure_valid;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn page() -> String {
    fs::read_to_string(Path::new(REPOSITORY).join("docs/configuration.md")).unwrap()
}

/// Returns the examples in TOML of a text.
fn examples(text: &str) -> Vec<&str> {
    text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => object(table),
        other => panic!("no value of muslin.toml is of the type {}", other.type_str()),
    }
}

fn object(table: &DeTable<'_>) -> Value {
    Value::Object(table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect())
}

/// Returns what `muslin check` says of a folder with this configuration and no manifest, and its exit code.
fn check(config: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("muslin.toml"), config).unwrap();
    fs::write(folder.path().join("service.yaml"), "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    let output = command.args(["check", "."]).current_dir(folder.path()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn every_example_is_read_and_fits_the_schema() {
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let page = page();
    let found: Vec<&str> = examples(&page).into_iter().chain(examples(&readme)).collect();
    assert!(found.len() >= 8, "{found:?}");
    for example in found {
        let (code, errors) = check(example);
        assert_eq!(code, Some(0), "{example}{errors}");
        ensure_valid("muslin.toml", &object(DeTable::parse(example).unwrap().get_ref())).unwrap();
    }
}

#[test]
fn every_key_has_a_section_with_its_default_and_an_example() {
    let schema = fs::read_to_string(Path::new(REPOSITORY).join("docs/schemas/muslin.toml.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let page = page();
    for key in schema["properties"].as_object().unwrap().keys() {
        let section = page.split("\n## ").find(|section| section.starts_with(&format!("{key}\n")));
        let section = section.unwrap_or_else(|| panic!("docs/configuration.md has no section `## {key}`"));
        assert!(section.contains("\nDefault: "), "{key}: name the default");
        let has_example = examples(section).iter().any(|example| {
            let example = DeTable::parse(example).unwrap();
            example.get_ref().iter().any(|(named, _)| named.get_ref() == key)
        });
        assert!(has_example, "{key}: show an example");
        for word in words(&schema["properties"][key]) {
            assert!(
                section.contains(&format!("`{word}`")) || section.contains(&format!("`\"{word}\"`")),
                "{key}: {word}"
            );
        }
    }
}

/// Returns the words that a key, or each entry of a table, can have.
fn words(schema: &Value) -> Vec<&str> {
    let of_entries = schema["additionalProperties"]["anyOf"][0]["enum"].as_array();
    let of_rules = schema["properties"].as_object().and_then(|rules| rules.values().next()?["enum"].as_array());
    let words = schema["enum"].as_array().or(of_entries).or(of_rules);
    words.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_error_on_the_page_is_muslins() {
    let shown = page().split("```\n").nth(1).unwrap().to_owned();
    let (code, errors) = check("profile = \"fats\"\n");
    assert_eq!(
        (code, errors.contains(shown.trim().strip_prefix("error: muslin.toml").unwrap())),
        (Some(2), true),
        "{errors}"
    );
}
