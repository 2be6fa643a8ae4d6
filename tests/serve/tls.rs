//! A client of the webhook's port: blocking, with an address of its own choice.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::{PATIENCE, Serve};

/// The webhook's port, and its CA.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    config: Arc<ClientConfig>,
}

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects from this loopback address, which is a peer of its own.
pub(crate) fn connect_from(source: Ipv4Addr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source.into(), 0).into())?;
    socket.connect_timeout(&address.into(), PATIENCE)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Returns a request for a review with a body of at least so many bytes.
pub(crate) fn review(bytes: usize) -> Vec<u8> {
    let padding = "x".repeat(bytes);
    let body = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"1","kind":{{"group":"","version":"v1","kind":"Pod"}},"operation":"CREATE","namespace":"default","object":{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{padding}"}},"spec":{{"containers":[{{"name":"a","image":"alpine:3.18"}}]}}}}}}}}"#
    );
    let head = format!("POST /mutate?timeout=10s HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body.into_bytes()].concat()
}

// === impl Webhook ===

impl Webhook {
    /// Reads what a standalone server prints.
    pub(crate) fn of(serve: &mut Serve) -> Self {
        let mut lines = BufReader::new(serve.child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.next().unwrap();
        let address = url.strip_prefix("https://").unwrap().strip_suffix("/mutate").unwrap().parse().unwrap();
        let mut pem = String::new();
        for line in lines {
            pem.push_str(&line);
            pem.push('\n');
            if line.starts_with("-----END") {
                break;
            }
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address, config: Arc::new(config) }
    }

    /// Does the handshake on a connection.
    pub(crate) fn handshake(&self, stream: TcpStream) -> std::io::Result<TlsStream> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(&self.config), name).unwrap(), stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    pub(crate) fn connect_from(&self, source: Ipv4Addr) -> std::io::Result<TlsStream> {
        self.handshake(connect_from(source, self.address)?)
    }
}

/// Returns the status and the body of one answer.
pub(crate) fn answer(stream: &mut TlsStream) -> std::io::Result<(u16, String)> {
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("http/1.1 ") {
            status = text[..3].parse().unwrap();
        } else if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((status, String::from_utf8(body).unwrap()))
}

/// Sends a request and returns the status of its answer.
pub(crate) fn ask(stream: &mut TlsStream, request: &[u8]) -> std::io::Result<u16> {
    stream.write_all(request)?;
    stream.flush()?;
    Ok(answer(stream)?.0)
}
