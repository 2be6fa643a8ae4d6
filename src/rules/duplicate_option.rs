//! One option is given twice, and not every resolver takes the same one.
//!
//! ## Why it matters
//! The kubelet merges options by name and keeps the last of several (kubernetes `pkg/kubelet/network/dns/dns.go`), so the others
//! have no effect. If one is hidden in a name (`{name: "ndots:2"}`), both reach resolv.conf in random order: musl takes the first,
//! glibc and Go the last (measured). Two containers of one pod, or two pods of one Deployment, can then differ.
//!
//! ## How to fix it
//! Keep one.

use std::collections::HashMap;

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, excerpt, option_name, option_path, short};
use crate::policy::Level;

pub(super) static RULE: Rule = Rule {
    slug: "duplicate-option",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: false,
    source: include_str!("duplicate_option.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    // The kubelet adds an option of its own; the pod's can only clash with it if it holds a colon in its name.
    if input.options().len() < 2 && input.dns.options.len() < 2 {
        return;
    }
    replaced_by_a_later_one(input, findings);
    twice_on_the_line(input, findings);
}

/// Reports options that the kubelet drops, because a later one has their name.
fn replaced_by_a_later_one(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let options = &input.dns.options;
    if input.authored_options().len() == options.len() {
        return; // every name is given once
    }
    let last: HashMap<&str, usize> = options.iter().enumerate().map(|(index, option)| (&*option.name, index)).collect();
    for (index, option) in options.iter().enumerate() {
        let Some(last) = last.get(&*option.name).copied().filter(|last| *last > index) else { continue };
        let (dropped, kept) = (option.text(), options[last].text());
        if dropped == kept {
            let message = || format!("`{}` is given twice", excerpt(&kept));
            let texts = || Texts { message: message(), change: once(&option.name), help: "keep one of them" };
            findings.at(Level::Info).pod(option_path(index), texts);
        } else {
            let (name, dropped, kept) = (excerpt(&option.name), excerpt(&dropped), excerpt(&kept));
            let message = || format!("`{name}` is given twice: `{dropped}` has no effect, the kubelet keeps `{kept}`");
            let texts = || Texts { message: message(), change: once(&option.name), help: "keep one of them" };
            findings.pod(option_path(index), texts);
        }
    }
}

/// Returns the change to one of several options.
fn once(name: &str) -> String {
    format!("give `{}` once", short(name))
}

/// Reports options that differ in name for the kubelet and are one for every resolver.
fn twice_on_the_line(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let hides_its_value = |index: usize, text: &str| text.contains(':') && input.dns.options[index].name.contains(':');
    if !input.authored_options().iter().any(|(index, text)| hides_its_value(*index, text)) {
        return;
    }
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut second: HashMap<&str, &str> = HashMap::new();
    for text in input.options().iter().copied().filter(|text| text.contains(':')) {
        let name = option_name(text);
        if *first.entry(name).or_insert(text) != text {
            second.entry(name).or_insert(text);
        }
    }
    for (index, text) in input.authored_options().iter().copied() {
        // Only the option that hides its value in its name is reported, or each pair would be reported twice.
        if !hides_its_value(index, text) {
            continue;
        }
        let name = option_name(text);
        let others = [first.get(name), second.get(name)];
        if let Some(other) = others.into_iter().flatten().find(|other| **other != text) {
            let change = once(name);
            let (text, other, name) = (excerpt(text), excerpt(other), excerpt(name));
            let message = || {
                format!("`{text}` and `{other}` both reach resolv.conf: musl takes the first, glibc and Go the last")
            };
            let help = || format!("keep one, written as name: {name} with its value apart");
            findings.pod(option_path(index), || Texts { message: message(), change, help: help() });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_on_two_values_for_one_name() {
        let pod = Case::pod("alpine:3.19").option("ndots", Some("2")).option("ndots", Some("1"));
        let findings = fires("duplicate-option", pod);
        assert_eq!(findings[0].message, "`ndots` is given twice: `ndots:2` has no effect, the kubelet keeps `ndots:1`");
        assert_eq!(findings[0].path, "/spec/dnsConfig/options/0");
    }

    #[test]
    fn fires_where_a_name_that_holds_a_value_stands_beside_the_clusters_own_ndots() {
        let findings = fires("duplicate-option", Case::pod("alpine:3.19").option("ndots:2", None));
        assert_eq!(
            findings[0].message,
            "`ndots:2` and `ndots:5` both reach resolv.conf: musl takes the first, glibc and Go the last"
        );
    }

    #[test]
    fn the_same_twice_is_only_advice() {
        let pod = Case::pod("debian:12").option("rotate", None).option("rotate", None);
        assert_eq!(fires("duplicate-option", pod)[0].level, Level::Info);
    }

    #[test]
    fn silent_where_an_option_replaces_the_clusters_own() {
        assert!(fires("duplicate-option", Case::pod("alpine:3.19").option("ndots", Some("2"))).is_empty());
    }
}
