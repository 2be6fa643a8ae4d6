//! The templates of the Helm chart, from the same files as `muslin install`: each component's patches become conditions on the chart's
//! values. `tests/cluster/chart.rs` compares what Helm makes of them with what `muslin install` prints.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::conditional::{Conditional, MARK, grouped};
use super::{Component, ManifestError, Platform, kustomization, namespace, runbooks};

/// A file of the chart's folder `templates`.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// The file's name.
    pub file: String,
    /// The content.
    pub text: String,
}

/// The components in the order in which `muslin install` adds them, with the conditions on the chart's values.
const COMPONENTS: [(Component, &str); 19] = [
    (Component::HighAvailability, r#"or .Values.highAvailability (eq .Values.mode "enforce")"#),
    (Component::EnforceEverywhereButSystem, r#"eq .Values.mode "enforce""#),
    (Component::ImageInspection, "or .Values.imageInspection .Values.privateRegistries .Values.pullSecrets"),
    (Component::PrivateRegistries, ".Values.privateRegistries"),
    (Component::PullSecrets, ".Values.pullSecrets"),
    (Component::Policies, ".Values.policies"),
    (Component::Reports, ".Values.reports"),
    (Component::OwnCertificate, "or .Values.ownCertificate .Values.certManager"),
    (Component::CertManager, ".Values.certManager"),
    (Component::NetworkPolicy, ".Values.networkPolicy"),
    (Component::Platform(Platform::Gke), r#"eq .Values.platform "gke""#),
    (Component::Platform(Platform::Eks), r#"eq .Values.platform "eks""#),
    (Component::Platform(Platform::Aks), r#"eq .Values.platform "aks""#),
    (Component::Platform(Platform::OpenShift), r#"eq .Values.platform "openshift""#),
    (Component::HostNetwork, ".Values.hostNetwork"),
    (Component::WatchRights, ".Values.watch"),
    (Component::WatchNodes, r#"eq .Values.watch "nodes""#),
    (Component::WatchZones, r#"eq .Values.watch "zones""#),
    (Component::WatchNodeFiles, ".Values.watchNodeFiles"),
];

/// Returns the templates.
pub fn templates() -> Result<Vec<Template>, ManifestError> {
    let mut objects = kustomization::build("base")?;
    for (component, condition) in COMPONENTS {
        kustomization::add_component(&mut objects, &component.folder(), Some(condition))?;
    }
    // Helm makes the namespace.
    objects.retain(|object| object["kind"] != "Namespace");
    for object in kustomization::build("monitoring")? {
        objects.push(Conditional::item(object, Some(".Values.monitoring")));
    }
    kustomization::set_image(&mut objects, &expression("include \"muslin.image\" ."));
    kustomization::patch(&mut objects, &variables_patch(), None)?;
    objects.iter_mut().for_each(keep_definition);
    runbooks::link(&mut objects, &expression(&docs_url()));
    namespace::rename(&mut objects, &expression(".Release.Namespace"));
    let mut templates: Vec<Template> = Vec::new();
    for object in &objects {
        let (condition, object) = match Conditional::of(object) {
            Some(conditional) => (Some(conditional.condition), conditional.value),
            None => (None, object),
        };
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut text = String::new();
        if let Some(condition) = condition {
            writeln!(text, "{{{{- if {condition} }}}}").ok();
        }
        write_fields(&mut text, object.as_object().unwrap_or(&Map::new()), 0);
        if condition.is_some() {
            text.push_str("{{- end }}\n");
        }
        templates.push(Template { file: format!("{kind}-{name}.yaml"), text: joined(&text) });
    }
    Ok(templates)
}

/// Returns a text that is a template expression.
fn expression(text: &str) -> String {
    format!("{MARK}{text}{MARK}")
}

/// Returns the address of the folder `docs`, or the folder's name if the values have none.
fn docs_url() -> String {
    format!(r#".Values.env.{} | default "{}" | trimSuffix "/""#, runbooks::VARIABLE, runbooks::FOLDER)
}

/// Returns a patch with the variables that the chart's values set.
fn variables_patch() -> Value {
    let mode = Conditional::item(
        json!({"name": "MUSLIN_DEFAULT_MODE", "value": expression(".Values.mode")}),
        Some(r#"not (has .Values.mode (list "inject" "enforce"))"#),
    );
    let others = Conditional::item(
        json!({"name": expression("$name"), "value": expression("$value")}),
        Some("range $name, $value := .Values.env"),
    );
    super::deployment_patch(&[mode, others])
}

/// Keeps a custom resource definition, and with it the administrators' profiles, when Helm uninstalls the chart.
fn keep_definition(object: &mut Value) {
    if object["kind"] == "CustomResourceDefinition" {
        object["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
    }
}

fn write_fields(text: &mut String, fields: &Map<String, Value>, indent: usize) {
    // An item of a list begins with a field that is always there.
    let is_always_there = |value: &Value| Conditional::of(value).is_none() && condition_of_all(value).is_none();
    let (first, rest): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| is_always_there(value));
    for (name, value) in first.into_iter().chain(rest) {
        write_choice(text, name, value, indent);
    }
}

/// Writes a field, or its alternatives.
fn write_choice(text: &mut String, name: &str, value: &Value, indent: usize) {
    let Some(Conditional { condition, value, otherwise }) = Conditional::of(value) else {
        write_field(text, name, value, indent);
        return;
    };
    write_action(text, condition);
    write_field(text, name, value, indent);
    if let Some(otherwise) = otherwise {
        text.push_str("{{- else }}\n");
        write_choice(text, name, otherwise, indent);
    }
    text.push_str("{{- end }}\n");
}

fn write_field(text: &mut String, name: &str, value: &Value, indent: usize) {
    let condition = condition_of_all(value);
    if let Some(condition) = &condition {
        write_action(text, condition);
    }
    let spaces = " ".repeat(indent);
    let name = scalar(name);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            writeln!(text, "{spaces}{name}:").ok();
            write_fields(text, fields, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            writeln!(text, "{spaces}{name}:").ok();
            items.iter().for_each(|item| write_item(text, item, indent + 2));
        }
        Value::String(content) if content.ends_with('\n') && !content.contains(MARK) => {
            writeln!(text, "{spaces}{name}: |").ok();
            for line in escaped(content).lines() {
                writeln!(text, "{spaces}  {line}").ok();
            }
        }
        Value::String(content) => {
            writeln!(text, "{spaces}{name}: {}", scalar(content)).ok();
        }
        other => {
            writeln!(text, "{spaces}{name}: {other}").ok();
        }
    }
    if condition.is_some() {
        text.push_str("{{- end }}\n");
    }
}

fn write_item(text: &mut String, item: &Value, indent: usize) {
    if let Some(Conditional { condition, value, .. }) = Conditional::of(item) {
        write_action(text, condition);
        write_item(text, value, indent);
        text.push_str("{{- end }}\n");
        return;
    }
    let spaces = " ".repeat(indent);
    match item {
        Value::Object(fields) if !fields.is_empty() => {
            let mut lines = String::new();
            write_fields(&mut lines, fields, indent + 2);
            writeln!(text, "{spaces}- {}", lines.trim_start().trim_end()).ok();
        }
        Value::String(content) => {
            writeln!(text, "{spaces}- {}", scalar(content)).ok();
        }
        other => {
            writeln!(text, "{spaces}- {other}").ok();
        }
    }
}

fn write_action(text: &mut String, condition: &str) {
    let keyword = if condition.starts_with("range ") { "" } else { "if " };
    writeln!(text, "{{{{- {keyword}{condition} }}}}").ok();
}

/// Returns the text of a template without the end of a block before the same block.
fn joined(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut open = Vec::new();
    let mut closed = None;
    for line in text.lines() {
        let last = closed.take();
        if line.starts_with("{{- if ") && last == Some(line) {
            lines.pop();
            open.push(line);
            continue;
        }
        if line.starts_with("{{- if ") || line.starts_with("{{- range ") {
            open.push(line);
        } else if line == "{{- else }}" {
            // The same condition again would be in the other branch.
            open.pop();
            open.push(line);
        } else if line == "{{- end }}" {
            closed = open.pop();
        }
        lines.push(line);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Returns the condition of a list without an item that is always there.
fn condition_of_all(value: &Value) -> Option<String> {
    let items = value.as_array()?;
    let mut conditions: Vec<&str> =
        items.iter().map(|item| Conditional::of(item).map(|item| item.condition)).collect::<Option<_>>()?;
    conditions.dedup();
    match conditions.as_slice() {
        [] => None,
        [condition] => Some((*condition).to_owned()),
        several => Some(format!("or {}", several.iter().map(|one| grouped(one)).collect::<Vec<_>>().join(" "))),
    }
}

/// Returns a text as YAML, quoted unless kubectl reads the plain text as the same text.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf", "~"];
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._/-".contains(letter))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    // Every second part is an expression. One without more is quoted by Helm, which knows the value.
    if let Some(expression) = text.strip_prefix(MARK).and_then(|text| text.strip_suffix(MARK)) {
        return format!("{{{{ {expression} | quote }}}}");
    }
    let parts = text.split(MARK).enumerate();
    let parts =
        parts.map(|(index, part)| if index % 2 == 1 { format!("{{{{ {part} }}}}") } else { escaped(&quoted(part)) });
    format!("\"{}\"", parts.collect::<String>())
}

/// Returns a text as it stands between the quotes of a JSON string.
fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// Returns a text of which Helm evaluates nothing.
fn escaped(text: &str) -> String {
    text.replace("{{", r#"{{ "{{" }}"#)
}
