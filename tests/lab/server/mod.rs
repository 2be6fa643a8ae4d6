//! A scripted DNS server at an address of the laboratory, which records the queries it receives.

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
#[allow(unused_imports, reason = "the whole vocabulary of scripts, of which today's tests use a part")]
pub(crate) use script::{
    Collisions, Cut, EdnsManners, Reply, Script, Tcp, Then, Transport, When, a, aaaa, addresses, any, code, truth,
};

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: IpAddr,
    state: Arc<Mutex<Answering>>,
    /// Tasks that end when the server is dropped.
    _tasks: JoinSet<()>,
}

/// A query that reached a server, answered or not.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "printed by failed tests")]
pub(crate) struct ReceivedQuery {
    /// Time since the server was started.
    pub(crate) at: Duration,
    pub(crate) transport: Transport,
    pub(crate) from: SocketAddr,
    pub(crate) id: u16,
    pub(crate) kind: RecordType,
    /// In lower case, without the last dot.
    pub(crate) name: String,
    /// The answer size that the client accepts by UDP, in bytes.
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

    /// Replaces the script. The TCP setting stays as it was.
    pub(crate) fn follow(&self, script: Script) {
        lock(&self.state).follow(script);
    }

    /// Lets a server with a capacity answer nothing for this time. What arrives waits, as far as there is room.
    pub(crate) fn stall(&self, time: Duration) {
        lock(&self.state).stall(time);
    }

    /// Returns all received queries, in order.
    pub(crate) fn seen(&self) -> Vec<ReceivedQuery> {
        lock(&self.state).seen.clone()
    }

    /// Returns the received queries for a name.
    pub(crate) fn seen_of(&self, name: &str) -> Vec<ReceivedQuery> {
        self.seen().into_iter().filter(|seen| seen.name == name).collect()
    }

    /// Forgets the received queries.
    pub(crate) fn forget(&self) {
        lock(&self.state).seen.clear();
    }
}

/// Locks the state, even after a panic: that test has failed already, and the others go on.
fn lock(state: &Mutex<Answering>) -> MutexGuard<'_, Answering> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve_udp(socket: Arc<UdpSocket>, state: Arc<Mutex<Answering>>) {
    let mut replies = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        // An error left on the socket by a lost peer is ignored.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        // A message that is not a query gets no answer.
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
            // A client that closes the connection is not an error.
            let _ = serve_connection(stream, from, &state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Answers queries on one TCP connection, where a message's length precedes it (RFC 1035, 4.2.2).
async fn serve_connection(mut stream: TcpStream, from: SocketAddr, state: &Mutex<Answering>) -> Result<()> {
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
