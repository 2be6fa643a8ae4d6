//! The table alone, without sockets.

use std::net::IpAddr;
use std::time::Duration;

use super::table::{DRAIN_FIRST_REQUEST, DRAIN_IDLE, GRACE, Held};
use super::*;

fn peer(address: &str) -> Peer {
    Peer::from(address.parse::<IpAddr>().unwrap())
}

fn connections(limits: Limits) -> Arc<Connections> {
    Connections::new(limits)
}

/// Takes a place in this phase.
fn open(connections: &Arc<Connections>, address: &str, phase: Phase) -> Slot {
    connections.admit(peer(address), phase).unwrap().0
}

fn is_open(slot: &Slot) -> bool {
    slot.connections.table().open.contains_key(&slot.id)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

#[test]
fn a_mapped_ipv4_address_is_the_same_peer() {
    assert_eq!(peer("::ffff:10.1.2.3"), peer("10.1.2.3"));
    assert_ne!(peer("::ffff:10.1.2.3"), peer("10.1.2.4"));
}

#[test]
fn ipv6_peers_are_networks_of_64_bits() {
    assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::9"));
    assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
}

#[test]
fn a_peer_with_its_share_makes_room_for_itself() {
    let connections = connections(Limits { connections_per_peer: 2, ..Limits::new(100) });
    let other = open(&connections, "10.0.0.9", Phase::FirstHeader);
    let slots = [1, 2, 3].map(|_| open(&connections, "10.0.0.1", Phase::Handshake));
    assert_eq!(slots.each_ref().map(is_open), [false, true, true]);
    assert!(is_open(&other));
}

#[test]
fn the_peer_with_the_most_unfinished_requests_makes_room() {
    let connections = connections(Limits::new(10));
    let idle = [1, 2, 3].map(|_| open(&connections, "10.0.0.1", Phase::Idle));
    let one = open(&connections, "10.0.0.2", Phase::FirstHeader);
    let silent = [1, 2, 3, 4, 5, 6].map(|_| open(&connections, "10.0.0.3", Phase::FirstHeader));
    let newcomers = ["10.0.0.1", "10.0.0.2", "10.0.0.4"].map(|address| open(&connections, address, Phase::Handshake));
    assert!(idle.iter().chain([&one]).chain(&newcomers).all(is_open));
    assert_eq!(silent.each_ref().map(is_open), [false, false, false, true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_stays_unfinished_makes_room_before_idle_connections() {
    let connections = connections(Limits::new(4));
    let idle = [1, 2, 3].map(|_| open(&connections, "10.0.0.1", Phase::Idle));
    let silent = open(&connections, "10.0.0.2", Phase::Body);
    tokio::time::advance(GRACE).await;
    let _newcomer = open(&connections, "10.0.0.4", Phase::Handshake);
    assert!(idle.iter().all(is_open) && !is_open(&silent));
}

#[test]
fn idle_connections_make_room_when_their_peer_has_the_most() {
    let connections = connections(Limits { connections_per_peer: 6, ..Limits::new(6) });
    let api_server = [1, 2].map(|_| open(&connections, "10.0.0.1", Phase::Idle));
    let newcomer = open(&connections, "10.0.0.4", Phase::Handshake);
    let flood = [1, 2, 3, 4].map(|_| open(&connections, "10.0.0.3", Phase::Idle));
    assert_eq!(flood.each_ref().map(is_open), [false, true, true, true]);
    assert!(api_server.iter().chain([&newcomer]).all(is_open));
}

#[test]
fn a_request_that_is_being_answered_is_never_given_up() {
    let connections = connections(Limits::new(2));
    let busy = ["10.0.0.1", "10.0.0.2"].map(|address| open(&connections, address, Phase::Answer));
    assert!(connections.admit(peer("10.0.0.3"), Phase::Handshake).is_none());
    assert!(busy.iter().all(is_open));
}

#[test]
fn a_place_is_given_back() {
    let connections = connections(Limits::new(1));
    for _ in 0..3 {
        drop(open(&connections, "10.0.0.1", Phase::Answer));
    }
    let table = connections.table();
    assert!(table.open.is_empty() && table.peers.is_empty(), "{table:?}");
}

#[test]
fn the_first_message_of_a_handshake_is_bounded() {
    let connections = connections(Limits::default());
    let slot = open(&connections, "10.0.0.1", Phase::Handshake);
    assert!(slot.received(HANDSHAKE_BYTES_MAX));
    assert!(!slot.received(1));
    slot.enter(Phase::FirstHeader);
    assert!(slot.received(HANDSHAKE_BYTES_MAX), "only the handshake");
}

#[tokio::test(start_paused = true)]
async fn each_phase_has_its_time_limit_and_an_answer_has_none() {
    let limits = Limits::default();
    for (phase, limit) in [
        (Phase::Handshake, limits.handshake),
        (Phase::FirstHeader, limits.header),
        (Phase::Header, limits.header),
        (Phase::Body, limits.body),
        (Phase::Idle, limits.idle),
    ] {
        let connections = connections(limits);
        let (slot, busy) = (open(&connections, "10.0.0.1", phase), open(&connections, "10.0.0.1", Phase::Answer));
        tokio::time::advance(limit - Duration::from_millis(1)).await;
        connections.sweep();
        assert!(is_open(&slot), "{phase:?}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(connections.sweep(), usize::from(phase == Phase::Handshake));
        assert!(!is_open(&slot) && is_open(&busy), "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_of_another_header_starts_its_time_limit() {
    let connections = connections(Limits::default());
    let slot = open(&connections, "10.0.0.1", Phase::Idle);
    assert!(slot.received(1));
    tokio::time::advance(Limits::default().header).await;
    connections.sweep();
    assert!(!is_open(&slot));
}

#[tokio::test(start_paused = true)]
async fn a_drain_leaves_time_for_requests_on_their_way() {
    let connections = connections(Limits::default());
    let phases = [Phase::FirstHeader, Phase::Idle, Phase::Header, Phase::Body, Phase::Answer];
    let slots = phases.map(|phase| open(&connections, "10.0.0.1", phase));
    connections.drain();
    let mut left = Vec::new();
    for step in [DRAIN_IDLE, DRAIN_FIRST_REQUEST - DRAIN_IDLE] {
        connections.sweep();
        left.push(slots.each_ref().map(is_open));
        tokio::time::advance(step).await;
    }
    connections.sweep();
    left.push(slots.each_ref().map(is_open));
    assert_eq!(left, [[true; 5], [true, false, true, true, true], [false, false, true, true, true]]);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_makes_room_for_one_of_another_peer() {
    let limits = Limits { body_bytes: 100, body_bytes_per_peer: 80, ..Limits::default() };
    let connections = connections(limits);
    let slow = Arc::new(open(&connections, "10.0.0.1", Phase::Body));
    let held = BodyRoom::new(Arc::clone(&slow)).reserve(80, soon()).await.unwrap();
    // Given back by the task of the connection, once that ends.
    let task = tokio::spawn(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    connections.set_task(slow.id, task.abort_handle());
    let honest = BodyRoom::new(Arc::new(open(&connections, "10.0.0.2", Phase::Body)));
    assert!(honest.reserve(60, soon()).await.is_some());
    assert!(!is_open(&slow));
    drop(honest);
    assert_eq!(connections.table().bodies, Held::default());
}

#[tokio::test]
async fn the_peer_that_holds_the_least_gets_memory_first() {
    let connections = connections(Limits { body_bytes: 100, body_bytes_per_peer: 80, ..Limits::default() });
    let room = |address| BodyRoom::new(Arc::new(open(&connections, address, Phase::Body)));
    let later = Instant::now() + Duration::from_secs(10);
    let [most, _rest] = [room("10.0.0.1").reserve(80, later).await, room("10.0.0.2").reserve(20, later).await];
    most.iter().for_each(Reservation::complete);
    let (greedy, modest) = (room("10.0.0.2"), room("10.0.0.3"));
    let (greedy, modest) = (greedy.reserve(50, later), modest.reserve(50, later));
    let free = async {
        tokio::task::yield_now().await;
        drop(most);
    };
    let first = async {
        tokio::select! { _greedy = greedy => "greedy", _modest = modest => "modest" }
    };
    assert_eq!(futures::future::join(first, free).await.0, "modest");
    assert!(connections.table().waiting.is_empty());
}

#[tokio::test]
async fn a_body_that_has_arrived_keeps_its_memory() {
    let limits = Limits { body_bytes: 100, body_bytes_per_peer: 80, ..Limits::default() };
    let connections = connections(limits);
    let reviewed = BodyRoom::new(Arc::new(open(&connections, "10.0.0.1", Phase::Body)));
    let held = reviewed.reserve(80, soon()).await.unwrap();
    held.complete();
    let other = BodyRoom::new(Arc::new(open(&connections, "10.0.0.2", Phase::Body)));
    assert!(other.reserve(60, soon()).await.is_none());
    drop(held);
    assert!(other.reserve(60, soon()).await.is_some());
    assert_eq!(connections.table().bodies, Held::default());
}
