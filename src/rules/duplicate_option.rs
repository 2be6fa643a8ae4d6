//! One option is given twice, and not every resolver takes the same one.
//!
//! ## Why it matters
//! The kubelet merges options by name, and keeps the last of several (kubernetes `pkg/kubelet/network/dns/dns.go`): the others
//! have no effect. Where one is hidden in a name (`{name: "ndots:2"}`) both reach resolv.conf in random order: musl takes the
//! first, glibc and Go the last (measured), so two containers of one pod, or two pods of one Deployment, can differ.
//!
//! ## How to mend it
//! Keep one.

use super::subject::option_path;
use super::{Findings, Rule, Subject};
use crate::policy::Level;

pub(super) static RULE: Rule =
    Rule { slug: "duplicate-option", level: Level::Warn, source: include_str!("duplicate_option.rs"), check };

fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    replaced_by_a_later_one(subject, findings);
    twice_on_the_line(subject, findings);
}

/// Options that the kubelet drops, because a later one has their name.
fn replaced_by_a_later_one(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let options = &subject.dns.options;
    for (index, option) in options.iter().enumerate() {
        let Some(last) = options[index + 1..].iter().rfind(|later| later.name == option.name) else { continue };
        let (dropped, kept) = (option.text(), last.text());
        let message = if dropped == kept {
            format!("`{kept}` is given twice")
        } else {
            format!("`{}` is given twice: `{dropped}` has no effect, the kubelet keeps `{kept}`", option.name)
        };
        let level = if dropped == kept { Level::Info } else { Level::Warn };
        findings.pod(option_path(index), message, "keep one of them").level(level);
    }
}

/// Options that differ in name for the kubelet and are one for every resolver.
fn twice_on_the_line(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (index, text) in subject.authored_options() {
        let Some((name, _)) = text.split_once(':') else { continue };
        // Only the one that hides its value in its name is reported, or each pair would be twice.
        if subject.dns.options[index].name == name {
            continue;
        }
        let other = subject.conf.options.iter().find(|other| {
            **other != text && other.split_once(':').is_some_and(|(other_name, _)| other_name == name)
        });
        if let Some(other) = other {
            findings.pod(
                option_path(index),
                format!("`{text}` and `{other}` both reach resolv.conf: musl takes the first, glibc and Go the last"),
                format!("keep one, written as name: {name} with its value apart"),
            );
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
        assert_eq!(
            findings[0].message,
            "`ndots` is given twice: `ndots:2` has no effect, the kubelet keeps `ndots:1`"
        );
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
