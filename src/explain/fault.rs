//! The page about a fault that `muslin probe` tells: what its own file says of it.

use super::page::Page;
use crate::verdicts::Fault;

/// The page, to which more can be added.
pub(super) fn page(fault: &Fault) -> Page {
    let mut page = Page::titled(format_args!("`{}`", fault.slug));
    page.paragraph(fault.documentation().trim_end());
    page
}
