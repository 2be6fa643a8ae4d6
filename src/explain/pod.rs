//! The findings and the injected options of a pod with one container and no options of its own.

use serde_json::json;

use super::page::Page;
use crate::image::Fingerprint;
use crate::plan::{Context, plan};
use crate::pod::Pod;
use crate::policy::Profile;

/// Writes the findings on such a pod, and the options that the default profile injects.
pub(super) fn findings(page: &mut Page, image: &str, fingerprint: Fingerprint) {
    let json = json!({ "spec": { "containers": [{ "name": "app", "image": image }] } }).to_string();
    let profile = Profile::default();
    let context = Context::usual(&profile);
    let plan = serde_json::from_str::<Pod<'_>>(&json).ok().and_then(|pod| plan(&pod, vec![fingerprint], &context).ok());
    let Some(plan) = plan else { return };
    if plan.findings.is_empty() {
        page.paragraph("None.");
    } else {
        page.items(plan.findings.iter().map(|planned| {
            let finding = &planned.finding;
            let fixed = if planned.fixed { " (the `default` profile fixes it)" } else { "" };
            let help = &finding.help;
            format!("{}, `{}`: {}{fixed}. To fix it: {help}.", finding.level, finding.rule.slug, finding.message)
        }));
    }
    if plan.injected.options.is_empty() {
        page.paragraph("The `default` profile injects nothing into this pod.");
    } else {
        page.paragraph(format_args!("The `default` profile injects `{}` into this pod.", plan.injected));
    }
}
