//! Many connections to muslin's ports, by one peer and by many, which say nothing, little, or something else.

use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::sleep;

use crate::attacks::peers::{Ports, connect};
use crate::attacks::victim::Victim;
use crate::common::harness::tests;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![connections_to_the_metrics_port, connections_to_the_port_for_reviews];

/// The number of connections at once: more than the 1,024 that stopped muslin once.
const CONNECTIONS: usize = 1500;

/// The time for which they are held, and the pause between two bytes.
const HELD: Duration = Duration::from_millis(800);
const DRIP: Duration = Duration::from_millis(100);

/// What each connection sends.
#[derive(Clone, Copy)]
enum Sends {
    Nothing,
    /// These bytes at once.
    Text(&'static str),
    /// One byte of these at a time.
    Slowly(&'static str),
    /// The start of a request, and this many bytes of a body of 65,000.
    PartOfABody(usize),
}

/// The head of a review without its body.
const HEAD: &str = "POST /mutate?timeout=30s HTTP/1.1\r\nHost: muslin\r\nContent-Length: 65000\r\n\r\n";

/// A TLS record of 300 bytes, announced and not sent.
const PART_OF_A_HELLO: &str = "\u{16}\u{3}\u{1}\u{1}";

fn connections_to_the_metrics_port(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    for (attack, peers, sends) in [
        ("1,500 silent connections to the metrics port", 1, Sends::Nothing),
        ("the same from 200 peers", 200, Sends::Nothing),
        ("1,500 halves of a head on the metrics port", 1, Sends::Text("GET /metrics HTTP/1.1\r\nHost: ")),
        ("1,500 heads of a byte each 100 ms on the metrics port", 1, Sends::Slowly("GET /metrics HTTP/1.1\r\nHost: m")),
        ("the same from 200 peers, one byte each 100 ms", 200, Sends::Slowly("GET /metrics HTTP/1.1\r\nHost: m")),
        ("1,500 idle connections after an answer", 1, Sends::Text("GET /healthz HTTP/1.1\r\nHost: m\r\n\r\n")),
    ] {
        victim.attack(attack, |muslin| {
            let to = Ports::of(muslin)?.metrics;
            world.runtime.block_on(join_all((0..CONNECTIONS).map(|index| async move {
                if let Ok(mut stream) = connect(peer(index, peers), to).await {
                    hold(&mut stream, sends).await;
                }
            })));
            Ok(())
        })?;
    }
    victim.finish()
}

fn connections_to_the_port_for_reviews(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    for (attack, peers, is_tls, sends) in [
        ("1,500 silent connections to the port for reviews", 1, false, Sends::Nothing),
        ("the same from 200 peers", 200, false, Sends::Nothing),
        ("handshakes and no request from 200 peers", 200, true, Sends::Nothing),
        ("1,500 halves of a body", 1, true, Sends::PartOfABody(64_000)),
        ("halves of a body from 200 peers", 200, true, Sends::PartOfABody(64_000)),
        ("heads of a byte each 100 ms from 200 peers", 200, true, Sends::Slowly("POST /mutate HTTP/1.1\r\nHost: m")),
        ("1,500 parts of a ClientHello", 1, false, Sends::Text(PART_OF_A_HELLO)),
        ("parts of a ClientHello from 200 peers", 200, false, Sends::Text(PART_OF_A_HELLO)),
        ("1,500 handshakes and no request", 1, true, Sends::Nothing),
        ("halves of a head from 200 peers", 200, true, Sends::Text("POST /mutate HTTP/1.1\r\nHost: ")),
    ] {
        victim.attack(attack, |muslin| {
            let ports = Ports::of(muslin)?;
            world.runtime.block_on(join_all((0..CONNECTIONS).map(|index| {
                let ports = ports.clone();
                async move {
                    let attacker = peer(index, peers);
                    if is_tls {
                        if let Ok(mut stream) = ports.tls(attacker).await {
                            hold(&mut stream, sends).await;
                        }
                    } else if let Ok(mut stream) = connect(attacker, ports.reviews).await {
                        hold(&mut stream, sends).await;
                    }
                }
            })));
            Ok(())
        })?;
    }
    victim.finish()
}

/// Returns the attacker of one connection.
fn peer(connection: usize, peers: usize) -> u8 {
    u8::try_from(1 + connection % peers).unwrap_or(1)
}

/// Sends what there is to send, and keeps the connection open for a while. A connection that muslin closes is no failure of the attack.
async fn hold(stream: &mut (impl AsyncWrite + Unpin), sends: Sends) {
    match sends {
        Sends::Nothing => sleep(HELD).await,
        Sends::Text(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            sleep(HELD).await;
        }
        Sends::Slowly(text) => {
            for byte in text.bytes().take(usize::try_from(HELD.as_millis() / DRIP.as_millis()).unwrap_or(1)) {
                let _ = stream.write_all(&[byte]).await;
                sleep(DRIP).await;
            }
        }
        Sends::PartOfABody(length) => {
            let _ = stream.write_all(HEAD.as_bytes()).await;
            let _ = stream.write_all(&vec![b' '; length]).await;
            sleep(HELD).await;
        }
    }
}
