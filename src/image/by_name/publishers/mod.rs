//! Which publisher builds its images on what, for names that do not say so themselves. Facts only, each with its source; must not
//! know what a tag's words mean.
//!
//! To add one, put a line into the table of its registry, in the order of names, and say where that can be read:
//! ```text
//! row("example/app", Plain, Alpine, "example/app@1a2b3c4 Dockerfile FROM alpine:3.20"),
//! ```
//! - The name is a path in the registry. One that ends in `/` stands for everything below it, and the longest fitting name wins.
//! - Several rows of one name are tried in their order. Where a publisher changed the base and the release is not certain, leave a
//!   gap between the rows: an honest unknown beats a confident guess.
//! - The words of a tag (`-alpine`, `bookworm`, `ubi9`) need no row.

mod docker_hub;
pub(crate) mod lookup;
mod official;
mod registries;
pub(crate) mod row;

pub use lookup::rows;
pub use row::{Base, Row, Tags};
