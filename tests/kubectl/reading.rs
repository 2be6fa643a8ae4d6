//! muslin reads what kubectl reads, to the same values.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use muslin::manifest::{RemarkKind, Stream};
use serde_json::json;

use crate::{Kubectl, muslin_reads};

/// What people and tools write, and what a parser can get wrong.
const TEXTS: &[&str] = &[
    "a: 0400\nb: 0_7\nc: 0x_1F\nd: 1_000.5\ne: 1e400\nf: tRue\ng: yes\nh: Off\ni: ~\nj:\nk: 0o17\nl: 09\nm: -0b101\n",
    "a: .inf\n",
    "a: 2001-01-01\nb: 12:30:45\nc: 1.2.3\nd: 0x\ne: '0400'\nf: \"yes\"\ng: 1e3\nh: .5\ni: 5.\nj: +1\nk: -\n",
    "1: x\ntrue: y\n0x10: z\n1.5: v\n~x: w\nyes: n\n",
    "a: !!str 0400\nb: !!int \"5\"\nc: !!float 5\nd: !Ref x\ne: ! 5\nf: ! \"5\"\ng: !!null\nh: !!str\ni: !!bool yes\n",
    "a: \"\\tx\"\nb: '\tx'\nc: x\ty\nd: \"x\n  y\n\n  z\"\ne: x\n  y\n\n  z\nf: 'it''s'\ng: \"\\u00e9\\x41\\N\"\n",
    "a:\t1\nb: 2\t# c\n",
    "a: |\n  x\n   y\n\n  z\n\n\nb: >-\n  x\n  y\n\n   z\nc: |2\n   x\nd: |+\n  x\n\n\ne: >+\n\n  x\nf: |\n",
    "a: |\n  last line without its end",
    "a: |\n  # not a comment\n # a comment\nb: 1\n",
    "a:\n- 1\n-\n- - x\n  - y\n- b: c\n  d: e\n-   f: g\nh:\n  - i\n",
    "a: {b: 1, c: [1, 2, ], 'd': \"e\", f: , g}\n",
    "a: [b: c, {d: e}, [f], \"g\": h]\n",
    "a: {\"b\":1,\"c\":\"d\"}\n",
    "{\n\t\"a\": [1, 2],\n\t\"b\": {\"c\": null}\n}\n",
    "{\"a\": 1}\n{\"b\": 2}\n",
    "{\"a\": 1}{\"b\": 2}\n",
    "{\"a\": 1}\n---\n{\"b\": 2}\n",
    "{\"a\": 1, \"a\": 2, \"<<\": 3}",
    "{\"a\": \"\\ud83d\\ude00\\n\\/\", \"b\": -1.5e-3}",
    "{a: 1}\n---\nb: 2\n",
    "- a: 1\n",
    "\u{feff}a: 1\n---\nb: 2\n",
    "a: 1\r\nb: |\r\n  x\r\n  y\r\nc: \"x\r\n  y\"\r\n---\r\nd: 1\r\n",
    "# only a comment\n---\n---\n# and another\n",
    "---\na: 1\n--- # comment\nb: 2\n---\n",
    "---\n---\na: 1\n...\n",
    "a: 1\n...\nb: 2\n",
    "a: 1\n...\n---\nb: 2\n",
    "a: 1\n... \n}{ not YAML at all\n",
    "a: 1\n...\n# comment\n",
    "a: &x {b: 1, c: [1, '2']}\nd: *x\ne:\n  <<: *x\n  b: 2\nf: [*x, *x]\n",
    "a: &x\n  b: 1\nc: {<<: *x, d: 1}\ne:\n  b: 3\n  <<: *x\nf:\n  <<: [*x, {b: 5, g: 6}]\n",
    "a: &x 1\nb: &x 2\nc: *x\nd: &y\ne: *y\n",
    "a: &x b\n*x : c\n",
    "&a a: &b b\nc: [*a, *b]\n",
    "a: &a\n  - 1\nb: &b\n- 1\nc: &c !!map\n  d: 1\n",
    "a: 1\na: 2\nb: {c: 1, c: 2}\n",
    "? a\n: b\n? c\n",
    "? a\n: - b\n  - c\n",
    "a: b # c\n# d\n    # e\nf: # g\n  # h\n  i: j\n# k\n",
    "a: b#c\nd: '#'\ne: [f #g\n  , h]\n",
    "a: http://x:80/y?z=1&w=2\nb: x: y\n",
    "a: http://x:80/y?z=1&w=2\nb: {c: http://x, d: a:b}\n",
    "a: -x\nb: --flag\nc: ?x\nd: :x\ne: [-x, --flag, :x]\n",
    "a: %x\n",
    "a: @x\n",
    "a: `x`\n",
    "a: *\n",
    "a: '*'\nb: \"&\"\nc: x*\nd: x&y\ne: x!\n",
    "a: x y z \nb:   spaced   out  \n",
    "a: \"b\" \nc: 'd'   # e\n",
    "a: é\nb: 日本\n\"é\": ü\n",
    "a: [\n1,\n2\n]\nb: {\nc: 1\n}\n",
    "a:\n  [1, 2]\nb:\n  {c: d}\ne:\n  f\n",
    "a:\n    b: 1\nc:\n b: 1\n",
    "command: [sh, -c, \"x\n  y\"]\nargs: [\n  --a=b,\n  \"--c\", # d\n]\n",
    "a: {\n\tb: c}\nd:\n- e: [\n\t{\n\t\tf: \"it's # [\", # ]\n\tg: h}]\n  i: |\n    j\n    \tj\n- k: [\n\tl]\n",
    "a: \"b\n\tc\"\n",
    "a: [b,\n\tc]\n",
    "a:\n  - b\n\n\n  - c\n\n#x\n  - d\n",
    "a: - b\n",
    "a: b\n c: d\n",
    "a:\n  b: 1\n c: 2\n",
    "a: {b: c\n",
    "a: *unknown\n",
    "a: [b]]\n",
    "a: \"b\n",
    "key with spaces: 1\n\"quoted: key\": 2\n'x': 3\n[a]: 4\n",
    "a: 'b'c\n",
    "a: |x\n  b\n",
    "a: >1\n  b\n",
    "a: \"\\q\"\n",
    "a: 1 # b\n\n\n",
    "",
    "\n\n",
    "null\n",
    "just text\n",
    "%YAML 1.1\n---\na: 1\n",
    "a: !<tag:yaml.org,2002:str> 1\n",
    "a: !!set {b, c}\n",
    "a: !!binary aGVsbG8=\n",
    "a: {? b : c, ? d}\n",
    "a: [? b : c]\n",
    "a: ''\nb: \"\"\nc: []\nd: {}\n",
    "a: \"x\\\n  y\"\n",
    "a:\n- b:\n  - c:\n    - d\n",
    "- - - a\n  - b\n- c\n",
    "a: 18446744073709551615\nb: 18446744073709551616\nc: -9223372036854775808\nd: -9223372036854775809\n",
    "a: 1.0\nb: 1e2\nc: 1E+2\nd: .1e1\ne: 0.1\nf: 1e-7\n",
    "a: \u{a0}x\nb: x\u{a0}\n",
    "a: x\u{2028}y\nb: \"x\u{85}y\"\n",
    "a: 'x\n\n  y'\nb: >\n  x\n\n  y\n  z\n",
    "a: 'b'# c\nd: [e]#f\ng: [h,#i\n  j]\nk: >#l\n  m\nn: \"o\"#p # q\n",
    "a: [-]\nb: [-, c, -]\nd: {e: -, f: -}\ncommand: [cat, -]\n",
    "a: [_, b]\nc: {_: d}\n",
    "a: !!binary |\n  aGVs\n  bG8=\nb: !!binary \"aGV\\\n  sbG8=\"\n",
    "---\n...\na: 1\n",
    "a: 1\n---\n---\n...\nb: 2\n",
    "a: 1\n  \t\nb: 2\n",
    "a: \"x\"\t# c\nb:\ty\t\n\nc: |\n  d\n  \te\nf: |1\n \tg\n",
    "a: b\n \t c\nd: 'e\n\tf'\n",
    "? {a: b}\n: c\n",
    "a: {? b\n  : c, ? 'd\n  e' : f, g\n  , h: i}\n",
    "a: b?c\nd: e ? f\ng: 'h?'\ni: ['j?', \"k?\"]\n",
    "a: &B-c_1 d\ne: *B-c_1\nf: [&g h, *g]\n",
    "---# c\na: 1\n",
    "{\n\ta: b,\n\tc: d\n\t}\n",
    "a: {\n\tb: 'c'\n\t}\nd:\n  - [e,\n\tf]\n",
    "a: 1\n----\n",
];

