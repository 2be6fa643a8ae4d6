//! References to environment variables in the command and the environment of a container, `$(NAME)`, replaced as the kubelet does before
//! the container starts (kubernetes `third_party/forked/golang/expansion/expand.go`, `pkg/kubelet/kubelet_pods.go`
//! `makeEnvironmentVariables`). Must not know which program is started.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::env_entry::Variable;
use crate::budget::{Work, charge, charge_text};

/// The longest text that references may make, in bytes: more than any command that is followed.
const EXPANDED_MAX_BYTES: usize = 256 << 10;

/// The most bytes of all values of a container. A value may refer to others, so a few bytes of a pod can stand for many.
const VALUES_MAX_BYTES: usize = 1 << 20;

/// The variables of a container, with references in their values replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// The values by name; `None` is a value that only the cluster knows, or that has no room.
    values: HashMap<String, Option<String>>,
    /// The bytes of all values.
    bytes: usize,
}

/// A text is too long with its references replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command is too long with its references to variables replaced")]
pub struct ExpandedTooLong;

// === impl Variables ===

impl Variables {
    /// Reads `env` of a container, as JSON.
    pub(super) fn of_json(json: &str) -> Self {
        let read = serde_json::Deserializer::from_str(json).deserialize_any(VariablesVisitor);
        read.unwrap_or_default()
    }

    /// Returns the value of a variable; `None` if there is none, or only the cluster knows it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_deref()
    }

    /// Sets a variable, whose value may refer to those before; `None` is a value that only the cluster knows, and so is one that refers to
    /// such a variable.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.and_then(|value| match self.expand_counting(value) {
            Ok((value, 0)) => Some(value.into_owned()),
            Ok(_) | Err(_) => None,
        });
        let length = value.as_ref().map_or(0, String::len);
        let has_room = self.bytes + length <= VALUES_MAX_BYTES && charge_text(length).is_ok();
        if has_room {
            self.bytes += length;
        }
        self.values.insert(name.to_owned(), value.filter(|_| has_room));
    }

    /// Returns a text with its references replaced. A reference to an unknown variable stays, and `$$` becomes `$`.
    ///
    /// # Errors
    /// The result is longer than any command that is followed.
    pub fn expand<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, ExpandedTooLong> {
        self.expand_counting(text).map(|(expanded, _)| expanded)
    }

    /// Returns also the number of references to variables whose values only the cluster knows.
    fn expand_counting<'t>(&self, text: &'t str) -> Result<(Cow<'t, str>, usize), ExpandedTooLong> {
        if !has_reference(text) {
            return Ok((Cow::Borrowed(text), 0));
        }
        let mut expanded = String::new();
        let mut of_unknown = 0;
        let mut rest = text;
        // Once a reference has no end, no later one has.
        let mut may_end = true;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            expanded.push_str(before);
            let end = if may_end && from.starts_with("$(") { from.find(')') } else { None };
            may_end &= end.is_some() || !from.starts_with("$(");
            let length = match end {
                Some(end) => {
                    let value = self.values.get(&from[2..end]);
                    of_unknown += usize::from(value.is_some_and(Option::is_none));
                    expanded.push_str(value.and_then(Option::as_deref).unwrap_or(&from[..=end]));
                    end + 1
                }
                None => {
                    expanded.push('$');
                    if from.starts_with("$$") { 2 } else { 1 }
                }
            };
            rest = &from[length..];
            if expanded.len() > EXPANDED_MAX_BYTES {
                return Err(ExpandedTooLong);
            }
        }
        expanded.push_str(rest);
        Ok((Cow::Owned(expanded), of_unknown))
    }
}

/// Returns true if a text has a reference to a variable, or an escaped `$`.
pub(super) fn has_reference(text: &str) -> bool {
    text.contains("$(") || text.contains("$$")
}

struct VariablesVisitor;

