//! The page about an image reference: the resolver it suggests, the reason, and the findings on a pod.

use super::page::{Page, resolver_name};
use super::pod;
use crate::image::{Fingerprint, Reference, suggest};
use crate::resolver::{Family, known_options};

/// `text` is the reference as given.
pub(super) fn page(text: &str, reference: &Reference<'_>) -> String {
    let fingerprint = suggest(reference);
    let Fingerprint { resolver, evidence, reason, beside, .. } = &fingerprint;
    let mut page = Page::titled(format_args!("`{text}`"));
    page.paragraph(format_args!("The image `{reference}`, judged by its name alone; nothing was read from it."));
    let mut items = vec![format!("resolver: {} ({evidence})", resolver_name(*resolver)), format!("because: {reason}")];
    items.extend(reason.source().map(|source| format!("source: {source}")));
    items.extend(beside.as_ref().map(|second| format!("beside it: {}: {}", second.resolver, second.reason)));
    page.items(items);
    if resolver.family == Family::Unknown
        && let Some(option) = known_options().find(|option| strsim::damerau_levenshtein(option, reference.path()) == 1)
    {
        page.paragraph(format_args!("If the option `{option}` was meant: `muslin explain {option}`."));
    }
    page.heading("Findings on a pod with this image and no options of its own");
    let more = (resolver.family != Family::Unknown).then(|| resolver_name(*resolver));
    pod::findings(&mut page, text, fingerprint);
    if let Some(resolver) = more {
        page.paragraph(format_args!("More on this resolver: `muslin explain {resolver}`."));
    }
    page.into_text()
}
