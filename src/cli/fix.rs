//! The changes that `muslin check --fix` writes back: what the webhook would set in `dnsConfig`. A manifest needs no annotations
//! about these changes, because its readers see the options themselves.

use json_patch::{Patch, PatchOperation};

use crate::manifest::{Document, Stream, objects};
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
    for object in &objects(&root) {
        let Some(template) = object.template else { continue };
        let source = PodSource { document, root: &root, object, template };
        let Ok(plan) = planner.plan(source) else { continue };
        let count = plan.findings.iter().filter(|planned| planned.fixed).count();
        let patch = spec_changes(plan.patch);
        if count > 0 && !patch.is_empty() {
            findings += count;
            patches.push((source.pod_pointer(), patch));
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

/// Returns the operations of a patch that change the pod's `spec`.
fn spec_changes(patch: Patch) -> Patch {
    let is_spec_change =
        |operation: &PatchOperation| operation.path().first().is_some_and(|token| token.decoded() == "spec");
    Patch(patch.0.into_iter().filter(is_spec_change).collect())
}
