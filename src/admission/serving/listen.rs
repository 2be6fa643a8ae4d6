//! Listening sockets. One socket at `[::]` serves IPv6 and IPv4, so that clusters of either kind and of both need no setting.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

use crate::os;

/// Connections that the kernel holds until they are accepted, at most `net.core.somaxconn`, which is 4096. When they are as many, the kernel
/// drops a client's first packet, which the client repeats after a second: the time limit of a kubelet's probe.
const BACKLOG: i32 = 4096;

/// Listens at an address. IPv6 sockets also serve IPv4 where the address is `[::]`, whatever the node's `net.ipv6.bindv6only` is.
///
/// # Errors
/// The address is in use or not this machine's, or the kernel has no such addresses.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for connections of the last process to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Listens at all addresses of this machine: at `[::]`, or at `0.0.0.0` where the kernel has no IPv6.
///
/// # Errors
/// The port is in use.
pub fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    with_fallback(port, listen)
}

fn with_fallback<T>(port: u16, listen: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let at = |address| listen(SocketAddr::new(address, port));
    match at(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) {
        Err(error) if os::is_without_ipv6(&error) => {
            tracing::info!(%error, port, "the kernel has no IPv6; listening at 0.0.0.0 only");
            at(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
        listening => listening,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn one_socket_serves_ipv4_and_ipv6() {
        let listener = listen_everywhere(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listener.local_addr().unwrap().is_ipv6());
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    }

    #[test]
    fn listens_at_ipv4_where_the_kernel_has_no_ipv6() {
        let without_ipv6 = |errno: Errno| {
            with_fallback(80, |address| match address {
                SocketAddr::V6(_) => Err(errno.into()),
                SocketAddr::V4(address) => Ok(address),
            })
        };
        for errno in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            assert_eq!(without_ipv6(errno).unwrap().to_string(), "0.0.0.0:80");
        }
        assert!(without_ipv6(Errno::ADDRINUSE).is_err(), "a port in use at [::] is an error");
    }
}
