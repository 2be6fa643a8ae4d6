//! The default addresses, in network namespaces that have only IPv6 or only IPv4. Making one needs root.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::{Files, Serve, muslin_with_default_addresses};

/// Runs a test in a network namespace of its own, with a loopback device that these `ip` commands set up.
fn in_namespace(commands: &[&str], test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let in_namespace = scope.spawn(|| {
            // For this thread only, and the processes that it starts.
            unshare(CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|error| panic!("cannot make a network namespace, which needs root: {error}"));
            for command in [&["link set lo up"], commands].concat() {
                assert!(Command::new("ip").args(command.split(' ')).status().unwrap().success(), "ip {command}");
            }
            test();
        });
        in_namespace.join().unwrap();
    });
}

/// Starts a server at its default addresses, and checks that it answers at these.
fn serves_at(hosts: &[&str]) {
    let files = Files::new();
    let keys = files.keys();
    let mut serve = Serve::spawn(muslin_with_default_addresses(&[
        &keys[0],
        &keys[1],
        &files.kubeconfig(),
        "--shutdown-delay",
        "0",
    ]));
    assert_eq!(serve.metrics, "[::]:8080");
    for host in hosts {
        serve.metrics = format!("{host}:8080");
        assert_eq!(serve.get("/healthz").0, 200, "{host}");
        let webhooks: SocketAddr = format!("{host}:8443").parse().unwrap();
        TcpStream::connect(webhooks).unwrap();
    }
}

#[test]
fn a_pod_with_ipv6_only_is_served() {
    in_namespace(&["addr del 127.0.0.1/8 dev lo", "addr add fd00::9/64 dev lo"], || serves_at(&["[::1]", "[fd00::9]"]));
}

#[test]
fn a_pod_with_ipv4_only_is_served() {
    in_namespace(&["addr del ::1/128 dev lo", "addr add 10.9.8.7/24 dev lo"], || serves_at(&["127.0.0.1", "10.9.8.7"]));
}

#[test]
fn a_pod_with_both_is_served_whatever_the_node_s_default_for_ipv6_sockets() {
    in_namespace(&[], || {
        // Where this is read-only, the kernel's own default stays, which is 0.
        let _ = std::fs::write("/proc/sys/net/ipv6/bindv6only", "1");
        serves_at(&["127.0.0.1", "[::1]"]);
    });
}
