//! The rights of muslin's service account.

use crate::doctor::check::{APPLY, Check};
use crate::doctor::observed::Observed;

/// The most missing rights that the check names.
const NAMED_MAX: usize = 5;

pub(super) fn rights(observed: &Observed) -> Check {
    const NAME: &str = "rights";
    let mut missing = Vec::new();
    for (right, is_allowed) in &observed.rights {
        match is_allowed {
            Ok(true) => {}
            Ok(false) => missing.push(right.to_string()),
            Err(unseen) => return unseen.check(NAME, "the rights of muslin's service account"),
        }
    }
    if observed.rights.is_empty() {
        return Check::unknown(NAME, "no right was asked for", APPLY);
    }
    if missing.is_empty() {
        return Check::ok(NAME, format!("muslin has all {} rights of its manifests", observed.rights.len()));
    }
    let more = missing.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    missing.truncate(NAMED_MAX);
    Check::wrong(
        NAME,
        format!("muslin's service account may not {}{more}", missing.join(", ")),
        "apply the roles and bindings again: muslin install with the options that you installed with, piped to kubectl apply -f -",
    )
}
