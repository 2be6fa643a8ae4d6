//! The files from which documents of a stream were rendered, as Helm and kustomize name them in what they write. Must not know what the
//! stream is checked for.

use std::path::{Component, Path, PathBuf};

use crate::manifest::{Document, Node};

use super::files::Source;

/// A text whose documents may name the files from which they were rendered.
#[derive(Clone, Copy)]
pub(super) struct Rendered<'s> {
    text: &'s str,
    /// Is true for a stream. The documents of a file are in this file, whatever was rendered to it.
    is_stream: bool,
    /// The folder that was rendered, if it is known.
    root: Option<&'s Path>,
}

/// The annotation that kustomize writes with `buildMetadata: [originAnnotations]` (sigs.k8s.io/kustomize/kyaml
/// `resid`, api/internal/utils/annotations.go).
const ORIGIN: &str = "config.kubernetes.io/origin";

/// The comment that Helm writes above each document (helm/helm pkg/action/action.go, `renderResources`).
const SOURCE: &str = "# Source: ";

// === impl Rendered ===

impl<'s> Rendered<'s> {
    /// Returns the text of a source.
    pub(super) fn new(source: &'s Source, text: &'s str) -> Self {
        let root = source.stdin_filename.as_deref().filter(|_| source.is_stdin());
        Self { text, is_stream: source.is_stream(), root }
    }

    /// Returns the file from which an object was rendered: by its annotation, or by the comment of its document.
    pub(super) fn file_of(&self, document: &Document<'_>, object: Option<Node<'_>>) -> Option<String> {
        if !self.is_stream {
            return None;
        }
        let start = document.file_span(0..0).start;
        let origin = object.and_then(|object| kustomize_origin(object, self.root));
        origin.or_else(|| helm_template(self.text.get(start..)?, self.root))
    }
}

/// Returns the template that Helm rendered to a document, from the document's text: `CHART/templates/FILE`. `chart` is the chart's
/// folder, if it is known.
fn helm_template(document: &str, chart: Option<&Path>) -> Option<String> {
    let comments = document.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with(['#', '-']));
    let source = comments.filter_map(|line| line.strip_prefix(SOURCE)).next()?.trim();
    let path = Path::new(source);
    match (chart, path.iter().next()) {
        // The path begins with the chart's name, which may not be that of its folder.
        (Some(chart), Some(name)) => Some(shown(chart.join(path.strip_prefix(name).ok()?))),
        _ if source.is_empty() => None,
        _ => Some(source.to_owned()),
    }
}

/// Returns the file from which kustomize read an object. `root` is the folder of the kustomization, if it is known; the file is relative
/// to it. Files of other repositories have no name here.
fn kustomize_origin(object: Node<'_>, root: Option<&Path>) -> Option<String> {
    let origin = object.get("metadata")?.get("annotations")?.get(ORIGIN)?.as_text()?;
    let field = |name: &str| {
        let value = origin.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?.trim();
        Some(value.trim_matches(['"', '\''])).filter(|value| !value.is_empty())
    };
    if field("repo").is_some() {
        return None;
    }
    let path = Path::new(field("path")?);
    match root {
        Some(root) => Some(shown(root.join(path))),
        None => Some(shown(path.to_owned())),
    }
}

/// Returns a path without `.`, and without `..` where a folder stands before it.
fn shown(path: PathBuf) -> String {
    let mut short = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(short.components().next_back(), Some(Component::Normal(_))) => {
                short.pop();
            }
            other => short.push(other),
        }
    }
    short.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Stream;

    #[test]
    fn helm_names_the_template_of_each_document() {
        let document = "---\n# Source: web/charts/redis/templates/a b.yaml\napiVersion: v1\n";
        assert_eq!(helm_template(document, None).as_deref(), Some("web/charts/redis/templates/a b.yaml"));
        let chart = Some(Path::new("./deploy/frontend"));
        assert_eq!(helm_template(document, chart).as_deref(), Some("deploy/frontend/charts/redis/templates/a b.yaml"));
        for document in ["apiVersion: v1\n# Source: web/templates/a.yaml\n", "# Source:\n", "# source of truth\n", ""] {
            assert_eq!(helm_template(document, None), None, "{document}");
        }
    }

    #[test]
    fn kustomize_names_the_file_of_each_object() {
        let origin = |text: &str, root: Option<&str>| {
            let text = format!("metadata:\n  annotations:\n    config.kubernetes.io/origin: |\n      {text}\n");
            let root = root.map(Path::new);
            kustomize_origin(Stream::new(&text).documents[0].parse().unwrap().root(), root)
        };
        assert_eq!(origin("path: ../../base/a.yaml", None).as_deref(), Some("../../base/a.yaml"));
        assert_eq!(origin("path: ../../base/a.yaml", Some("x/overlays/prod")).as_deref(), Some("x/base/a.yaml"));
        assert_eq!(origin("path: a.yaml", Some("./overlays/prod/")).as_deref(), Some("overlays/prod/a.yaml"));
        assert_eq!(origin("path: a.yaml\n      ref: v1\n      repo: https://example.com/x", None), None);
        assert_eq!(origin("configuredIn: kustomization.yaml", None), None);
    }
}
