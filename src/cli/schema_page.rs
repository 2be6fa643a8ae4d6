//! The page `docs/schemas/README.md`: every schema as tables of fields, for people. Must not know what the fields mean.

use serde_json::Value;

use super::schema::NamedSchema;

/// Returns the page about these schemas, in Markdown.
pub(super) fn page(schemas: &[NamedSchema]) -> String {
    let mut page = String::from(
        "# JSON Schemas\n\nJSON Schemas (2020-12) of `muslin.toml` and of every JSON output, made from muslin's types by `cargo run -- docs .`. \
         `muslin schema NAME` prints the same. [contract.md](../contract.md) says what stays stable.\n\n| schema | describes |\n|---|---|\n",
    );
    for schema in schemas {
        page.push_str(&format!("| [{0}]({0}.json) | {1} |\n", schema.name, schema.of));
    }
    for schema in schemas {
        let value = schema.value();
        page.push_str(&format!("\n## {}\n\n{}, {}.\n", schema.name, capital(schema.of), form_of(&value)));
        let root = value.get("items").unwrap_or(&value);
        push_fields(&mut page, target(root, &value));
        for (name, definition) in value.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            if definition.get("properties").is_some() && reference(root) != Some(name) {
                page.push_str(&format!("\n### {}: {name}\n", schema.name));
                push_fields(&mut page, definition);
            }
        }
    }
    page
}

fn capital(text: &str) -> String {
    match text.strip_prefix("the ") {
        Some(rest) => format!("The {rest}"),
        None => text.to_owned(),
    }
}

fn form_of(schema: &Value) -> &'static str {
    if schema.get("items").is_some() { "an array of objects" } else { "one object" }
}

/// Returns the name of the definition that a schema refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// Returns the schema, or the definition that it refers to.
fn target<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    reference(schema).and_then(|name| root.get("$defs")?.get(name)).unwrap_or(schema)
}

fn push_fields(page: &mut String, schema: &Value) {
    page.push_str("\n| field | type | meaning |\n|---|---|---|\n");
    for (field, about) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let meaning = about.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        let meaning = if about.get("const").is_some() { "the version of this schema".to_owned() } else { meaning };
        page.push_str(&format!("| `{field}` | {} | {} |\n", type_of(about), meaning.replace('|', "\\|")));
    }
}

/// Returns the type of a field in a few words.
fn type_of(schema: &Value) -> String {
    let alternatives = |key: &str| {
        let alternatives = schema.get(key)?.as_array()?.iter().map(type_of).filter(|name| !name.is_empty());
        Some(alternatives.collect::<Vec<_>>().join(" or "))
    };
    if let Some(name) = reference(schema) {
        return name.to_owned();
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(alternatives) = alternatives("anyOf").or_else(|| alternatives("oneOf")) {
        return alternatives;
    }
    let names = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        Some(Value::String(name)) => name.clone(),
        _ => String::new(),
    };
    match schema.get("items") {
        Some(items) if names.starts_with("array") => format!("{} of {}", names, type_of(items)),
        _ => names,
    }
}
