//! Checks on the options and rules that a profile names. Must not know the resource that a profile is written as.

use crate::policy::did_you_mean;
use crate::resolver::{known_option, known_options, takes_number};
use crate::rules::{RULES, Rule};

/// Returns what is wrong with an option of a profile, for any pod.
pub fn option_fault(text: &str) -> Option<String> {
    let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
    if !known_option(name) {
        return Some(format!("no resolver knows `{text}`{}", meant(name, known_options())));
    }
    let is_number = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    match (takes_number(name), number) {
        (true, _) if !is_number => Some(format!("`{text}` needs a number, such as {name}:5")),
        (false, Some(_)) => Some(format!("`{name}` is a switch and takes no number")),
        _ => None,
    }
}

/// Returns what is wrong with the name of a rule: there is no such rule.
pub fn unknown_rule(name: &str) -> Option<String> {
    let is_unknown = Rule::named(name).is_none();
    is_unknown.then(|| format!("there is no rule `{name}`{}", meant(name, RULES.iter().map(|rule| rule.slug))))
}

fn meant<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    did_you_mean(word, known).map(|question| format!("; {question}")).unwrap_or_default()
}
