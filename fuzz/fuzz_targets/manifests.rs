//! Any text as a file of manifests: split into documents, read, planned for and edited. The documents are the text, to the byte,
//! and an edited document reads back as the patch applied to what it said.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::image::assume;
use muslin::manifest::{Document, Stream, templates};
use muslin::plan::{Context, plan};
use muslin::pod::Pod;
use muslin::policy::Profile;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let documents = Stream::new(text).documents;
    let joined: String = documents.iter().map(|document| document.text().to_string()).collect();
    assert_eq!(joined, text, "the documents are not the text");
    for document in documents {
        if let Ok(value) = document.parse() {
            edit(&document, value);
        }
    }
});

fn edit(document: &Document<'_>, mut value: Value) {
    let profile = Profile::default();
    let context = Context::usual(&profile);
    let mut expected = value.clone();
    let mut patches = Vec::new();
    for template in templates(&value) {
        // Walking is for error messages; it must only not fail.
        document.locate(&format!("{}/spec/dnsConfig/options/0", template.pointer));
        let json = value.pointer(&template.pointer).expect("a template is in its document").to_string();
        let Ok(pod) = serde_json::from_str::<Pod<'_>>(&json) else { continue };
        let images = pod.containers().map(|container| assume(container.image.as_deref().unwrap_or_default()));
        let Ok(plan) = plan(&pod, images.collect(), &context) else { continue };
        if !plan.patch.is_empty() {
            let target = expected.pointer_mut(&template.pointer).expect("a template is in its document");
            json_patch::patch(target, &plan.patch).expect("a plan's patch applies to its pod");
            patches.push((template.pointer, plan.patch));
        }
    }
    if patches.is_empty() {
        return;
    }
    let edited = document.edited(&mut value, &patches).expect("a document that was read can be edited");
    assert_eq!(value, expected, "the value is not what the patches say");
    let again: Vec<Value> = Stream::new(&edited.text)
        .documents
        .iter()
        .map(|document| document.parse().expect("an edited document can be read"))
        .collect();
    assert_eq!(again, [expected], "the text is not what the patches say: {}", edited.text);
}
