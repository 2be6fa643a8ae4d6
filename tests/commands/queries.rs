//! `muslin queries` with logs as CoreDNS writes them, and pods as `kubectl` prints them. `tests/lab/queries.rs` has a real CoreDNS and
//! real resolvers.

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Folder, Run};

const SEARCH: [&str; 3] = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"];

/// Returns a list of pods: `web` with two replicas, and `api`.
fn pods() -> String {
    let pod = |name: &str, ip: &str, app: &str, hash: &str| {
        json!({
            "metadata": {
                "name": name, "namespace": "shop", "labels": {"app": app, "pod-template-hash": hash},
                "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{app}-{hash}"), "controller": true}],
            },
            "spec": {"containers": [{"name": "app", "image": "alpine:3.20"}]},
            "status": {"phase": "Running", "podIP": ip, "hostIP": "10.0.0.1"},
        })
    };
    let items = [
        pod("web-a-1", "10.1.0.1", "web", "a"),
        pod("web-a-2", "10.1.0.2", "web", "a"),
        pod("api-b-1", "10.1.0.3", "api", "b"),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// Adds a query to a log in CoreDNS's common format, a second after the one before it.
fn add(log: &mut String, client: &str, name: &str, code: &str) {
    let second = log.lines().count();
    let (minute, second) = (second / 60, second % 60);
    let _ = writeln!(
        log,
        "[pod/coredns-1/coredns] 2026-11-30T10:{minute:02}:{second:02}Z [INFO] {client}:4000 - 7 \"A IN {name}. udp 50 false 512\" {code} qr,aa,rd 143 0.0001s"
    );
}

/// Adds the queries of a lookup with `ndots:5` that ends with the candidate of this index; the one after the last is the name as it is.
fn look_up(log: &mut String, client: &str, name: &str, found: usize) {
    for domain in &SEARCH[..found] {
        add(log, client, &format!("{name}.{domain}"), "NXDOMAIN");
    }
    let found = SEARCH.get(found).map_or_else(|| name.to_owned(), |domain| format!("{name}.{domain}"));
    add(log, client, &found, "NOERROR");
}

/// Returns a log in which `web` asks for outside names and a Service of another namespace, and `api` for a name with three labels.
fn log() -> String {
    let mut log = "[INFO] plugin/reload: Running configuration SHA512 = abc\n.:53\n".to_owned();
    for number in 0..20 {
        look_up(&mut log, ["10.1.0.1", "10.1.0.2"][number % 2], "www.example.com", 3);
    }
    look_up(&mut log, "10.1.0.1", "db.data", 1);
    look_up(&mut log, "10.1.0.2", "api", 0);
    look_up(&mut log, "10.1.0.3", "pod-0.db.data.svc", 2);
    look_up(&mut log, "10.1.0.3", "www.example.com", 3);
    log
}

fn folder() -> Folder {
    Folder::new().with("pods.json", pods()).with("coredns.log", log())
}

fn queries(folder: &Folder, arguments: &[&str]) -> Run {
    folder.run(&[&["queries", "coredns.log", "--pods", "pods.json"], arguments].concat())
}

#[test]
fn shows_each_workload_in_a_table() {
    let run = queries(&folder(), &[]).ended(0);
    let lines: Vec<Vec<&str>> = run
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[0][..5], ["NAMESPACE", "WORKLOAD", "RESOLVER", "PODS", "QUERIES"]);
    // 20 × 4 queries for the outside name, 2 for `db.data` and 1 for `api`, of which 61 failed; ndots:2 saves 60.
    assert_eq!(lines[1][..5], ["shop", "Deployment/web", "musl", "2", "83"]);
    assert_eq!(lines[1][6..], ["73 %", "2", "72 %", "0", "db.data, api"]);
    assert_eq!(lines[2][6..10], ["71 %", "4", "0 %", "0"]);
    assert_eq!(lines.len(), 3, "{}", run.stdout);
    assert!(
        run.stderr.contains("a name that was not asked for in this time may need a higher ndots"),
        "{}",
        run.stderr
    );
}

