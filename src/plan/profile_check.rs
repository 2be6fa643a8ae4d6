//! Checks on the options and rules that a profile names. Must not know the resource that a profile is written as.

use crate::policy::closest;
use crate::resolver::{known_option, known_options, takes_number};
use crate::rules::RULES;

/// Returns what is wrong with an option of a profile, for any pod.
pub fn option_fault(text: &str) -> Option<String> {
    let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
    if !known_option(name) {
        let meant =
            closest(name, known_options()).map(|option| format!("; did you mean {option}?")).unwrap_or_default();
        return Some(format!("no resolver knows `{text}`{meant}"));
    }
    let is_number = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    match (takes_number(name), number) {
        (true, _) if !is_number => Some(format!("`{text}` needs a number, such as {name}:5")),
        (false, Some(_)) => Some(format!("`{name}` is a switch and takes no number")),
        _ => None,
    }
}

/// Returns what is wrong with the name of a rule, if there is no such rule.
pub fn unknown_rule(name: &str) -> Option<String> {
    if RULES.iter().any(|rule| rule.slug == name) {
        return None;
    }
    let meant = closest(name, RULES.iter().map(|rule| rule.slug));
    let meant = meant.map(|rule| format!("; did you mean {rule}?")).unwrap_or_default();
    Some(format!("there is no rule `{name}`{meant}"))
}
