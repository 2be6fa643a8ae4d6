//! The mends that `muslin check --fix` writes back: what the webhook would set in `dnsConfig`, and nothing else. A manifest needs
//! no annotations of what was set, because everybody can read what it says.

use json_patch::{Patch, PatchOperation};

use crate::manifest::{Document, Stream, objects};

use super::examine::{Examiner, Holder};

/// What became of a text.
#[derive(Default)]
pub(super) struct Fixed {
    /// The text as it should be; `None` where nothing is to be changed.
    pub(super) text: Option<String>,
    /// How many findings that mends.
    pub(super) mended: usize,
    /// What could not be changed.
    pub(super) notes: Vec<String>,
}

/// Mends the findings of a text that can be mended without losing its layout.
pub(super) fn fixed(examiner: &Examiner, name: &str, text: &str) -> Fixed {
    let mut fixed = Fixed::default();
    let mut output = String::with_capacity(text.len());
    for document in Stream::new(text).documents {
        match document_fixed(examiner, name, &document, &mut fixed.mended, &mut fixed.notes) {
            Some(edited) => output.push_str(&edited),
            None => output.push_str(&document.text().to_string()),
        }
    }
    fixed.text = (output != text).then_some(output);
    fixed
}

/// The document as it should be; `None` where it stays as it is. What is wrong with one that cannot be read is said when it is
/// checked.
fn document_fixed(
    examiner: &Examiner,
    name: &str,
    document: &Document<'_>,
    all_mended: &mut usize,
    notes: &mut Vec<String>,
) -> Option<String> {
    let root = document.read().ok()?;
    let mut patches = Vec::new();
    let mut mended = 0;
    for object in &objects(&root) {
        let Some(template) = object.template else { continue };
        let holder = Holder { document, root: &root, object, template };
        let Ok(plan) = examiner.plan(holder) else { continue };
        let count = plan.findings.iter().filter(|planned| planned.fixed).count();
        let patch = of_the_spec(plan.patch);
        if count > 0 && !patch.is_empty() {
            mended += count;
            patches.push((holder.pod_pointer(), patch));
        }
    }
    if patches.is_empty() {
        return None;
    }
    let why_not = match document.edited(&root, &patches) {
        Ok(edited) if edited.layout_kept => {
            *all_mended += mended;
            return Some(edited.text);
        }
        Ok(_) => "it cannot be changed without losing its layout; `muslin inject` writes it anew".to_owned(),
        Err(error) => error.to_string(),
    };
    notes.push(format!("{name}:{}: the document is left as it is: {why_not}", document.line()));
    None
}

/// The part of a patch that changes what the pod is, and not what is said of it.
fn of_the_spec(patch: Patch) -> Patch {
    let is_of_the_spec =
        |operation: &PatchOperation| operation.path().first().is_some_and(|token| token.decoded() == "spec");
    Patch(patch.0.into_iter().filter(is_of_the_spec).collect())
}
