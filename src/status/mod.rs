//! `muslin status` without its I/O: from observations of a cluster to one picture of its DNS, the worst first. Must not know where
//! observations come from, or how the picture is shown.

mod differences;
mod fleet;
mod names;
mod namespaces;
mod nodes;
mod observed;
mod origins;
mod problem;
mod standing;
#[cfg(test)]
mod tests;

pub use fleet::{Images, Muslin, NameserverRow, NodeTotals, Status, status};
pub use namespaces::NamespaceGroup;
pub use nodes::{NodeState, State};
pub use observed::{
    AskedNameserver, Defaults, ImagesInUse, Node, NodeObservation, NodeOrigin, NodeWatch, Observed, ObservedProfile,
    SearchDomain, Standing, UnknownImage, WatchSpec,
};
pub use problem::{Kind, Problem};
