//! Applies patches to the text of a document: new values are put beside existing ones, in their style, and the rest keeps every byte,
//! whatever the style. The result is read again and must say what is wanted, to the last value. No document is ever written anew.

mod change;
mod editor;
mod layout;
mod splice;
mod writer;

use json_patch::Patch;
use serde_json::{Map, Value};

use super::fingerprint::{self, Place, Replaced};
use super::node::{Node, unescaped};
use super::stream::Document;
use super::tree::{Kind, Tree};
use change::Wanted;
use editor::{Editor, Sharing};
use splice::{Splice, spliced};

pub use change::EditError;

/// Collects the changes to a document.
pub struct Edit<'d> {
    tree: &'d Tree<'d>,
    /// Ways to make the changes; without an alias all would be the same.
    ways: Vec<Result<Editor<'d>, EditError>>,
    replaced: Replaced,
    is_empty: bool,
}

/// The changes to a document's text. Independent of the document's tree, which can be freed before they are made.
#[derive(Debug)]
pub struct Changes {
    /// Ways to make the changes; the first that reads as it should is taken.
    attempts: Vec<Vec<Splice>>,
    /// The fingerprint of the changed document.
    expected: u64,
    has_aliases: bool,
}

// === impl Edit ===

impl<'d> Edit<'d> {
    /// Begins to change a parsed document.
    pub fn new(tree: &'d Tree<'d>) -> Self {
        let ways: &[Sharing] =
            if tree.aliases.is_empty() { &[Sharing::Kept] } else { &[Sharing::Kept, Sharing::Ended] };
        let ways = ways.iter().map(|sharing| Ok(Editor::new(tree, *sharing))).collect();
        Self { tree, ways, replaced: Replaced::default(), is_empty: true }
    }

    /// Adds a patch of the value at a JSON pointer: a pod, or a pod template. If it cannot be applied, [`changes`](Self::changes) says
    /// so.
    pub fn add(&mut self, pointer: &str, patch: &Patch) {
        match self.wanted(pointer, patch) {
            Ok(wanted) if wanted.is_empty() => {}
            Ok(wanted) => {
                self.is_empty = false;
                for Wanted { map, key, new } in &wanted {
                    self.replaced.insert(*map, key, new.as_ref());
                }
                for way in &mut self.ways {
                    if let Ok(editor) = way
                        && let Err(error) = editor.add(&wanted)
                    {
                        *way = Err(error);
                    }
                }
            }
            Err(error) => {
                self.is_empty = false;
                self.ways = vec![Err(error)];
            }
        }
    }

    /// Returns true if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Returns the changes to make.
    ///
    /// # Errors
    /// A patch does not apply, or the document's style is not understood.
    pub fn changes(self) -> Result<Changes, EditError> {
        let Self { tree, ways, mut replaced, is_empty: _ } = self;
        let mut attempts = Vec::new();
        let mut failed = EditError::Style;
        for way in ways {
            match way {
                Ok(editor) => attempts.push(editor.splices()),
                Err(error) => failed = error,
            }
        }
        if attempts.is_empty() {
            return Err(failed);
        }
        replaced.finish();
        Ok(Changes { attempts, expected: fingerprint::of_tree(tree, &replaced), has_aliases: !tree.aliases.is_empty() })
    }

    /// Returns what a patch changes.
    fn wanted(&self, pointer: &str, patch: &Patch) -> Result<Vec<Wanted>, EditError> {
        let tree = self.tree;
        let Some(base) = tokens(pointer).iter().try_fold(Step::root(tree), |step, token| step.child(tree, token))
        else {
            return Ok(Vec::new());
        };
        let fields = fields(tree, base, patch);
        let mut old = Value::Object(Map::new());
        for field in &fields {
            copy(tree, base, field, &mut old)?;
        }
        let mut new = old.clone();
        json_patch::patch(&mut new, patch)?;
        let mut wanted = Vec::new();
        for field in fields {
            let Some((key, above)) = field.split_last() else { continue };
            let (before, after) = (value_at(&old, &field), value_at(&new, &field));
            if before == after {
                continue;
            }
            let map = above.iter().try_fold(base, |step, token| step.child(tree, token)).ok_or(EditError::Style)?;
            wanted.push(Wanted { map: map.place, key: key.clone(), new: after.cloned() });
        }
        Ok(wanted)
    }
}

/// A value on the way from the document to a change.
#[derive(Clone, Copy)]
struct Step {
    place: Place,
    /// The entry that leads to the value: itself, or an alias.
    value: u32,
    key: Option<u32>,
}

// === impl Step ===

impl Step {
    fn root(tree: &Tree<'_>) -> Self {
        Self { place: Place::root(tree), value: 0, key: None }
    }

