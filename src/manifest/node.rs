//! A document as a tree of values that know where they stand, so that whoever finds fault with one can point at it. Read in one
//! pass, because reading YAML is most of the work there is. Must not know what any value means.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// In bytes from the start of the document's content. A scalar's is the whole of it; a list's or a map's is only its
    /// beginning. What an alias stands for stands where the anchor is.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Values by key, in the order of the document.
    Map(Vec<Member>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

/// A place in a JSON document that cannot be read, in bytes, and why.
pub(super) struct JsonFault {
    pub(super) offset: usize,
    pub(super) message: String,
}

/// How deep lists and maps may stand in each other: as deep as `serde_json` allows, which reads the rest of a pod.
const DEPTH_MAX: usize = 128;

/// JSON Pointer's own escapes (RFC 6901, 3).
fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

// === impl Node ===

impl Node {
    /// A document in which nothing stands.
    pub(super) const EMPTY: Self = Self { span: 0..0, kind: Kind::Null };

    /// The value under a key, or at an index.
    pub fn get(&self, token: &str) -> Option<&Self> {
        self.member(token).map(|(node, _)| node)
    }

    /// The value at a JSON pointer.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |node, token| node.get(&unescaped(token)))
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values, where it is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether it is a map.
    pub fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }

    /// Where to point for a JSON pointer: at the scalar there, or at the key of the list or map there; where nothing is there,
    /// at the nearest key above it.
    pub fn locate(&self, pointer: &str) -> Range<usize> {
        let mut node = self;
        let mut span = self.first_span();
        for token in pointer.split('/').skip(1) {
            let Some((next, key_span)) = node.member(&unescaped(token)) else { return span };
            span = key_span.cloned().unwrap_or_else(|| next.first_span());
            node = next;
        }
        match node.kind {
            Kind::List(_) | Kind::Map(_) => span,
            _ if node.span.is_empty() => span,
            _ => node.span.clone(),
        }
    }

    /// A value of this one, with the span of its key if it has one. Of equal keys, which only JSON allows, the last counts.
    fn member(&self, token: &str) -> Option<(&Self, Option<&Range<usize>>)> {
        match &self.kind {
            Kind::Map(members) => {
                let member = members.iter().rfind(|member| member.key == token)?;
                Some((&member.value, Some(&member.key_span)))
            }
            Kind::List(items) => Some((items.get(token.parse::<usize>().ok()?)?, None)),
            _ => None,
        }
    }

    /// The first thing in it that can be pointed at.
    fn first_span(&self) -> Range<usize> {
        match &self.kind {
            Kind::Map(members) => members.first().map_or(self.span.clone(), |member| member.key_span.clone()),
            Kind::List(items) => items.first().map_or(self.span.clone(), Self::first_span),
            _ => self.span.clone(),
        }
    }

    /// The value alone.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Map(members) => Value::Object(
                members.iter().map(|member| (member.key.clone(), member.value.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Reads JSON. The text must be JSON, as `serde_json` walks over it.
    pub(super) fn from_json(text: &str) -> Result<Self, JsonFault> {
        let raw = serde_json::from_str::<&RawValue>(text)
            .map_err(|error| JsonFault { offset: offset_of(&error, text), message: error.to_string() })?;
        json(raw.get(), text, 0)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool(value) => serializer.serialize_bool(*value),
            Kind::Number(number) => number.serialize(serializer),
            Kind::Text(text) => serializer.serialize_str(text),
            Kind::List(items) => serializer.collect_seq(items),
            Kind::Map(members) => {
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

impl From<Spanned<Kind>> for Node {
    fn from(spanned: Spanned<Kind>) -> Self {
        Self { span: span(&spanned), kind: spanned.value }
    }
}

fn span<T>(spanned: &Spanned<T>) -> Range<usize> {
    let span = spanned.defined.span();
    let number = |number: Option<_>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let start = number(span.byte_offset());
    start..start + number(span.byte_len())
}

impl<'de> Deserialize<'de> for Kind {
    /// Reads what stands in a [`Spanned`], which alone knows the places. Only for serde-saphyr: other deserializers cannot tell
    /// a place from a map with a key `value`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindVisitor;

        impl<'de> Visitor<'de> for KindVisitor {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value that JSON has too")
            }

            fn visit_unit<E: Error>(self) -> Result<Kind, E> {
                Ok(Kind::Null)
            }

            fn visit_none<E: Error>(self) -> Result<Kind, E> {
                Ok(Kind::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
                Ok(Kind::Bool(value))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Kind, E> {
                Ok(Kind::Number(number.into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Kind, E> {
                Ok(Kind::Number(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Kind, E> {
                Ok(Number::from_f64(number).map_or(Kind::Null, Kind::Number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Kind, E> {
                Ok(Kind::Text(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Kind, E> {
                Ok(Kind::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Kind, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = sequence.next_element::<Spanned<Kind>>()? {
                    items.push(Node::from(item));
                }
                Ok(Kind::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Kind>>()? {
                    members.push(Member { key_span: span(&key), key: key.value, value: Node::from(value) });
                }
                Ok(Kind::Map(members))
            }
        }

        deserializer.deserialize_any(KindVisitor)
    }
}

// === JSON ===

/// The members of an object, each key and value as it stands in the text.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

/// Reads one value of `whole`. Each level walks over its text once more; that is still many times quicker than YAML.
fn json(text: &str, whole: &str, depth: usize) -> Result<Node, JsonFault> {
    let start = start_in(whole, text);
    let fault =
        |error: serde_json::Error| JsonFault { offset: start + offset_of(&error, text), message: error.to_string() };
    if depth > DEPTH_MAX {
        return Err(JsonFault { offset: start, message: format!("lists and maps stand over {DEPTH_MAX} deep") });
    }
    let kind = match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(fault)?;
            let member = |(key, value): (&RawValue, &RawValue)| {
                let key_start = start_in(whole, key.get());
                Ok(Member {
                    key: serde_json::from_str(key.get()).map_err(fault)?,
                    key_span: key_start..key_start + key.get().len(),
                    value: json(value.get(), whole, depth + 1)?,
                })
            };
            Kind::Map(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(fault)?;
            Kind::List(items.into_iter().map(|item| json(item.get(), whole, depth + 1)).collect::<Result<_, _>>()?)
        }
        _ => match serde_json::from_str(text).map_err(fault)? {
            Value::Bool(value) => Kind::Bool(value),
            Value::Number(number) => Kind::Number(number),
            Value::String(text) => Kind::Text(text),
            Value::Null | Value::Array(_) | Value::Object(_) => Kind::Null,
        },
    };
    let length = if matches!(kind, Kind::List(_) | Kind::Map(_)) { 1 } else { text.len() };
    Ok(Node { span: start..start + length, kind })
}

/// Where in a text a part of it begins.
fn start_in(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Where in the text it was that `serde_json` failed.
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
