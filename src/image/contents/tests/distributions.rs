//! The layouts of distributions, and layers over layers.

use super::{ALPINE, DEBIAN, GLIBC, LD_LINUX, LD_MUSL, Layer, What, answer, answer_of, entrypoint, image};
use crate::image::contents::Invocation;

const APP: Layer<'_> = &[("app", What::Program(Some(LD_MUSL), &[]))];
/// A musl without its release.
const SILENT: (&str, What<'_>) = ("lib/ld-musl-x86_64.so.1", What::Program(None, &["No error information"]));

#[test]
fn the_release_is_from_the_best_source() {
    let apk = (
        "lib/apk/db/installed",
        What::Text("C:Q1abc=\nP:musl\nV:1.1.24-r10\nA:x86_64\n\nP:musl-utils\nV:9.9.9-r0\n\n"),
    );
    let merged = ("usr/lib/apk/db/installed", What::Text("P:busybox\nV:1.37.0-r12\n\nP:musl\nV:1.2.5-r10\n\n"));
    let os = ("etc/os-release", What::Text("NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.9.6\n"));
    let alpine = ("etc/alpine-release", What::Text("3.3.3\n"));
    let edge = ("etc/os-release", What::Text("ID=alpine\nVERSION_ID=3.22.0_alpha20250108\n"));
    for (files, expected, source) in [
        (&[SILENT, apk, os, alpine][..], "musl 1.1.24", "by apk's database"),
        (&[SILENT, merged, os, alpine], "musl 1.2.5", "by apk's database"),
        (&[SILENT, os, alpine], "musl 1.1.20", "by os-release"),
        (&[SILENT, alpine], "musl 1.1.12", "by alpine-release"),
        (&[SILENT, edge], "musl", "which is musl"),
        (&[SILENT], "musl", "which is musl"),
    ] {
        let answer = answer_of(&[files, APP], &["/app"]);
        assert!(answer.starts_with(&format!("{expected}: ")) && answer.contains(source), "{answer}");
    }
}

#[test]
fn distributions_like_alpine_are_not_taken_for_it() {
    // Wolfi and Chainguard have apk, and glibc.
    let wolfi: Layer<'_> = &[
        ("lib", What::Link("usr/lib")),
        ("lib64", What::Link("usr/lib")),
        ("usr/lib/ld-linux-x86-64.so.2", What::Program(None, GLIBC)),
        ("usr/lib/apk/db/installed", What::Text("P:glibc\nV:2.41-r5\n\n")),
        ("etc/os-release", What::Text("ID=wolfi\nVERSION_ID=20230201\n")),
        ("usr/bin/app", What::Program(Some(LD_LINUX), &[])),
    ];
    assert!(answer_of(&[wolfi], &["app"]).starts_with("glibc 2.41: "));
    // Alpaquita says ID_LIKE=alpine with both libraries; its release number is not one of Alpine's.
    let alpaquita = ("etc/os-release", What::Text("ID=alpaquita\nID_LIKE=alpine\nVERSION_ID=23\n"));
    let musl = answer_of(&[&[SILENT, alpaquita], APP], &["/app"]);
    assert!(musl.starts_with("musl: "), "{musl}");
    let glibc = [
        alpaquita,
        ("lib64/ld-linux-x86-64.so.2", What::Program(None, GLIBC)),
        ("app", What::Program(Some(LD_LINUX), &[])),
    ];
    assert!(answer_of(&[&glibc], &["/app"]).starts_with("glibc 2.41: "));
    // frolvlad/alpine-glibc has both libraries, and each program has its own.
    let both: Layer<'_> = &[
        ("usr/glibc-compat/lib/ld-linux-x86-64.so.2", What::Program(None, GLIBC)),
        ("lib64/ld-linux-x86-64.so.2", What::Link("/usr/glibc-compat/lib/ld-linux-x86-64.so.2")),
        ("usr/bin/java", What::Program(Some(LD_LINUX), &[])),
    ];
    assert!(answer_of(&[ALPINE, both], &["java"]).starts_with("glibc 2.41: "));
    assert!(answer_of(&[ALPINE, both], &["ls"]).starts_with("musl 1.2.5: "));
    assert!(answer_of(&[ALPINE, both], &["sh", "-c", "run & wait"]).starts_with("unknown: "));
}

