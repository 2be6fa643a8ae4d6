//! An option in `dnsConfig` is written so that resolvers read something else than its author meant, or nothing.
//!
//! ## Why it matters
//! The API server only checks that an option's name is not empty (kubernetes `pkg/apis/core/validation/validation.go`).
//! `{name: "ndots:2"}` is then another option than `ndots`: the kubelet writes both `ndots:5` and `ndots:2`, in random order, and
//! musl takes the first while glibc and Go take the last (measured). Invalid or fractional numbers are truncated or dropped
//! (`timeout:1.5` becomes 1). White space splits an option in two, and a line break adds a line to resolv.conf.
//!
//! ## How to fix it
//! Write the name and the value apart: `{name: ndots, value: "2"}`. Use whole numbers for `ndots`, `timeout` and `attempts`, and no
//! value for a switch such as `single-request-reopen`.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, excerpt, option_path, short};
use crate::pod::DnsOption;
use crate::policy::Level;
use crate::resolver::{known_option, takes_number};

pub(super) static RULE: Rule = Rule {
    slug: "malformed-option",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: false,
    source: include_str!("malformed_option.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for (index, option) in input.dns.options.iter().enumerate() {
        if let Some(fault) = fault(option) {
            findings.pod(option_path(index), || fault);
        }
    }
}

/// Returns what is wrong with the way an option is written, and how to write it.
fn fault(option: &DnsOption) -> Option<Texts<String, String, String>> {
    let DnsOption { name, value } = option;
    let value = value.as_deref().filter(|value| !value.is_empty());
    if name.is_empty() {
        return Some(Texts {
            message: "an option has no name".to_owned(),
            change: "name the option, or remove it".to_owned(),
            help: "name it, or remove it".to_owned(),
        });
    }
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    if name.contains(is_blank) || value.is_some_and(|value| value.contains(is_blank)) {
        return Some(Texts {
            message: format!("`{}` holds white space, so resolvers read it as something else", excerpt(&option.text())),
            change: format!("remove the white space from `{}`", short(&option.text())),
            help: "write one option for each name, without spaces or line breaks".to_owned(),
        });
    }
    if let Some((real_name, real_value)) = name.split_once(':') {
        return Some(Texts {
            message: format!(
                "the option's name `{}` holds its value, so it stands beside other `{}` options",
                excerpt(name),
                excerpt(real_name)
            ),
            change: format!("write name: {}, value: \"{}\"", short(real_name), short(real_value)),
            help: format!("write it as name: {}, value: \"{}\"", excerpt(real_name), excerpt(real_value)),
        });
    }
    match (takes_number(name), value) {
        (true, None) => Some(Texts {
            message: format!("`{name}` has no number"),
            change: format!("give {name} a number"),
            help: format!("give it one: name: {name}, value: \"…\""),
        }),
        (true, Some(value)) if !value.bytes().all(|byte| byte.is_ascii_digit()) => Some(Texts {
            message: format!("`{}` is not a whole number: {}", excerpt(&option.text()), as_resolvers_read(value)),
            change: format!("give {name} a whole number"),
            help: format!("give {name} a whole number"),
        }),
        (false, Some(_)) if known_option(name) => Some(Texts {
            message: format!("`{name}` is a switch and takes no value: Go does not know `{}`", excerpt(&option.text())),
            change: format!("remove the value of {name}"),
            help: format!("write it as name: {name}, without a value"),
        }),
        _ => None,
    }
}

/// Returns how resolvers read a number that is not whole.
fn as_resolvers_read(value: &str) -> String {
    let digits = &value[..value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len())];
    match digits {
        "" => "resolvers ignore it or read 0".to_owned(),
        digits => format!("resolvers read {}", excerpt(digits)),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_where_the_name_holds_the_value() {
        let findings = fires("malformed-option", Case::pod("alpine:3.19").option("ndots:2", None));
        assert_eq!(
            findings[0].message,
            "the option's name `ndots:2` holds its value, so it stands beside other `ndots` options"
        );
        assert_eq!(findings[0].help, "write it as name: ndots, value: \"2\"");
    }

    #[test]
    fn fires_on_a_number_that_is_none() {
        for value in ["1.5", "five", "-1", "5s", " 5", ""] {
            let findings = fires("malformed-option", Case::pod("debian:12").option("timeout", Some(value)));
            assert_eq!(findings.len(), 1, "{value:?}");
        }
    }

    #[test]
    fn fires_on_a_switch_with_a_value_and_on_a_number_left_out() {
        let switch = Case::pod("debian:12").option("single-request-reopen", Some("true"));
        assert_eq!(fires("malformed-option", switch).len(), 1);
        assert_eq!(fires("malformed-option", Case::pod("debian:12").option("ndots", None)).len(), 1);
    }

    #[test]
    fn fires_on_a_line_break_that_would_add_a_line_to_the_file() {
        let pod = Case::pod("debian:12").option("ndots", Some("2\nnameserver 192.0.2.1"));
        assert_eq!(fires("malformed-option", pod).len(), 1);
    }

    #[test]
    fn silent_on_options_as_they_should_be() {
        let pod = Case::pod("alpine:3.19")
            .option("ndots", Some("2"))
            .option("timeout", Some("05"))
            .option("single-request-reopen", None)
            .option("edns0", Some(""));
        assert!(fires("malformed-option", pod).is_empty());
    }
}
