//! Reads any bytes as a layer, a plain or compressed tar, and resolves commands in it, because a layer holds links and scripts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::image::contents::{Config, ImageFacts, Invocation, Tree};
use muslin::registry::{Descriptor, Digest, Limits, layer};
use muslin::turns_of;

const COMMANDS: [&[&str]; 4] =
    [&["/app/server"], &["sh", "-c", "exec server"], &["env", "A=1", "tini", "--", "server"], &["sh", "/app/server"]];

/// The most commands that are followed, and the most words of each.
const MOST_COMMANDS: u64 = 128;
const MOST_WORDS: u64 = 1025;

fuzz_target!(|bytes: &[u8]| {
    let described = serde_json::json!({ "digest": Digest::sha256(bytes), "size": bytes.len() });
    let descriptor: Descriptor = serde_json::from_value(described).expect("a descriptor");
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let (layer, turns) = turns_of(|| layer::read_layer(bytes, &descriptor, &limits));
    // An input of 16 KiB unpacks to at most a MiB.
    assert!(turns <= 8 * limits.unpacked_bytes, "{turns} turns to read a layer");
    let Ok(layer) = layer else { return };
    let (facts, turns) = turns_of(|| {
        let mut tree = Tree::default();
        tree.add_layer(&layer.facts);
        tree.add_layer(&layer.facts);
        ImageFacts::new(&tree, Config::default(), false)
    });
    // A walk takes up to 256 turns, and each 100 bytes of facts cause a few.
    assert!(
        turns <= 64 * layer.facts.bytes() as u64 + 4096,
        "{turns} turns for {} bytes of facts",
        layer.facts.bytes()
    );
    for command in COMMANDS {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let invocation = Invocation { command: Some(&command), ..Invocation::default() };
        let (_, turns) = turns_of(|| facts.fingerprint(&invocation));
        assert!(turns <= MOST_COMMANDS * MOST_WORDS, "{turns} turns for a command");
    }
});