#[test]
fn reads_images_without_a_usual_root() {
    let nix: Layer<'_> = &[
        ("bin", What::Link("/nix/store/aaaa-env/bin")),
        ("nix/store/aaaa-env/bin/hello", What::Link("/nix/store/bbbb-hello/bin/hello")),
        (
            "nix/store/bbbb-hello/bin/hello",
            What::Program(Some("/nix/store/cccc-glibc-2.40/lib/ld-linux-x86-64.so.2"), &[]),
        ),
        ("nix/store/cccc-glibc-2.40/lib/ld-linux-x86-64.so.2", What::Program(None, GLIBC)),
    ];
    assert!(answer_of(&[nix], &["/bin/hello"]).starts_with("glibc 2.41: "), "{}", answer_of(&[nix], &["/bin/hello"]));
    let rust: Layer<'_> = &[("server", What::Program(None, &["No error information"]))];
    assert!(answer_of(&[rust], &["/server"]).starts_with("musl: "));
    assert!(answer_of(&[rust], &["server"]).starts_with("unknown: "), "the root is not on the search path");
    assert!(answer_of(&[], &["/server"]).starts_with("unknown: "));
    assert!(answer_of(&[rust], &[]).contains("what to run"));
}

#[test]
fn layers_replace_each_other_as_in_container_runtimes() {
    let gone: Layer<'_> = &[("lib/.wh.ld-musl-x86_64.so.1", What::Text(""))];
    let opaque: Layer<'_> = &[("lib/.wh..wh..opq", What::Text("")), ("lib/other", What::Text("x"))];
    let folder_gone: Layer<'_> = &[(".wh.lib", What::Text(""))];
    for above in [gone, opaque, folder_gone] {
        assert!(answer_of(&[ALPINE, APP, above], &["/app"]).starts_with("unknown: "));
        // A layer above brings the files back.
        assert!(answer_of(&[ALPINE, APP, above, ALPINE], &["/app"]).starts_with("musl 1.2.5: "));
    }
    // A whiteout and the new file in one layer, in either order.
    for again in [
        &[("lib/.wh.ld-musl-x86_64.so.1", What::Text("")), SILENT][..],
        &[SILENT, ("lib/.wh.ld-musl-x86_64.so.1", What::Text(""))],
        &[("lib/.wh..wh..opq", What::Text("")), SILENT],
        &[SILENT, ("lib/.wh..wh..opq", What::Text(""))],
    ] {
        let answer = answer_of(&[ALPINE, APP, again], &["/app"]);
        assert!(
            answer.starts_with("musl 1.2.5: ") && answer.contains("by os-release"),
            "the new one has no release: {answer}"
        );
    }
    // A folder of a higher layer, through a link of a lower one.
    let through: Layer<'_> = &[("bin/server", What::Program(Some(LD_LINUX), &[]))];
    assert!(answer_of(&[DEBIAN, through], &["/usr/bin/server"]).starts_with("glibc 2.41: "));
    // A folder with an entry of its own replaces the link.
    let listed: Layer<'_> = &[("bin", What::Folder), ("bin/server", What::Program(Some(LD_LINUX), &[]))];
    assert!(answer_of(&[DEBIAN, listed], &["/bin/server"]).starts_with("glibc 2.41: "));
    assert!(answer_of(&[DEBIAN, listed], &["/usr/bin/server"]).starts_with("unknown: "));
    assert!(answer_of(&[DEBIAN, listed], &["/bin/python3"]).starts_with("unknown: "));
    // A hard link to a file of a lower layer.
    let hard: Layer<'_> = &[("server", What::Hard("usr/bin/python3"))];
    assert!(answer_of(&[DEBIAN, hard], &["/server"]).starts_with("glibc 2.41: "));
    let outside: Layer<'_> =
        &[("server", What::Hard("../../../../usr/bin/python3")), ("other", What::Hard("../nowhere"))];
    assert!(answer_of(&[DEBIAN, outside], &["/server"]).starts_with("glibc 2.41: "), "no path leads out of the root");
    assert!(answer_of(&[DEBIAN, outside], &["/other"]).starts_with("unknown: "));
    let circle: Layer<'_> = &[("a", What::Hard("b")), ("b", What::Hard("a"))];
    assert!(answer_of(&[DEBIAN, circle], &["/a"]).starts_with("unknown: "));
}

