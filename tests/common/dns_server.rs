//! A DNS server on loopback, at the port of nameservers, that plays the cache on the node. Must not know who asks.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};

/// The pause between two looks for a query, or for the end.
const PAUSE: Duration = Duration::from_millis(5);

/// The time that a slow server takes.
const SLOW: Duration = Duration::from_millis(1500);

/// The answers of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// The API server's address.
    Answers,
    /// The API server's address by UDP, and nothing by TCP.
    AnswersByUdpAlone,
    /// The name does not exist.
    KnowsNoClusterNames,
    /// The API server's address, and NODATA below `corp.example.com`; no other name exists.
    BrokenSearchDomain,
    /// The API server's address; no other name exists.
    HealthySearchDomain,
    /// The API server's address under its full name; no other name exists.
    FullNameAlone,
    /// As the last, 1.5 s after a query by UDP.
    Slow,
    /// Nothing.
    Silent,
}

/// A server that runs until it is dropped.
pub(crate) struct DnsServer {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

struct State {
    manners: Mutex<Manners>,
    /// The number of queries so far.
    queries: AtomicUsize,
    names: Mutex<Vec<String>>,
    ends: AtomicBool,
}

// === impl DnsServer ===

impl DnsServer {
    /// Starts a server at port 53 of this loopback address, which needs root.
    pub(crate) fn start(address: Ipv4Addr, manners: Manners) -> Result<Self> {
        let address = SocketAddr::new(IpAddr::V4(address), 53);
        let udp = UdpSocket::bind(address).with_context(|| format!("{address} by UDP (port 53 needs root)"))?;
        let tcp = TcpListener::bind(address).with_context(|| format!("{address} by TCP (port 53 needs root)"))?;
        udp.set_read_timeout(Some(PAUSE))?;
        tcp.set_nonblocking(true)?;
        let state = Arc::new(State {
            manners: Mutex::new(manners),
            queries: AtomicUsize::new(0),
            names: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        let (by_udp, by_tcp) = (Arc::clone(&state), Arc::clone(&state));
        let threads =
            vec![thread::spawn(move || by_udp.serve_udp(&udp)), thread::spawn(move || by_tcp.serve_tcp(&tcp))];
        Ok(Self { state, threads })
    }

    pub(crate) fn answer(&self, manners: Manners) {
        *self.state.manners.lock().unwrap_or_else(PoisonError::into_inner) = manners;
    }

    /// Returns the number of queries so far, answered or not.
    pub(crate) fn queries(&self) -> usize {
        self.state.queries.load(Ordering::Relaxed)
    }

    /// Returns the names that were asked for, each once.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

// === impl State ===

impl State {
    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while !self.ends() {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let Some(answer) = self.answer(&buffer[..length], false) else { continue };
            let is_slow = *self.manners.lock().unwrap_or_else(PoisonError::into_inner) == Manners::Slow;
            match socket.try_clone() {
                // Each answer waits by itself.
                Ok(socket) if is_slow => drop(thread::spawn(move || {
                    thread::sleep(SLOW);
                    let _ = socket.send_to(&answer, from);
                })),
                _ => drop(socket.send_to(&answer, from)),
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        while !self.ends() {
            match listener.accept() {
                // A client that closes the connection is not an error.
                Ok((stream, _)) => drop(self.serve_connection(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(_) => return,
            }
        }
    }

    /// Answers one query, whose length precedes it (RFC 1035, 4.2.2).
    fn serve_connection(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut query)?;
        match self.answer(&query, true) {
            Some(answer) => {
                let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
                stream.write_all(&[&length[..], &answer].concat())
            }
            // Open until the client gives up.
            None => stream.read_exact(&mut length),
        }
    }

    fn answer(&self, query: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
        let mut message = Message::from_vec(query).ok()?;
        let name = message.queries.first()?.name().clone();
        self.queries.fetch_add(1, Ordering::Relaxed);
        let is_api_server = name.to_ascii().starts_with("kubernetes.");
        let is_full_name = name.to_ascii() == "kubernetes.default.svc.cluster.local.";
        let is_broken = name.to_ascii().ends_with(".corp.example.com.");
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let text = name.to_ascii();
        if !names.contains(&text) {
            names.push(text);
        }
        message.metadata.message_type = MessageType::Response;
        match *self.manners.lock().unwrap_or_else(PoisonError::into_inner) {
            Manners::Silent => return None,
            Manners::AnswersByUdpAlone if by_tcp => return None,
            Manners::KnowsNoClusterNames => message.metadata.response_code = ResponseCode::NXDomain,
            Manners::HealthySearchDomain if !is_api_server => {
                message.metadata.response_code = ResponseCode::NXDomain;
            }
            Manners::FullNameAlone | Manners::Slow if !is_full_name => {
                message.metadata.response_code = ResponseCode::NXDomain;
            }
            Manners::BrokenSearchDomain if is_broken => {}
            Manners::BrokenSearchDomain if !is_api_server => {
                message.metadata.response_code = ResponseCode::NXDomain;
            }
            Manners::Answers
            | Manners::AnswersByUdpAlone
            | Manners::BrokenSearchDomain
            | Manners::HealthySearchDomain
            | Manners::FullNameAlone
            | Manners::Slow => {
                message.answers.push(Record::from_rdata(name, 30, RData::A(A::new(10, 96, 0, 1))));
            }
        }
        message.to_vec().ok()
    }
}
