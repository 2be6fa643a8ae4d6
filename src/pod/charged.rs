//! Deserialization that charges its work to the current budget: the lists of a pod, whose items can take 100 times the bytes that they
//! have in the request, and texts that are parsed later. Beyond the budget, items are read and dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::text::Text;
use crate::budget::{Work, charge, charge_text};

/// A list, or null.
struct List<T> {
    work: Work,
    items: PhantomData<T>,
}

/// Reads a list of containers.
pub(super) fn containers<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Option<Vec<T>>, D::Error> {
    list(json, Work::Container)
}

/// Reads a list of resolver options.
pub(super) fn options<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Option<Vec<T>>, D::Error> {
    list(json, Work::Option)
}

/// Reads a list of search domains.
pub(super) fn searches<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Option<Vec<T>>, D::Error> {
    list(json, Work::Search)
}

/// Reads another list.
pub(super) fn items<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Option<Vec<T>>, D::Error> {
    list(json, Work::Item)
}

/// Reads JSON that is parsed later.
pub(super) fn raw<'de, D: Deserializer<'de>>(json: D) -> Result<Option<&'de RawValue>, D::Error> {
    let value: Option<&RawValue> = Option::deserialize(json)?;
    Ok(value.filter(|value| charge_text(value.get().len()).is_ok()))
}

/// Reads an object whose values are strings.
pub(super) fn map<'de, D: Deserializer<'de>>(json: D) -> Result<BTreeMap<String, String>, D::Error> {
    json.deserialize_map(Map)
}

fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D, work: Work) -> Result<Option<Vec<T>>, D::Error> {
    json.deserialize_any(List { work, items: PhantomData })
}

/// An object whose values are strings.
struct Map;

// === impl List ===

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if charge(self.work, 1).is_err() {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
            items.push(item);
        }
        Ok(Some(items))
    }
}

// === impl Map ===

impl<'de> Visitor<'de> for Map {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = members.next_entry::<Text<'de>, Text<'de>>()? {
            if charge(Work::Item, 1).is_err() {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                break;
            }
            map.insert(key.to_string(), value.to_string());
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pod;
    use crate::budget::Budget;

    fn containers_within(steps: u32, number: usize) -> (usize, bool) {
        let containers = vec![r#"{"name":"a","image":"alpine:3.18"}"#; number].join(",");
        let text = format!(r#"{{"spec":{{"containers":[{containers}],"dnsPolicy":"None"}}}}"#);
        let mut budget = Budget::new(steps);
        let pod: Pod<'_> = budget.run(|| serde_json::from_str(&text).unwrap());
        (pod.containers().count(), budget.check().is_ok())
    }

    #[test]
    fn a_list_stops_growing_beyond_the_budget() {
        assert_eq!(containers_within(400, 10), (10, true));
        assert_eq!(containers_within(400, 11), (10, false));
        assert_eq!(containers_within(400, 100_000), (10, false));
    }

    #[test]
    fn the_rest_of_a_list_beyond_the_budget_must_still_be_json() {
        let text = r#"{"spec":{"containers":[{},{},{},{]}}"#;
        let mut budget = Budget::new(40);
        assert!(budget.run(|| serde_json::from_str::<Pod<'_>>(text)).is_err());
    }

    #[test]
    fn a_long_text_uses_up_the_budget() {
        let text = format!(r#"{{"spec":{{"containers":[{{"command":["{}"]}}]}}}}"#, "a".repeat(64_000));
        let mut budget = Budget::new(1_000);
        let _pod: Pod<'_> = budget.run(|| serde_json::from_str(&text).unwrap());
        assert!(budget.check().is_err());
    }
}
