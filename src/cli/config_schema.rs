//! The schema of `muslin.toml`, for editors and for `docs/configuration.md`. The file itself is read by `policy::Config`, whose answer
//! counts; a test compares the two.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::policy::{DomainFault, LevelOverride, Profile};
use crate::resolver::Family;
use crate::rules::{RULES, Rule};

/// The settings of `muslin check` and `muslin inject` for a repository: the nearest muslin.toml, from the working directory upwards.
#[derive(JsonSchema)]
#[schemars(rename = "muslin.toml", rename_all = "kebab-case", deny_unknown_fields, transform = optional_keys)]
#[expect(dead_code, reason = "the fields make the schema")]
pub(super) struct ConfigFile {
    /// The built-in profile whose options to inject; `default` if unset. `--profile` outranks this key.
    #[schemars(schema_with = "profile_name")]
    profile: Option<String>,
    /// The https address of muslin's folder docs, as developers reach it, for links to the page of each rule. `--docs-url` outranks this
    /// key.
    #[schemars(with = "String")]
    docs_url: Option<String>,
    /// Patterns of files that `check` skips in folders, as in .gitignore, from the folder of muslin.toml. Named files are read all the
    /// same.
    #[schemars(with = "Vec<String>", extend("default" = []))]
    exclude: Option<Vec<String>>,
    /// The level of each rule, in place of the rule's own.
    #[schemars(schema_with = "levels")]
    levels: Option<()>,
    /// The resolvers of images whose names do not show them, by the start of the image name. The longest start that matches counts.
    #[schemars(schema_with = "images")]
    images: Option<()>,
    /// Search domains of nodes that break lookups, and their answers to names that do not exist.
    #[schemars(schema_with = "broken_search_domains")]
    broken_search_domains: Option<()>,
}

/// Every key is optional, also those whose schema comes from a function.
fn optional_keys(schema: &mut Schema) {
    schema.remove("required");
}

fn profile_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Profile::NAMES, "default": "default" })
}

fn levels(_: &mut SchemaGenerator) -> Schema {
    let words = LevelOverride::ALL.map(LevelOverride::name);
    let of_rule = |rule: &&Rule| {
        let level = json!({ "description": rule.summary(), "enum": words, "default": rule.level.name() });
        (rule.slug.to_owned(), level)
    };
    let rules: Map<String, Value> = RULES.iter().map(of_rule).collect();
    json_schema!({ "type": "object", "properties": rules, "additionalProperties": false })
}

fn images(_: &mut SchemaGenerator) -> Schema {
    let pattern = format!(r"^\s*({})(\s+\d+(\.\d+)*[-+._~0-9A-Za-z]*)?\s*$", Family::NAMED.map(Family::name).join("|"));
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": r"^(?![/:@])[-A-Za-z0-9./:@_\[\]]+$", "not": { "pattern": "//" } },
        "additionalProperties": {
            "type": "string",
            "pattern": pattern,
            "examples": ["musl 1.2.5", "glibc", "go"],
        },
    })
}

fn broken_search_domains(_: &mut SchemaGenerator) -> Schema {
    // muslin takes each word in upper or lower case; editors offer it as it is listed.
    let in_any_case = |word: &str| -> String {
        word.chars().map(|letter| format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase())).collect()
    };
    let words = DomainFault::ALL.map(DomainFault::name);
    let pattern = format!("^({})$", words.map(in_any_case).join("|"));
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": r"^\S+$", "not": { "const": "." } },
        "additionalProperties": { "type": "string", "anyOf": [{ "enum": words }, { "pattern": pattern }] },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::Config;

    fn validator() -> jsonschema::Validator {
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<ConfigFile>();
        jsonschema::validator_for(schema.as_value()).unwrap()
    }

    fn is_read(document: &str) -> bool {
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.slug).collect();
        Config::parse(document, &rules).is_ok()
    }

    #[test]
    fn the_schema_has_the_keys_of_the_file() {
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<ConfigFile>();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap();
        let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mut read = Config::KEYS.to_vec();
        keys.sort_unstable();
        read.sort_unstable();
        assert_eq!(keys, read);
        assert!(properties.values().all(|key| key.get("description").is_some()), "{properties:?}");
    }

    /// Each key, its value as TOML, and the same as JSON.
    #[test]
    fn the_schema_takes_what_muslin_reads() {
        let validator = validator();
        for (key, toml, json) in [
            ("profile", r#""fast""#, json!("fast")),
            ("profile", r#""fats""#, json!("fats")),
            ("profile", "3", json!(3)),
            ("profil", r#""fast""#, json!("fast")),
            ("docs-url", r#""https://docs.example.com""#, json!("https://docs.example.com")),
            ("docs-url", "1", json!(1)),
            ("exclude", r#"["vendor/", "!a"]"#, json!(["vendor/", "!a"])),
            ("exclude", r#""vendor/""#, json!("vendor/")),
            ("exclude", "[1]", json!([1])),
            ("levels", r#"{ attempts-zero = "off" }"#, json!({ "attempts-zero": "off" })),
            ("levels", r#"{ attempts-zero = "Off" }"#, json!({ "attempts-zero": "Off" })),
            ("levels", r#"{ atempts-zero = "off" }"#, json!({ "atempts-zero": "off" })),
            ("levels", "[]", json!([])),
            (
                "images",
                r#"{ "registry.example.com/a" = "musl 1.2.5" }"#,
                json!({ "registry.example.com/a": "musl 1.2.5" }),
            ),
            ("images", r#"{ app = "glibc 2.36" }"#, json!({ "app": "glibc 2.36" })),
            ("images", r#"{ app = "go" }"#, json!({ "app": "go" })),
            ("images", r#"{ app = "musl x" }"#, json!({ "app": "musl x" })),
            ("images", r#"{ app = "gilbc" }"#, json!({ "app": "gilbc" })),
            ("images", r#"{ "a b" = "musl" }"#, json!({ "a b": "musl" })),
            ("images", r#"{ "" = "musl" }"#, json!({ "": "musl" })),
            ("images", r#"{ "/a" = "musl" }"#, json!({ "/a": "musl" })),
            ("images", r#"{ "https://a" = "musl" }"#, json!({ "https://a": "musl" })),
            ("broken-search-domains", r#"{ "a.b." = "nodata" }"#, json!({ "a.b.": "nodata" })),
            ("broken-search-domains", r#"{ "a.b" = "silence" }"#, json!({ "a.b": "silence" })),
            ("broken-search-domains", r#"{ "a.b" = "NXDOMAIN" }"#, json!({ "a.b": "NXDOMAIN" })),
            ("broken-search-domains", r#"{ "" = "NODATA" }"#, json!({ "": "NODATA" })),
            ("broken-search-domains", r#"{ "." = "NODATA" }"#, json!({ ".": "NODATA" })),
            ("broken-search-domains", r#"{ "a b" = "NODATA" }"#, json!({ "a b": "NODATA" })),
        ] {
            let is_valid = validator.is_valid(&json!({ key: json }));
            assert_eq!(is_valid, is_read(&format!("{key} = {toml}\n")), "{key} = {toml}");
        }
    }
}
