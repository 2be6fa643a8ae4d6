//! A document as a tree of values with their places in the text, so that a finding can point at a value. Parsed in one pass, because
//! parsing YAML is most of the work of `muslin check`. Must not know what any value means.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Byte range from the start of the document's content: all of a scalar, only the beginning of a list or map. The value of an
    /// alias has the place of the anchor.
    pub span: Range<usize>,
    /// The value.
    pub kind: NodeKind,
}

/// A value without its place.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// Null, or an empty value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the document.
    Map(Vec<Member>),
}

/// A key of a map and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The key.
    pub key: String,
    /// Byte range of the key.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

/// Why a JSON document cannot be parsed, and the byte offset of the error.
pub(super) struct JsonError {
    pub(super) offset: usize,
    pub(super) message: String,
}

/// Maximum nesting depth: the limit of `serde_json`, which reads the pod itself.
const DEPTH_MAX: usize = 128;

/// Undoes the escapes of a JSON Pointer (RFC 6901, 3).
fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

// === impl Node ===

impl Node {
    /// An empty document.
    pub(super) const EMPTY: Self = Self { span: 0..0, kind: NodeKind::Null };

    /// Returns the value of a key, or at an index.
    pub fn get(&self, token: &str) -> Option<&Self> {
        self.member(token).map(|(node, _)| node)
    }

