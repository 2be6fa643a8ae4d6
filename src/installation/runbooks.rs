//! The addresses of the pages about alerts, in the annotation `runbook_url`.

use serde_json::Value;

use super::conditional::Conditional;
use super::namespace::for_each;

/// The folder in the manifests, in whose place an address comes.
pub(super) const FOLDER: &str = "docs";

/// The variable of muslin's container with the address of that folder.
pub(super) const VARIABLE: &str = "MUSLIN_DOCS_URL";

/// Puts an address of the folder `docs` in place of its name.
pub(super) fn link(objects: &mut [Value], address: &str) {
    let path = ["spec", "groups", "*", "rules", "*", "annotations", "runbook_url"].map(str::to_owned);
    for object in objects.iter_mut().filter(|object| Conditional::inner(object)["kind"] == "PrometheusRule") {
        for_each(object, &path, &mut |text| {
            if let Some(page) = text.strip_prefix(FOLDER) {
                *text = format!("{address}{page}");
            }
        });
    }
}
