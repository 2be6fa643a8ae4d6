//! The bases of publishers' images, for names without a hint. Facts only, each with its source; must not know what the words of a tag
//! mean.
//!
//! To add one, add a line with its source to the table of its registry, in the order of names:
//! ```text
//! row("example/app", Plain, Alpine, "example/app@1a2b3c4 Dockerfile FROM alpine:3.20"),
//! ```
//! - The name is a path in the registry. A name that ends in `/` covers everything below it; the longest name that fits wins.
//! - Several rows of one name are tried in order. If a publisher changed the base in an uncertain release, leave a gap between the
//!   rows: unknown is better than wrong.
//! - The words of a tag (`-alpine`, `bookworm`, `ubi9`) need no row.

mod docker_hub;
pub(crate) mod lookup;
mod official;
mod registries;
pub(crate) mod row;

pub use lookup::rows;
pub use row::{Base, Row, Tags};
