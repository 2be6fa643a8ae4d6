//! The bases and programs of publishers' images, for names without a hint. Facts only, each with its source; must not know what the
//! words of a tag mean.
//!
//! To add one, add a line with its source to the table of its registry, in the order of names:
//! ```text
//! row("example/app", Plain, Alpine, "example/app@1a2b3c4 Dockerfile FROM alpine:3.20"),
//! row("example/go", Plain, Alpine, "example/go@1a2b3c4 Dockerfile FROM alpine, Makefile CGO_ENABLED=0").go(WithoutCgo),
//! ```
//! - The name is a path in the registry. A name that ends in `/` or `-` covers everything that begins so; the longest name that fits
//!   wins.
//! - A program with a resolver of its own (`.go(…)`, `.c_ares()`) counts unless the pod's `command` starts another one. Without a known
//!   row for a tag it counts if all rows of the name agree on it.
//! - Several rows of one name are tried in order. If a publisher changed the base in an uncertain release, leave a gap between the
//!   rows: unknown is better than wrong.
//! - The words of a tag (`-alpine`, `bookworm`, `ubi9`) need no row.

mod docker_hub;
pub(crate) mod lookup;
mod official;
mod registries;
pub(crate) mod row;
mod shared;

pub use lookup::rows;
pub use row::{Base, Build, Program, Row, Tags};