    /// Returns the value at a JSON pointer.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |node, token| node.get(&unescaped(token)))
    }

    /// Returns the string, if the value is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the items, if the value is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.kind {
            NodeKind::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the members, if the value is a map.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Self)> {
        let members: &[Member] = if let NodeKind::Map(members) = &self.kind { members } else { &[] };
        members.iter().map(|member| (&*member.key, &member.value))
    }

    /// Returns the keys, if the value is a map.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let members: &[Member] = if let NodeKind::Map(members) = &self.kind { members } else { &[] };
        members.iter().map(|member| &*member.key)
    }

    /// Returns true if the value is a map.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.kind, NodeKind::Map(_))
    }

    /// Returns the byte range to point at for a JSON pointer: the scalar, or the key of the list or map. If the pointer leads
    /// nowhere, returns the nearest key above.
    pub fn locate(&self, pointer: &str) -> Range<usize> {
        let mut node = self;
        let mut span = self.first_span();
        for token in pointer.split('/').skip(1) {
            let Some((next, key_span)) = node.member(&unescaped(token)) else { return span };
            span = key_span.cloned().unwrap_or_else(|| next.first_span());
            node = next;
        }
        match node.kind {
            NodeKind::List(_) | NodeKind::Map(_) => span,
            _ if node.span.is_empty() => span,
            _ => node.span.clone(),
        }
    }

    /// Returns a child, with the span of its key if it has one. If keys are equal, which only JSON allows, the last one counts.
    fn member(&self, token: &str) -> Option<(&Self, Option<&Range<usize>>)> {
        match &self.kind {
            NodeKind::Map(members) => {
                let member = members.iter().rfind(|member| member.key == token)?;
                Some((&member.value, Some(&member.key_span)))
            }
            NodeKind::List(items) => Some((items.get(token.parse::<usize>().ok()?)?, None)),
            _ => None,
        }
    }

    /// Returns the first range inside the value to point at.
    fn first_span(&self) -> Range<usize> {
        match &self.kind {
            NodeKind::Map(members) => members.first().map_or(self.span.clone(), |member| member.key_span.clone()),
            NodeKind::List(items) => items.first().map_or(self.span.clone(), Self::first_span),
            _ => self.span.clone(),
        }
    }

    /// Returns the value without places.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Number(number) => Value::Number(number.clone()),
            NodeKind::Text(text) => Value::String(text.clone()),
            NodeKind::List(items) => items.iter().map(Self::to_value).collect(),
            NodeKind::Map(members) => Value::Object(
                members.iter().map(|member| (member.key.clone(), member.value.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Parses JSON.
    pub(super) fn from_json(text: &str) -> Result<Self, JsonError> {
        let raw = serde_json::from_str::<&RawValue>(text)
            .map_err(|error| JsonError { offset: offset_of(&error, text), message: error.to_string() })?;
        parse_json_value(raw.get(), text, 0)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            NodeKind::Null => serializer.serialize_unit(),
            NodeKind::Bool(value) => serializer.serialize_bool(*value),
            NodeKind::Number(number) => number.serialize(serializer),
            NodeKind::Text(text) => serializer.serialize_str(text),
            NodeKind::List(items) => serializer.collect_seq(items),
            NodeKind::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for Member { key, key_span: _, value } in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

// === YAML ===

impl From<Spanned<NodeKind>> for Node {
    fn from(spanned: Spanned<NodeKind>) -> Self {
        Self { span: span(&spanned), kind: spanned.value }
    }
}

fn span<T>(spanned: &Spanned<T>) -> Range<usize> {
    let span = spanned.defined.span();
    let number = |number: Option<_>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let start = number(span.byte_offset());
    start..start + number(span.byte_len())
}

impl<'de> Deserialize<'de> for NodeKind {
    /// Deserializes the value inside a [`Spanned`], which holds the place. Only for serde-saphyr: other deserializers confuse a
    /// `Spanned` with a map that has a key `value`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

/// Builds a [`NodeKind`] from the parser's events.
struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = NodeKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON also has")
    }

    fn visit_unit<E: Error>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Null)
    }

    fn visit_none<E: Error>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<NodeKind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<NodeKind, E> {
        Ok(NodeKind::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<NodeKind, E> {
        Ok(NodeKind::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<NodeKind, E> {
        Ok(NodeKind::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<NodeKind, E> {
        Ok(Number::from_f64(number).map_or(NodeKind::Null, NodeKind::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<NodeKind, E> {
        Ok(NodeKind::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<NodeKind, E> {
        Ok(NodeKind::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<NodeKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element::<Spanned<NodeKind>>()? {
            items.push(Node::from(item));
        }
        Ok(NodeKind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeKind, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<NodeKind>>()? {
            members.push(Member { key_span: span(&key), key: key.value, value: Node::from(value) });
        }
        Ok(NodeKind::Map(members))
    }
}

// === JSON ===

/// The members of an object, each key and value as raw text.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

/// Parses `text`, one value of `whole`. Each level scans its text once more, which is still many times faster than YAML.
fn parse_json_value(text: &str, whole: &str, depth: usize) -> Result<Node, JsonError> {
    let start = start_in(whole, text);
    let failed =
        |error: serde_json::Error| JsonError { offset: start + offset_of(&error, text), message: error.to_string() };
    if depth > DEPTH_MAX {
        return Err(JsonError {
            offset: start,
            message: format!("lists and maps are nested more than {DEPTH_MAX} deep"),
        });
    }
    let kind = match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(failed)?;
            let member = |(key, value): (&RawValue, &RawValue)| {
                let key_start = start_in(whole, key.get());
                Ok(Member {
                    key: serde_json::from_str(key.get()).map_err(failed)?,
                    key_span: key_start..key_start + key.get().len(),
                    value: parse_json_value(value.get(), whole, depth + 1)?,
                })
            };
            NodeKind::Map(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(failed)?;
            NodeKind::List(
                items
                    .into_iter()
                    .map(|item| parse_json_value(item.get(), whole, depth + 1))
                    .collect::<Result<_, _>>()?,
            )
        }
        _ => match serde_json::from_str(text).map_err(failed)? {
            Value::Bool(value) => NodeKind::Bool(value),
            Value::Number(number) => NodeKind::Number(number),
            Value::String(text) => NodeKind::Text(text),
            Value::Null | Value::Array(_) | Value::Object(_) => NodeKind::Null,
        },
    };
    let length = if matches!(kind, NodeKind::List(_) | NodeKind::Map(_)) { 1 } else { text.len() };
    Ok(Node { span: start..start + length, kind })
}

/// Returns the offset of `part`, a slice of `whole`.
fn start_in(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Returns the byte offset of an error of `serde_json`.
fn offset_of(error: &serde_json::Error, text: &str) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    text.floor_char_boundary(before + error.column().saturating_sub(1))
}

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}
