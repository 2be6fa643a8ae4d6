//! JSON documents as trees. Does not recurse, because the input decides how deep its values are nested.

use serde::de::IgnoredAny;

use super::builder::Builder;
use super::parse_error::ParseError;
use super::tree::{Kind, OwnedScalar};

/// Parses one JSON value, and what follows it.
pub(super) fn parse<'t>(text: &'t str, mut builder: Builder<'t>) -> Result<Builder<'t>, ParseError> {
    // Afterwards the text is known to be JSON, so that each byte says what follows.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| ParseError {
        offset: offset_of(&error, text),
        message: without_location(&error.to_string()),
    })?;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' => builder.open(Kind::FlowMap, start)?,
            b'[' => builder.open(Kind::FlowList, start)?,
            b'}' | b']' => builder.close(at)?,
            b'"' => {
                let mut has_escapes = false;
                while bytes[at] != b'"' {
                    has_escapes |= bytes[at] == b'\\';
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                if has_escapes {
                    let unescaped: String = serde_json::from_str(&text[start..at])
                        .map_err(|_| ParseError { offset: start, message: "this text has an invalid escape".into() })?;
                    builder.owned(OwnedScalar::Text(unescaped.into()), start..at)?;
                } else {
                    builder.leaf(Kind::Quoted, start..at)?;
                }
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                at +=
                    bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
                // YAML reads JSON's words as JSON does.
                let kind = if byte.is_ascii_alphabetic() { Kind::Plain } else { Kind::Number };
                builder.leaf(kind, start..at)?;
            }
            _ => {}
        }
    }
    Ok(builder)
}

/// Returns the byte offset of an error of `serde_json`.
fn offset_of(error: &serde_json::Error, text: &str) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    text.floor_char_boundary(before + error.column().saturating_sub(1))
}

/// Removes the position from the parser's message: the parser counts it within the document.
fn without_location(message: &str) -> String {
    message.split_once(" at line ").map_or(message, |(before, _)| before).to_owned()
}
