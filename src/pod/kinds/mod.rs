//! The kinds of objects that make pods: where each has them, and where it takes the DNS settings of its pods. One table for `check`,
//! `inject`, `scan` and the documentation. Must not know how an object is read.
//!
//! To add a kind, add a row to one of the lists, with the source of its schema.

mod builtin;
mod kind;
mod operators;
mod pipelines;
mod table;
mod workloads;

pub use kind::{DnsSource, GUESSED, Layout, PodKind, PodPlace, SETTINGS};
