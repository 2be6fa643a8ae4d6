//! Strategic merge patches, as `kubectl kustomize` applies them: maps are merged, lists with a merge key are merged by it, others are
//! replaced (Kubernetes, "Update API Objects in Place Using kubectl patch").

use serde_json::{Map, Value};

use super::conditional::Conditional;

/// The merge keys of the lists in muslin's patches, by the name of the list (`patchMergeKey` in the API's types).
const MERGE_KEYS: [(&str, &str); 5] =
    [("containers", "name"), ("env", "name"), ("volumeMounts", "mountPath"), ("volumes", "name"), ("webhooks", "name")];

/// Merges a patch into a value; with a condition, only where it holds in a chart. The recursion is as deep as muslin's own manifests.
pub(super) fn merge(target: &mut Value, patch: &Value, condition: Option<&str>) {
    let (Value::Object(fields), Value::Object(patch)) = (&mut *target, patch) else {
        if *target != *patch {
            *target = Conditional::choice(condition, patch.clone(), target.take());
        }
        return;
    };
    for (name, patch) in patch {
        let key = MERGE_KEYS.iter().find(|(list, _)| list == name).map(|(_, key)| *key);
        match (fields.get_mut(name), patch, key) {
            (_, Value::Null, _) => Conditional::remove(fields, name, condition),
            (Some(Value::Array(items)), Value::Array(patches), Some(key)) => {
                merge_lists(items, patches, key, condition)
            }
            (Some(value), ..) => merge(value, patch, condition),
            (None, Value::Array(patches), Some(key)) => {
                let mut items = Vec::new();
                merge_lists(&mut items, patches, key, condition);
                fields.insert(name.clone(), Value::Array(items));
            }
            (None, ..) => Conditional::insert(fields, name, without_nulls(patch), condition),
        }
    }
}

/// Merges items with the same key. Patched and new ones come first, as kustomize has them.
fn merge_lists(items: &mut Vec<Value>, patches: &[Value], key: &str, condition: Option<&str>) {
    let mut first = Vec::new();
    for patch in patches {
        let name = patch.get(key);
        let is_same = |item: &Value| name.is_some() && Conditional::inner(item).get(key) == name;
        match (items.iter().position(is_same), condition) {
            // The one or the other, as both have conditions.
            (Some(index), Some(condition)) if Conditional::of(&items[index]).is_some() => {
                items[index] = Conditional::and_not(items[index].take(), condition);
                first.push(Conditional::item(without_nulls(patch), Some(condition)));
            }
            (Some(index), _) => {
                let mut item = items.remove(index);
                merge(&mut item, patch, condition);
                first.push(item);
            }
            (None, _) => first.push(Conditional::item(without_nulls(patch), condition)),
        }
    }
    items.splice(..0, first);
}

/// Returns what a patch adds: `null` removes a field that is not there.
fn without_nulls(patch: &Value) -> Value {
    if !patch.is_object() {
        return patch.clone();
    }
    let mut added = Value::Object(Map::new());
    merge(&mut added, patch, None);
    added
}