#[test]
fn json_has_the_result_for_each_resolver_and_the_time() {
    let run = queries(&folder(), &["-o", "json", "--workload", "web", "-n", "shop"]).ended(0);
    let json = run.json();
    let web = &json["workloads"][0];
    let expected = json!({"resolver": "musl", "ndots": 2, "saved": 60, "savedShare": 60.0 / 83.0, "leaked": 0});
    assert_eq!(web["resolvers"][0], expected);
    assert_eq!((&web["resolvers"][1]["ndots"], &web["resolvers"][1]["saved"]), (&json!(1), &json!(59)));
    assert_eq!((&json["schemaVersion"], &web["uses"]), (&json!(1), &json!(["musl"])));
    assert_eq!(web["result"], json!({"ndots": 2, "saved": 60, "savedShare": 60.0 / 83.0, "leaked": 0}));
    assert_eq!(
        web["foundBySearch"][0],
        json!({"name": "db.data", "found": "db.data.svc.cluster.local", "certainty": "sure", "queries": 1})
    );
    assert_eq!((&web["safeNdots"], &web["pods"], &web["ambiguous"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!((&json["from"], &json["isWhole"]), (&json!("2026-11-30T10:00:02Z"), &json!(true)));
    assert!(web["queriesPerSecond"].as_f64().unwrap() > 0.9, "{web}");
    assert_eq!(json["workloads"].as_array().unwrap().len(), 1);
}

#[test]
fn a_profile_of_its_own_evidence_loses_nothing_and_a_lower_one_does() {
    let folder = folder();
    let run = queries(&folder, &["-o", "profile"]).ended(0);
    let profiles: Vec<Value> = run.stdout.split("---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    let [api, web] = &*profiles else { panic!("{}", run.stdout) };
    assert_eq!(api["spec"]["options"]["musl"], json!(["ndots:4"]));
    assert_eq!(web["metadata"]["name"], "shop.deployment.web");
    assert_eq!(web["spec"]["namespaces"], json!(["shop"]));
    assert_eq!(web["spec"]["podSelector"], json!({"matchLabels": {"app": "web"}}));
    assert_eq!(web["spec"]["acceptRisk"], json!(["ndots-breaks-musl"]));
    let evidence = web["metadata"]["annotations"]["muslin.dev/ndots-evidence"].as_str().unwrap();
    let evidence: Value = serde_json::from_str(evidence).unwrap();
    let expected = json!({
        "workloads": ["shop/Deployment/web"], "ndots": 2, "queries": 83, "pods": 2,
        "from": "2026-11-30T10:00:02Z", "to": "2026-11-30T10:01:31Z",
    });
    assert_eq!(evidence, expected);

    let folder = folder.with("web.yaml", serde_saphyr::to_string(web).unwrap());
    let run = queries(&folder, &["--against", "web.yaml"]).ended(0);
    assert!(run.stderr.contains("the profile shop.deployment.web loses no name of 1 workloads"), "{}", run.stderr);

    // A lower number than its own evidence: no cluster accepts it, and the log shows why.
    let lower = serde_saphyr::to_string(web).unwrap().replace("ndots:2", "ndots:1");
    let folder = folder.with("lower.yaml", lower);
    let run = queries(&folder, &["--against", "lower.yaml"]).ended(1);
    for says in [
        "the log shows names that need ndots:2, and the profile sets ndots:1",
        "with ndots:1 of the profile shop.deployment.web, musl loses db.data of shop/Deployment/web, found as db.data.svc.cluster.local",
    ] {
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }

    // The profile of one workload for the other, without its evidence.
    let mut other = web.clone();
    other["spec"]["podSelector"]["matchLabels"]["app"] = json!("api");
    other["metadata"]["annotations"] = json!({});
    let folder = folder.with("api.yaml", serde_saphyr::to_string(&other).unwrap());
    let run = queries(&folder, &["--against", "api.yaml", "-n", "elsewhere"]).ended(1);
    assert!(run.stderr.contains("musl loses pod-0.db.data.svc of shop/Deployment/api"), "{}", run.stderr);
    assert!(run.stderr.contains("attach the evidence"), "{}", run.stderr);
    // The log holds no query of such pods.
    for change in [json!({"podSelector": {"matchLabels": {"app": "none"}}}), json!({"namespaces": ["elsewhere"]})] {
        json_patch::merge(&mut other["spec"], &change);
        let folder = Folder::new().with("pods.json", pods()).with("coredns.log", log());
        let folder = folder.with("none.yaml", serde_saphyr::to_string(&other).unwrap());
        let run = queries(&folder, &["--against", "none.yaml"]).ended(2);
        assert!(run.stderr.contains("no query of a pod that the profile"), "{}", run.stderr);
    }
}

/// Each resolver, at each boundary: the number of a name's dots, and one more.
#[test]
fn a_profile_is_judged_by_the_row_and_the_resolver_of_each_workload() {
    for dots in 1..=4_usize {
        let name = ["a", "b", "c", "d", "e"][..=dots].join(".");
        let mut log = String::new();
        look_up(&mut log, "10.1.0.1", &name, 1);
        for (image, musl, others, glibc, lost) in [
            ("alpine:3.20", dots, 5, 5, true),
            ("alpine:3.20", dots + 1, 1, 1, false),
            ("debian:12", 1, dots + 1, dots, false),
            ("debian:12", 1, dots, dots + 1, false),
            ("example.com/x:1", 5, dots, 5, true),
            ("example.com/x:1", dots, 5, 5, true),
            ("example.com/x:1", dots + 1, dots + 1, 1, false),
        ] {
            let row = |ndots: usize| json!([format!("ndots:{ndots}")]);
            let profile = json!({
                "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": {"name": "low"},
                "spec": {"options": {"musl": row(musl), "mixed": row(musl), "others": row(others), "glibc": row(glibc)}},
            });
            let folder = Folder::new()
                .with("pods.json", pods().replace("alpine:3.20", image))
                .with("coredns.log", log.clone())
                .with("low.yaml", profile.to_string());
            let run = queries(&folder, &["--against", "low.yaml"]).ended(i32::from(lost));
            let leaks = image == "debian:12" && glibc <= dots;
            assert_eq!(
                run.stderr.contains("of the profile low, glibc first asks outside"),
                leaks,
                "{image} {dots}: {}",
                run.stderr
            );
            let run = queries(&folder, &["--against", "low.yaml", "--no-leaks"]).ended(i32::from(lost || leaks));
            assert_eq!(run.stderr.contains(&format!("loses or leaks {name} of")), lost || leaks, "{}", run.stderr);
        }
    }
}

#[test]
fn table_json_and_profile_agree_on_a_workload_that_falls_back() {
    let folder = Folder::new().with("pods.json", pods().replace("alpine:3.20", "debian:12")).with("coredns.log", log());
    let run = queries(&folder, &["--workload", "web"]).ended(0);
    let row: Vec<&str> = run.stdout.lines().nth(1).unwrap().split("  ").map(str::trim).collect();
    let row: Vec<&str> = row.into_iter().filter(|cell| !cell.is_empty()).collect();
    assert_eq!((row[2], row[7], row[9]), ("glibc", "1", "1"), "{}", run.stdout);
    assert!(
        run.stderr.contains("shop/web: with ndots:1, glibc first asks outside of the cluster for db.data."),
        "{}",
        run.stderr
    );
    let web = queries(&folder, &["--workload", "web", "-o", "json"]).ended(0).json()["workloads"][0].clone();
    assert_eq!(
        (&web["result"]["ndots"], &web["result"]["leaked"], &web["safeNdots"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let profile = |arguments: &[&str]| -> Value {
        let run = queries(&folder, &[&["--workload", "web", "-o", "profile"], arguments].concat()).ended(0);
        serde_saphyr::from_str(&run.stdout).unwrap()
    };
    let options = profile(&[])["spec"]["options"].clone();
    assert_eq!((&options["glibc"], &options["musl"]), (&json!(["ndots:1"]), &json!(["ndots:2"])));
    let options = profile(&["--no-leaks"])["spec"]["options"].clone();
    assert_eq!((&options["glibc"], &options["others"]), (&json!(null), &json!(["ndots:2"])));
}

#[test]
fn no_profile_where_the_log_is_no_evidence() {
    let untimed: String = log().lines().map(|line| line.replace("Z [INFO]", " [INFO]") + "\n").collect();
    let mut half = String::new();
    add(&mut half, "10.1.0.1", "db.data.shop.svc.cluster.local", "NXDOMAIN");
    let mut autopath = log();
    add(&mut autopath, "10.1.0.1", "www.example.com.shop.svc.cluster.local", "NOERROR");
    let mut deep = log();
    look_up(&mut deep, "10.1.0.1", "a.b.c.d.e", 1);
    for (log, why) in [
        (untimed, "the log has no times"),
        (half, "the log lacks queries of many searches"),
        (
            autopath,
            "the server searches for its pods, as with autopath (www.example.com.shop.svc.cluster.local was answered)",
        ),
        (deep, "it needs ndots:5"),
    ] {
        let folder = folder().with("coredns.log", log);
        let run = queries(&folder, &["--workload", "web", "-o", "profile"]).ended(2);
        assert!(
            run.stderr.contains("no profile for shop/Deployment/web: ") && run.stderr.contains(why),
            "{}",
            run.stderr
        );
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn reads_standard_input_and_says_what_it_does_not_know() {
    let mut log = String::new();
    add(&mut log, "10.1.0.1", "db.data.svc.cluster.local", "NOERROR");
    for namespace in ["a", "b", "c"] {
        add(&mut log, "10.0.0.1", &format!("www.example.com.{namespace}.svc.cluster.local"), "NXDOMAIN");
    }
    add(&mut log, "10.9.9.9", "www.example.com", "NOERROR");
    let run = folder().run_with(&log, &["queries", "--pods", "pods.json"]).ended(0);
    for note in [
        "give the logs of all CoreDNS replicas",
        "10.0.0.1 is a node and asked 3 queries, for the namespaces a, b, c: pods behind a cache",
        "1 clients with 1 queries are no pods of the list",
        "shop/web: 2 names may have been given in full",
    ] {
        assert!(run.stderr.contains(note), "{note}: {}", run.stderr);
    }
    assert!(run.stdout.contains(" 3 "), "the safe side: {}", run.stdout);
}

#[test]
fn rejects_input_that_shows_nothing() {
    let folder = folder().with("other.log", ".:53\n[INFO] CoreDNS-1.15.0\n").with("empty.json", r#"{"items":[]}"#);
    for (arguments, says) in [
        (&["queries", "other.log", "--pods", "pods.json"][..], "no query in the input"),
        (&["queries", "missing.log", "--pods", "pods.json"], "cannot read missing.log"),
        (&["queries", "coredns.log", "--pods", "missing.json"], "cannot read missing.json"),
        (&["queries", "coredns.log", "--pods", "coredns.log"], "is no list of pods"),
        (&["queries", "coredns.log", "--pods", "empty.json"], "no pods to map clients to"),
        (&["queries", "--dnstap", "coredns.log", "--pods", "pods.json"], "no frame stream of protobuf:dnstap.Dnstap"),
        (&["queries", "--dnstap", "tcp:localhost", "--pods", "pods.json"], "is not an address"),
        (&["queries", "coredns.log", "--pods", "pods.json", "--against", "pods.json"], "is no ResolverProfile"),
    ] {
        let run = folder.run(arguments).ended(2);
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn a_name_cannot_command_the_terminal() {
    let mut log = String::new();
    look_up(&mut log, "10.1.0.1", "a\u{1b}[2j.b", 1);
    let run = folder().run_with(&log, &["queries", "--pods", "pods.json"]).ended(0);
    assert!(run.stdout.contains("a\\u{1b}[2j.b") && !run.stdout.contains('\u{1b}'), "{}", run.stdout);
}

#[test]
fn lines_of_megabytes_and_rubbish_hide_no_query() {
    let mut rubbish: Vec<u8> =
        (0..100_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    rubbish.push(b'\n');
    let mut input = vec![b'x'; 3 << 20];
    // The end of a line that is too long is no line of its own.
    let mut end = String::new();
    add(&mut end, "10.1.0.1", "www.example.com", "NOERROR");
    input.extend(end.as_bytes());
    input.extend(rubbish);
    input.extend(log().as_bytes());
    let folder = folder().with("coredns.log", input);
    let json = queries(&folder, &["-o", "json"]).ended(0).json();
    let clean = queries(&self::folder(), &["-o", "json"]).ended(0).json();
    assert_eq!(json["workloads"], clean["workloads"]);
}

/// More than a pipe holds, so that most of it is read when it is written.
fn long_log() -> String {
    log().repeat(30)
}

#[test]
fn a_signal_or_the_time_limit_ends_an_endless_log_with_the_result_so_far() {
    for (end, arguments) in [("-INT", &[][..]), ("-TERM", &[]), ("", &["--for", "1"])] {
        let folder = folder();
        let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
        command.args(["queries", "--pods", "pods.json", "-o", "json"]).args(arguments).current_dir(folder.path("."));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(long_log().as_bytes()).unwrap();
        if !end.is_empty() {
            assert!(Command::new("kill").args([end, &child.id().to_string()]).status().unwrap().success());
        }
        // The input stays open.
        let output = child.wait_with_output().unwrap();
        drop(input);
        assert!(output.status.success(), "{end}: {}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(json["queries"].as_u64().unwrap() > 100, "{end}: {json:#}");
    }
}

/// Starts a listener, and returns it with its first connection.
fn listening(folder: &Folder, seconds: &str) -> (std::process::Child, UnixStream) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    command
        .args(["queries", "--dnstap", "unix:tap.sock", "--for", seconds, "--pods", "pods.json"])
        .current_dir(folder.path("."));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    loop {
        match UnixStream::connect(folder.path("tap.sock")) {
            Ok(socket) => return (child, socket),
            Err(error) => assert!(began.elapsed() < Duration::from_secs(2), "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_dnstap_socket_is_read_until_the_time_limit_and_removed() {
    let folder = folder();
    let (child, mut socket) = listening(&folder, "2");
    socket.write_all(b"[INFO] no frames").unwrap();
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.contains("a dnstap connection ended: this is no frame stream"), "{stderr}");
    assert_eq!(ended.status.code(), Some(2), "{stderr}");
    assert!(!folder.path("tap.sock").exists());
}

#[test]
fn peers_that_send_nothing_are_bounded() {
    let folder = folder();
    let (child, first) = listening(&folder, "3");
    let silent: Vec<_> = (0..400).filter_map(|_| UnixStream::connect(folder.path("tap.sock")).ok()).collect();
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.contains("more than 256 dnstap connections at once"), "{} {stderr}", silent.len());
    assert_eq!(ended.status.code(), Some(2), "{stderr}");
    drop(first);
}

#[test]
fn a_cut_file_of_frames_counts_as_far_as_it_goes() {
    let start = [&[0_u8; 4][..], &[0, 0, 0, 4], &[0, 0, 0, 2]].concat();
    let frame = [&[0, 0, 0, 2][..], &[0x78, 0x01]].concat();
    let cut = [start, frame, vec![0, 0, 1]].concat();
    let folder = folder().with("tap.dnstap", cut);
    let run = folder.run(&["queries", "--dnstap", "tap.dnstap", "--pods", "pods.json"]).ended(2);
    for says in ["the rest of the dnstap file is not read: ", "no query in the input"] {
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

/// The memory of a million lines: 2,000 pods, each with names of its own, and names that are never asked for again.
#[test]
#[ignore = "takes a minute without optimization"]
fn a_million_lines_fit_in_bounded_memory() {
    let folder = Folder::new();
    let pod = |number: usize| {
        json!({
            "metadata": {"name": format!("p{number}"), "namespace": format!("n{}", number % 50)},
            "status": {"podIP": format!("10.1.{}.{}", number / 250, number % 250)},
        })
    };
    let items: Vec<Value> = (0..2000).map(pod).collect();
    let folder = folder.with("pods.json", json!({"items": items}).to_string());
    let mut log = BufWriter::new(std::fs::File::create(folder.path("million.log")).unwrap());
    for line in 0..1_000_000_usize {
        let pod = line % 2000;
        let (client, namespace) = (format!("10.1.{}.{}", pod / 250, pod % 250), format!("n{}", pod % 50));
        let name = format!("random-{line}.example.com.{namespace}.svc.cluster.local");
        writeln!(log, "[INFO] {client}:4000 - 7 \"A IN {name}. udp 50 false 512\" NXDOMAIN qr,aa,rd 143 0.0001s")
            .unwrap();
    }
    log.flush().unwrap();
    let mut command = Command::new("/usr/bin/time");
    let program = env!("CARGO_BIN_EXE_muslin");
    command.args(["-f", "%M %e", program, "queries", "million.log", "--pods", "pods.json", "-o", "json"]);
    let output = command.current_dir(folder.path(".")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let measured: Vec<f64> = stderr.lines().last().unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    eprintln!("{} MiB at most, {} s", measured[0] / 1024.0, measured[1]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["queries"], 1_000_000);
    assert!(json["droppedNames"].as_u64().unwrap() > 400_000, "{}", json["droppedNames"]);
    assert!(measured[0] < 128.0 * 1024.0, "{} KiB", measured[0]);
    assert!(stderr.contains("1995 more workloads have dropped names") && stderr.lines().count() < 20, "{stderr}");
}
