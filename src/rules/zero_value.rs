//! What the rules on `attempts:0` and `timeout:0` share: an option whose number, read alone, stops a resolver.

use std::collections::HashMap;

use super::rule::Findings;
use super::rule_input::{RuleInput, option_path, shown};
use crate::resolver::{Fate, Resolver, Settings};

/// An option that must not be zero.
pub(super) struct Zero {
    /// Its name.
    pub(super) option: &'static str,
    /// How to mend it.
    pub(super) help: &'static str,
}

/// Fires for each container on the first place in the pod that gives the option the number zero, and on its
/// environment.
pub(super) fn check(zero: &Zero, input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let mut first: HashMap<Resolver, Option<(String, String)>> = HashMap::new();
    for container in input.containers {
        let resolver = container.resolver();
        let fatal = first.entry(resolver).or_insert_with(|| {
            let outcome = |(index, text): &(usize, &str)| Some((option_path(*index), zero.outcome(resolver, text)?));
            input.authored_options().iter().find_map(outcome)
        });
        let own = container.env_options().find_map(|text| Some((container.env_path(), zero.outcome(resolver, text)?)));
        for (path, message) in fatal.clone().into_iter().chain(own) {
            findings.container(container, path, message, zero.help);
        }
    }
}

// === impl Zero ===

impl Zero {
    /// What a resolver makes of the text, if that is the end of all lookups. The option is tried alone, because the
    /// kubelet writes options in random order: any of them may be the one that counts.
    fn outcome(&self, resolver: Resolver, text: &str) -> Option<String> {
        if !text.contains(self.option) {
            return None;
        }
        let outcome = match Settings::read(resolver, &[text])?.fate() {
            Fate::Works => return None,
            Fate::Crashes => "crash (SIGFPE) at the first lookup",
            Fate::NeverWaits => "fail every lookup without waiting for an answer",
            Fate::NeverSends => "fail every lookup without sending a query",
        };
        Some(format!("{} makes {resolver} {outcome}", shown(text)))
    }
}
