//! The check that the rules on `attempts:0` and `timeout:0` share: an option whose number, read alone, stops a resolver.

use super::rule::{Findings, Texts};
use super::rule_input::{RuleInput, excerpt, option_path};
use crate::resolver::{Family, Resolver, Settings, Viability};

/// An option that must not be zero.
pub(super) struct ZeroOption {
    /// The option's name.
    pub(super) name: &'static str,
    /// The change.
    pub(super) change: &'static str,
    /// The advice.
    pub(super) help: &'static str,
}

/// The resolvers whose outcomes are named where no container is known.
const USUAL: [Family; 2] = [Family::Musl, Family::Glibc];

/// Reports, for each container, the first place in the pod that sets the option to zero, and the container's environment if that
/// does.
pub(super) fn check(zero: &ZeroOption, input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if input.containers.is_empty() {
        return check_settings(zero, input, findings);
    }
    let first_in_pod = |resolver| {
        let mut options = input.authored_options().iter();
        options.find_map(|(index, text)| Some((*index, *text, zero.outcome(resolver, text)?)))
    };
    for (container, in_pod) in input.judge(first_in_pod) {
        let resolver = container.resolver();
        let mut report = |path: String, text: &str, outcome: &str| {
            let message = || format!("{} makes {resolver} {outcome}", excerpt(text));
            findings.container(container, path, || Texts { message: message(), change: zero.change, help: zero.help });
        };
        if let Some((index, text, outcome)) = in_pod {
            report(option_path(index), text, outcome);
        }
        let in_env = container.env_options().find_map(|text| Some((text, zero.outcome(resolver, text)?)));
        if let Some((text, outcome)) = in_env {
            report(container.env_path(), text, outcome);
        }
    }
}

/// Reports the first option that is zero in settings whose containers are unknown.
fn check_settings(zero: &ZeroOption, input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let outcomes = |text: &str| -> Vec<String> {
        let usual = USUAL.into_iter().map(Family::unversioned);
        usual.filter_map(|resolver| Some(format!("{resolver} {}", zero.outcome(resolver, text)?))).collect()
    };
    let mut options = input.authored_options().iter().map(|(index, text)| (index, text, outcomes(text)));
    if let Some((index, text, outcomes)) = options.find(|(_, _, outcomes)| !outcomes.is_empty()) {
        let message = || format!("{} makes {}", excerpt(text), outcomes.join("; "));
        findings.pod(option_path(*index), || Texts { message: message(), change: zero.change, help: zero.help });
    }
}

// === impl ZeroOption ===

impl ZeroOption {
    /// Returns what the resolver does because of the text, if that ends all lookups. The text is read alone, because the kubelet
    /// writes options in random order, so any of them may be the one that counts.
    fn outcome(&self, resolver: Resolver, text: &str) -> Option<&'static str> {
        if !text.contains(self.name) {
            return None;
        }
        match Settings::read_options(resolver, &[text])?.viability() {
            Viability::Works => None,
            Viability::Crashes => Some("crash (SIGFPE), or on arm64 flood the nameserver"),
            Viability::NeverWaits => Some("fail every lookup without waiting for an answer"),
            Viability::NeverSends => Some("fail every lookup without sending a query"),
        }
    }
}
