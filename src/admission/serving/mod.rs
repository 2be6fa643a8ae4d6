//! Sockets, TLS, bodies, deadlines and the shutdown. Must not know what a review says.

pub(super) mod body;
pub(super) mod deadline;
mod server;
mod shutdown;
mod tls;

pub use server::{Limits, Server};
pub use shutdown::Shutdown;
pub use tls::{KeyFiles, Keys, TlsError, server_config};
