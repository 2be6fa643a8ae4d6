//! The webhook configurations: there, as in the manifests, and for the same namespaces.

use serde_json::Value;

use crate::compilation::WEBHOOK_CONDITION;
use crate::doctor::check::{APPLY, Check};
use crate::doctor::observed::{NamespaceLabels, Observed, Seen};
use crate::doctor::selector::{chooses, webhook};
use crate::doctor::shape::{array, difference, text};
use crate::policy::{MODE_LABEL, Mode, SELF_LABEL};

/// The kinds of the configurations, in the order of the observations.
const KINDS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// The fields of a webhook that must be as in the manifests. Selectors are judged by the namespaces that they choose.
const FIELDS: [&str; 6] =
    ["rules", "failurePolicy", "admissionReviewVersions", "matchConditions", "matchPolicy", "sideEffects"];

/// The most namespaces that the check names.
const NAMED_MAX: usize = 3;

/// The configurations that exist, each with that of the manifests, or the check that fails.
fn pairs<'o>(
    name: &'static str,
    observed: &'o Observed,
    expected: &'o [Value],
) -> Result<Vec<(&'o Value, &'o Value)>, Check> {
    let mut pairs = Vec::new();
    for (kind, found) in KINDS.into_iter().zip(&observed.configurations) {
        let found: &Seen<Option<Value>> = found;
        match found {
            Ok(Some(found)) => {
                let expected = expected.iter().find(|object| text(object, "/kind") == kind);
                pairs.extend(expected.map(|expected| (expected, found)));
            }
            Ok(None) => return Err(Check::wrong(name, format!("the {kind} muslin.dev is missing"), APPLY)),
            Err(unseen) => return Err(unseen.check(name, "webhook configurations")),
        }
    }
    Ok(pairs)
}

pub(super) fn webhooks(observed: &Observed, expected: &[Value]) -> Check {
    const NAME: &str = "webhooks";
    let pairs = match pairs(NAME, observed, expected) {
        Ok(pairs) => pairs,
        Err(check) => return check,
    };
    let mut count = 0;
    let mut warning = None;
    for (expected, found) in pairs {
        for expected in array(expected, "/webhooks") {
            let name = text(expected, "/name");
            let Some(found) = webhook(found, name) else {
                return Check::wrong(NAME, format!("the webhook {name} is missing"), APPLY);
            };
            count += 1;
            let (service, url) = (&expected["clientConfig"]["service"], text(found, "/clientConfig/url"));
            if !url.is_empty() {
                warning.get_or_insert_with(|| {
                    (format!("the webhook {name} calls {url} and not the Service muslin"), APPLY)
                });
            } else if let Some(place) = difference(service, &found["clientConfig"]["service"]) {
                let is = &found["clientConfig"]["service"];
                let message = format!("the webhook {name} calls {is}: {place} is not that of the manifests");
                return Check::wrong(NAME, message, APPLY);
            }
            let found = without_mark_condition(found);
            let changed = FIELDS
                .iter()
                .find_map(|field| difference(&expected[*field], &found[*field]).map(|place| format!("{field}{place}")));
            if let Some(field) = changed {
                warning.get_or_insert_with(|| {
                    (format!("{field} of the webhook {name} is not that of muslin {}", observed.own_version), APPLY)
                });
            }
        }
    }
    match warning {
        Some((message, fix)) => Check::warning(NAME, message, fix),
        None => Check::ok(NAME, format!("all {count} webhooks are as in the manifests")),
    }
}

/// Returns the JSON pointer of the condition that leaves pods with the mark of admission policies out, if a webhook has it.
pub(super) fn marks_left_out(observed: &Observed) -> Option<String> {
    let configuration = observed.configurations.first()?.as_ref().ok()?.as_ref()?;
    array(configuration, "/webhooks").iter().enumerate().find_map(|(index, webhook)| {
        let conditions = array(webhook, "/matchConditions");
        let place = conditions.iter().position(|condition| condition["name"] == WEBHOOK_CONDITION)?;
        Some(format!("/webhooks/{index}/matchConditions/{place}"))
    })
}

/// Returns a webhook without the condition that muslin itself sets, beside its admission policies.
fn without_mark_condition(webhook: &Value) -> Value {
    let mut webhook = webhook.clone();
    if let Some(conditions) = webhook.get_mut("matchConditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| condition["name"] != WEBHOOK_CONDITION);
    }
    webhook
}

