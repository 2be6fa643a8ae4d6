//! Findings for people and programs, one file a format. Must not know where findings come from.

mod compiler_style;
mod format;
mod github;
mod human;
mod json;
mod located_finding;
mod nameserver_origins;
mod probed;
mod sarif;
mod summary;
mod table;

pub use format::Format;
pub use github::Github;
pub use human::Human;
pub use json::Json;
pub use located_finding::{LocatedFinding, ObjectName};
pub use nameserver_origins::{human_origins, json_origins};
pub use probed::ProbeReport;
pub use sarif::Sarif;
pub use summary::{Counts, Summary};
pub use table::{linked_table, table};
