//! The part of a Pod that matters to DNS, borrowed from the request's bytes, and the resolv.conf that its containers get. Must not know of
//! images, rules or the cluster.

mod annotations;
mod charged;
mod dns;
mod env;
mod injected;
mod object;
mod objects_only;
mod placement;
mod text;
pub mod workload;

pub use annotations::{
    Annotations, IGNORE_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, RESOLVERS_ANNOTATION, WARNINGS_ANNOTATION,
    ignored_rules,
};
pub use dns::{Base, Dns, DnsOption, Policy, ResolvConf, cluster_searches};
pub use env::ResolverEnv;
pub use injected::{Injected, InjectedOption};
pub use object::{Container, DnsConfigShape, KeyPlace, LIBC_LABEL, Labels, Metadata, Pod, RunningPod, Spec};
pub use text::Text;

#[cfg(test)]
mod tests;
