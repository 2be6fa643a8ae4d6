//! After an edit kubectl reads what it read before, with the changes that the plan names, and nothing else.

use json_patch::Patch;
use muslin::manifest::{EditError, Stream, objects};
use serde_json::{Value, json};

use crate::{Kubectl, muslin_reads};

/// Pods in the styles that people write. Each is edited in place.
const PODS: &[&str] = &[
    // The dash in the column of its key.
    "  containers:\n  - {name: a, image: alpine:3.17}\n  dnsConfig:\n    options:\n    - {name: attempts, value: \"0\"}\n",
    "  containers:\n  - name: a\n  dnsConfig:\n    options:\n    - name: attempts\n      value: '0'\n    # why\n    - name: ndots\n  # end\n",
    "  dnsConfig:\n    options:\n    # first\n    -   name: attempts\n        value: \"0\" # zero\n\n\n    - name: ndots\n      value: \"2\"\n  containers: [{name: a}]\n",
    "  dnsConfig: {options: [{name: attempts, value: \"0\"}, {name: ndots}]} # c\n",
    "  dnsConfig: {options: [\n    {name: attempts, value: \"0\"},   # zero\n    {name: ndots}\n  ]}\n",
    "  dnsConfig: {\n    options: [\n      {name: attempts, value: \"0\"},\n    ],\n  }\n",
    "  dnsConfig:\n    {options:\n      [{name: attempts, value: \"0\"}]}\n",
    "  dnsConfig:\n    options:\n      - {name: attempts, value: \"0\"} # c\n      # d\n    searches: [a, b]\n",
    "  dnsConfig:\n    options:\n      -\n        name: attempts\n        value: \"0\"\n",
    "  dnsConfig:\n    options: # c\n      # d\n\n      - name: attempts # e\n        # f\n        value: # g\n          \"0\" # h\n",
    "  dnsConfig:\n    nameservers:\n    - 10.0.0.1\n",
    "  dnsConfig:\n    searches: []\n    options:\n",
    "  dnsConfig:\n    options: ~ # none\n",
    "  dnsConfig:\n  containers: []\n",
    "  dnsConfig: {}\n",
    "  dnsConfig: # nothing\n",
    "  dnsConfig:\n    options: []\n    searches:\n    - a\n",
    "  dnsConfig:\n    ? options\n    : - name: attempts\n        value: \"0\"\n",
    "  \"dnsConfig\":\n    'options':\n    - \"name\": \"attempts\"\n      'value': \"0\"\n",
    "  dnsConfig:\n    options:\n    - name: attempts\n      value: !!str 0\n",
    "  dnsConfig:\n    options:\n    - name: attempts\n      value: |-\n        0\n",
    "  dnsConfig:\n    options:\n    - &zero\n      name: attempts\n      value: \"0\"\n",
    "  dnsConfig: &dns\n    options: &options\n    - name: attempts\n      value: \"0\"\n",
    "  containers:\n  - name: a\n    args: [\"x\", 'y', z] # c\n    command:\n    - sh\n    - -c\n    - |\n      exec x \\\n        --y\n\n    # comment of a\n\n",
    "  containers:\n  - name: a\n    env:\n    - {name: A, value: \"\\tb\"}\n    - {name: B, value: '\tb'}\n    - name: C\n      value: >+\n        x\n\n\n",
    "  volumes:\n  - name: a\n    secret: {secretName: b, defaultMode: 0400, items: [{key: c, path: d, mode: 0_7}]}\n  terminationGracePeriodSeconds: 1_0\n  priority: 0x_1F\n",
    "  hostNetwork: no\n  shareProcessNamespace: tRue\n  nodeName: 1e400\n  subdomain: 1_000.5\n  hostname: 2001-01-01\n",
    "  containers:\n      - name: a\n        image: b\n",
    "  containers:\n    -   name: a\n        image: b\n    -   image: c\n",
    "  containers: [{name: a, image: 'b'}, {name: c,\n     image: d}]\n",
    "  containers:\n  - {name: a}\n  ## not for us\n#  commentedOut:\n#  - true\n  nodeSelector:\n    a/b: \"c\"\n",
    "  nodeSelector: {a: b}\n  containers:\n  - name: last\n    image: without-a-newline",
    "  dnsConfig:\n    options:\n    - name: attempts\n      value: \"0\"\n    - name: attempts\n      value: \"0\"\n  dnsConfig:\n    options:\n    - name: ndots\n      value: \"0\"\n",
];

/// What may stand before `spec`.
const HEADS: &[&str] = &[
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a # c\n  labels:\n    app: a\n",
    "kind: Pod\napiVersion: v1\nmetadata: {name: a, labels: {a: b}, annotations: {c: 'd'}} # e\n",
    "# license\n\napiVersion: v1\nkind: Pod\n",
    "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    a/b: |\n      text\n    c: \"d\"\n",
    "apiVersion: v1\nkind: Pod\nmetadata:\n",
    "\u{feff}apiVersion: v1\nkind: Pod\nmetadata:\n    labels: {}\n    annotations: {a: b,\n      c: d}\n",
    "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n",
];

