//! The page about a fault that `muslin probe` tells: what its own file says of it.

use super::page::Page;
use crate::verdicts::Diagnosis;

/// The page, to which more can be added.
pub(super) fn page(diagnosis: &Diagnosis) -> Page {
    let mut page = Page::titled(format_args!("`{}`", diagnosis.slug));
    page.paragraph(diagnosis.documentation().trim_end());
    page
}
