//! Clients that open connections and leave them unfinished, on both ports and from several addresses; and what the kubelet and an API
//! server get meanwhile.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::tls::{TlsStream, Webhook, ask, connect_from, review};
use crate::{PATIENCE, Serve};

/// The time within which the kubelet and an API server are answered.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The time for which they ask, once the flood has risen.
const DURATION: Duration = Duration::from_secs(1);

/// Connections of each flooding client, of which there are three: more than the server allows in all.
const EACH: usize = 280;

/// The addresses of the flooding clients.
const FLOODERS: [Ipv4Addr; 3] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 0, 4)];

/// The address of the honest API server.
const API_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// An unfinished connection; its client keeps it open.
enum Unfinished {
    Plain(#[expect(dead_code, reason = "kept open")] TcpStream),
    Tls(#[expect(dead_code, reason = "kept open")] Box<TlsStream>),
}

type Flood = fn(&Webhook, Ipv4Addr) -> std::io::Result<Unfinished>;

/// Sends nothing.
fn silent(webhook: &Webhook, from: Ipv4Addr) -> std::io::Result<Unfinished> {
    Ok(Unfinished::Plain(connect_from(from, webhook.address)?))
}

/// Sends the most of a handshake's first message, which claims to be long.
fn partial_handshake(webhook: &Webhook, from: Ipv4Addr) -> std::io::Result<Unfinished> {
    let mut stream = connect_from(from, webhook.address)?;
    // Records of 16 KiB that hold one ClientHello of 65,000 bytes.
    let hello = [&[1, 0, 0xfd, 0xe8, 3, 3][..], &[0; 64_000]].concat();
    for record in hello.chunks(16_384) {
        let length = u16::try_from(record.len()).unwrap().to_be_bytes();
        // Closed early, which is an answer too.
        let _ = stream.write_all(&[&[22, 3, 1], &length[..], record].concat());
    }
    Ok(Unfinished::Plain(stream))
}

fn after_handshake(webhook: &Webhook, from: Ipv4Addr, bytes: &[u8]) -> std::io::Result<Unfinished> {
    let mut stream = webhook.connect_from(from)?;
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    Ok(Unfinished::Tls(Box::new(stream)))
}

fn partial_header(webhook: &Webhook, from: Ipv4Addr) -> std::io::Result<Unfinished> {
    let header = [&b"POST /mutate HTTP/1.1\r\nHost: "[..], &[b'a'; 15_000]].concat();
    after_handshake(webhook, from, &header)
}

fn half_a_body(webhook: &Webhook, from: Ipv4Addr) -> std::io::Result<Unfinished> {
    let request = review(65_000);
    after_handshake(webhook, from, &request[..request.len() / 2])
}

fn announced_body(webhook: &Webhook, from: Ipv4Addr) -> std::io::Result<Unfinished> {
    after_handshake(webhook, from, b"POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n{")
}

fn idle_after_an_answer(webhook: &Webhook, from: Ipv4Addr) -> std::io::Result<Unfinished> {
    let mut stream = webhook.connect_from(from)?;
    let _ = ask(&mut stream, &review(1));
    Ok(Unfinished::Tls(Box::new(stream)))
}

/// Runs the test while all clients keep their connections, and open new ones in place of the oldest.
fn while_flooded(open: &(impl Fn(Ipv4Addr) -> std::io::Result<Unfinished> + Sync), each: usize, test: impl FnOnce()) {
    let (stop, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for address in FLOODERS {
            let (stop, opened) = (&stop, &opened);
            scope.spawn(move || {
                let mut kept = std::collections::VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    kept.extend(open(address).ok());
                    opened.fetch_add(1, Ordering::Relaxed);
                    if kept.len() > each {
                        kept.pop_front();
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
        let deadline = Instant::now() + PATIENCE;
        while opened.load(Ordering::Relaxed) < FLOODERS.len() * each {
            assert!(Instant::now() < deadline, "the flood does not rise");
            thread::sleep(Duration::from_millis(5));
        }
        let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
        stop.store(true, Ordering::Relaxed);
        tested.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Repeats requests for a while.
fn for_a_while(mut request: impl FnMut()) {
    let started = Instant::now();
    while started.elapsed() < DURATION {
        request();
        thread::sleep(Duration::from_millis(10));
    }
}

fn in_time(what: &str, request: impl FnOnce()) {
    let asked = Instant::now();
    request();
    assert!(asked.elapsed() < ANSWER_MAX, "{what} took {:?}", asked.elapsed());
}

/// The most memory that the server has used, in MiB.
fn peak_mib(serve: &Serve) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.child.id())).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn reviews_are_answered_during(flood: Flood) {
    let mut serve = Serve::standalone(&[]);
    let webhook = Webhook::of(&mut serve);
    while_flooded(&|address| flood(&webhook, address), EACH, || {
        let mut kept = webhook.connect_from(API_SERVER).unwrap();
        assert_eq!(ask(&mut kept, &review(1)).unwrap(), 200);
        for_a_while(|| {
            in_time("a review on a new connection", || {
                let mut stream = webhook.connect_from(API_SERVER).unwrap();
                assert_eq!(ask(&mut stream, &review(200_000)).unwrap(), 200);
            });
            in_time("a review on a kept connection", || assert_eq!(ask(&mut kept, &review(1)).unwrap(), 200));
            in_time("a probe", || assert_eq!(serve.get("/healthz").0, 200));
        });
    });
    let peak = peak_mib(&serve);
    assert!(peak < PEAK_MAX_MIB, "{peak} MiB");
}

/// The most memory of a debug build under any of these floods.
const PEAK_MAX_MIB: u64 = 110;

#[test]
fn silent_connections_delay_no_review() {
    reviews_are_answered_during(silent);
}

#[test]
fn partial_handshakes_delay_no_review() {
    reviews_are_answered_during(partial_handshake);
}

#[test]
fn partial_headers_delay_no_review() {
    reviews_are_answered_during(partial_header);
}

#[test]
fn half_bodies_delay_no_review() {
    reviews_are_answered_during(half_a_body);
}

#[test]
fn announced_bodies_delay_no_review() {
    reviews_are_answered_during(announced_body);
}

#[test]
fn idle_connections_delay_no_review() {
    reviews_are_answered_during(idle_after_an_answer);
}

/// The kubelet's own address is among those that flood, as a pod in the host's network has it.
#[test]
fn probes_are_answered_while_their_port_is_flooded() {
    let serve = Serve::standalone(&[]);
    let address: SocketAddr = serve.metrics.parse().unwrap();
    let open = |from| {
        let from = if from == FLOODERS[0] { Ipv4Addr::LOCALHOST } else { from };
        Ok(Unfinished::Plain(connect_from(from, address)?))
    };
    while_flooded(&open, EACH, || {
        for_a_while(|| {
            in_time("a probe", || assert_eq!(serve.get("/healthz").0, 200));
            in_time("a probe", || assert_eq!(serve.get("/readyz").0, 200));
        });
    });
}
