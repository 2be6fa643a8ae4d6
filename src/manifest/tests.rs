//! Tests of reading and editing files of manifests.

use json_patch::Patch;
use serde_json::{Value, json};

use super::*;

fn patch(operations: Value) -> Patch {
    serde_json::from_value(operations).unwrap()
}

/// Edits the only document of a text.
fn edit(text: &str, pointer: &str, operations: Value) -> Edited {
    let stream = Stream::new(text);
    let [document] = &stream.documents[..] else { panic!("{} documents", stream.documents.len()) };
    let mut value = document.parse().unwrap();
    document.edited(&mut value, &[(pointer.to_owned(), patch(operations))]).unwrap()
}

#[test]
fn the_documents_of_a_stream_are_its_text_to_the_byte() {
    for text in [
        "",
        "\n",
        "---\n",
        "a: 1\n---\nb: 2\n",
        "# first\n---\n# second\na: 1\n--- # third\nb: 2\n...\n",
        "--- {a: 1}\n---\n--- |\n text\n",
        "a: |\n  ---\n  text\r\n---\r\nb: 2",
        "\n\n{\"a\": 1}\n",
    ] {
        let parts: String = Stream::new(text).documents.iter().map(|document| document.text().to_string()).collect();
        assert_eq!(parts, text);
    }
}

#[test]
fn reads_each_document() {
    let stream = Stream::new("a: 1\n---\n# nothing\n--- {b: 2}\n---\n- 3\n");
    let values: Vec<Value> = stream.documents.iter().map(|document| document.parse().unwrap()).collect();
    assert_eq!(values, [json!({ "a": 1 }), Value::Null, json!({ "b": 2 }), json!([3])]);
}

#[test]
fn an_error_says_where_in_the_file_it_is() {
    let stream = Stream::new("a: 1\n---\nb: 2\nc: [1, 2\nd: 3\n");
    let error = stream.documents[1].parse().unwrap_err();
    assert!(error.line >= 4, "{error}");
    let stream = Stream::new("a: 1\na: 2\n");
    let error = stream.documents[0].parse().unwrap_err();
    assert_eq!((error.line, error.column), (2, 1), "{error}");
}

#[test]
fn finds_pods_and_templates_in_lists_too() {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" } },
        { "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "p-" } },
        { "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "c", "namespace": "n" },
          "spec": { "jobTemplate": { "spec": { "template": { "spec": {} } } } } },
        { "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "no template" } },
        { "apiVersion": "apps/v1", "kind": "DeploymentList", "items": [
            { "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" }, "spec": { "template": {} } } ] }
    ]});
    let found: Vec<_> = templates(&list).into_iter().map(|template| (template.pointer, template.name)).collect();
    assert_eq!(
        found,
        [
            ("/items/1".to_owned(), "p-".to_owned()),
            ("/items/2/spec/jobTemplate/spec/template".to_owned(), "c".to_owned()),
            ("/items/4/items/0/spec/template".to_owned(), "d".to_owned()),
        ]
    );
}

#[test]
fn an_edit_keeps_comments_order_and_quotes() {
    let text = "# head\nkind: 'Pod' # why\nmetadata:\n  name: web\nspec:\n  # the options\n  dnsConfig:\n    options:\n    - name: ndots\n      value: \"2\" # two\n";
    let edited = edit(
        text,
        "",
        json!([
            { "op": "add", "path": "/metadata/labels", "value": { "a/b": "c" } },
            { "op": "add", "path": "/spec/dnsConfig/options/-", "value": { "name": "timeout", "value": "5" } },
            { "op": "add", "path": "/spec/dnsConfig/options/0/value", "value": "3" },
        ]),
    );
    assert!(edited.layout_kept);
    for kept in ["# head\nkind: 'Pod' # why\n", "  # the options\n", "# two"] {
        assert!(edited.text.contains(kept), "no {kept:?} in\n{}", edited.text);
    }
}

#[test]
fn an_edit_that_the_text_does_not_allow_is_made_by_writing_the_document_anew() {
    let text = "kind: Pod\nmetadata: &shared\n  name: web\nspec:\n  template: *shared\n";
    let edited = edit(text, "", json!([{ "op": "add", "path": "/spec/template/labels", "value": { "a": "yes" } }]));
    assert!(!edited.layout_kept);
    let read = Stream::new(&edited.text).documents[0].parse().unwrap();
    assert_eq!(read["spec"]["template"], json!({ "name": "web", "labels": { "a": "yes" } }));
    assert_eq!(read["metadata"], json!({ "name": "web" }));
}

#[test]
fn a_document_written_anew_quotes_what_kubectl_would_take_for_something_else() {
    let text = "a: &x\n  b: 1\nc: *x\ntexts: ['yes', 'off', '0777', '1_000', '~', 'null', '1e3', '5', 'y', '0x10', '12:30:45', '2001-01-01']\n";
    let edited = edit(text, "", json!([{ "op": "add", "path": "/c/d", "value": "on" }]));
    assert!(!edited.layout_kept);
    for word in ["yes", "off", "0777", "~", "null", "1e3", "5", "0x10", "on"] {
        let bare =
            edited.text.lines().any(|line| line.trim_start_matches(['-', ' ']).trim_start_matches("d: ") == word);
        assert!(!bare, "{word} stands bare in\n{}", edited.text);
    }
}

#[test]
fn json_stays_json_with_its_indentation_and_order() {
    let text = "{\n    \"kind\": \"Pod\",\n    \"apiVersion\": \"v1\"\n}\n";
    let edited = edit(text, "", json!([{ "op": "add", "path": "/spec", "value": { "a": 1 } }]));
    assert_eq!(
        edited.text,
        "{\n    \"kind\": \"Pod\",\n    \"apiVersion\": \"v1\",\n    \"spec\": {\n        \"a\": 1\n    }\n}\n"
    );
    let edited = edit("{\"b\":1,\"a\":2}", "", json!([{ "op": "remove", "path": "/b" }]));
    assert_eq!(edited.text, "{\"a\":2}");
}

#[test]
fn locates_a_value_or_the_nearest_thing_above_it() {
    let text = "# head\n---\nkind: Pod\nspec:\n  containers:\n  - name: app\n    image: alpine\n";
    let stream = Stream::new(text);
    let document = &stream.documents[1];
    assert_eq!(document.locate("/spec/containers/0/image"), Some((7, 12)));
    assert_eq!(document.locate("/spec/dnsConfig/options"), Some((5, 3)));
    assert_eq!(document.locate(""), Some((3, 1)));
}

#[test]
fn an_edit_adds_what_a_pod_gets_and_keeps_its_layout() {
    let text = "kind: Pod\nmetadata:\n  name: alpine # mine\nspec:\n  containers:\n    - name: app\n      command: [sleep, infinity]\n";
    for operation in [
        json!({ "op": "add", "path": "/metadata/labels", "value": { "muslin.dev/libc": "musl" } }),
        json!({ "op": "add", "path": "/metadata/annotations", "value": { "muslin.dev/warnings": "a: b\nc: d (mended)" } }),
        json!({ "op": "add", "path": "/metadata/annotations", "value": { "muslin.dev/injected": "timeout:5", "muslin.dev/warnings": "musl-slow-retry: app: musl" } }),
        json!({ "op": "add", "path": "/spec/dnsConfig", "value": { "options": [{ "name": "timeout", "value": "5" }, { "name": "x" }] } }),
    ] {
        let edited = edit(text, "", json!([operation]));
        assert!(edited.layout_kept, "{operation}\n{}", edited.text);
    }
}
