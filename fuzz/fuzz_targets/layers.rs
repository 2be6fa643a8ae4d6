//! Reads any bytes as a layer, a plain or compressed tar, and resolves commands in it, because a layer holds links and scripts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::image::contents::{Config, ImageFacts, Invocation, Tree};
use muslin::registry::{Descriptor, Digest, Limits, layer};

const COMMANDS: [&[&str]; 4] = [&["/app/server"], &["sh", "-c", "exec server"], &["env", "A=1", "tini", "--", "server"], &["sh", "/app/server"]];

fuzz_target!(|bytes: &[u8]| {
    let described = serde_json::json!({ "digest": Digest::sha256(bytes), "size": bytes.len() });
    let descriptor: Descriptor = serde_json::from_value(described).expect("a descriptor");
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let Ok(layer) = layer::read_layer(bytes, &descriptor, &limits) else { return };
    let mut tree = Tree::default();
    tree.add_layer(&layer.facts);
    tree.add_layer(&layer.facts);
    let facts = ImageFacts::new(&tree, Config::default(), false);
    for command in COMMANDS {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let _ = facts.fingerprint(&Invocation { command: Some(&command), ..Invocation::default() });
    }
});
