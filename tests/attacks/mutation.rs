//! A seeded generator of reviews: recorded ones and the examples of the rules, with parts dropped, doubled, replaced by other types and odd
//! texts, nested deeply, and with forged annotations and options in the places that muslin reads. Must not know muslin's answers.

use std::fs;
use std::iter;
use std::path::Path;

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The recorded reviews (benches/README.md).
const REVIEWS: [&str; 3] = [
    include_str!("../../benches/reviews/4k.json"),
    include_str!("../../benches/reviews/12k.json"),
    include_str!("../../benches/reviews/64k.json"),
];

/// The uid of every review.
pub(crate) const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// A text that a later step replaces by nested arrays, which a `Value` cannot hold.
const NESTED: &str = "nested-here";
/// A key that a later step makes equal to its neighbour's.
const DOUBLED: &str = "doubled-here:";

/// The objects to start from.
pub(crate) struct Seeds {
    reviews: Vec<Value>,
    pods: Vec<Value>,
}

/// A mutated review.
pub(crate) struct Mutated {
    /// The hook that it is sent to.
    pub(crate) path: &'static str,
    pub(crate) review: String,
    /// Which of the oracle's settings it meets.
    pub(crate) settings: usize,
}

// === impl Seeds ===

impl Seeds {
    pub(crate) fn load() -> Self {
        let reviews = REVIEWS.iter().map(|text| serde_json::from_str(text).expect("a recorded review")).collect();
        let mut pods = Vec::new();
        let mut rules: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules"))
            .expect("tests/rules")
            .map(|entry| entry.expect("an entry").path().join("fires.yaml"))
            .filter(|file| file.is_file())
            .collect();
        rules.sort();
        for file in rules {
            let document = fs::read_to_string(&file).expect("an example");
            let document = document.split("\n---\n").next().unwrap_or_default();
            let object: Value = serde_saphyr::from_str(document).expect("YAML");
            pods.push(match object.pointer("/spec/template") {
                Some(template) => template.clone(),
                None => object,
            });
        }
        Self { reviews, pods }
    }

    /// Returns the review of this seed.
    pub(crate) fn mutated(&self, seed: u64) -> Mutated {
        let rng = &mut Rng::with_seed(seed);
        // The largest takes as long as ten others.
        let choices = if rng.u8(..16) == 0 { 7 } else { 6 };
        let base = [0, 0, 0, 0, 1, 1, 2][rng.usize(..choices)];
        let mut review = self.reviews[base].clone();
        review["request"]["uid"] = json!(UID);
        if rng.bool() {
            let pod = &self.pods[rng.usize(..self.pods.len())];
            review["request"]["object"] = pod.clone();
        }
        let object = &mut review["request"]["object"];
        for _ in 0..1 + rng.usize(..4) {
            match rng.u8(..10) {
                0..3 => forge_options(rng, object),
                3..6 => forge_annotations(rng, object),
                6 => forge_dns(rng, object),
                7 => forge_containers(rng, object),
                _ => mutate_any(rng, object),
            }
        }
        if rng.u8(..20) == 0 {
            mutate_any(rng, &mut review);
        }
        let path = match rng.u8(..20) {
            0 => "/enforce",
            1 => "/workloads",
            2 => "/namespaces",
            3 => "/profiles",
            _ => "/mutate",
        };
        let depth = [10, 127, 128, 129, 5_000][rng.usize(..5)];
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let review = review.to_string().replace(&format!("\"{NESTED}\""), &nested).replace(DOUBLED, "");
        Mutated { path, review, settings: rng.usize(..) }
    }
}

/// Changes one value somewhere in the object.
fn mutate_any(rng: &mut Rng, root: &mut Value) {
    // A walk from the top, which stops early now and then.
    if rng.u8(..5) > 0 {
        let children: Vec<&mut Value> = match root {
            Value::Object(map) => map.values_mut().collect(),
            Value::Array(list) => list.iter_mut().collect(),
            _ => Vec::new(),
        };
        let count = children.len();
        if count > 0 {
            let index = rng.usize(..count);
            return children.into_iter().nth(index).into_iter().for_each(|child| mutate_any(rng, child));
        }
    }
    match root {
        Value::Object(map) if !map.is_empty() => mutate_object(rng, map),
        Value::Array(list) if !list.is_empty() => mutate_list(rng, list),
        other => *other = odd_value(rng),
    }
}

fn mutate_object(rng: &mut Rng, map: &mut Map<String, Value>) {
    let index = rng.usize(..map.len());
    let key = map.keys().nth(index).expect("the index is of a key").clone();
    match rng.u8(..5) {
        0 => drop(map.remove(&key)),
        1 => drop(map.insert(key, odd_value(rng))),
        2 => drop(map.insert(odd_text(rng), odd_value(rng))),
        3 => {
            let value = map[&key].clone();
            map.insert(format!("{DOUBLED}{key}"), value);
        }
        _ => {
            let value = map.remove(&key).unwrap_or_default();
            map.insert(odd_text(rng), value);
        }
    }
}