#[test]
fn reads_127_layers() {
    let empty: Layer<'_> = &[];
    let mut layers = vec![ALPINE];
    layers.extend([empty; 125]);
    layers.push(APP);
    assert!(answer_of(&layers, &["/app"]).starts_with("musl 1.2.5: "));
}

#[test]
fn hostile_trees_end_soon() {
    let started = std::time::Instant::now();
    let deep = "d/".repeat(1900);
    let below = |link: &str| format!("{link}/{deep}x");
    let mut entries: Vec<(String, What<'_>)> = Vec::new();
    for number in 0..40 {
        entries.push((format!("l{number}"), What::Link("/l")));
        entries.push((below(&format!("l{number}")), What::Script("#!/l0/l1")));
    }
    let targets: Vec<String> = (0..3000).map(|number| format!("{}s{}", "./x/../".repeat(300), number + 1)).collect();
    for (number, target) in targets.iter().enumerate() {
        entries.push((format!("s{number}"), What::Link(target)));
    }
    let names: Vec<String> =
        (0..3000).map(|number| format!("#!/bin/x a b c d e f g h i j k l m n {number}\n")).collect();
    for (number, script) in names.iter().enumerate() {
        entries.push((format!("bin/script{number}"), What::Script(script)));
    }
    let layer: Vec<(&str, What<'_>)> = entries.iter().map(|(path, what)| (path.as_str(), *what)).collect();
    let mut facts = crate::image::contents::LayerBuilder::new(64 << 20);
    for (path, what) in &layer {
        let node = match what {
            What::Link(target) => {
                crate::image::contents::Entry::Node(crate::image::contents::Node::Symlink((*target).into()))
            }
            What::Script(text) => super::scanned(path, text.as_bytes(), true)
                .map_or(crate::image::contents::Entry::Other, crate::image::contents::Entry::Node),
            _ => crate::image::contents::Entry::Other,
        };
        facts.add(path, node).unwrap();
    }
    let mut tree = crate::image::contents::Tree::default();
    tree.add_layer(&facts.finish());
    let facts = crate::image::contents::ImageFacts::new(&tree, entrypoint(&["/s0"]), false);
    assert!(answer(&facts, &Invocation::default()).starts_with("unknown: "));
    assert!(serde_json::to_vec(&facts).unwrap().len() < 16 << 10);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn the_facts_of_an_image_stay_small() {
    let long = "directory/".repeat(40);
    let paths: Vec<String> = (0..300).map(|number| format!("{long}{number}/program{number}")).collect();
    let layer: Vec<(&str, What<'_>)> = paths.iter().map(|path| (path.as_str(), What::Program(None, &[]))).collect();
    let facts = image(&[DEBIAN, &layer], entrypoint(&["python3"]));
    let stored = serde_json::to_vec(&facts).unwrap();
    assert!(stored.len() < 10 << 10, "{}", stored.len());
    assert!(facts.truncated);
    // The facts for the image's own command are kept first.
    assert!(answer(&facts, &Invocation::default()).starts_with("glibc 2.41: "));
}