pub(super) fn selectors(observed: &Observed, expected: &[Value]) -> Check {
    const NAME: &str = "selectors";
    let pairs = match pairs(NAME, observed, expected) {
        Ok(pairs) => pairs,
        Err(check) => return check,
    };
    let namespaces = match &observed.namespaces {
        Ok(namespaces) => namespaces,
        Err(unseen) => return unseen.check(NAME, "namespaces"),
    };
    for (expected, found) in pairs {
        for expected in array(expected, "/webhooks") {
            let name = text(expected, "/name");
            let found = webhook(found, name);
            if let Some(check) = found.and_then(|found| selector(NAME, expected, found, namespaces)) {
                return check;
            }
        }
    }
    if let Some(check) = labels(NAME, namespaces, &observed.namespace) {
        return check;
    }
    let reviewed = observed.configurations[0].as_ref().ok().and_then(Option::as_ref);
    let selector = reviewed.and_then(|configuration| webhook(configuration, "pods.muslin.dev"));
    let selector = selector.map_or(&Value::Null, |webhook| &webhook["namespaceSelector"]);
    let reviewed = namespaces.iter().filter(|namespace| chooses(selector, &namespace.labels)).count();
    Check::ok(NAME, format!("muslin reviews the pods of {reviewed} of {} namespaces", namespaces.len()))
}

/// Returns the check of namespaces with a label that does not mean what its author wanted.
fn labels(name: &'static str, namespaces: &[NamespaceLabels], own: &str) -> Option<Check> {
    let with = |is_wrong: &dyn Fn(&NamespaceLabels) -> bool| -> Vec<&str> {
        namespaces.iter().filter(|namespace| is_wrong(namespace)).map(|namespace| namespace.name.as_str()).collect()
    };
    let no_mode = with(&|namespace| namespace.labels.get(MODE_LABEL).is_some_and(|mode| mode.parse::<Mode>().is_err()));
    if !no_mode.is_empty() {
        let message = format!("the label {MODE_LABEL} of {} is no mode, so muslin only warns there", named(&no_mode));
        let modes = Mode::ALL.map(Mode::name).join(", ");
        return Some(Check::warning(name, message, format!("set it to one of {modes}")));
    }
    let others = with(&|namespace| {
        namespace.name != own && namespace.labels.get(SELF_LABEL).is_some_and(|value| value == "true")
    });
    if !others.is_empty() {
        let message = format!("muslin skips {}: the label {SELF_LABEL} is for its own namespace", named(&others));
        let fix = format!("remove the label; to skip a namespace, label it {MODE_LABEL}=off");
        return Some(Check::warning(name, message, fix));
    }
    None
}

/// Returns the check of a webhook whose selectors choose other namespaces or objects than those of the manifests.
fn selector(name: &'static str, expected: &Value, found: &Value, namespaces: &[NamespaceLabels]) -> Option<Check> {
    let hook = text(expected, "/name");
    let objects = &found["objectSelector"];
    if objects.as_object().is_some_and(|objects| !objects.is_empty()) && expected.get("objectSelector").is_none() {
        let message = format!("the webhook {hook} has the objectSelector {objects}, and the manifests have none");
        return Some(Check::warning(name, message, "remove the objectSelector, unless you chose it"));
    }
    let chosen = |webhook: &Value| -> Vec<&str> {
        let selector = &webhook["namespaceSelector"];
        let chosen = namespaces.iter().filter(|namespace| chooses(selector, &namespace.labels));
        chosen.map(|namespace| namespace.name.as_str()).collect()
    };
    let (wanted, is) = (chosen(expected), chosen(found));
    if is.is_empty() && !wanted.is_empty() {
        let message = format!("the namespaceSelector of the webhook {hook} matches no namespace");
        return Some(Check::wrong(name, message, APPLY));
    }
    let missing: Vec<&str> = wanted.iter().filter(|namespace| !is.contains(namespace)).copied().collect();
    if !missing.is_empty() {
        let message = format!("the namespaceSelector of the webhook {hook} leaves out {}", named(&missing));
        let fix = "label such a namespace muslin.dev/mode=off instead, and apply the manifests again, or install with --platform aks on AKS, \
                   whose admissions enforcer changes selectors";
        return Some(Check::warning(name, message, fix));
    }
    let extra: Vec<&str> = is.iter().filter(|namespace| !wanted.contains(namespace)).copied().collect();
    if !extra.is_empty() {
        let message = format!("the namespaceSelector of the webhook {hook} includes {}", named(&extra));
        return Some(Check::warning(name, message, APPLY));
    }
    None
}

/// Returns a few names of a list, and the number of the others.
fn named(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names[..names.len().min(NAMED_MAX)].join(", "))
}