/// Texts that kubectl refuses, and that YAML 1.2 or another reader takes. Each looks like a line of a manifest.
const REFUSED: &[&str] = &[
    "--- {a: 1}\n",
    "--- !x\na: 1\n",
    "--- |\n  a\n",
    "a: 1\n---\tb: 2\n",
    "a: 1\n---b\n",
    "a: 1\n---- \nb: 2\n",
    "%YAML 1.1\n---\na: 1\n",
    "%YAML 1.2\n---\na: 1\n",
    "%TAG !x! tag:example.com,2026:\n---\na: !x!y b\n",
    "%x y\n---\na: 1\n",
    "# a\n%YAML 1.1\n",
    "...\n",
    "# a\n...\n---\nb: 1\n",
    "a: 1\n---\n...\n",
    "listen: [:8080]\n",
    "args: [--listen, :8080]\n",
    "a: {b: :c}\n",
    "a: {\"b\"::c}\n",
    "a: [b?]\n",
    "a: {b?: c}\n",
    "a: {b\n  : c}\n",
    "a: {\"b\"\n  : c}\n",
    "a: {\"b\" # c\n  : d}\n",
    "a: {'b\n  c': d}\n",
    "a: {b\n  c: d}\n",
    "a: [b\n  c: d]\n",
    "a: &\u{e9} b\n",
    "a: &x.y b\nc: *x.y\n",
    "a: &x: b\n",
    "a: \"b\\/c\"\n",
    "a: \"\\\\\\/c\"\n",
    "a:\n-\tb\n",
    "a:\n- b\n-\tc: d\n",
    "- -\ta\n",
    "?\ta\n: b\n",
    "\t\na: 1\n",
    "a: 1\n\t\nb: 2\n",
    "a: 'b'\n\t\nc: d\n",
    "a: {b: c}\n \t\nd: e\n",
    "a:\n\t# b\n  c: d\n",
    "a: 1\n\t# b\nc: 2\n",
    "a:\n\t\n",
    "- a\n-\n\t\n",
    "\t# a\nb: 1\n",
    "\t# a\n",
    "a: |\n \tb\n",
    "a: |\n\tb\n",
    "a: |\n \t\n  b\n",
    "a: |\n  b\n\t\n  c\n",
    "a: >\n  b\n \tc\n",
    "a: |2\n\tb\n",
    "a: [b\n\t, c]\n",
    "a: {b: c\n\t}\n",
    "a: [b\n\tc]\n",
    "a: b\n\t\n  c\n",
    "a: |\n  b\n\t\nc: d\n",
];

