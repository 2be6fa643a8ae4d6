//! Strategic merge patches, as `kubectl kustomize` applies them: maps are merged, lists with a merge key are merged by it, others are
//! replaced (Kubernetes, "Update API Objects in Place Using kubectl patch").

use serde_json::{Map, Value};

/// The merge keys of the lists in muslin's patches, by the name of the list (`patchMergeKey` in the API's types).
const MERGE_KEYS: [(&str, &str); 5] =
    [("containers", "name"), ("env", "name"), ("volumeMounts", "mountPath"), ("volumes", "name"), ("webhooks", "name")];

/// Merges a patch into a value. The recursion is as deep as muslin's own manifests.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let (Value::Object(target), Value::Object(patch)) = (&mut *target, patch) else {
        *target = patch.clone();
        return;
    };
    for (name, patch) in patch {
        if patch.is_null() {
            target.shift_remove(name);
            continue;
        }
        let key = MERGE_KEYS.iter().find(|(list, _)| list == name).map(|(_, key)| *key);
        match (target.get_mut(name), patch, key) {
            (Some(Value::Array(items)), Value::Array(patches), Some(key)) => merge_lists(items, patches, key),
            (Some(value), ..) => merge(value, patch),
            (None, ..) => {
                target.insert(name.clone(), without_nulls(patch));
            }
        }
    }
}

/// Merges items with the same key. Patched and new ones come first, as kustomize has them.
fn merge_lists(items: &mut Vec<Value>, patches: &[Value], key: &str) {
    let mut first = Vec::new();
    for patch in patches {
        match items.iter().position(|item| item[key] == patch[key]) {
            Some(index) => {
                let mut item = items.remove(index);
                merge(&mut item, patch);
                first.push(item);
            }
            None => first.push(without_nulls(patch)),
        }
    }
    items.splice(..0, first);
}

/// Returns what a patch adds: `null` removes a field that is not there.
fn without_nulls(patch: &Value) -> Value {
    let mut added = Value::Object(Map::new());
    if patch.is_object() {
        merge(&mut added, patch);
        return added;
    }
    patch.clone()
}
