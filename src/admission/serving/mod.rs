//! Sockets, TLS, bodies, deadlines and the shutdown. Must not know what a review says.

pub(super) mod body;
mod chain;
mod connections;
pub(super) mod deadline;
mod limits;
mod listen;
mod server;
mod shutdown;
mod tls;
mod tracked;

pub use limits::{BODY_BYTES_MAX, BUFFER_MAX, CONNECTIONS_MAX, Limits, PROBE_CONNECTIONS_MAX};
pub use listen::{listen, listen_everywhere};
pub use server::Server;
pub use shutdown::Shutdown;
pub use tls::{KeyFiles, Keys, TlsError, server_config};
