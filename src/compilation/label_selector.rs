//! Label selectors as expressions, for decisions that a binding's selector cannot make. Must not know whose labels they are for.

use serde_json::Value;

use super::cel;

/// Returns an expression that is true if the labels of the object match a selector of the API.
pub(super) fn selects(selector: &Value) -> String {
    const LABELS: &str = "object.metadata.labels";
    let has = |key: &str| format!("has({LABELS}) && {key} in {LABELS}");
    let equal = |(key, value): (&String, &Value)| {
        let (key, value) = (cel::text(key), cel::text(value.as_str().unwrap_or_default()));
        format!("({} && {LABELS}[{key}] == {value})", has(&key))
    };
    let expression = |one: &Value| {
        let key = cel::text(one["key"].as_str().unwrap_or_default());
        let values = cel::texts(one["values"].as_array().into_iter().flatten().filter_map(Value::as_str));
        match one["operator"].as_str() {
            Some("In") => format!("({} && {LABELS}[{key}] in {values})", has(&key)),
            Some("NotIn") => format!("!({} && {LABELS}[{key}] in {values})", has(&key)),
            Some("Exists") => format!("({})", has(&key)),
            Some("DoesNotExist") => format!("!({})", has(&key)),
            // The API server accepts no other one.
            _ => "false".to_owned(),
        }
    };
    let equal = selector["matchLabels"].as_object().into_iter().flatten().map(equal);
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(expression);
    let all: Vec<String> = equal.chain(expressions).collect();
    if all.is_empty() { "true".to_owned() } else { all.join(" && ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operator_has_an_expression() {
        assert_eq!(selects(&json!({})), "true");
        let selector = json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["a", "b"] },
                { "key": "tier", "operator": "NotIn", "values": ["c"] },
                { "key": "x", "operator": "Exists" },
                { "key": "y", "operator": "DoesNotExist" },
            ],
        });
        let labels = "object.metadata.labels";
        let expected = [
            format!("(has({labels}) && 'app' in {labels} && {labels}['app'] == 'web')"),
            format!("(has({labels}) && 'tier' in {labels} && {labels}['tier'] in ['a', 'b'])"),
            format!("!(has({labels}) && 'tier' in {labels} && {labels}['tier'] in ['c'])"),
            format!("(has({labels}) && 'x' in {labels})"),
            format!("!(has({labels}) && 'y' in {labels})"),
        ];
        assert_eq!(selects(&selector), expected.join(" && "));
    }
}
