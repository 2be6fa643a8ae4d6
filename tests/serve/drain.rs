//! The drain, seen by clients whose request is on its way.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::Serve;
use crate::tls::{Webhook, ask, connect_from, review};

/// API servers hold such connections: opened for a request that then used another one.
#[test]
fn connections_without_a_request_are_answered_after_the_drain_began() {
    let mut serve = Serve::standalone(&[]);
    let webhook = Webhook::of(&mut serve);
    let mut silent: Vec<_> = (0..51).map(|_| webhook.connect_from(Ipv4Addr::LOCALHOST).unwrap()).collect();
    let unaccepted: Vec<_> = (0..51).map(|_| connect_from(Ipv4Addr::LOCALHOST, webhook.address).unwrap()).collect();
    serve.signal("TERM");
    serve.wait_for("stopping");
    silent.extend(unaccepted.into_iter().map(|stream| webhook.handshake(stream).unwrap()));
    for stream in &mut silent {
        assert_eq!(ask(stream, &review(1)).unwrap(), 200);
    }
    let asked = Instant::now();
    assert_eq!(serve.wait().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "the answers end the connections, and so the process");
}

#[test]
fn a_silent_connection_delays_the_exit_for_seconds_only() {
    let mut serve = Serve::standalone(&[]);
    let webhook = Webhook::of(&mut serve);
    let _silent = webhook.connect_from(Ipv4Addr::LOCALHOST).unwrap();
    let asked = Instant::now();
    serve.signal("TERM");
    assert_eq!(serve.wait().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
