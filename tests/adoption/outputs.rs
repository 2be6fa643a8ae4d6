//! Every JSON output has the form of its schema, and the schemas in `docs/schemas` are those of the code. Probes, scans and images of
//! registries are compared by the tests that make them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::schemas::ensure_valid;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// A Deployment on Alpine with findings of all levels, and one image that muslin does not know.
const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      dnsConfig: {options: [{name: attempts, value: '0'}]}
      containers:
        - {name: app, image: 'alpine:3.19'}
        - {name: other, image: 'registry.example.com/app:1'}
";

/// Returns what muslin prints on standard output.
fn muslin(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_muslin")).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&muslin(folder, arguments)).unwrap()
}

/// Returns the names of the schemas, as `muslin schema` lists them.
fn names() -> BTreeSet<String> {
    let list = muslin(Path::new(REPOSITORY), &["schema"]);
    list.lines().skip(1).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn the_schemas_in_docs_are_those_of_the_code() {
    let folder = Path::new(REPOSITORY).join("docs/schemas");
    for name in names() {
        let path = folder.join(format!("{name}.json"));
        let written = fs::read_to_string(&path).unwrap_or_default();
        let printed = muslin(Path::new(REPOSITORY), &["schema", &name]);
        assert!(written == printed, "{} is out of date: run `cargo run -- docs .`", path.display());
    }
    let committed = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let committed: BTreeSet<String> =
        committed.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    assert_eq!(committed, names(), "docs/schemas has a schema that muslin does not have, or lacks one");
}

#[test]
fn the_schemas_are_schemas() {
    for name in names() {
        let schema: Value = serde_json::from_str(&muslin(Path::new(REPOSITORY), &["schema", &name])).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            schema["title"].is_string() && schema["description"].is_string() || schema["items"].is_object(),
            "{name}"
        );
        every_field_is_described(&name, &schema);
    }
}

/// Fails if a field has neither a description of its own nor one of its type. The version has its meaning on the page docs/json.md.
fn every_field_is_described(name: &str, schema: &Value) {
    let objects = schema["$defs"].as_object().into_iter().flat_map(|defs| defs.values()).chain([schema]);
    for (field, about) in objects.filter_map(|object| object["properties"].as_object()).flatten() {
        let is_described = about["description"].is_string() || about["$ref"].is_string() || about["const"].is_u64();
        assert!(is_described, "{name}: the field {field} has no description");
    }
}

#[test]
fn check_writes_what_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("web.yaml"), DEPLOYMENT).unwrap();
    fs::write(folder.path().join("service.yaml"), "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n").unwrap();
    for path in ["web.yaml", "service.yaml", "."] {
        let document = json(folder.path(), &["check", "-o", "json", path]);
        ensure_valid("check", &document).unwrap();
        assert_eq!(document["schemaVersion"], 1);
    }
}

#[test]
fn inspect_of_names_writes_what_its_schema_says() {
    let images = [
        "alpine:3.17",
        "debian:12",
        "nats",
        "envoyproxy/envoy:v1.30.1",
        "node:20-alpine",
        "registry.example.com/app:1",
    ];
    let document = json(Path::new(REPOSITORY), &[&["inspect", "--offline", "-o", "json"], &images[..]].concat());
    ensure_valid("inspect", &document).unwrap();
    assert!(document.as_array().unwrap().iter().all(|image| image["schemaVersion"] == 1));
}

#[test]
fn explain_writes_what_its_schema_says_of_every_kind_of_topic() {
    let mut kinds = BTreeSet::new();
    for topic in [
        "",
        "attempts-zero",
        "stale-nameserver",
        "ndots:2 timeout:3",
        "musl 1.2.3",
        "netty",
        "fast",
        "enforce",
        "MuslResolver",
        "MuslinIsGone",
        "muslin.dev/mode",
        "glibc-2.36+c-ares",
        "alpine:3.17",
    ] {
        let document = json(Path::new(REPOSITORY), &["explain", "-o", "json", topic]);
        ensure_valid("explain", &document).unwrap();
        kinds.insert(document["kind"].as_str().unwrap().to_owned());
        assert!(document["markdown"].as_str().unwrap().starts_with("# "), "{document:#}");
    }
    let schema: Value = serde_json::from_str(&muslin(Path::new(REPOSITORY), &["schema", "explain"])).unwrap();
    let listed = schema["properties"]["kind"]["enum"].as_array().unwrap();
    assert_eq!(kinds, listed.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect());
}

