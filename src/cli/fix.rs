//! The changes that `muslin check --fix` writes back: what the webhook would set in `dnsConfig`. A manifest needs no annotations
//! about these changes, because its readers see the options themselves.

use json_patch::{Patch, PatchOperation};

use crate::manifest::{Document, Edit, EditError, Lines, PodView, Remark, RemarkKind, Stream, Tree, objects};
use crate::plan::Plan;
use crate::report::{Severity, Unread};
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
    let mut output = String::new();
    for document in Stream::new(text).documents {
        match fix_document(planner, name, &document, &mut fixed) {
            // A large file is often one document, which then is in memory once.
            Some(edited) if output.is_empty() => output = edited,
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
    let tree = document.parse().ok()?;
    let mut fix = Fix::new(&tree);
    for object in objects(tree.root()) {
        let object = &object;
        for pod in &object.pods {
            let source = PodSource { document, root: tree.root(), object, pod, outer: None };
            if let Ok(plan) = planner.plan(source) {
                fix.add(source, plan);
            }
        }
    }
    let Fix { edit, findings } = fix;
    if edit.is_empty() {
        return None;
    }
    let changes = edit.changes();
    drop(tree);
    match changes.and_then(|changes| document.changed(changes)) {
        Ok(text) => {
            fixed.findings += findings;
            Some(text)
        }
        Err(error) => {
            fixed.notes.push(not_changed(name, document, &error));
            None
        }
    }
}

/// The changes that `--fix` makes in one document. `check` makes them in memory to know whether to offer `--fix`.
pub(super) struct Fix<'d> {
    pub(super) edit: Edit<'d>,
    /// Number of findings that the changes fix.
    pub(super) findings: usize,
}

// === impl Fix ===

impl<'d> Fix<'d> {
    pub(super) fn new(tree: &'d Tree<'d>) -> Self {
        Self { edit: Edit::new(tree), findings: 0 }
    }

    /// Adds what the plan for a pod changes in its `spec`, if that fixes a finding.
    pub(super) fn add(&mut self, source: PodSource<'_>, plan: Plan) {
        let count = plan.findings.iter().filter(|planned| planned.fixed).count();
        let patch = without_metadata(plan.patch, source.pod);
        if count > 0 && !patch.is_empty() {
            self.findings += count;
            self.edit.add(&source.object.pointer, &patch);
        }
    }
}

/// Returns the message about a document that cannot be changed.
pub(super) fn not_changed(name: &str, document: &Document<'_>, error: &EditError) -> Line {
    Line::new(format!("{name}:{}: did not change this document: {error}", document.line()))
}

/// Returns messages about what kubectl reads otherwise than the document's author may expect.
pub(super) fn remarks(name: &str, lines: &Lines<'_>, document: &Document<'_>, tree: &Tree<'_>) -> Vec<Unread> {
    let unread = |Remark { span, kind }: &Remark| {
        let at = lines.position(document.file_span(span.clone()).start);
        let message = match kind {
            RemarkKind::RepeatedKey(key) => format!("the key `{key}` is repeated, and kubectl takes the last one"),
            RemarkKind::UnreadText => {
                "kubectl does not read what follows `...`; begin a document with `---`".to_owned()
            }
        };
        Unread { severity: Severity::Warning, file: name.to_owned(), at: Some(at), message, hint: None }
    };
    tree.remarks().iter().map(unread).collect()
}

/// Returns the operations of a patch of an object that change no labels and annotations of the pod.
fn without_metadata(patch: Patch, pod: &PodView) -> Patch {
    let metadata = format!("{}/metadata", pod.at);
    let is_wanted = |operation: &PatchOperation| !operation.path().as_str().starts_with(&*metadata);
    Patch(patch.0.into_iter().filter(is_wanted).collect())
}