fn mutate_list(rng: &mut Rng, list: &mut Vec<Value>) {
    let index = rng.usize(..list.len());
    match rng.u8(..5) {
        0 => drop(list.remove(index)),
        1 => list[index] = odd_value(rng),
        2 => list.clear(),
        3 => list.push(list[index].clone()),
        _ => {
            let many = rng.usize(..300);
            let item = list[index].clone();
            list.extend(iter::repeat_n(item, many));
        }
    }
}

/// Returns a value of any type.
fn odd_value(rng: &mut Rng) -> Value {
    match rng.u8(..14) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(i64::MIN),
        3 => json!(u64::MAX),
        4 => json!(1e308),
        5 => json!(-0.0),
        6 => json!({}),
        7 => json!([]),
        8 => json!([null]),
        9 => json!(NESTED),
        10 => json!({ "name": odd_text(rng), "value": odd_text(rng) }),
        _ => json!(odd_text(rng)),
    }
}

/// Returns a text that is empty, long, of odd characters, or a word of resolv.conf.
fn odd_text(rng: &mut Rng) -> String {
    const TEXTS: [&str; 22] = [
        "",
        " ",
        "\u{0}",
        "\n::error::x",
        "\u{1b}[2J",
        "\u{202e}abc",
        "~1/~0",
        "a/b~c",
        "\u{df}",
        "\u{1f600}",
        "\u{301}",
        "\"quoted\"",
        "\\",
        "muslin.dev/injected",
        "alpine:3.19",
        "::",
        "@sha256:",
        "true",
        "false",
        "null",
        "\u{feff}",
        "\u{ffff}",
    ];
    match rng.u8(..6) {
        0 => option_name(rng),
        1 => TEXTS[rng.usize(..TEXTS.len())].repeat(1 + rng.usize(..400)),
        2 => (0..rng.usize(..12)).map(|_| rng.char(..)).collect(),
        _ => TEXTS[rng.usize(..TEXTS.len())].to_owned(),
    }
}

/// Returns the name of an option, often one with its value or one that only looks like a known one.
fn option_name(rng: &mut Rng) -> String {
    const NAMES: [&str; 30] = [
        "ndots",
        "timeout",
        "attempts",
        "single-request-reopen",
        "single-request",
        "rotate",
        "use-vc",
        "no-aaaa",
        "ndotss",
        "ndots:2",
        "attempts:0",
        "timeout:00",
        "xattempts:0",
        "attempts:0 timeout:0",
        "attempts:0 attempts:0",
        "timeout:5",
        "attempts:10",
        "attempts:3",
        "attempts:6",
        "timeout:3",
        "attempts:",
        ":0",
        "attempts:0x",
        "attempts 0",
        "Attempts",
        "timeout:0 at 0)",
        "(was",
        "~/",
        "\u{df}",
        "",
    ];
    match rng.u8(..12) {
        0 => (0..rng.usize(..12)).map(|_| rng.alphanumeric()).collect(),
        1 => NAMES[rng.usize(..NAMES.len())].repeat(1 + rng.usize(..3)),
        2 => "x".repeat(100 + rng.usize(..180)),
        _ => NAMES[rng.usize(..NAMES.len())].to_owned(),
    }
}

fn option_value(rng: &mut Rng) -> Value {
    const VALUES: [&str; 22] = [
        "0",
        "00",
        "5",
        "1",
        "6",
        "3",
        "10",
        "2",
        "0.5",
        "",
        "x",
        "-1",
        "5 attempts:0",
        "0 attempts",
        "000000000000000000000000",
        "+0",
        "0 timeout:0",
        "\u{660}",
        " 0",
        "0 ",
        "0:0",
        "99999999999999999999",
    ];
    match rng.u8(..20) {
        0 => json!(rng.u8(..)),
        1 => Value::Null,
        2 => odd_value(rng),
        3 => json!(format!("{}{}", VALUES[rng.usize(..22)], option_name(rng))),
        _ => json!(VALUES[rng.usize(..22)]),
    }
}

fn forge_options(rng: &mut Rng, object: &mut Value) {
    let count = if rng.u8(..30) == 0 { rng.usize(..200) } else { rng.usize(..8) };
    let (is_uniform, name) = (rng.u8(..16) == 0, option_name(rng));
    let options = (0..count).map(|_| {
        let mut option = json!({ "name": if is_uniform { name.clone() } else { option_name(rng) } });
        if rng.u8(..4) > 0 {
            option["value"] = option_value(rng);
        }
        option
    });
    let options = options.collect();
    set(object, &["spec", "dnsConfig", "options"], options);
}

