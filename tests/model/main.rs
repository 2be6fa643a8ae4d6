//! The first promise on a model: resolvers, networks and servers on a simulated clock. Each stub resolver is written out from its
//! source as an async function, so that a minute of time-outs takes milliseconds and every lookup can be compared with its twin:
//! the same loss pattern, other options. The laboratory (`tests/lab`) confirms the model with real programs.
//!
//! | to find | look in |
//! |---|---|
//! | packets, sockets, loss patterns | `network.rs` |
//! | servers: healthy, dead, slow, wrong; CoreDNS; bounded upstreams | `servers.rs` |
//! | one resolver's algorithm | `stubs/` |
//! | what can go wrong | `faults.rs` |
//! | options compared with Kubernetes' own | `claim.rs` |
//! | the same beside options of a pod's author | `authors.rs` |
//! | a search domain of the node that breaks lookups | `node_domain.rs` |
//! | the best options that the claim allows | `search.rs` |
//! | many clients against an upstream of bounded capacity | `storms.rs` |

mod authors;
mod claim;
mod faults;
mod network;
mod node_domain;
mod search;
mod servers;
mod storms;
mod stubs;
