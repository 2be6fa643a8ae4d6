//! Kustomizations, as far as muslin's manifests use them. A field that is not here is an error, so that the manifests cannot use what
//! `muslin install` does not know.

use json_patch::{AddOperation, Patch, PatchOperation, ReplaceOperation};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::conditional::Conditional;
use super::files::{self, FILES};
use super::strategic_merge::merge;

/// A file of the manifests that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("muslin's own manifest {path}: {message}")]
pub struct ManifestError {
    path: String,
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kustomization {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    components: Vec<String>,
    #[serde(default)]
    config_map_generator: Vec<ConfigMap>,
    #[serde(default)]
    patches: Vec<PatchEntry>,
    #[serde(default)]
    labels: Vec<Labels>,
    #[serde(default)]
    namespace: Option<String>,
    /// `set_image` sets the image.
    #[serde(default, rename = "images")]
    _images: Vec<Value>,
    /// `namespace::rename` knows these places.
    #[serde(default, rename = "configurations")]
    _configurations: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigMap {
    name: String,
    files: Vec<String>,
    options: ConfigMapOptions,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigMapOptions {
    #[serde(rename = "disableNameSuffixHash")]
    _has_plain_name: bool,
    labels: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchEntry {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    patch: Option<String>,
    #[serde(default)]
    target: Option<Target>,
}

/// The objects that a JSON patch changes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Labels {
    include_templates: bool,
    pairs: Map<String, Value>,
}

// === impl Target ===

impl Target {
    fn is_for(&self, object: &Value) -> bool {
        let group = object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map(|(group, _)| group);
        object["metadata"]["name"] == self.name.as_str()
            && self.kind.as_ref().is_none_or(|kind| object["kind"] == kind.as_str())
            && (self.group.is_none() || self.group.as_deref() == group)
    }
}

/// Returns the objects of a folder with a kustomization.
pub(super) fn build(folder: &str) -> Result<Vec<Value>, ManifestError> {
    let mut objects = Vec::new();
    let kustomization = add(&mut objects, folder, None)?;
    if let Some(namespace) = kustomization.namespace {
        for object in &mut objects {
            object["metadata"]["namespace"] = json!(namespace);
        }
    }
    for Labels { include_templates, pairs } in kustomization.labels {
        for object in &mut objects {
            set_labels(&mut object["metadata"], &pairs);
            if include_templates && let Some(metadata) = object.pointer_mut("/spec/template/metadata") {
                set_labels(metadata, &pairs);
            }
        }
    }
    Ok(objects)
}

/// Adds the resources of a component, and changes the objects that are there; with a condition, only where it holds in a chart.
pub(super) fn add_component(
    objects: &mut Vec<Value>,
    folder: &str,
    condition: Option<&str>,
) -> Result<(), ManifestError> {
    add(objects, folder, condition).map(drop)
}

/// Adds the resources of a component without its changes.
pub(super) fn add_resources(objects: &mut Vec<Value>, folder: &str) -> Result<(), ManifestError> {
    for resource in read::<Kustomization>(&format!("{folder}/kustomization.yaml"))?.resources {
        objects.append(&mut documents(&files::join(folder, &resource))?);
    }
    Ok(())
}

fn add(objects: &mut Vec<Value>, folder: &str, condition: Option<&str>) -> Result<Kustomization, ManifestError> {
    let path = format!("{folder}/kustomization.yaml");
    let kustomization: Kustomization = read(&path)?;
    for resource in &kustomization.resources {
        let resource = files::join(folder, resource);
        let added = if files::is_file(&resource) { documents(&resource)? } else { build(&resource)? };
        objects.extend(added.into_iter().map(|object| Conditional::item(object, condition)));
    }
    for map in &kustomization.config_map_generator {
        objects.push(config_map(folder, map)?);
    }
    // In a chart, the condition of a component also has those that need it.
    for component in kustomization.components.iter().filter(|_| condition.is_none()) {
        add_component(objects, &files::join(folder, component), None)?;
    }
    for entry in &kustomization.patches {
        apply(objects, folder, entry, condition).map_err(|error| ManifestError { path: path.clone(), ..error })?;
    }
    Ok(kustomization)
}

fn apply(
    objects: &mut Vec<Value>,
    folder: &str,
    entry: &PatchEntry,
    condition: Option<&str>,
) -> Result<(), ManifestError> {
    let text = match (&entry.path, &entry.patch) {
        (Some(path), None) => text(&files::join(folder, path))?,
        (None, Some(patch)) => patch,
        _ => return Err(error(folder, "a patch is either `path` or `patch`")),
    };
    let Some(target) = &entry.target else {
        return patch(objects, &parse(folder, text)?, condition);
    };
    let operations: Patch = serde_json::from_value(parse(folder, text)?).map_err(|cause| error(folder, cause))?;
    let mut targets = objects.iter_mut().filter(|object| target.is_for(object)).peekable();
    if targets.peek().is_none() {
        return Err(error(folder, format_args!("no object is called {}", target.name)));
    }
    targets.try_for_each(|object| change(object, &operations, condition).map_err(|cause| error(folder, cause)))
}

/// Applies a JSON patch; with a condition, only where it holds in a chart.
fn change(object: &mut Value, operations: &Patch, condition: Option<&str>) -> Result<(), String> {
    let Some(condition) = condition else {
        return json_patch::patch(object, operations).map_err(|error| error.to_string());
    };
    for operation in &operations.0 {
        let (path, value) = match operation {
            PatchOperation::Add(AddOperation { path, value }) => (path, value),
            PatchOperation::Replace(ReplaceOperation { path, value }) => (path, value),
            other => return Err(format!("a chart cannot have the operation {other}")),
        };
        if let Some(field) = object.pointer_mut(path.as_str()) {
            *field = Conditional::choice(Some(condition), value.clone(), field.take());
            continue;
        }
        let (parent, name) = path.as_str().rsplit_once('/').unwrap_or_default();
        let fields = object.pointer_mut(parent).and_then(Value::as_object_mut);
        let fields = fields.ok_or_else(|| format!("there is no {parent}"))?;
        Conditional::insert(fields, name, value.clone(), Some(condition));
    }
    Ok(())
}

/// Applies a strategic merge patch to the object that it names; with a condition, only where it holds in a chart.
pub(super) fn patch(objects: &mut Vec<Value>, patch: &Value, condition: Option<&str>) -> Result<(), ManifestError> {
    let is_named = |object: &Value| {
        let object = Conditional::inner(object);
        object["kind"] == patch["kind"] && object["metadata"]["name"] == patch["metadata"]["name"]
    };
    let index = objects
        .iter()
        .position(is_named)
        .ok_or_else(|| error("patch", format_args!("there is no {} {}", patch["kind"], patch["metadata"]["name"])))?;
    match (patch["$patch"] == "delete", condition) {
        (true, None) => drop(objects.remove(index)),
        (true, Some(condition)) => objects[index] = Conditional::and_not(objects[index].take(), condition),
        (false, condition) => merge(Conditional::inner_mut(&mut objects[index]), patch, condition),
    }
    Ok(())
}

/// Sets the image of muslin's containers.
pub(super) fn set_image(objects: &mut [Value], image: &str) {
    for object in objects {
        let object = Conditional::inner_mut(object);
        let Some(Value::Array(containers)) = object.pointer_mut("/spec/template/spec/containers") else { continue };
        for container in containers {
            container["image"] = json!(image);
        }
    }
}

fn config_map(folder: &str, map: &ConfigMap) -> Result<Value, ManifestError> {
    let mut data = Map::new();
    for file in &map.files {
        data.insert(file.clone(), json!(text(&files::join(folder, file))?));
    }
    Ok(json!({
        "apiVersion": "v1",
        "data": data,
        "kind": "ConfigMap",
        "metadata": {"labels": map.options.labels, "name": map.name},
    }))
}

fn set_labels(metadata: &mut Value, pairs: &Map<String, Value>) {
    for (label, value) in pairs {
        metadata["labels"][label] = value.clone();
    }
}

fn documents(path: &str) -> Result<Vec<Value>, ManifestError> {
    text(path)?.split("\n---\n").map(|document| parse(path, document)).collect()
}

fn read<T: for<'de> Deserialize<'de>>(path: &str) -> Result<T, ManifestError> {
    parse(path, text(path)?)
}

fn parse<T: for<'de> Deserialize<'de>>(path: &str, text: &str) -> Result<T, ManifestError> {
    // kubectl reads 0440 as an octal number.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|cause| error(path, cause))
}

fn text(path: &str) -> Result<&'static str, ManifestError> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text).ok_or_else(|| error(path, "no such file"))
}

fn error(path: &str, message: impl ToString) -> ManifestError {
    ManifestError { path: path.to_owned(), message: message.to_string() }
}
