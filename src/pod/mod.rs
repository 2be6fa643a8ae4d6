//! The part of a Pod that matters to DNS, borrowed from the request's bytes, and the resolv.conf that its containers get. Must not know of
//! images, rules or the cluster.

mod annotations;
mod charged;
mod dns;
mod env;
mod env_entry;
mod expansion;
mod injected;
mod keys;
pub mod kinds;
mod object;
mod objects_only;
mod placement;
mod text;
pub mod workload;

pub(crate) use annotations::{AMBIENT_DNS_ANNOTATION, ISTIO_CONFIG_ANNOTATION, MIRROR_ANNOTATION};
pub use annotations::{Annotations, ignored_rules};
pub use dns::{Base, Dns, DnsOption, Policy, ResolvConf, cluster_searches};
pub use env::ResolverEnv;
pub(crate) use env::{MESH_PROXY_VARIABLE, RESOLVER_VARIABLES};
pub use expansion::{ExpandedTooLong, Variables};
pub use injected::{Injected, InjectedOption};
pub use keys::{
    DOCTOR_ANNOTATION, IGNORE_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, KeyOwner, KeyPlace,
    POLICIES_ANNOTATION, RESOLVERS_ANNOTATION, ROLLOUT_KEY, UnreadKey, WARNINGS_ANNOTATION,
};
pub(crate) use keys::{PREFIX as KEY_PREFIX, keep_unread};
pub(crate) use object::ISTIO_MODE_LABEL;
pub use object::{Container, DnsConfigShape, LIBC_LABEL, Labels, Metadata, Pod, RunningPod, Spec};
pub(crate) use placement::OS_LABELS;
pub use text::Text;

#[cfg(test)]
mod tests;