impl<'de> Visitor<'de> for VariablesVisitor {
    type Value = Variables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of environment variables")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Variables::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut variables = Variables::default();
        while let Some(Variable { name, value, value_from }) = list.next_element()? {
            let Some(name) = name else { continue };
            if charge(Work::Item, 1).is_err() {
                break;
            }
            let value: Option<String> = match value.map(|value| serde_json::from_str(value.get())) {
                Some(Ok(value)) => value,
                Some(Err(_)) => continue,
                None => None,
            };
            // A variable without a value is empty.
            let value = if value_from.is_none() { Some(value.unwrap_or_default()) } else { value };
            variables.set(&name, value.as_deref());
        }
        Ok(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(json: &str) -> Variables {
        Variables::of_json(json)
    }

    /// The cases of kubernetes' `third_party/forked/golang/expansion/expand_test.go`.
    #[test]
    fn expands_as_the_kubelet_does() {
        let env = variables(
            r#"[{"name":"VAR_A","value":"A"},{"name":"VAR_B","value":"B"},{"name":"VAR_C","value":"C"},
                {"name":"VAR_REF","value":"$(VAR_A)"},{"name":"VAR_EMPTY","value":""},{"name":"VAR_NONE"}]"#,
        );
        for (text, expected) in [
            ("$(VAR_A)", "A"),
            ("___$(VAR_B)___", "___B___"),
            ("___$(VAR_C)", "___C"),
            ("$(VAR_A)-$(VAR_B)-$(VAR_C)", "A-B-C"),
            ("$(VAR_REF)", "A"),
            ("$(VAR_EMPTY)", ""),
            ("foo$(VAR_NONE)bar", "foobar"),
            ("foo\\$(VAR_A)foo", "foo\\Afoo"),
            ("foo$$(VAR_A)foo", "foo$(VAR_A)foo"),
            ("$$(VAR_A)", "$(VAR_A)"),
            ("$$$(VAR_A)", "$A"),
            ("$$$$(VAR_A)", "$$(VAR_A)"),
            ("$(VAR_X)", "$(VAR_X)"),
            ("$VAR_A", "$VAR_A"),
            ("$", "$"),
            ("$$", "$"),
            ("$$$", "$$"),
            ("$(", "$("),
            ("$(VAR_A", "$(VAR_A"),
            ("$(VAR_A$(VAR_B)", "$(VAR_A$(VAR_B)"),
            ("$()", "$()"),
            ("()", "()"),
            ("$?_boo$(VAR_A)", "$?_booA"),
            ("é$é$(VAR_B)", "é$éB"),
            ("exec $(cat /run/command)", "exec $(cat /run/command)"),
        ] {
            assert_eq!(env.expand(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_value_refers_only_to_variables_before_it_and_unknown_ones_stay() {
        let env = variables(
            r#"[{"name":"A","value":"$(B)"},{"name":"B","value":"b"},{"name":"C","value":"$(B)$(S)"},
                {"name":"S","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}},{"name":"B","value":"later"}]"#,
        );
        for (text, expected) in [("$(A)", "$(B)"), ("$(B)", "later"), ("$(S)", "$(S)")] {
            assert_eq!(env.expand(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_value_that_refers_to_one_which_only_the_cluster_knows_is_unknown() {
        let env = variables(
            r#"[{"name":"S","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}},{"name":"C","value":"x$(S)"},
                {"name":"D","value":"$(C)"},{"name":"E","value":"$(NONE)"},{"name":"F","value":"$$(S)"}]"#,
        );
        let values = ["S", "C", "D", "E", "F"].map(|name| env.get(name));
        assert_eq!(values, [None, None, None, Some("$(NONE)"), Some("$(S)")]);
    }

    #[test]
    fn values_that_grow_without_end_are_bounded() {
        let mut env = Variables::default();
        env.set("V0", Some("0123456789"));
        for number in 1..64 {
            let twice = format!("$(V{0})$(V{0})", number - 1);
            env.set(&format!("V{number}"), Some(&twice));
        }
        for number in 0..64 {
            let expanded = env.expand(&format!("$(V{number})")).map(|text| text.len());
            assert!(expanded.is_ok_and(|length| length <= EXPANDED_MAX_BYTES + 10), "V{number}");
        }
        assert_eq!(env.expand("$(V15)").unwrap(), "$(V15)", "beyond the limit a value is unknown");
        assert_eq!(env.expand(&"$(V14)".repeat(9)), Err(ExpandedTooLong));
    }

    #[test]
    fn many_long_values_are_bounded_together() {
        let mut env = Variables::default();
        env.set("V", Some(&"v".repeat(4096)));
        for number in 0..1000 {
            env.set(&format!("V{number}"), Some(&"$(V)".repeat(60)));
        }
        let held: usize = env.values.values().flatten().map(String::len).sum();
        assert!((VALUES_MAX_BYTES / 2..=VALUES_MAX_BYTES).contains(&held), "{held}");
        assert_eq!(env.expand("$(V999)").unwrap(), "$(V999)", "beyond the limit a value is unknown");
    }

    #[test]
    fn references_without_an_end_take_linear_time() {
        let text = "$(".repeat(100_000);
        assert_eq!(Variables::default().expand(&text).unwrap(), text);
    }
}
