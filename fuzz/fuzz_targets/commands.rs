//! Follows any text as a pod's command in a small image: words by line, and the first one chooses whether they are a shell's text. The
//! work is in proportion to the text.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use muslin::image::contents::{Config, Entry, FileScan, ImageFacts, Invocation, LayerBuilder, Tree};
use muslin::turns_of;

/// An image with a shell and two scripts.
static IMAGE: LazyLock<ImageFacts> = LazyLock::new(|| {
    let mut layer = LayerBuilder::new(1 << 20);
    for (path, text) in
        [("bin/run", "#!/bin/sh\nexec env \"$@\"\n"), ("bin/main", "#!/bin/sh\nset -- a \"$@\"\nexec \"$@\"\n")]
    {
        let mut scan = FileScan::new(path, text.len() as u64, true);
        scan.feed(text.as_bytes());
        layer.add(path, scan.finish().map_or(Entry::Other, Entry::Node)).expect("two scripts fit");
    }
    let mut tree = Tree::default();
    tree.add_layer(&layer.finish());
    ImageFacts::new(&tree, Config::default(), false)
});

fuzz_target!(|text: &str| {
    let lines = text.lines().map(str::to_owned);
    let command: Vec<String> = match text.strip_prefix("-c ") {
        Some(rest) => ["sh", "-c", rest, "sh", "-c", rest].map(str::to_owned).to_vec(),
        None => lines.collect(),
    };
    let bytes: usize = command.iter().map(String::len).sum();
    let (fingerprint, turns) =
        turns_of(|| IMAGE.fingerprint(&Invocation { command: Some(&command), ..Invocation::default() }));
    // 128 commands are followed, each with up to 1,024 words.
    assert!(turns <= 64 * bytes as u64 + 128 * (command.len() as u64 + 16), "{turns} turns for {bytes} bytes");
    assert!(fingerprint.reason.to_string().len() <= 2048);
});
