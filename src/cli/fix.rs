//! The changes that `muslin check --fix` writes back: what the webhook would set in `dnsConfig`. A manifest needs no annotations
//! about these changes, because its readers see the options themselves.

use json_patch::{Patch, PatchOperation};

use crate::manifest::{Document, PodView, Stream, objects};
use crate::text::Line;

use super::manifest_pods::{ManifestPlanner, PodSource};

/// The result of fixing a file.
#[derive(Default)]
pub(super) struct FixedText {
    /// The new text; `None` if nothing changes.
    pub(super) text: Option<String>,
    /// Number of findings fixed.
    pub(super) findings: usize,
    /// Messages about documents that could not be changed.
    pub(super) notes: Vec<Line>,
}

/// Fixes the findings of a file that can be fixed without losing its layout.
pub(super) fn fix_text(planner: &ManifestPlanner, name: &str, text: &str) -> FixedText {
    let mut fixed = FixedText::default();
    let mut output = String::with_capacity(text.len());
    for document in Stream::new(text).documents {
        match fix_document(planner, name, &document, &mut fixed) {
            Some(edited) => output.push_str(&edited),
            None => output.push_str(&document.text().to_string()),
        }
    }
    fixed.text = (output != text).then_some(output);
    fixed
}

/// Returns the fixed document; `None` if it stays unchanged. Syntax errors are left to the check that follows.
fn fix_document(
    planner: &ManifestPlanner,
    name: &str,
    document: &Document<'_>,
    fixed: &mut FixedText,
) -> Option<String> {
    let root = document.parse().ok()?;
    let mut patches = Vec::new();
    let mut findings = 0;
    let objects = objects(&root);
    let pods = objects.iter().flat_map(|object| object.pods.iter().map(move |pod| (object, pod)));
    for (object, pod) in pods {
        let source = PodSource { document, root: &root, object, pod, outer: None };
        let Ok(plan) = planner.plan(source) else { continue };
        let count = plan.findings.iter().filter(|planned| planned.fixed).count();
        let patch = without_metadata(plan.patch, pod);
        if count > 0 && !patch.is_empty() {
            findings += count;
            patches.push((object.pointer.clone(), patch));
        }
    }
    if patches.is_empty() {
        return None;
    }
    let why_not = match document.apply_patches(&root, &patches) {
        Ok(edited) if edited.layout_kept => {
            fixed.findings += findings;
            return Some(edited.text);
        }
        Ok(_) => "a change would lose its layout; `muslin inject` rewrites it".to_owned(),
        Err(error) => error.to_string(),
    };
    let line = document.line();
    fixed.notes.push(Line::new(format!("{name}:{line}: did not change this document: {why_not}")));
    None
}

/// Returns the operations of a patch of an object that change no labels and annotations of the pod.
fn without_metadata(patch: Patch, pod: &PodView) -> Patch {
    let metadata = format!("{}/metadata", pod.at);
    let is_wanted = |operation: &PatchOperation| !operation.path().as_str().starts_with(&*metadata);
    Patch(patch.0.into_iter().filter(is_wanted).collect())
}
