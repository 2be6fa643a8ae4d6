//! Images made of real programs, and the fingerprint that each must have.

use anyhow::{Result, ensure};
use muslin::image::Fingerprint;
use muslin::image::contents::Invocation;
use muslin::registry::Depth;
use serde_json::{Value, json};

use crate::common::harness::tests;
use crate::common::image::Entry::{Folder, Gone, Hard, Link, Opaque, Part, Script, Text};
use crate::common::image::{Entry, Image, Packing};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    finds_the_fingerprint_of_every_image,
    prefers_the_command_of_the_pod,
    reads_the_requested_platform,
    skips_lower_layers_only_when_they_cannot_change_the_answer
];

/// A musl root as Alpine has it.
const MUSL: &[Entry<'_>] = &[
    Part("lib/ld-musl-x86_64.so.1", "ld-musl"),
    Link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"),
    Text("etc/os-release", "ID=alpine\nVERSION_ID=3.16.2\n"),
    Part("bin/tool", "musl-nothing"),
];
/// apk's database with the same release of musl as the library.
const APK: &[Entry<'_>] = &[Text("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.3-r3\nA:x86_64\n\nP:zlib\nV:1.3-r0\n\n")];
/// A glibc root as Debian has it, with a merged /usr.
const GLIBC: &[Entry<'_>] = &[
    Link("bin", "usr/bin"),
    Link("lib64", "usr/lib64"),
    Part("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "ld-linux"),
    Part("usr/lib/x86_64-linux-gnu/libc.so.6", "libc.so.6"),
    Link("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    Text("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
    Part("usr/bin/dash", "dash"),
    Link("usr/bin/sh", "dash"),
    Part("usr/bin/true", "glibc-nothing"),
];
const APP: &[Entry<'_>] = &[Part("app/server", "musl-lookup")];
const GLIBC_APP: &[Entry<'_>] = &[Part("app/server", "glibc-lookup")];

/// An image and its fingerprint: name, layers, configuration, resolver, and a part of the reason.
type Case = (&'static str, &'static [&'static [Entry<'static>]], fn() -> Value, &'static str, &'static str);

fn server() -> Value {
    json!({"Entrypoint": ["/app/server"]})
}

fn cmd(words: &[&str]) -> Value {
    json!({"Cmd": words})
}

const CASES: &[Case] = &[
    ("musl", &[MUSL, APK, APP], server, "musl 1.2.3", "by apk's database"),
    ("musl-without-apk", &[MUSL, APP], server, "musl 1.2.3", "as it says itself"),
    (
        "musl-apk-of-merged-usr",
        &[MUSL, &[Text("usr/lib/apk/db/installed", "P:musl\nV:1.2.3-r0\n\n")], APP],
        server,
        "musl 1.2.3",
        "by apk's database",
    ),
    (
        "musl-of-another-release-by-apk",
        &[MUSL, &[Text("lib/apk/db/installed", "P:musl\nV:1.2.5-r0\n\n")], APP],
        server,
        "musl 1.2.5",
        "by apk's database",
    ),
    (
        "musl-replaced-over-apk",
        &[&[Text("lib/apk/db/installed", "P:musl\nV:1.2.5-r0\n\n")], MUSL, APP],
        server,
        "musl 1.2.3",
        "as it says itself",
    ),
    ("glibc", &[GLIBC, GLIBC_APP], server, "glibc 2.36", "as it says itself"),
    ("both-and-musl-runs", &[GLIBC, MUSL, APP], server, "musl 1.2.3", "ld-musl-x86_64.so.1"),
    ("both-and-glibc-runs", &[MUSL, APK, GLIBC, GLIBC_APP], server, "glibc 2.36", "ld-linux-x86-64.so.2"),
    (
        "glibc-program-without-glibc",
        &[MUSL, GLIBC_APP],
        server,
        "unknown",
        "the image has no loader there that muslin knows",
    ),
    (
        "compat-link-to-musl",
        &[MUSL, &[Link("lib64/ld-linux-x86-64.so.2", "/lib/libc.musl-x86_64.so.1")], GLIBC_APP],
        server,
        "musl 1.2.3",
        "ld-linux-x86-64.so.2",
    ),
    ("scratch-musl-static", &[&[Part("app/server", "musl-static-lookup")]], server, "musl", "static"),
    ("scratch-musl-static-stripped", &[&[Part("app/server", "musl-static-stripped")]], server, "musl", "static"),
    ("scratch-glibc-static", &[&[Part("app/server", "glibc-static-lookup")]], server, "glibc", "static"),
    ("scratch-glibc-static-stripped", &[&[Part("app/server", "glibc-static-stripped")]], server, "glibc", "static"),
    ("scratch-glibc-static-pie", &[&[Part("app/server", "glibc-static-pie-lookup")]], server, "glibc", "static"),
    ("scratch-bare", &[&[Part("app/server", "bare")]], server, "static", "no C library"),
    ("scratch-go", &[&[Part("app/server", "go-pure")]], server, "go", "without cgo"),
    ("scratch-go-stripped", &[&[Part("app/server", "go-pure-stripped")]], server, "go", "without cgo"),
    ("go-on-musl", &[MUSL, &[Part("app/server", "go-pure")]], server, "go", "without cgo"),
    ("go-netgo", &[GLIBC, &[Part("app/server", "go-netgo")]], server, "go", "netgo"),
    ("go-cgo", &[GLIBC, &[Part("app/server", "go-cgo")]], server, "go", "calls glibc 2.36"),
    ("go-cgo-stripped", &[GLIBC, &[Part("app/server", "go-cgo-stripped")]], server, "go", "calls glibc 2.36"),
    ("go-cgo-pie", &[GLIBC, &[Part("app/server", "go-cgo-pie")]], server, "go", "calls glibc 2.36"),
    ("go-netcgo", &[GLIBC, &[Part("app/server", "go-netcgo")]], server, "glibc 2.36", "netcgo"),
    ("go-cgo-on-musl", &[MUSL, &[Part("app/server", "go-musl-cgo")]], server, "go", "calls musl 1.2.3"),
    ("go-cgo-static-musl", &[&[Part("app/server", "go-static-musl")]], server, "go", "calls musl"),
    (
        "go-cgo-told-to-use-libc",
        &[GLIBC, &[Part("app/server", "go-cgo")]],
        || json!({"Entrypoint": ["/app/server"], "Env": ["GODEBUG=http2client=0,netdns=cgo+1"]}),
        "glibc 2.36",
        "netdns=cgo",
    ),
    (
        "busybox-static",
        &[&[Part("bin/busybox", "busybox"), Hard("bin/sh", "bin/busybox"), Link("bin/ls", "busybox")]],
        || cmd(&["sh"]),
        "glibc",
        "static",
    ),
    (
        "replaced-loader",
        &[MUSL, APP, &[Part("lib/ld-musl-x86_64.so.1", "libc.so.6")]],
        server,
        "glibc 2.36",
        "ld-musl-x86_64.so.1",
    ),
    (
        "loader-removed",
        &[MUSL, APP, &[Gone("lib/ld-musl-x86_64.so.1")]],
        server,
        "unknown",
        "the image has no loader there that muslin knows",
    ),
    (
        "loader-hidden-by-opaque-folder",
        &[MUSL, APP, &[Folder("lib"), Opaque("lib"), Part("lib/other", "musl-nothing")]],
        server,
        "unknown",
        "has no loader there",
    ),
    ("program-replaced", &[GLIBC, MUSL, APP, GLIBC_APP], server, "glibc 2.36", "ld-linux"),
    ("program-removed", &[MUSL, APP, &[Gone("app")]], server, "unknown", "no readable program `/app/server`"),
    (
        "program-replaced-by-text",
        &[MUSL, APP, &[Text("app/server", "no program")]],
        server,
        "unknown",
        "no readable program",
    ),
    (
        "link-across-layers",
        &[MUSL, APP, &[Link("start", "/srv/current"), Link("srv/current", "../app/server")]],
        || cmd(&["/start"]),
        "musl 1.2.3",
        "loaded by",
    ),
    (
        "through-merged-usr",
        &[GLIBC, &[Part("bin/server", "glibc-lookup")]],
        || cmd(&["/usr/bin/server"]),
        "glibc 2.36",
        "loaded by",
    ),
    (
        "found-on-the-path",
        &[MUSL, &[Part("opt/bin/server", "go-pure")]],
        || json!({"Cmd": ["server"], "Env": ["PATH=/opt/bin:/bin"]}),
        "go",
        "without cgo",
    ),
    (
        "tini",
        &[MUSL, APP, &[Part("sbin/tini", "glibc-static-nothing")]],
        || json!({"Entrypoint": ["/sbin/tini", "-g", "--"], "Cmd": ["/app/server", "-x"]}),
        "musl 1.2.3",
        "loaded by",
    ),
    (
        "shell-exec",
        &[GLIBC, &[Part("app/server", "go-pure")]],
        || cmd(&["/bin/sh", "-c", "set -e; exec /app/server --port \"$PORT\""]),
        "go",
        "without cgo",
    ),
    (
        "entrypoint-script",
        &[
            GLIBC,
            &[
                Script(
                    "entrypoint.sh",
                    "#!/bin/sh\nset -e\nif [ \"$1\" = x ]; then\n  exec gosu app \"$0\" \"$@\"\nfi\nexec \"$@\"\n",
                ),
                Part("app/server", "go-pure"),
            ],
        ],
        || json!({"Entrypoint": ["/entrypoint.sh"], "Cmd": ["/app/server"]}),
        "go",
        "starts it with `exec`",
    ),
    (
        "script-in-a-mixed-image",
        &[GLIBC, &[Script("run.sh", "#!/bin/sh\n/app/server\n"), Part("app/server", "go-pure")]],
        || cmd(&["/run.sh"]),
        "unknown",
        "several kinds",
    ),
    (
        "script-in-an-image-of-one-kind",
        &[GLIBC, GLIBC_APP, &[Script("run.sh", "#!/bin/sh\n/app/server\n")]],
        || cmd(&["/run.sh"]),
        "glibc 2.36",
        "",
    ),
    (
        "interpreted",
        &[MUSL, &[Part("usr/bin/python3", "musl-lookup"), Script("app.py", "#!/usr/bin/env python3\nprint(1)\n")]],
        || cmd(&["/app.py"]),
        "musl 1.2.3",
        "loaded by",
    ),
    ("link-in-a-circle", &[MUSL, &[Link("a", "b"), Link("b", "a")]], || cmd(&["/a"]), "unknown", "no readable program"),
    (
        "link-out-of-the-image",
        &[MUSL, &[Link("start", "../../../../app/server")], APP],
        || cmd(&["/start"]),
        "musl 1.2.3",
        "loaded by",
    ),
    ("no-command", &[MUSL], || json!({}), "unknown", "what to run"),
];

fn check(what: &str, fingerprint: &Fingerprint, resolver: &str, because: &str) -> Result<()> {
    let found = fingerprint.resolver.to_string();
    // Go's release depends on the machine.
    let same = found == resolver || (resolver == "go" && found.starts_with("go 1."));
    ensure!(same, "{what}: {found} instead of {resolver}: {}", fingerprint.reason);
    let reason = fingerprint.reason.to_string();
    ensure!(reason.contains(because), "{what}: `{reason}` does not contain `{because}`");
    Ok(())
}

fn finds_the_fingerprint_of_every_image(world: &World) -> Result<()> {
    let mut wrong = Vec::new();
    for (at, (name, layers, config, resolver, because)) in CASES.iter().enumerate() {
        let layers = layers.iter().map(|entries| world.layer(entries)).collect::<Result<_>>()?;
        let mut image = Image::new(layers, config());
        image.packing = [Packing::Zstd, Packing::Gzip, Packing::Plain][at % 3];
        world.registry.push(&format!("cases/{name}"), &[image])?;
        for depth in [Depth::Whole, Depth::OwnCommand] {
            let inspection = world.inspect(&format!("cases/{name}"), "linux/amd64", depth)?;
            let stored = serde_json::to_vec(&inspection.facts)?;
            ensure!(stored.len() < 8 << 10, "{name}: {} bytes to store", stored.len());
            let facts: muslin::image::contents::ImageFacts = serde_json::from_slice(&stored)?;
            wrong.extend(check(name, &facts.fingerprint(&Invocation::default()), resolver, because).err());
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

fn prefers_the_command_of_the_pod(world: &World) -> Result<()> {
    let layers =
        vec![world.layer(MUSL)?, world.layer(APK)?, world.layer(APP)?, world.layer(&[Part("bin/go", "go-pure")])?];
    let config = json!({"Entrypoint": ["/app/server"], "Cmd": ["serve"]});
    world.registry.push("commands", &[Image::new(layers, config)])?;
    let facts = world.inspect("commands", "linux/amd64", Depth::Whole)?.facts;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (command, args, resolver, because) in [
        (vec![], vec![], "musl 1.2.3", "/app/server"),
        (vec!["go"], vec![], "go", "without cgo"),
        (vec!["tool"], vec!["x"], "musl 1.2.3", "loaded"),
        (vec!["/mnt/other"], vec![], "unknown", "a volume may provide it"),
        (vec!["$(PROGRAM)"], vec![], "unknown", "variable"),
        (vec!["env", "A=1"], vec!["/bin/go"], "go", "without cgo"),
        (vec!["sh", "-c"], vec!["cd / && exec bin/go"], "go", "without cgo"),
        (vec!["sh", "-c"], vec!["cd $DIR && exec bin/go"], "unknown", "only the shell in the container"),
        (vec!["bin/missing"], vec![], "unknown", "a volume may provide it"),
    ] {
        let (command, args) = (words(&command), words(&args));
        let fingerprint =
            facts.fingerprint(&Invocation { command: Some(&command), args: Some(&args), ..Invocation::default() });
        check(&format!("{command:?} {args:?}"), &fingerprint, resolver, because)?;
    }
    Ok(())
}

fn reads_the_requested_platform(world: &World) -> Result<()> {
    let glibc = Image::new(vec![world.layer(GLIBC)?, world.layer(GLIBC_APP)?], server());
    let mut go = Image::new(vec![world.layer(&[Part("app/server", "go-arm64")])?], server());
    go.platform = ("arm64", Some("v8"));
    world.registry.push("platforms", &[glibc, go])?;
    for (platform, resolver) in [("linux/amd64", "glibc 2.36"), ("linux/arm64", "go"), ("linux/amd64/v3", "glibc 2.36")]
    {
        let facts = world.inspect("platforms", platform, Depth::Whole)?.facts;
        check(platform, &facts.fingerprint(&Invocation::default()), resolver, "")?;
    }
    let Err(error) = world.inspect("platforms", "linux/s390x", Depth::Whole) else {
        anyhow::bail!("there is no image for s390x")
    };
    ensure!(
        error.to_string() == "the image is not built for linux/s390x, only for linux/amd64, linux/arm64/v8",
        "{error}"
    );
    Ok(())
}

/// `finds_the_fingerprint_of_every_image` compares both depths; this test shows that the lower layers are not read.
fn skips_lower_layers_only_when_they_cannot_change_the_answer(world: &World) -> Result<()> {
    let layers = vec![world.layer(GLIBC)?, world.layer(&[Part("app/server", "go-pure")])?];
    world.registry.push("early", &[Image::new(layers, server())])?;
    let inspection = world.inspect("early", "linux/amd64", Depth::OwnCommand)?;
    ensure!(inspection.facts.partial, "the base was read although the program is in the top layer");
    let command = vec!["/usr/bin/true".to_owned()];
    let fingerprint = inspection.facts.fingerprint(&Invocation { command: Some(&command), ..Invocation::default() });
    check("another command", &fingerprint, "unknown", "only the layers that the image's own command needs were read")
}
