//! `muslin probe` without a network: wrong arguments, and a nameserver that does not exist. `tests/lab/probe` has the other tests.

use std::net::UdpSocket;

use super::{Folder, Run};

/// Returns a loopback address where nothing listens.
fn closed_port() -> String {
    // The port is free again when this returns, and no other test uses this address.
    let socket = UdpSocket::bind("127.0.0.9:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

fn probe(folder: &Folder, arguments: &[&str]) -> Run {
    folder.run(&[&["probe", "--no-interception-query", "--no-getaddrinfo"], arguments].concat())
}

#[test]
fn rejects_wrong_arguments_before_it_sends_anything() {
    let folder = Folder::new().with("no-servers", "search example.com\n");
    for (arguments, says) in [
        (&["--server", "dns.example.com"][..], "not an address"),
        (&["--name", "a..b"], "not a name"),
        (&["--timeout", "0"], "0 is not in"),
        (&["--resolv-conf", "missing"], "cannot read missing"),
        (&["--resolv-conf", "no-servers"], "has no nameserver"),
        (&["--resolv-conf", "no-servers", "--server", "127.0.0.9:9", "--max-queries", "0"], "no query could be sent"),
    ] {
        let run = probe(&folder, arguments).ended(2);
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn rejects_a_lookup_program_that_cannot_be_read() {
    let run = Folder::new().run(&["probe", "--max-queries", "0", "--lookup-program", "missing"]).ended(2);
    assert!(run.stderr.contains("cannot read missing"), "{}", run.stderr);
}

#[test]
fn too_few_queries_without_an_answer_are_an_error() {
    let folder = Folder::new().with(
        "resolv.conf",
        "search default.svc.cluster.local
",
    );
    let run = probe(&folder, &["--resolv-conf", "resolv.conf", "--server", &closed_port(), "--max-queries", "1"]);
    let run = run.ended(2);
    assert!(run.stderr.contains("too few were sent to tell why") && run.stdout.is_empty(), "{}", run.stderr);
}

#[test]
fn writes_a_verdict_like_other_findings() {
    let folder = Folder::new().with("resolv.conf", "search default.svc.cluster.local svc.cluster.local\n");
    let server = closed_port();
    let arguments = ["--resolv-conf", "resolv.conf", "--server", &server];
    let run = probe(&folder, &arguments).ended(1);
    assert!(
        run.stdout.starts_with(
            "deny[loopback-nameserver]: 127.0.0.9 is this machine itself (loopback), and no nameserver answers there"
        ),
        "{}",
        run.stdout
    );
    for part in [" = confidence: certain", "the port is closed", " = help: ", " = profile: no profile helps"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(run.stderr.contains("there are findings at or above --fail-on"), "{}", run.stderr);
    probe(&folder, &[&arguments[..], &["--fail-on", "never"]].concat()).ended(0);
    let json = probe(&folder, &[&arguments[..], &["-o", "json"]].concat()).ended(1).json();
    assert_eq!(json["verdicts"][0]["verdict"], "loopback-nameserver");
    assert_eq!(json["verdicts"][0]["confidence"], "certain");
    assert_eq!(json["targets"]["cluster_domain"], "cluster.local");
    assert_eq!(json["summary"]["deny"], 1);
}

#[test]
fn shows_the_resolver_of_a_program() {
    let folder = Folder::new().with("resolv.conf", "");
    let server = closed_port();
    let own = env!("CARGO_BIN_EXE_muslin");
    let arguments = ["--resolv-conf", "resolv.conf", "--server", &server, "--binary", own, "--fail-on", "never"];
    let run = probe(&folder, &arguments).ended(0);
    assert!(run.stdout.contains(&format!("{own}: glibc ")), "{}", run.stdout);
}

/// Ubuntu 16.04 with a forgotten line in `base`, as in the post-mortem behind `stale-nameserver`.
fn node() -> Folder {
    let folder = Folder::new();
    for (path, text) in [
        ("run/resolvconf/resolv.conf", "nameserver 10.0.0.1\nnameserver 10.0.0.2\n"),
        ("etc/resolvconf/resolv.conf.d/base", "# build network\n\nnameserver 10.0.0.2\n"),
        ("etc/netplan/broken.yaml", "a: [\n"),
    ] {
        let path = folder.0.path().join("node").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("/run/resolvconf/resolv.conf", folder.0.path().join("node/etc/resolv.conf")).unwrap();
    folder
}

#[test]
fn shows_where_a_nodes_nameservers_come_from_without_a_query() {
    let folder = node();
    let run = folder.run(&["probe", "--root", "node", "--origins-only"]).ended(0);
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "pods with dnsPolicy Default, CoreDNS among them, get /etc/resolv.conf (the kubelet's default): 10.0.0.1, 10.0.0.2",
        "/etc/resolvconf/resolv.conf.d/base line 3 (resolvconf, nameserver): comes back after a reboot",
        "to remove it: change it there, then run `resolvconf -u`, then restart CoreDNS",
        "nameserver 10.0.0.1 /etc/resolv.conf line 1 (resolv.conf, nameserver): is written again from other places",
        "none of the files that were read is its source",
        "kubectl -n kube-system rollout restart deployment coredns",
        "not read: /etc/netplan/broken.yaml: not YAML",
    ] {
        assert!(text.contains(part), "{part}: {}", run.stdout);
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);

    let json = folder.run(&["probe", "--root", "node", "--origins-only", "-o", "json"]).ended(0).json();
    let origins = &json["surroundings"]["nameserver_origins"]["origins"];
    let base = origins.as_array().unwrap().iter().find(|origin| origin["file"] == "/etc/resolvconf/resolv.conf.d/base");
    assert_eq!(base.unwrap()["line"], 3);
    assert_eq!(base.unwrap()["persistence"], "stored");
    let run = folder.run(&["probe", "--root", "missing", "--origins-only"]).ended(2);
    assert!(run.stderr.contains("cannot read missing"), "{}", run.stderr);
}

#[test]
fn a_whole_report_names_the_origins_too() {
    let folder = node().with("resolv.conf", "search default.svc.cluster.local svc.cluster.local\n");
    let server = closed_port();
    let arguments =
        ["--resolv-conf", "resolv.conf", "--server", &server, "--root", "node", "--inside-only", "--fail-on", "never"];
    let run = probe(&folder, &arguments).ended(0);
    assert!(
        run.stdout.contains("/etc/resolvconf/resolv.conf.d/base line 3 (resolvconf, nameserver)"),
        "{}",
        run.stdout
    );
    let json = probe(&folder, &[&arguments[..], &["-o", "json"]].concat()).ended(0).json();
    assert_eq!(json["surroundings"]["nameserver_origins"]["nameservers"][1], "10.0.0.2");
    assert_eq!(json["surroundings"]["upstreams"][1]["from"], "the node's /etc/resolv.conf");
}

#[test]
fn a_watch_rejects_arguments_of_a_single_probe_and_times_that_are_none() {
    let folder = Folder::new().with("resolv.conf", "search default.svc.cluster.local\nnameserver 127.0.0.9\n");
    for (arguments, says) in [
        (&["--watch", "web-0"][..], "cannot be used with"),
        (&["--watch", "--from-cluster"], "cannot be used with"),
        (&["--watch", "--timeout", "5"], "cannot be used with"),
        (&["--watch", "--fail-on", "warn"], "cannot be used with"),
        (&["--watch", "--pid", "1"], "cannot be used with"),
        (&["--watch", "--origins-only"], "cannot be used with"),
        (&["--interval", "10s"], "--watch"),
        (&["--metrics-bind", "127.0.0.1:0"], "--watch"),
        (&["--no-cluster"], "--watch"),
        (&["--watch", "--interval", "30"], "not a time such as 30s"),
        (&["--watch", "--interval", "0s"], "use a time between 100ms and 10m"),
        (&["--watch", "--metrics-bind", "localhost:1"], "use an address with a port"),
        (&["--watch", "--node", "a/b"], "--node"),
        (&["--watch", "--dns-deployment", "coredns"], "a namespace and a name such as kube-system/coredns"),
        (&["--dns-deployment", "kube-system/coredns"], "--watch"),
        (&["--watch", "--resolv-conf", "missing"], "cannot read missing"),
    ] {
        let run = folder.run(&[&["probe"], arguments].concat()).ended(2);
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{arguments:?}: {}", run.stderr);
    }
    // Metrics at an address that is not this machine's.
    let arguments = ["probe", "--watch", "--resolv-conf", "resolv.conf", "--metrics-bind", "192.0.2.1:1"];
    let run = folder.run(&arguments).ended(3);
    assert!(run.stderr.contains("cannot listen at 192.0.2.1:1"), "{}", run.stderr);
}
