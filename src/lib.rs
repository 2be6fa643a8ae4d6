//! muslin: a Kubernetes admission webhook that makes DNS inside pods dependable.
//!
//! The map of the house, from the ground. A floor knows those below it and none above; the pure ones do no I/O. See
//! `ARCHITECTURE.md` for why, and `tests/floors.rs` for what keeps it so.
//!
//! | floor | what it knows |
//! |---|---|
//! | [`resolver`] | what each resolver does with each option, by version (pure) |
//! | [`pod`] | the part of a Pod that matters, borrowed from the request (pure) |
//! | [`image`] | references and what they suggest (pure) |
//! | [`policy`] | modes, levels, profiles (pure) |
//! | [`rules`] | one file a rule (pure) |
//! | [`plan`] | (pod, fingerprints, profile, mode) to plan to JSON Patch (pure) |
//! | [`verdicts`] | what can be wrong with DNS where a probe ran, one file a fault (pure) |
//! | [`explain`] | all of the above, for people to read (pure) |
//! | [`manifest`] | files of manifests: documents, templates, edits that keep comments (pure) |
//! | [`report`] | findings for people (pure) |
//! | [`probe`] | asks nameservers, and says what was seen |
//! | [`cluster`] | everything that talks to the Kubernetes API |
//! | [`admission`] | the webhook |
//! | [`cli`] | one file a command |

pub mod admission;
pub mod cli;
pub mod cluster;
mod documentation;
pub mod explain;
pub mod image;
pub mod manifest;
pub mod plan;
pub mod pod;
pub mod policy;
pub mod probe;
pub mod registry;
pub mod report;
pub mod resolver;
pub mod rules;
mod text;
pub mod verdicts;
