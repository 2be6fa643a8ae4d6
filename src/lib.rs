//! muslin: a Kubernetes admission webhook that makes DNS inside pods dependable.
//!
//! The floors, from the ground up. A floor uses only floors below it, and the pure ones do no I/O. `ARCHITECTURE.md` has the reasons,
//! and `tests/floors.rs` checks the rules.
//!
//! | floor | content |
//! |---|---|
//! | [`resolver`] | what each resolver does with each option, by version (pure) |
//! | [`pod`] | the part of a Pod that matters, borrowed from the request (pure) |
//! | [`image`] | what image names suggest, and what files in images show (pure) |
//! | [`policy`] | modes, levels and profiles (pure) |
//! | [`rules`] | what can be wrong with a pod, one file a rule (pure) |
//! | [`plan`] | (pod, fingerprints, profile, mode) → plan → JSON Patch (pure) |
//! | [`compilation`] | a profile as admission policies, which the API server evaluates by itself (pure) |
//! | [`verdicts`] | what can be wrong with DNS where a probe ran, one file a fault (pure) |
//! | [`watching`] | when DNS on a node has turned bad, round by round (pure) |
//! | [`explain`] | pages about rules, verdicts, options, resolvers and images (pure) |
//! | [`manifest`] | manifest files: documents, pod templates, edits that keep layout (pure) |
//! | [`installation`] | muslin's own manifests, with the components that are chosen (pure) |
//! | [`doctor`] | what is wrong with an installation of muslin, one file a subject (pure) |
//! | [`status`] | observations of a cluster → one picture of its DNS, the worst first (pure) |
//! | [`origins`] | where a node's nameservers come from, one file a mechanism (pure) |
//! | [`queries`] | lookups behind a query log, and the lowest `ndots` of each workload (pure) |
//! | [`report`] | findings and verdicts in output formats (pure) |
//! | [`registry`] | reads images from registries and archives |
//! | [`probe`] | queries nameservers and resolvers, and records the results |
//! | [`cluster`] | everything that talks to the Kubernetes API |
//! | [`admission`] | the webhook |
//! | [`cli`] | the command line, one file a command |
//!
//! Small modules serve all floors: `budget` bounds the work that one input causes, [`text`] escapes text from outside in sentences,
//! `documentation` reads doc comments, `os` has what Unix and Windows do in different ways.

pub mod admission;
mod budget;
pub mod cli;
pub mod cluster;
pub mod compilation;
pub mod doctor;
mod documentation;
pub mod explain;
pub mod image;
pub mod installation;
pub mod manifest;
pub mod origins;
mod os;
pub mod plan;
pub mod pod;
pub mod policy;
pub mod probe;
pub mod queries;
pub mod registry;
pub mod report;
pub mod resolver;
pub mod rules;
pub mod status;
pub mod text;
pub mod verdicts;
pub mod watching;

#[cfg(any(test, debug_assertions))]
#[doc(hidden)]
pub use budget::turns_of;