    fn child(self, tree: &Tree<'_>, token: &str) -> Option<Self> {
        let at = self.place.at;
        let (key, value) = if tree.entry(at).kind.is_map() {
            tree.member(at, token).map(|(key, value)| (Some(key), value))?
        } else {
            (None, tree.item(at, token.parse().ok()?)?)
        };
        Some(Self { place: self.place.child(tree, value), value, key })
    }
}

fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(unescaped).collect()
}

/// Returns the members of maps that a patch changes, in its order, as paths from `base`; none inside another. A change of a list's items
/// is one of the member that holds the list.
fn fields(tree: &Tree<'_>, base: Step, patch: &Patch) -> Vec<Vec<String>> {
    let mut fields: Vec<Vec<String>> = Vec::new();
    for operation in patch.iter() {
        let mut field: Vec<String> = operation.path().tokens().map(|token| token.decoded().into_owned()).collect();
        while let Some((last, above)) = field.split_last() {
            let outer = above.iter().try_fold(base, |step, token| step.child(tree, token));
            let is_item = last == "-" || outer.is_some_and(|outer| tree.entry(outer.place.at).kind.is_list());
            if !is_item {
                break;
            }
            field.pop();
        }
        field.truncate(shared_at(tree, base, &field).unwrap_or(field.len()));
        if !fields.iter().any(|outer| field.starts_with(outer)) {
            fields.retain(|inner| !inner.starts_with(&field));
            fields.push(field);
        }
    }
    fields
}

/// Returns the length of the path to the first value on the way to a field that is another place's: an alias, or a member of a merged
/// map. A pod that is an alias as a whole does not count: a copy of it would have to be written out.
fn shared_at(tree: &Tree<'_>, base: Step, field: &[String]) -> Option<usize> {
    let mut step = base;
    for (index, token) in field.iter().enumerate() {
        let map = step.place.at;
        step = step.child(tree, token)?;
        let is_alias = tree.entry(step.value).kind == Kind::Alias && tree.member(step.place.at, "spec").is_none();
        let is_own = |key| !tree.entry(map).is_irregular || tree.members(map).any(|(own, _)| own == key);
        if is_alias || step.key.is_some_and(|key| !is_own(key)) {
            return Some(index + 1);
        }
    }
    None
}

/// Copies the value of a field, and the lists and maps that lead to it without what else they hold.
fn copy(tree: &Tree<'_>, base: Step, field: &[String], to: &mut Value) -> Result<(), serde_json::Error> {
    let (mut step, mut to) = (Some(base), to);
    for (depth, token) in field.iter().enumerate() {
        let Some(child) = step.and_then(|step| step.child(tree, token)) else { return Ok(()) };
        step = Some(child);
        let node = Node { tree, at: child.place.at };
        let is_last = depth + 1 == field.len();
        let value = match (is_last, node.is_list()) {
            (true, _) => node.to_value()?,
            (false, true) => Value::Array(Vec::new()),
            (false, false) => Value::Object(Map::new()),
        };
        to = match to {
            Value::Object(members) => members.entry(token.clone()).or_insert(value),
            Value::Array(items) => {
                let index = token.parse::<usize>().unwrap_or_default();
                // The items before it have no meaning for the patch.
                if items.len() <= index {
                    items.resize(index + 1, Value::Null);
                }
                if items[index].is_null() {
                    items[index] = value;
                }
                &mut items[index]
            }
            _ => return Ok(()),
        };
    }
    Ok(())
}

fn value_at<'v>(root: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(root, |value, token| match value {
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        other => other.get(token),
    })
}

// === impl Document ===

impl Document<'_> {
    /// Returns the document's text with changes.
    ///
    /// # Errors
    /// The changed text would say something else than it should.
    pub fn changed(&self, changes: Changes) -> Result<String, EditError> {
        let Changes { attempts, expected, has_aliases } = changes;
        for splices in attempts {
            let body = spliced(self.body, splices);
            if self.fingerprint(&body) == Some(expected) {
                return Ok(if self.head.is_empty() { body } else { format!("{}{body}", self.head) });
            }
        }
        Err(if has_aliases { EditError::Shared } else { EditError::Style })
    }

    /// Returns the document's text with patches applied, each to the value at a JSON pointer.
    ///
    /// # Errors
    /// A patch does not apply, or the document cannot be edited in place.
    pub fn apply_patches(&self, tree: Tree<'_>, patches: &[(String, Patch)]) -> Result<String, EditError> {
        let mut edit = Edit::new(&tree);
        for (pointer, patch) in patches {
            edit.add(pointer, patch);
        }
        let changes = edit.changes()?;
        drop(tree);
        self.changed(changes)
    }
}
