//! The choices for a probe of a pod, and the events of one.

use std::time::Duration;

/// The place where a probe of a pod runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbePlace {
    /// A pod on the same node, with the same DNS settings, which is deleted afterwards.
    Beside,
    /// An ephemeral container of the pod, which stays in its specification.
    Inside,
}

/// The choices for a probe of a pod.
#[derive(Clone, Debug)]
pub struct PodProbeSettings {
    /// The namespace of the pod.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container whose process and variables count; the pod's default one if `None`.
    pub container: Option<String>,
    /// The place of the probe.
    pub place: ProbePlace,
    /// The image of muslin.
    pub image: String,
    /// The arguments of muslin in the container.
    pub arguments: Vec<String>,
    /// Limit of the time until the container runs.
    pub start_max: Duration,
    /// Limit of the time that the container runs.
    pub run_max: Duration,
}

/// An event of a probe, for its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodProbeEvent {
    /// The pod or the container with this name was made, on this node, for this container.
    Started {
        /// The name of the pod beside, or of the ephemeral container.
        name: String,
        /// The node.
        node: String,
        /// The container of the inspected pod whose process and variables count.
        container: String,
    },
    /// A line of output.
    Line(String),
}