fn forge_annotations(rng: &mut Rng, object: &mut Value) {
    const KEYS: [&str; 8] = [
        "muslin.dev/injected",
        "muslin.dev/injected",
        "muslin.dev/warnings",
        "muslin.dev/resolvers",
        "muslin.dev/ignore",
        "muslin.dev/inject",
        "proxy.istio.io/config",
        "example.com/other",
    ];
    let key = KEYS[rng.usize(..KEYS.len())];
    let value = match key {
        "muslin.dev/injected" => claims(rng),
        "muslin.dev/inject" => ["true", "false", "", "False"][rng.usize(..4)].to_owned(),
        "muslin.dev/ignore" => ["musl-slow-retry", "musl-slow-retry,attempts-zero", ",,", "all", "retry-storm\nx"]
            [rng.usize(..5)]
        .to_owned(),
        "muslin.dev/warnings" => (0..rng.usize(..40)).map(|_| odd_text(rng) + "\n").collect(),
        _ => odd_text(rng),
    };
    // Pods as the API server sends them have annotations of text only.
    let value = if rng.u8(..20) == 0 { odd_value(rng) } else { json!(value) };
    set(object, &["metadata", "annotations", key], value);
}

/// Returns a forged value of `muslin.dev/injected`: well formed or not, short or beyond a line.
fn claims(rng: &mut Rng) -> String {
    const WORDS: [&str; 24] = [
        "timeout:5",
        "attempts:10",
        "attempts:5",
        "single-request-reopen",
        "timeout:3",
        "attempts:6",
        "attempts:3",
        "ndots:5",
        "ndots:2",
        "rotate",
        "(was attempts:0)",
        "(was timeout:00)",
        "(was attempts:0 at 0)",
        "(was attempts:0 at 3)",
        "(was timeout:2)",
        "(was dnsPolicy:ClusterFirst)",
        "dnsPolicy:None",
        "(was",
        "at",
        "3)",
        "attempts:2",
        "attempts:2 (was attempts:0)",
        "timeout:5 (was timeout:0)",
        "(was ndots:2)",
    ];
    let count = if rng.u8(..6) == 0 { 40 + rng.usize(..60) } else { rng.usize(..8) };
    let word = |_| match rng.u8(..16) {
        0 => option_name(rng),
        1 => "y".repeat(100 + rng.usize(..400)),
        2 => odd_text(rng),
        _ => WORDS[rng.usize(..WORDS.len())].to_owned(),
    };
    let words: Vec<String> = (0..count).map(word).collect();
    words.join(" ")
}

fn forge_dns(rng: &mut Rng, object: &mut Value) {
    const POLICIES: [&str; 6] = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", "", "clusterfirst"];
    match rng.u8(..5) {
        0 => set(object, &["spec", "dnsPolicy"], json!(POLICIES[rng.usize(..6)])),
        1 => set(object, &["spec", "hostNetwork"], if rng.u8(..8) == 0 { odd_value(rng) } else { json!(rng.bool()) }),
        2 => {
            let searches = (0..rng.usize(..40)).map(|index| json!(format!("d{index}.example.com"))).collect();
            set(object, &["spec", "dnsConfig", "searches"], searches);
        }
        3 => {
            let servers = ["192.0.2.1", "169.254.20.10", "::1", "2001:db8::1", "x", ""];
            let servers = (0..rng.usize(..5)).map(|_| json!(servers[rng.usize(..6)])).collect();
            set(object, &["spec", "dnsConfig", "nameservers"], servers);
        }
        _ => set(object, &["spec", "dnsConfig"], odd_value(rng)),
    }
}

fn forge_containers(rng: &mut Rng, object: &mut Value) {
    const IMAGES: [&str; 12] = [
        "alpine:3.19",
        "alpine:3.4",
        "alpine",
        "debian:12",
        "golang:1.22",
        "node:22-alpine",
        "busybox:1.28",
        "",
        "::",
        "a@sha256:00",
        "registry.example.com:5000/a/b:1",
        "nginx:1.27-alpine3.20",
    ];
    let count = if rng.u8(..20) == 0 { rng.usize(..300) } else { 1 + rng.usize(..4) };
    let containers = (0..count).map(|index| {
        let mut container = json!({ "name": format!("c{index}"), "image": IMAGES[rng.usize(..IMAGES.len())] });
        if rng.u8(..4) == 0 {
            container["env"] =
                json!([{ "name": "GODEBUG", "value": odd_text(rng) }, { "name": odd_text(rng), "value": null }]);
        }
        if rng.u8(..4) == 0 {
            container["command"] = json!(["sh", "-c", odd_text(rng)]);
        }
        container
    });
    let containers = containers.collect();
    let field = ["containers", "containers", "initContainers", "ephemeralContainers"][rng.usize(..4)];
    set(object, &["spec", field], containers);
}

/// Sets the value at these keys, and makes the objects on the way unless something else is there.
fn set(object: &mut Value, keys: &[&str], value: Value) {
    let mut place = object;
    for key in keys {
        if place.is_null() {
            *place = json!({});
        }
        let Value::Object(map) = place else { return };
        place = map.entry(*key).or_insert(Value::Null);
    }
    *place = value;
}
