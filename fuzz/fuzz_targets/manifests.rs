//! Splits, parses, plans and edits any text as a manifest file. The documents joined are the text, byte for byte, and an edited
//! document parses to the patched value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::image::assume;
use muslin::manifest::{Document, Node, Stream, objects};
use muslin::plan::{Context, plan};
use muslin::pod::Pod;
use muslin::policy::Profile;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let documents = Stream::new(text).documents;
    let joined: String = documents.iter().map(|document| document.text().to_string()).collect();
    assert_eq!(joined, text, "the documents differ from the text");
    for document in documents {
        if let Ok(node) = document.parse() {
            edit(&document, &node);
        }
    }
});

fn edit(document: &Document<'_>, node: &Node) {
    let profile = Profile::default();
    let context = Context::usual(&profile);
    let mut expected = node.to_value();
    let mut patches = Vec::new();
    for pointer in objects(node).iter().filter_map(|object| object.pod_pointer()) {
        // The place is for error messages; locating it must not panic.
        let span = document.file_span(node.locate(&format!("{pointer}/spec/dnsConfig/options/0")));
        assert!(span.start <= span.end);
        let json = node.pointer(&pointer).expect("a template is in its document").to_value().to_string();
        let Ok(pod) = serde_json::from_str::<Pod<'_>>(&json) else { continue };
        let images = pod.containers().map(|container| assume(container.image.as_deref().unwrap_or_default()));
        let Ok(plan) = plan(&pod, images.collect(), &context) else { continue };
        if !plan.patch.is_empty() {
            let target = expected.pointer_mut(&pointer).expect("a template is in its document");
            json_patch::patch(target, &plan.patch).expect("a plan's patch applies to its pod");
            patches.push((pointer, plan.patch));
        }
    }
    if patches.is_empty() {
        return;
    }
    let edited = document.apply_patches(node, &patches).expect("a document that was read can be edited");
    let again: Vec<Value> = Stream::new(&edited.text)
        .documents
        .iter()
        .map(|document| document.parse().expect("an edited document can be read").to_value())
        .collect();
    assert_eq!(again, [expected], "the text differs from the patched documents: {}", edited.text);
}
