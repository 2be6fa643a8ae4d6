//! The state of a cluster's DNS for people, as JSON, and as one HTML page. Must not know how it was observed.

mod human;
mod page;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Serialize;

use super::schema_version::SchemaVersion;
use crate::status::Status;
use crate::text::Block;

pub use human::human_status;
pub use page::status_page;

/// The facts about a status that it does not have itself.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// The context of the kubeconfig, if one was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The version of muslin that made the status.
    pub version: String,
}

/// The output of `muslin status -o json`.
#[derive(Serialize, JsonSchema)]
pub struct StatusDocument<'s> {
    #[serde(rename = "schemaVersion")]
    schema: SchemaVersion<1>,
    #[serde(flatten)]
    view: &'s StatusView,
    #[serde(flatten)]
    status: &'s Status,
}

/// Returns one JSON document.
pub fn json_status(status: &Status, view: &StatusView) -> Block {
    Block::indented_json(&StatusDocument { schema: SchemaVersion, view, status })
}

/// Returns a count and what is counted.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Returns the share of queries without an answer.
fn lost(queries: i64, lost: i64) -> String {
    if queries <= 0 {
        return "-".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of queries are far below 2^52")]
    let share = lost as f64 * 100.0 / queries as f64;
    format!("{share:.1}%")
}

/// Returns a time in milliseconds.
fn milliseconds(time: Option<f64>) -> String {
    match time {
        Some(time) if time < 10.0 => format!("{time:.1} ms"),
        Some(time) => format!("{time:.0} ms"),
        None => "-".to_owned(),
    }
}
