//! The committed JSON Schemas, against which tests hold the real outputs of muslin. A test is stricter than the schemas, which allow
//! fields that a later release adds: each field of an output must be in its schema.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

/// Fails unless the document has the form of the schema `docs/schemas/NAME.json`, with no field that the schema lacks.
pub(crate) fn ensure_valid(name: &str, document: &Value) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas").join(format!("{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut schema: Value = serde_json::from_str(&text)?;
    forbid_unknown_fields(&mut schema);
    let validator = jsonschema::validator_for(&schema).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    let faults: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    ensure!(faults.is_empty(), "not as docs/schemas/{name}.json: {faults:#?}\n{document:#}");
    Ok(())
}

/// Fails unless the document has the form of SARIF 2.1.0.
pub(crate) fn ensure_sarif(document: &Value) -> Result<()> {
    let schema: Value = serde_json::from_str(include_str!("../data/sarif/sarif-2.1.0.json"))?;
    let validator = jsonschema::draft7::new(&schema).map_err(|error| anyhow::anyhow!("{error}"))?;
    let faults: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    ensure!(faults.is_empty(), "not SARIF: {faults:#?}\n{document:#}");
    Ok(())
}

/// Forbids unknown fields in each object of a schema. Alternatives within one object add to its fields, and stay as they are.
fn forbid_unknown_fields(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    if object.contains_key("properties") && !object.contains_key("additionalProperties") {
        object.insert("unevaluatedProperties".to_owned(), json!(false));
    }
    for key in ["$defs", "properties"] {
        object
            .get_mut(key)
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(Map::values_mut)
            .for_each(forbid_unknown_fields);
    }
    for key in ["items", "additionalProperties"] {
        object.get_mut(key).into_iter().for_each(forbid_unknown_fields);
    }
}
