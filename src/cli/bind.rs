//! The address at which a server listens: an address with a port, or a port of every address.

use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;

use anyhow::Context as _;

use crate::admission::{listen, listen_everywhere};

/// An address at which a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bind {
    /// One address.
    At(SocketAddr),
    /// This port of every address, of IPv4 and IPv6.
    Everywhere(u16),
}

/// The text is neither an address with a port nor a port.
#[derive(Debug, thiserror::Error)]
#[error("use an address with a port, as 127.0.0.1:8443 or [::1]:8443, or a port alone, as 8443")]
pub(super) struct InvalidBind;

// === impl Bind ===

impl FromStr for Bind {
    type Err = InvalidBind;

    fn from_str(text: &str) -> Result<Self, InvalidBind> {
        let port = || text.parse().map(Self::Everywhere);
        text.parse().map(Self::At).or_else(|_| port()).map_err(|_| InvalidBind)
    }
}

impl Bind {
    pub(super) fn listen(self) -> anyhow::Result<TcpListener> {
        match self {
            Self::At(address) => listen(address).with_context(|| format!("cannot listen at {address}")),
            Self::Everywhere(port) => listen_everywhere(port).with_context(|| format!("cannot listen at [::]:{port}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port_and_a_port_stands_alone() {
        let read = |text: &str| text.parse::<Bind>().ok();
        assert_eq!(read("9443"), Some(Bind::Everywhere(9443)));
        assert_eq!(read("[::1]:9443"), Some(Bind::At("[::1]:9443".parse().unwrap())));
        assert_eq!(read("127.0.0.1:0"), Some(Bind::At("127.0.0.1:0".parse().unwrap())));
        for text in ["", "127.0.0.1", "::1", ":9443", "70000", "-1", "localhost:9443", "9443 "] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_port_alone_listens_at_every_address() {
        let listener = Bind::Everywhere(0).listen().unwrap();
        assert!(listener.local_addr().unwrap().ip().is_unspecified());
    }
}
