//! The grammar, and texts that must not break the parser.

use proptest::prelude::*;

use super::{Problem, Reference};
use crate::image::suggest;

/// A text, its registry, its repository, its tag and its digest.
type Parts<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, Option<&'a str>);

const SHA256: &str = "sha256:141c253bc4c3fd0a201d32dc1f493bcf3fff003b6df416dea4f41046e0f37d47";

/// Parses a text that must be a reference.
fn reference(text: &str) -> Reference<'_> {
    match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => unreachable!("{error}"),
    }
}

fn problem(text: &str) -> Option<Problem> {
    Reference::parse(text).err().map(|error| error.problem())
}

#[test]
fn parses_every_part() {
    let with_digest = format!("quay.io/a/b@{SHA256}");
    let with_both = format!("localhost:5000/a/b:1.2@{SHA256}");
    let cases: &[Parts<'_>] = &[
        ("redis", "docker.io", "library/redis", None, None),
        ("redis:7", "docker.io", "library/redis", Some("7"), None),
        ("library/redis", "docker.io", "library/redis", None, None),
        ("docker.io/redis", "docker.io", "library/redis", None, None),
        ("index.docker.io/library/redis", "docker.io", "library/redis", None, None),
        ("grafana/grafana:10.2.0-ubuntu", "docker.io", "grafana/grafana", Some("10.2.0-ubuntu"), None),
        ("docker.io/grafana/grafana", "docker.io", "grafana/grafana", None, None),
        ("localhost/app", "localhost", "app", None, None),
        ("localhost:5000/app:1", "localhost:5000", "app", Some("1"), None),
        ("localhost:5000", "docker.io", "library/localhost", Some("5000"), None),
        ("registry.example.com/library/redis", "registry.example.com", "library/redis", None, None),
        ("10.0.0.1:5000/a/b/c", "10.0.0.1:5000", "a/b/c", None, None),
        ("[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000", "app", Some("1"), None),
        ("[::1]/app", "[::1]", "app", None, None),
        ("MyHost/app", "MyHost", "app", None, None),
        ("example.com/a__b/c.d/e---f_g:V1_x.y-z", "example.com", "a__b/c.d/e---f_g", Some("V1_x.y-z"), None),
        (&with_digest, "quay.io", "a/b", None, Some(SHA256)),
        (&with_both, "localhost:5000", "a/b", Some("1.2"), Some(SHA256)),
    ];
    for (text, registry, repository, tag, digest) in cases {
        let read = reference(text);
        let parts = (read.registry(), read.repository(), read.tag(), read.digest());
        assert_eq!(parts, (*registry, (*repository).into(), *tag, *digest), "{text}");
    }
}

#[test]
fn errors_name_the_problem() {
    let long = format!("a/{}", "b".repeat(254));
    let long_tag = format!("a:{}", "b".repeat(129));
    let id = "a".repeat(64);
    for (text, expected) in [
        ("", Problem::Empty),
        (&id, Problem::ImageId),
        ("redis :7", Problem::Blank),
        (" redis", Problem::Blank),
        ("https://quay.io/a/b", Problem::Url),
        ("-bad.example.com/a", Problem::Registry),
        ("example.com:port/a", Problem::Registry),
        ("[::1:5000/a", Problem::Registry),
        ("a_b.example.com/a", Problem::Registry),
        ("example.com/", Problem::NoRepository),
        (":7", Problem::NoRepository),
        ("Redis:7", Problem::Uppercase),
        ("team/App", Problem::Uppercase),
        ("team//app", Problem::Repository),
        ("a___b", Problem::Repository),
        ("team/a..b", Problem::Repository),
        ("team/-app", Problem::Repository),
        ("team/äpp", Problem::Repository),
        (&long, Problem::TooLong),
        ("redis:", Problem::Tag),
        ("redis:.7", Problem::Tag),
        ("redis:7:8", Problem::Tag),
        (&long_tag, Problem::Tag),
        ("redis@", Problem::Digest),
        ("redis@sha256:abc", Problem::Digest),
        ("redis@sha256:141C253BC4C3FD0A201D32DC1F493BCF3FFF003B6DF416DEA4F41046E0F37D47", Problem::Digest),
        ("redis@1:0123456789abcdef0123456789abcdef", Problem::Digest),
    ] {
        assert_eq!(problem(text), Some(expected), "{text}");
    }
}