#[test]
fn version_writes_what_its_schema_says() {
    let document = json(Path::new(REPOSITORY), &["version", "-o", "json"]);
    ensure_valid("version", &document).unwrap();
    let shown = muslin(Path::new(REPOSITORY), &["version"]);
    assert_eq!(shown, muslin(Path::new(REPOSITORY), &["--version"]));
    assert!(shown.contains(document["version"].as_str().unwrap()), "{shown}");
}

#[test]
fn queries_writes_what_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let pod = serde_json::json!({
        "metadata": { "name": "web-1", "namespace": "shop" },
        "spec": { "containers": [{ "name": "app", "image": "alpine:3.20" }] },
        "status": { "phase": "Running", "podIP": "10.1.0.1", "hostIP": "10.0.0.1" },
    });
    fs::write(folder.path().join("pods.json"), serde_json::json!({ "kind": "List", "items": [pod] }).to_string())
        .unwrap();
    let query = |at: u32, client: &str, name: &str, code: &str| {
        format!(
            "2026-11-30T10:00:{at:02}Z [INFO] {client}:4000 - 7 \"A IN {name}. udp 50 false 512\" {code} qr,aa,rd 143 0.0001s\n"
        )
    };
    let log = [
        query(1, "10.1.0.1", "db.data.shop.svc.cluster.local", "NXDOMAIN"),
        query(2, "10.1.0.1", "db.data.svc.cluster.local", "NOERROR"),
        query(3, "10.0.0.1", "a.one.svc.cluster.local", "NXDOMAIN"),
        query(4, "10.9.9.9", "www.example.com", "NOERROR"),
        "no query\n".to_owned(),
    ]
    .concat();
    fs::write(folder.path().join("log"), log).unwrap();
    let document = json(folder.path(), &["queries", "log", "--pods", "pods.json", "-o", "json"]);
    ensure_valid("queries", &document).unwrap();
    assert_eq!(
        (&document["schemaVersion"], &document["workloads"][0]["name"]),
        (&Value::from(1), &Value::from("web-1"))
    );
}

#[test]
fn probe_writes_what_its_schema_says_of_a_nodes_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("node/etc/netplan")).unwrap();
    fs::write(folder.path().join("node/etc/resolv.conf"), "nameserver 10.0.0.1\n").unwrap();
    fs::write(folder.path().join("node/etc/netplan/broken.yaml"), "a: [\n").unwrap();
    let document = json(folder.path(), &["probe", "--root", "node", "--origins-only", "-o", "json"]);
    ensure_valid("probe-origins", &document).unwrap();
}

#[test]
fn probe_writes_what_its_schema_says_of_a_silent_server() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("resolv.conf"), "search default.svc.cluster.local\n").unwrap();
    // The port is closed again, and no other test uses this address.
    let server = std::net::UdpSocket::bind("127.0.0.8:0").unwrap().local_addr().unwrap().to_string();
    let arguments =
        ["probe", "--no-interception-query", "--resolv-conf", "resolv.conf", "--server", &server, "-o", "json"];
    ensure_valid("probe", &json(folder.path(), &arguments)).unwrap();
}

#[test]
fn an_output_with_another_field_or_version_is_found() {
    let mut document = json(Path::new(REPOSITORY), &["version", "-o", "json"]);
    document["schemaVersion"] = Value::from(2);
    assert!(ensure_valid("version", &document).is_err());
    document["schemaVersion"] = Value::from(1);
    document["extra"] = Value::from(true);
    assert!(ensure_valid("version", &document).is_err());
}
