//! Applies a JSON Patch to the text of a document, so that comments, order and layout around it stay. Whatever the edit did, its
//! result is read again and must say what the patch says; where it does not, the document is written anew, without comments.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::Value;
use yamlpatch::{Op, apply_yaml_patches};
use yamlpath::{Component, Route};

use super::Document;
use super::stream::{Syntax, parse_yaml};

/// The text of a changed document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The text, separator included.
    pub text: String,
    /// Whether comments and layout were kept.
    pub layout_kept: bool,
}

/// Why a document cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The patch does not apply to what the document says.
    #[error("the change does not apply: {0}")]
    Patch(#[from] json_patch::PatchError),
    /// The changed document could not be written.
    #[error("cannot write the document: {0}")]
    Write(String),
}

// === impl Document ===

impl Document<'_> {
    /// The document's text with patches applied, each to the value at a JSON pointer. `value` is what the document says, and
    /// becomes what it says then.
    ///
    /// # Errors
    /// A patch does not apply.
    pub fn edited(&self, value: &mut Value, patches: &[(String, Patch)]) -> Result<Edited, EditError> {
        let before = value.clone();
        for (pointer, patch) in patches {
            if let Some(target) = value.pointer_mut(pointer) {
                json_patch::patch(target, patch)?;
            }
        }
        match self.syntax {
            Syntax::Json => {
                let text = json_like(self.body, value).map_err(|error| EditError::Write(error.to_string()))?;
                Ok(Edited { text: format!("{}{text}", self.head), layout_kept: true })
            }
            Syntax::Yaml => match edit_yaml(self.body, before, patches).filter(|text| says(text, value)) {
                Some(text) => Ok(Edited { text: format!("{}{text}", self.head), layout_kept: true }),
                None => {
                    let text = serde_saphyr::to_string(value).map_err(|error| EditError::Write(error.to_string()))?;
                    if !says(&text, value) {
                        return Err(EditError::Write("the YAML written does not read as it should".to_owned()));
                    }
                    Ok(Edited { text: format!("{}{text}", self.head), layout_kept: false })
                }
            },
        }
    }
}

fn says(text: &str, value: &Value) -> bool {
    parse_yaml(text).is_ok_and(|read| read == *value)
}

/// Edits the text one operation after another, with the value beside it to know what each finds; `None` where the editor
/// cannot.
fn edit_yaml(text: &str, mut value: Value, patches: &[(String, Patch)]) -> Option<String> {
    let mut document = yamlpath::Document::new(text).ok()?;
    let mut quoted = Quoted::default();
    for (pointer, patch) in patches {
        let base = PointerBuf::parse(pointer.clone()).ok()?;
        for operation in &patch.0 {
            let mut path = base.clone();
            path.append(operation.path());
            let tokens: Vec<String> = path.tokens().map(|token| token.decoded().into_owned()).collect();
            let edit = yaml_edit(&value, &tokens, operation, &mut quoted)?;
            document = apply_yaml_patches(&document, &[edit]).ok()?;
            json_patch::patch(&mut value, &Patch(vec![moved(operation, path)])).ok()?;
        }
    }
    Some(quoted.put_into(document.source()))
}

fn moved(operation: &PatchOperation, path: PointerBuf) -> PatchOperation {
    match operation.clone() {
        PatchOperation::Add(AddOperation { value, .. }) => PatchOperation::Add(AddOperation { path, value }),
        PatchOperation::Replace(ReplaceOperation { value, .. }) => {
            PatchOperation::Replace(ReplaceOperation { path, value })
        }
        PatchOperation::Remove(_) => PatchOperation::Remove(RemoveOperation { path }),
        other => other,
    }
}