#[test]
fn a_message_repeats_only_the_start_of_the_text() {
    let short = Reference::parse("Redis:7").map_err(|error| error.to_string());
    assert_eq!(
        short,
        Err("`Redis:7` is not an image reference: its repository has a capital letter; repositories are lower case"
            .to_owned())
    );
    let long = "Ä".repeat(100_000);
    let length = Reference::parse(&long).map_or_else(|error| error.to_string().len(), |_| usize::MAX);
    assert!(length < 400, "{length} bytes");
}

#[test]
fn parses_the_longest_names() {
    assert_eq!(problem(&format!("example.com/{}", "b".repeat(255))), None);
    assert_eq!(problem(&format!("example.com/{}", "b".repeat(256))), Some(Problem::TooLong));
    assert_eq!(problem(&"b".repeat(247)), None);
    assert_eq!(problem(&"b".repeat(248)), Some(Problem::TooLong));
    assert_eq!(problem(&format!("a:{}", "b".repeat(128))), None);
}

#[test]
fn all_forms_of_one_reference_are_equal() {
    for text in ["redis:7", "library/redis:7", "docker.io/redis:7", "index.docker.io/library/redis:7"] {
        assert_eq!(reference(text), reference("docker.io/library/redis:7"), "{text}");
        assert!(reference(text).is_official(), "{text}");
        assert_eq!(reference(text).to_string(), "docker.io/library/redis:7");
    }
    assert!(!reference("quay.io/library/redis:7").is_official());
}

/// Texts that follow the grammar. A first component with a dot is a registry, so a path without a registry starts without dots.
fn references() -> impl Strategy<Value = String> {
    let host =
        r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?(\.[a-z0-9]{1,5}){1,2}|localhost|\[[a-f0-9]{0,4}:[a-f0-9:]{1,6}\]";
    let start = prop_oneof![
        Just(String::new()),
        r"[a-z]{1,6}((_|__|-{1,3})[a-z0-9]{1,4}){0,2}/",
        (host, r"(:[0-9]{1,5})?").prop_map(|(host, port)| format!("{host}{port}/")),
    ];
    let path = r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){0,2}";
    let short = r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}";
    let tag = r"(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,30})?";
    let digest = r"(@sha256:[a-f0-9]{64}|@sha512:[a-f0-9]{128}|@[a-z]{1,4}\+[a-z][0-9]{1,3}:[a-fA-F0-9]{32,40})?";
    (start, path, short, tag, digest).prop_map(|(start, path, short, tag, digest)| {
        let path = if start.is_empty() { short } else { path };
        format!("{start}{path}{tag}{digest}")
    })
}

proptest! {
    #[test]
    fn parses_every_text_that_follows_the_grammar(text in references()) {
        prop_assert!(Reference::parse(&text).is_ok());
    }

    #[test]
    fn the_full_form_parses_to_the_same_reference(text in references()) {
        let read = reference(&text);
        let full = read.to_string();
        prop_assert_eq!(reference(&full), read);
        prop_assert_eq!(reference(&full).to_string(), full);
    }

    #[test]
    fn no_text_breaks_the_parser(text in any::<String>()) {
        let _ = Reference::parse(&text);
    }

    #[test]
    fn no_almost_valid_text_breaks_the_parser(text in r"[a-zA-Z0-9@:/._\[\]ä -]{0,40}") {
        if let Ok(read) = Reference::parse(&text) {
            let full = read.to_string();
            prop_assert_eq!(reference(&full), read);
        }
    }

    #[test]
    fn every_reference_gets_a_suggestion_and_a_reason(text in references()) {
        let fingerprint = suggest(&reference(&text));
        prop_assert!(!fingerprint.reason.to_string().is_empty());
    }
}