/// Whole documents.
const DOCUMENTS: &[&str] = &[
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec:\n    containers: []\n- kind: Pod\n  apiVersion: v1\n  spec:\n    dnsConfig:\n      options:\n      - name: attempts\n        value: \"0\"\n",
    "apiVersion: v1\nkind: List\nitems:\n  -\n    apiVersion: v1\n    kind: Pod\n    spec: {}\n  # next\n  - apiVersion: v1\n    kind: Pod\n    spec:\n      containers: []\n",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"dnsConfig\":{\"options\":[{\"name\":\"a\",\"value\":\"0\"}]}}}",
    "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\",\n  \"metadata\": {},\n  \"spec\": {\n    \"dnsConfig\": {\n      \"options\": []\n    }\n  }\n}\n",
    "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\",\n\t\"spec\": {\"a\": 1.50, \"b\": 1e2}\n}\n{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}\n",
    "{apiVersion: v1, kind: Pod, metadata: {labels: {a: b}}, spec: {containers: [{name: a}]}}\n",
    "{\n  apiVersion: v1, # c\n  kind: Pod,\n  spec: {containers: [\n    {name: a}, # b\n  ]},\n}\n",
    "---\napiVersion: apps/v1\nkind: Deployment\nspec:\n  selector:\n    matchLabels: &labels   # one place\n      app: web\n  template:\n    metadata:\n      labels: *labels\n    spec:\n      volumes:\n      - secret:\n          defaultMode: 0400 # owner reads\n",
    "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    metadata:\n      labels: &labels\n        app: web # c\n        # d\n        tier: |\n          x\n    spec: {}\n  selector: {matchLabels: *labels}\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {labels: &l {app: web}}\nspec:\n  selector: {matchLabels: *l}\n  template: {metadata: {labels: *l}, spec: {}}\n",
    "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    metadata: {labels: &l {app: web}}\n    spec: {}\n  selector: {matchLabels: *l}\n",
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: &m\n    labels: {a: b}\n  spec:\n    dnsConfig: &d\n      options:\n      - {name: a, value: \"0\"}\n- apiVersion: v1\n  kind: Pod\n  metadata: *m\n  spec:\n    dnsConfig: *d\n",
    "apiVersion: v1\nkind: List\nitems:\n- &pod\n  apiVersion: v1\n  kind: Pod\n  spec: {containers: []}\n- *pod\n- <<: *pod\n  metadata: {name: b}\n",
    "x: &x\n  options:\n  - {name: a, value: \"0\"}\napiVersion: v1\nkind: Pod\nspec:\n  dnsConfig: *x # shared\n",
    "x: &x {options: &o [{name: a, value: \"0\"}]}\napiVersion: v1\nkind: Pod\nspec:\n  dnsConfig:\n    options: *o\n",
    "x-base: &base\n  dnsConfig:\n    options: [{name: a, value: \"0\"}]\n  hostNetwork: no\napiVersion: v1\nkind: Pod\nspec:\n  <<: *base\n  containers: []\n",
    "x-base: &base {containers: [], priority: 0_7}\napiVersion: v1\nkind: Pod\nspec: *base\n",
    "apiVersion: v1\nkind: Pod\nspec:\n  containers: []\n...\nthis is: dropped\n",
    "apiVersion: v1\nkind: Pod\nspec:\n  containers: []\n---\napiVersion: v1\nkind: Pod\n---\n# nothing\n---\n{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{}}\n",
    "apiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: a\r\nspec:\r\n  containers: [] # c\r\n",
    "? apiVersion\n: v1\n? kind\n: Pod\n? spec\n: containers: []\n",
    "\u{feff}{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"spec\": {\"containers\": []}}\n",
    "apiVersion: v1\nkind: Pod\nspec: !!map\n  containers: !!seq\n  - a: !!int \"1\"\n",
];

/// Documents that cannot be changed without changing more.
const SHARED: &[&str] = &[
    // The anchor's value is a pod's, and something else's.
    "x: &spec\n  dnsConfig: {options: [{name: a, value: \"0\"}]}\ny: &t {spec: *spec}\napiVersion: apps/v1\nkind: Deployment\nspec: {template: *t}\n",
];

/// Returns what muslin would do to a pod as kubectl reads it: a label, an annotation, options.
pub(crate) fn patch_of(pod: &Value) -> Patch {
    let mut operations = Vec::new();
    let mut add = |path: &str, value: Value| operations.push(json!({ "op": "add", "path": path, "value": value }));
    let label = || json!({ "muslin.dev/libc": "musl" });
    let annotation = || json!({ "muslin.dev/injected": "timeout:5", "muslin.dev/warnings": "a: b\n- c # d" });
    match pod.get("metadata").filter(|metadata| metadata.is_object()) {
        None => add("/metadata", json!({ "labels": label(), "annotations": annotation() })),
        Some(metadata) => {
            for (field, new) in [("labels", label()), ("annotations", annotation())] {
                match metadata.get(field).filter(|map| map.is_object()) {
                    None => add(&format!("/metadata/{field}"), new),
                    Some(_) => {
                        for (key, value) in new.as_object().unwrap() {
                            add(&format!("/metadata/{field}/{}", key.replace('/', "~1")), value.clone());
                        }
                    }
                }
            }
        }
    }
    let option = json!({ "name": "timeout", "value": "5" });
    let config = pod.pointer("/spec/dnsConfig").filter(|config| config.is_object());
    match (
        pod.get("spec").filter(|spec| spec.is_object()),
        config,
        config.and_then(|config| config["options"].as_array()),
    ) {
        (None, ..) => add("/spec", json!({ "dnsConfig": { "options": [option] } })),
        (_, None, _) => add("/spec/dnsConfig", json!({ "options": [option, { "name": "rotate" }] })),
        (_, _, None) => add("/spec/dnsConfig/options", json!([option])),
        (_, _, Some(options)) => {
            for (index, old) in options.iter().enumerate() {
                if old["value"] == "0" {
                    add(&format!("/spec/dnsConfig/options/{index}/value"), json!("2"));
                }
            }
            add("/spec/dnsConfig/options/-", option);
            if options.first().is_some_and(|first| first["name"] == "old") {
                operations.push(json!({ "op": "remove", "path": "/spec/dnsConfig/options/0" }));
            }
        }
    }
    serde_json::from_value(Value::Array(operations)).unwrap()
}

/// Returns a text with its pods changed, and what kubectl should read in it.
fn changed(text: &str, expected: &mut [Value]) -> Result<String, EditError> {
    let mut expected = expected.iter_mut();
    let mut changed = String::new();
    for document in Stream::new(text).documents {
        let tree = document.parse().unwrap();
        if tree.root().to_json() == "null" {
            changed.push_str(&document.text().to_string());
            continue;
        }
        let expected = expected.next().unwrap();
        let mut patches = Vec::new();
        for pointer in objects(tree.root()).filter_map(|object| object.pod_pointer()) {
            let pod = expected.pointer_mut(&pointer).unwrap();
            let patch = patch_of(pod);
            json_patch::patch(pod, &patch).unwrap();
            patches.push((pointer, patch));
        }
        changed.push_str(&document.apply_patches(tree, &patches)?);
    }
    Ok(changed)
}

/// Returns how an edit of a text goes wrong.
pub(crate) fn fault(kubectl: &mut Kubectl, text: &str) -> Option<String> {
    let Some(before) = kubectl.accepts(text) else { return Some(format!("kubectl refuses the input:\n{text}")) };
    if muslin_reads(text).as_ref() != Ok(&before) {
        return Some(format!("{text}\n== kubectl reads\n{before:?}\n== muslin reads\n{:?}", muslin_reads(text)));
    }
    let mut expected = before.clone();
    let edited = match changed(text, &mut expected) {
        Ok(edited) => edited,
        Err(error) => return Some(format!("not edited: {error}\n{text}")),
    };
    let after = kubectl.accepts(&edited);
    if after.as_ref() == Some(&expected) && muslin_reads(&edited).as_ref() == Ok(&expected) {
        return None;
    }
    Some(format!("{text}\n== became\n{edited}\n== and kubectl reads\n{after:?}\n== instead of\n{expected:?}"))
}

/// Returns the lines of a text that stand in another as well, in the same order.
fn kept_lines(before: &str, after: &str) -> usize {
    let mut after = after.lines();
    before.lines().filter(|line| after.clone().any(|other| other == *line) && after.any(|other| other == *line)).count()
}

fn table() -> Vec<String> {
    let pods = HEADS.iter().flat_map(|head| PODS.iter().map(move |spec| format!("{head}spec:\n{spec}")));
    pods.chain(DOCUMENTS.iter().map(|text| (*text).to_owned())).collect()
}

#[test]
fn every_style_is_edited_in_place() {
    let mut kubectl = Kubectl::start();
    let mut faults = Vec::new();
    for text in table() {
        for text in [text.clone(), text.replace("\r\n", "\n").replace('\n', "\r\n")] {
            faults.extend(fault(&mut kubectl, &text));
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        faults.iter().take(8).cloned().collect::<Vec<_>>().join("\n\n")
    );
}

#[test]
fn an_edit_keeps_nearly_every_line() {
    let mut kubectl = Kubectl::start();
    for text in table() {
        let edited = changed(&text, &mut kubectl.accepts(&text).unwrap()).unwrap();
        // Lines change in which a value, a bracket or an anchor changes.
        let lost = text.lines().count() - kept_lines(&text, &edited);
        assert!(lost <= 7, "{lost} lines differ\n{text}\n== became\n{edited}");
        let comments = |text: &str| text.matches('#').count();
        assert!(comments(&edited) >= comments(&text), "a comment is lost\n{text}\n== became\n{edited}");
    }
}

#[test]
fn a_shared_value_is_not_changed_for_others() {
    let mut kubectl = Kubectl::start();
    for text in SHARED {
        let error = changed(text, &mut kubectl.accepts(text).unwrap()).unwrap_err();
        assert!(matches!(error, EditError::Shared), "{error}\n{text}");
    }
}