/// The edit of the text that does what the operation does to the value.
fn yaml_edit(
    value: &Value,
    tokens: &[String],
    operation: &PatchOperation,
    quoted: &mut Quoted,
) -> Option<yamlpatch::Patch<'static>> {
    let (last, parents) = tokens.split_last()?;
    let at = |tokens: &[String], operation| Some(yamlpatch::Patch { route: route(tokens), operation });
    match operation {
        PatchOperation::Add(AddOperation { value: new, .. }) => {
            let new = quoted.take_from(new)?;
            let parent = parents.iter().try_fold(value, |value, token| match value {
                Value::Array(items) => items.get(token.parse::<usize>().ok()?),
                value => value.get(token),
            })?;
            match parent {
                Value::Array(_) if last == "-" => at(parents, Op::Append { value: new }),
                Value::Object(members) if members.contains_key(last) => at(tokens, Op::Replace(new)),
                Value::Object(_) => at(parents, Op::Add { key: last.clone(), value: new }),
                _ => None,
            }
        }
        PatchOperation::Replace(ReplaceOperation { value: new, .. }) => at(tokens, Op::Replace(quoted.take_from(new)?)),
        PatchOperation::Remove(_) => at(tokens, Op::Remove),
        _ => None,
    }
}

/// Values that the editor writes so that they do not read back: a text of several lines, a list inside a new object. It gets a
/// plain word in their place, which is replaced when it is done.
#[derive(Default)]
struct Quoted(Vec<Value>);

// === impl Quoted ===

impl Quoted {
    fn word(index: usize) -> String {
        format!("muslin-placeholder-{index}-")
    }

    /// The value with words in place of what the editor cannot write.
    fn take_from(&mut self, value: &Value) -> Option<yaml_serde::Value> {
        yaml_serde::to_value(self.replaced(value)).ok()
    }

    fn replaced(&mut self, value: &Value) -> Value {
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
        match value {
            Value::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), self.replaced(value))).collect())
            }
            Value::String(text) if is_plain(text) => value.clone(),
            Value::String(_) | Value::Array(_) => {
                self.0.push(value.clone());
                Value::String(Self::word(self.0.len() - 1))
            }
            other => other.clone(),
        }
    }

    /// Puts the values back: texts quoted as JSON, which YAML reads too; lists below their key.
    fn put_into(&self, text: &str) -> String {
        self.0.iter().enumerate().fold(text.to_owned(), |text, (index, value)| {
            let word = Self::word(index);
            let Some(start) = text.find(&word) else { return text };
            let (before, after) = (&text[..start], &text[start + word.len()..]);
            match value {
                Value::Array(items) if !items.is_empty() => {
                    format!("{}{}{after}", before.trim_end_matches(' '), below(value, before))
                }
                value => format!("{before}{value}{after}"),
            }
        })
    }
}

/// A list as a block below the key that ends the text before it, as far in as that key.
fn below(list: &Value, before: &str) -> String {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let block = yaml_serde::to_string(list).unwrap_or_default();
    block.trim_end().lines().map(|line| format!("\n{indent}{line}")).collect()
}

/// The way to a value, by the parts of its JSON pointer.
pub(super) fn route(tokens: &[String]) -> Route<'static> {
    Route::from(
        tokens
            .iter()
            .map(|token| match token.parse::<usize>() {
                Ok(index) => Component::Index(index),
                Err(_) => Component::Key(token.clone().into()),
            })
            .collect::<Vec<_>>(),
    )
}

/// Writes JSON as the text it replaces was written: on one line, or indented as its first indented line is.
fn json_like(original: &str, value: &Value) -> Result<String, serde_json::Error> {
    let ending = &original[original.trim_end().len()..];
    let indent: Option<String> = original.lines().nth(1).map(|line| {
        let spaces: String = line.chars().take_while(|c| c.is_whitespace()).collect();
        if spaces.is_empty() { "  ".to_owned() } else { spaces }
    });
    let mut bytes = Vec::new();
    match indent {
        Some(indent) => {
            let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
        }
        None => serde_json::to_writer(&mut bytes, value)?,
    }
    Ok(format!("{}{ending}", String::from_utf8_lossy(&bytes)))
}
