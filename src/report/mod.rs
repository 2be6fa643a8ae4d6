//! Findings for people and programs, one file a format. Must not know where findings come from.

mod compiler_style;
mod concise;
mod fingerprint;
mod format;
mod github;
mod gitlab;
mod groups;
mod human;
mod json;
mod junit;
mod located_finding;
mod nameserver_origins;
mod probed;
mod sarif;
mod schema_version;
mod summary;
mod table;
mod unclear_kinds;
mod unread;

pub use concise::Concise;
pub use format::Format;
pub use github::Github;
pub use gitlab::Gitlab;
pub use groups::{Group, Groups};
pub use human::Human;
pub use json::{CheckDocument, Json};
pub use junit::Junit;
pub use located_finding::{LocatedFinding, ObjectName};
pub use nameserver_origins::{OriginsDocument, human_origins, json_origins};
pub use probed::{ProbeDocument, ProbeReport};
pub use sarif::Sarif;
pub use schema_version::SchemaVersion;
pub use summary::{Counts, FileTally, RunTotals, Summary};
pub use table::{linked_table, table};
pub use unclear_kinds::UnclearKinds;
pub use unread::{Severity, Unread};
