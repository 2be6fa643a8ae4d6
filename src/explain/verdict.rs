//! The page about a verdict of `muslin probe`: the documentation in its own file.

use super::page::Page;
use crate::verdicts::Diagnosis;

/// Starts the page, to which more can be added.
pub(super) fn page(diagnosis: &Diagnosis) -> Page {
    let mut page = Page::titled(format_args!("`{}`", diagnosis.slug));
    page.paragraph(diagnosis.documentation().trim_end());
    page
}
