//! Parses any text as an image reference. A parsed reference is written back as the same reference, and an invalid one suggests
//! nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::explain::{Topic, for_terminal};
use muslin::image::{Evidence, Fingerprint, Reference, assume};
use muslin::resolver::Family;

fuzz_target!(|text: &str| {
    let Fingerprint { resolver, evidence, reason, .. } = assume(text);
    assert_eq!(evidence == Evidence::None, resolver.family == Family::Unknown, "{text:?}: {reason}");
    match Reference::parse(text) {
        Ok(reference) => {
            let full = reference.to_string();
            assert_eq!(Reference::parse(&full), Ok(reference), "{text:?} is formatted as {full:?}");
            assert_eq!(assume(&full).resolver, resolver, "{text:?} and {full:?}");
        }
        Err(invalid) => {
            assert_eq!(evidence, Evidence::None, "{text:?}: {invalid}");
        }
    }
    if let Ok(topic) = Topic::find(text) {
        for_terminal(&topic.markdown(), text.len());
    }
});
