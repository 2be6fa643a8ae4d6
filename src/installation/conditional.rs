//! Values that a chart has only where a condition holds. Kubernetes objects have no names that begin with the mark used here.

use serde_json::{Map, Value, json};

/// The beginning of names that no Kubernetes object has, and the ends of template expressions in texts.
pub(super) const MARK: char = '\u{1}';

const CONDITION: &str = "\u{1}if";
const VALUE: &str = "\u{1}then";
const OTHERWISE: &str = "\u{1}else";

/// A value with its condition, as it stands in a template's object.
pub(super) struct Conditional<'v> {
    /// A Helm expression.
    pub(super) condition: &'v str,
    pub(super) value: &'v Value,
    /// The value where the condition does not hold; `None` if there is none.
    pub(super) otherwise: Option<&'v Value>,
}

// === impl Conditional ===

impl<'v> Conditional<'v> {
    /// Reads a conditional value; `None` for any other.
    pub(super) fn of(value: &'v Value) -> Option<Self> {
        let condition = value.get(CONDITION)?.as_str()?;
        Some(Self { condition, value: value.get(VALUE)?, otherwise: value.get(OTHERWISE) })
    }

    /// Returns the value that a conditional value has where its condition holds, or any other value itself.
    pub(super) fn inner(value: &'v Value) -> &'v Value {
        Self::of(value).map_or(value, |conditional| conditional.value)
    }

    /// Returns the same as [`Self::inner`], to change it.
    pub(super) fn inner_mut(value: &mut Value) -> &mut Value {
        if value.get(CONDITION).is_some() { &mut value[VALUE] } else { value }
    }

    /// Returns the values of a conditional value, which any other does not have.
    pub(super) fn values_mut(value: &mut Value) -> Option<Vec<&mut Value>> {
        let fields = value.as_object_mut().filter(|fields| fields.contains_key(CONDITION))?;
        Some(
            fields
                .iter_mut()
                .filter(|(name, _)| [VALUE, OTHERWISE].contains(&name.as_str()))
                .map(|(_, value)| value)
                .collect(),
        )
    }

    /// Returns a value where the condition holds, else another; without a condition the value alone.
    pub(super) fn choice(condition: Option<&str>, value: Value, otherwise: Value) -> Value {
        match condition {
            Some(condition) => json!({CONDITION: condition, VALUE: value, OTHERWISE: otherwise}),
            None => value,
        }
    }

    /// Returns an item or a field that exists only where the condition holds.
    pub(super) fn item(value: Value, condition: Option<&str>) -> Value {
        match condition {
            Some(condition) => json!({CONDITION: condition, VALUE: value}),
            None => value,
        }
    }

    /// Adds a field.
    pub(super) fn insert(fields: &mut Map<String, Value>, name: &str, value: Value, condition: Option<&str>) {
        fields.insert(name.to_owned(), Self::item(value, condition));
    }

    /// Removes a field, if it is there.
    pub(super) fn remove(fields: &mut Map<String, Value>, name: &str, condition: Option<&str>) {
        let Some(condition) = condition else {
            fields.shift_remove(name);
            return;
        };
        if let Some(field) = fields.get_mut(name) {
            *field = Self::and_not(field.take(), condition);
        }
    }

    /// Returns a value that exists only where the condition does not hold, besides its own condition.
    pub(super) fn and_not(value: Value, condition: &str) -> Value {
        match Conditional::of(&value) {
            Some(Conditional { condition: own, value, otherwise: None }) => {
                Self::item(value.clone(), Some(&format!("and {} (not {})", grouped(own), grouped(condition))))
            }
            _ => Self::item(value, Some(&format!("not {}", grouped(condition)))),
        }
    }
}

/// Returns an expression as an argument of another.
pub(super) fn grouped(expression: &str) -> String {
    if expression.contains(' ') { format!("({expression})") } else { expression.to_owned() }
}
