//! Splits, parses, plans and edits any text as a manifest file. The documents joined are the text, byte for byte, and an edited
//! document parses to the patched value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::image::assume;
use muslin::manifest::{Document, Stream, Tree, objects};
use muslin::plan::{Context, plan};
use muslin::pod::Pod;
use muslin::policy::Profile;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let documents = Stream::new(text).documents;
    let joined: String = documents.iter().map(|document| document.text().to_string()).collect();
    assert_eq!(joined, text, "the documents differ from the text");
    for document in documents {
        if let Ok(tree) = document.parse() {
            edit(&document, tree);
        }
    }
});

fn edit(document: &Document<'_>, tree: Tree<'_>) {
    let profile = Profile::default();
    let context = Context::usual(&profile);
    let root = tree.root();
    let mut expected = root.to_value().ok();
    let mut patches = Vec::new();
    for pointer in objects(root).filter_map(|object| object.pod_pointer()) {
        // The place is for error messages; locating it must not panic.
        let span = document.file_span(root.locate(&format!("{pointer}/spec/dnsConfig/options/0")));
        assert!(span.start <= span.end);
        let json = root.pointer(&pointer).expect("a template is in its document").to_json();
        let Ok(pod) = serde_json::from_str::<Pod<'_>>(&json) else { continue };
        let images = pod.containers().map(|container| assume(container.image.as_deref().unwrap_or_default()));
        let Ok(plan) = plan(&pod, images.collect(), &context) else { continue };
        if !plan.patch.is_empty() {
            if let Some(expected) = &mut expected {
                let target = expected.pointer_mut(&pointer).expect("a template is in its document");
                json_patch::patch(target, &plan.patch).expect("a plan's patch applies to its pod");
            }
            patches.push((pointer, plan.patch));
        }
    }
    if patches.is_empty() {
        return;
    }
    // A document that shares values between pods may not be editable; one that was edited says what it should.
    let Ok(edited) = document.apply_patches(tree, &patches) else { return };
    let Some(expected) = expected else { return };
    let again: Vec<Value> = Stream::new(&edited)
        .documents
        .iter()
        .map(|document| document.parse().expect("an edited document can be read").root().to_value().expect("as deep"))
        .collect();
    assert_eq!(again, [expected], "the text differs from the patched documents: {edited}");
}