#[test]
fn muslin_reads_what_kubectl_reads() {
    let mut kubectl = Kubectl::start();
    let differ: Vec<String> = TEXTS.iter().filter_map(|text| difference(&mut kubectl, text)).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn muslin_refuses_what_kubectl_refuses() {
    let mut kubectl = Kubectl::start();
    let taken_by = |taken: bool, who: &'static str| taken.then_some(who);
    let differ: Vec<String> = REFUSED
        .iter()
        .filter_map(|text| {
            let muslin = taken_by(muslin_reads(text).is_ok(), "muslin");
            let who = taken_by(kubectl.accepts(text).is_some(), "kubectl").or(muslin)?;
            Some(format!("{who} takes {text:?}"))
        })
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// kubectl takes these, and reads something that their authors do not mean.
#[test]
fn muslin_refuses_what_would_be_misread() {
    let mut kubectl = Kubectl::start();
    for (text, read) in [
        ("a: {b:}\n", json!({ "a": { "b:": null } })),
        ("a: {b:, c: d}\n", json!({ "a": { "b:": null, "c": "d" } })),
        ("a: [?b]\n", json!({ "a": [{ "b": null }] })),
        ("a: &b:c d\n", json!({ "a": ":c d" })),
        ("a: \"b\\'c\"\n", json!({ "a": "b'c" })),
        ("[a, b] ]\n", json!(["a", "b"])),
        ("a: 1\n%YAML 1.1\n", json!({ "a": 1 })),
    ] {
        assert_eq!(kubectl.accepts(text), Some(vec![read]), "{text}");
        assert!(muslin_reads(text).is_err(), "{text}");
    }
}

/// Returns how muslin's reading of a text differs from kubectl's, if kubectl accepts the text.
fn difference(kubectl: &mut Kubectl, text: &str) -> Option<String> {
    let expected = kubectl.accepts(text)?;
    let read = muslin_reads(text);
    (read.as_ref() != Ok(&expected)).then(|| format!("{text:?}\n  kubectl: {expected:?}\n  muslin:  {read:?}"))
}

/// Compares the readings of as many texts as take seconds, and what is refused if asked for. A tenth of them must be texts that kubectl
/// accepts.
fn check<S: Strategy<Value = String>>(cases: u32, texts: &S, compares_refusals: bool) {
    let (kubectl, accepted) = (RefCell::new(Kubectl::start()), Cell::new(0));
    let mut runner = TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(texts, |text| {
        let mut kubectl = kubectl.borrow_mut();
        accepted.set(accepted.get() + u32::from(kubectl.accepts(&text).is_some()));
        if let Some(difference) = difference(&mut kubectl, &text) {
            return Err(TestCaseError::fail(difference));
        }
        // kubectl reads what follows JSON otherwise. Of a text that it does not read, it may refuse the beginning.
        let is_compared = compares_refusals && !text.starts_with('{') && !has_unread_text(&text);
        if is_compared && kubectl.accepts(&text).is_none() && muslin_reads(&text).is_ok() {
            return Err(TestCaseError::fail(format!("muslin takes {text:?}")));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(accepted.get() > cases / 10, "kubectl accepts only {} of {cases}", accepted.get());
}

fn has_unread_text(text: &str) -> bool {
    let documents = Stream::new(text).documents;
    let mut trees = documents.iter().filter_map(|document| document.parse().ok());
    trees.any(|tree| tree.remarks().iter().any(|remark| remark.kind == RemarkKind::UnreadText))
}

#[test]
fn aliases_are_bounded_where_kubectl_bounds_them() {
    let mut kubectl = Kubectl::start();
    // A list of `items`, referred to so many times, and so many times again.
    for (items, times, again) in
        [(1, 150, 1), (9, 9, 200), (100, 100, 1), (100, 90, 9), (1000, 300, 1), (1000, 500, 1), (50, 50, 200)]
    {
        let list = |item: &str, count: usize| vec![item; count].join(", ");
        let text = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", list("x", items), list("*a", times), list("*b", again));
        assert_eq!(muslin_reads(&text).is_ok(), kubectl.accepts(&text).is_some(), "{items} {times} {again}");
    }
}

#[test]
fn nesting_is_bounded_where_kubectl_bounds_it() {
    let mut kubectl = Kubectl::start();
    for depth in [65, 1000, 9_999, 10_002] {
        let text = format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
        let is_read = Stream::new(&text).documents[0].parse().is_ok();
        assert_eq!(is_read, kubectl.accepts(&text).is_some(), "{depth}");
    }
}

#[test]
fn plain_scalars_have_kubectls_values() {
    // What numbers, words, dates and their near misses are made of.
    let piece = prop::sample::select(vec![
        "0", "1", "7", "9", "10", "0x", "0b", "0o", "x", "F", "_", ".", "-", "+", "e", "E", "1e", ":", "inf", ".nan",
        "true", "Yes", "no", "NULL", "~", "on", "2001-1-1", "T", " ", "y", "n",
    ]);
    let scalar = prop::collection::vec(piece, 1..6).prop_map(|pieces| format!("- {}\n- !!str {0}\n", pieces.concat()));
    check(4000, &scalar, false);
}

#[test]
fn lines_in_any_order_are_read_as_kubectl_reads_them() {
    let line = prop::sample::select(vec![
        "a: 1",
        "b:",
        "- c",
        "- d: e",
        "- ",
        "  f: g",
        "  - h",
        "    i: j",
        "# k",
        "  # l",
        "",
        "  ",
        "m: |",
        "n: >-",
        "  text",
        "   deeper",
        "o: [p, q",
        "  r, s]",
        "t: {u: v",
        "  , w: x}",
        "y: &z",
        "  z: *z",
        "<<: *z",
        "? A",
        ": B",
        "C: \"D",
        "  E\"",
        "F: 'G",
        "  H'",
        "---",
        "...",
        "I: !!str",
        "\tJ: K",
        "L:\tM",
        "N: O # P",
        "Q: R:S",
        "T: 'U': V",
        "- - W",
        "-\tX",
        "\"Y\":Z",
        "{\"a\":1}",
        "[b]: c",
        "a: *z",
        "b: &y c",
        "  <<: {d: e}",
        "- &x f",
        "- *x",
        "g: !h i",
        "%j",
        "  k: |2",
        "l: --- m",
    ]);
    let text = prop::collection::vec(line, 1..9).prop_map(|lines| lines.join("\n") + "\n");
    check(20_000, &text, true);
}
