//! muslin: a Kubernetes admission webhook that makes DNS inside pods dependable.

pub mod resolver;
