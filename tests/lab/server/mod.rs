//! A DNS server that does what a script says, at an address of the laboratory, and remembers what it was asked.

mod answer;
mod script;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::lab::namespace::Namespace;
use answer::{Answering, Outgoing};
#[allow(unused_imports, reason = "what a script is made of, whichever of it the tests of today use")]
pub(crate) use script::{
    Collisions, Cut, EdnsManners, Reply, Script, Tcp, Then, Transport, When, a, aaaa, addresses, any, code, truth,
};

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: IpAddr,
    state: Arc<Mutex<Answering>>,
    /// Ends when it is dropped, and all that it started with it.
    _tasks: JoinSet<()>,
}

/// A query that reached a server, whatever became of it.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "what a failed test prints")]
pub(crate) struct Seen {
    /// Since the server was started.
    pub(crate) at: Duration,
    pub(crate) transport: Transport,
    pub(crate) from: SocketAddr,
    pub(crate) id: u16,
    pub(crate) kind: RecordType,
    /// In lower case, without the last dot.
    pub(crate) name: String,
    /// How many bytes the client says it takes by UDP.
    pub(crate) edns: Option<u16>,
}

// === impl Server ===

impl Server {
    pub(crate) fn start(runtime: &Handle, namespace: &Namespace, address: IpAddr, script: Script) -> Result<Self> {
        let _in_runtime = runtime.enter();
        let udp = UdpSocket::from_std(namespace.udp(address)?)?;
        let tcp = match script.tcp {
            Tcp::Refuses => None,
            Tcp::Answers | Tcp::Hangs => Some(TcpListener::from_std(namespace.tcp(address)?)?),
        };
        let hangs = script.tcp == Tcp::Hangs;
        let state = Arc::new(Mutex::new(Answering::new(script)));
        let mut tasks = JoinSet::new();
        tasks.spawn_on(serve_udp(Arc::new(udp), Arc::clone(&state)), runtime);
        if let Some(listener) = tcp {
            tasks.spawn_on(serve_tcp(listener, Arc::clone(&state), hangs), runtime);
        }
        Ok(Self { address, state, _tasks: tasks })
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Follows another script from now on. Whether it has TCP stays as it was.
    pub(crate) fn follow(&self, script: Script) {
        lock(&self.state).follow(script);
    }

    /// All queries that reached it, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }

    /// Those for a name.
    pub(crate) fn seen_of(&self, name: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.name == name).collect()
    }

    /// Forgets what it has seen.
    pub(crate) fn forget(&self) {
        lock(&self.state).seen.clear();
    }
}

/// A test that panicked has failed already; the others go on.
fn lock(state: &Mutex<Answering>) -> MutexGuard<'_, Answering> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve_udp(socket: Arc<UdpSocket>, state: Arc<Mutex<Answering>>) {
    let mut replies = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        // What a lost peer leaves on the socket is no reason to stop.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        // What is no query gets no answer.
        let answer = lock(&state).answer(&buffer[..length], from, Transport::Udp);
        let Ok(Some(Outgoing { after, bytes })) = answer else { continue };
        if after.is_zero() {
            let _ = socket.send_to(&bytes, from).await;
        } else {
            let socket = Arc::clone(&socket);
            replies.spawn(async move {
                tokio::time::sleep(after).await;
                let _ = socket.send_to(&bytes, from).await;
            });
            while replies.try_join_next().is_some() {}
        }
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<Mutex<Answering>>, hangs: bool) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, from)) = listener.accept().await else { continue };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            // A client that hangs up is no failure of the server.
            let _ = converse(stream, from, &state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Messages over TCP have their length before them (RFC 1035, 4.2.2).
async fn converse(mut stream: TcpStream, from: SocketAddr, state: &Mutex<Answering>) -> Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await?;
        let answer = lock(state).answer(&query, from, Transport::Tcp)?;
        let Some(Outgoing { after, bytes }) = answer else { continue };
        tokio::time::sleep(after).await;
        let mut framed = u16::try_from(bytes.len())?.to_be_bytes().to_vec();
        framed.extend(bytes);
        stream.write_all(&framed).await?;
    }
}
