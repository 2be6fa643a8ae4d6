//! What the rules on `attempts:0` and `timeout:0` share: an option whose number, read alone, stops a resolver.

use super::subject::option_path;
use super::{Container, Findings, Subject};
use crate::resolver::{Fate, Settings};

/// An option that must not be zero.
pub(super) struct Zero {
    /// Its name.
    pub(super) option: &'static str,
    /// How to mend it.
    pub(super) help: &'static str,
}

/// Fires once for each container and each place that gives the option the number zero.
pub(super) fn check(zero: &Zero, subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let authored: Vec<_> = subject.authored_options().filter(|(_, text)| zero.is_in(text)).collect();
    for container in subject.containers {
        for (index, text) in &authored {
            zero.report(container, text, option_path(*index), findings);
        }
        for text in container.env_options().filter(|text| zero.is_in(text)) {
            zero.report(container, text, format!("{}/env", container.path), findings);
        }
    }
}

// === impl Zero ===

impl Zero {
    /// Whether the option is in this text at all; what a resolver makes of it is asked of the resolver.
    fn is_in(&self, text: &str) -> bool {
        text.contains(self.option)
    }

    /// The option is tried alone, because the kubelet writes options in random order: any of them may be the one that counts.
    fn report(&self, container: &Container<'_>, text: &str, path: String, findings: &mut Findings<'_>) {
        let resolver = container.resolver();
        let outcome = match Settings::read(resolver, &[text]).map(|settings| settings.fate()) {
            None | Some(Fate::Works) => return,
            Some(Fate::Crashes) => format!("{text} makes {resolver} crash (SIGFPE) at the first lookup"),
            Some(Fate::NeverWaits) => {
                format!("{text} makes {resolver} fail every lookup without waiting for an answer")
            }
            Some(Fate::NeverSends) => format!("{text} makes {resolver} fail every lookup without sending a query"),
        };
        findings.container(container, path, outcome, self.help);
    }
}
