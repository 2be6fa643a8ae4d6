//! `muslin probe` without a network: what it is told wrongly, and a nameserver that is not there. The rest is shown in `tests/lab/probe`.

use std::net::UdpSocket;

use super::{Folder, Run};

/// A port of the loopback at which nobody is.
fn closed_port() -> String {
    // Both are let go of at once; nobody else listens on this address.
    let socket = UdpSocket::bind("127.0.0.9:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

fn probe(folder: &Folder, arguments: &[&str]) -> Run {
    folder.run(&[&["probe", "--no-interception-query", "--no-getaddrinfo"], arguments].concat())
}

#[test]
fn what_cannot_be_asked_is_refused_before_anything_is_sent() {
    let folder = Folder::new().with("no-servers", "search example.com\n");
    for (arguments, says) in [
        (&["--server", "dns.example.com"][..], "not an address"),
        (&["--name", "a..b"], "not a name"),
        (&["--timeout", "0"], "0 is not in"),
        (&["--resolv-conf", "missing"], "cannot read missing"),
        (&["--resolv-conf", "no-servers"], "names no nameserver"),
        (&["--resolv-conf", "no-servers", "--server", "127.0.0.9:9", "--max-queries", "0"], "nothing could be asked"),
    ] {
        let run = probe(&folder, arguments).ended(2);
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn too_few_queries_without_an_answer_are_no_good_news() {
    let folder = Folder::new().with(
        "resolv.conf",
        "search default.svc.cluster.local
",
    );
    let run = probe(&folder, &["--resolv-conf", "resolv.conf", "--server", &closed_port(), "--max-queries", "1"]);
    let run = run.ended(2);
    assert!(run.stderr.contains("too few were asked to tell why") && run.stdout.is_empty(), "{}", run.stderr);
}

#[test]
fn a_nameserver_that_is_not_there_is_written_as_other_findings_are() {
    let folder = Folder::new().with("resolv.conf", "search default.svc.cluster.local svc.cluster.local\n");
    let server = closed_port();
    let arguments = ["--resolv-conf", "resolv.conf", "--server", &server];
    let run = probe(&folder, &arguments).ended(1);
    assert!(
        run.stdout.starts_with("deny[stale-nameserver]: 127.0.0.9 answers nothing, by UDP or TCP"),
        "{}",
        run.stdout
    );
    for part in [" = sure: certain", "the port is closed", " = help: ", " = profile: none helps"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(run.stderr.contains("there are findings at or above --fail-on"), "{}", run.stderr);
    probe(&folder, &[&arguments[..], &["--fail-on", "never"]].concat()).ended(0);
    let json = probe(&folder, &[&arguments[..], &["-o", "json"]].concat()).ended(1).json();
    assert_eq!(json["verdicts"][0]["verdict"], "stale-nameserver");
    assert_eq!(json["targets"]["cluster_domain"], "cluster.local");
    assert_eq!(json["summary"]["deny"], 1);
}

#[test]
fn a_program_is_told_whether_netdns_has_an_effect() {
    let folder = Folder::new().with("resolv.conf", "");
    let server = closed_port();
    let own = env!("CARGO_BIN_EXE_muslin");
    let arguments = ["--resolv-conf", "resolv.conf", "--server", &server, "--binary", own, "--fail-on", "never"];
    let run = probe(&folder, &arguments).ended(0);
    assert!(run.stdout.contains(&format!("{own}: glibc ")), "{}", run.stdout);
}
