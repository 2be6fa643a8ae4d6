//! Programs of every kind and machine, and broken files.

use super::{
    ALPINE, APP, DEBIAN, GLIBC, LD_MUSL, MUSL, Machine, What, X86_64, answer_of, elf, entrypoint, image, layer, scanned,
};
use crate::image::contents::{Invocation, LibcKind, Node, Tree};

/// Returns the answer for a program of this loader, with the loader in the image.
fn loaded(machine: Machine, loader: &str, texts: &[&str]) -> String {
    let (program, library) = (elf(machine, Some(loader), &[]), elf(machine, None, texts));
    answer_of(&[&[(loader, What::Bytes(&library)), ("app", What::Bytes(&program))]], &["/app"])
}

#[test]
fn reads_programs_of_every_machine() {
    let machine = |is_64, is_big| Machine { is_64, is_big };
    for (machine, name) in [
        (machine(true, false), "x86_64"),
        (machine(true, false), "aarch64"),
        (machine(false, false), "i386"),
        (machine(false, false), "armhf"),
        (machine(false, false), "arm"),
        (machine(true, false), "powerpc64le"),
        (machine(true, true), "powerpc64"),
        (machine(true, true), "s390x"),
        (machine(true, false), "riscv64"),
        (machine(true, false), "loongarch64"),
        (machine(false, true), "mips-sf"),
        (machine(false, false), "mipsel"),
    ] {
        let answer = loaded(machine, &format!("/lib/ld-musl-{name}.so.1"), MUSL);
        assert!(answer.starts_with("musl 1.2.5: `/app` is loaded by"), "{name}: {answer}");
    }
    for (machine, loader) in [
        (machine(true, false), "/lib64/ld-linux-x86-64.so.2"),
        (machine(true, false), "/lib/ld-linux-aarch64.so.1"),
        (machine(false, false), "/lib/ld-linux.so.2"),
        (machine(false, false), "/lib/ld-linux-armhf.so.3"),
        (machine(true, false), "/lib64/ld64.so.2"),
        (machine(true, true), "/lib/ld64.so.1"),
        (machine(true, false), "/lib/ld-linux-riscv64-lp64d.so.1"),
        (machine(false, true), "/lib/ld.so.1"),
        (machine(true, false), "/nix/store/0c7c96gikmzv87i7lv3vq5s1cmfjd6zf-glibc-2.41-52/lib/ld-linux-x86-64.so.2"),
    ] {
        let answer = loaded(machine, loader, GLIBC);
        assert!(answer.starts_with("glibc 2.41: `/app` is loaded by"), "{loader}: {answer}");
    }
    for loader in ["/lib/ld-uClibc.so.0", "/lib/ld-uClibc.so.1", "/lib/ld64-uClibc.so.1"] {
        let answer = loaded(X86_64, loader, &[&loader[5..]]);
        assert!(answer.starts_with("uclibc: `/app` is loaded by"), "{loader}: {answer}");
    }
}

#[test]
fn unknown_loaders_are_not_guessed() {
    let bionic = loaded(X86_64, "/system/bin/linker64", &["libc.so", "__bionic_"]);
    assert!(bionic.starts_with("unknown: ") && bionic.contains("which is not a known C library"), "{bionic}");
    let missing = answer_of(&[&[("app", What::Program(Some(LD_MUSL), &[]))]], &["/app"]);
    assert!(missing.starts_with("unknown: ") && missing.contains("whose name means musl"), "{missing}");
    let glibc_on_alpine =
        answer_of(&[ALPINE, &[("app", What::Program(Some("/lib64/ld-linux-x86-64.so.2"), &[]))]], &["/app"]);
    assert!(glibc_on_alpine.starts_with("unknown: "), "{glibc_on_alpine}");
}

#[test]
fn the_loader_of_glibc_on_alpine_may_be_that_of_musl() {
    let app = ("app", What::Program(Some("/lib64/ld-linux-x86-64.so.2"), &[]));
    let apk = ("lib/apk/db/installed", What::Text("P:musl\nV:1.2.5-r9\n\n"));
    let link = [("lib64/ld-linux-x86-64.so.2", What::Link("/lib/ld-musl-x86_64.so.1")), app];
    assert!(answer_of(&[ALPINE, &link], &["/app"]).starts_with("musl 1.2.5: "));
    let gcompat = ["/lib/ld-musl-x86_64.so.1", "/lib/libgcompat.so.0"];
    let gcompat = [("lib64/ld-linux-x86-64.so.2", What::Program(None, &gcompat)), app, apk];
    let answer = answer_of(&[ALPINE, &gcompat], &["/app"]);
    assert!(answer.starts_with("musl 1.2.5: ") && answer.contains("by apk's database"), "{answer}");
}

#[test]
fn static_programs_show_their_libc() {
    for (texts, resolver) in [
        (&["No error information"][..], "musl: "),
        (&["GLIBC_TUNABLES"], "glibc: "),
        (&["GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36."], "glibc 2.36: "),
        (&["/etc/config/resolv.conf"], "uclibc: "),
        (&[], "static: "),
        (&["musl libc (x86_64)", "GLIBC_TUNABLES"], "unknown: "),
    ] {
        let answer = answer_of(&[&[("app", What::Program(None, texts))]], &["/app"]);
        assert!(answer.starts_with(resolver), "{texts:?}: {answer}");
    }
    // A dynamic program with the same texts has its loader's library.
    let reader = ("app", What::Program(Some(LD_MUSL), &["musl libc (x86_64)", "GLIBC_TUNABLES"]));
    assert!(answer_of(&[ALPINE, &[reader]], &["/app"]).starts_with("musl 1.2.5: "));
}

#[test]
fn a_packed_program_is_unknown() {
    let mut packed = elf(X86_64, None, &[]);
    let behind = 64 + 2 * 56;
    packed.truncate(behind);
    packed.extend_from_slice(b"\x01\x02\x03\x04UPX!\0\0\x0e\x17");
    packed.resize(4096, 0x5a);
    let answer = answer_of(&[ALPINE, &[("app", What::Bytes(&packed))]], &["/app"]);
    assert!(answer.starts_with("unknown: ") && answer.contains("packed by UPX"), "{answer}");
}

#[test]
fn broken_programs_are_not_guessed() {
    for (machine, at, length) in [
        (X86_64, 32, 8),
        (X86_64, 54, 2),
        (X86_64, 56, 2),
        (X86_64, 128, 8),
        (X86_64, 152, 8),
        (Machine { is_64: false, is_big: true }, 28, 4),
        (Machine { is_64: false, is_big: true }, 42, 2),
        (Machine { is_64: false, is_big: true }, 44, 2),
    ] {
        for filling in [0xff, 0x7f, 0x80] {
            let mut program = elf(machine, Some(LD_MUSL), &[]);
            program[at..at + length].fill(filling);
            let answer = answer_of(&[ALPINE, &[("app", What::Bytes(&program))]], &["/app"]);
            assert!(answer.starts_with("unknown: ") || answer.starts_with("static: "), "{at} {filling}: {answer}");
        }
    }
    for bytes in [&b"\x7fELF"[..], b"\x7fEL", b"MZ\x90", b"#!", b"#!\n", b"#! \t\n", b"", &[0; 4096]] {
        let answer = answer_of(&[ALPINE, &[("app", What::Bytes(bytes))]], &["/app"]);
        assert!(answer.starts_with("unknown: "), "{bytes:?}: {answer}");
    }
}

/// The kernel looks for an interpreter whose name ends with the carriage return, also where all programs have one resolver.
#[test]
fn a_script_with_carriage_returns_is_reported() {
    let answer = "unknown: the lines of `/run` end with carriage returns, so that it cannot run: save it with LF at the ends of lines";
    for text in [
        "#!/bin/sh\r\nexec python3\r\n",
        "#!/bin/sh -e\r\nexec python3 x.py\r\n",
        "#!/bin/sh\nset -e\r\nexec python3\r\n",
        "#!/usr/bin/env python3\r\nprint(1)\r\n",
        "#!/usr/bin/python3\r\nprint(1)\n",
    ] {
        let run = ("run", What::Script(text));
        for layers in [&[DEBIAN, &[run, APP]][..], &[DEBIAN, &[run]], &[ALPINE, &[run]]] {
            for command in [&["/run"][..], &["/bin/sh", "-c", "exec /run"], &["env", "A=b", "/run", "x"]] {
                assert_eq!(answer_of(layers, command), answer, "{text:?} {command:?}");
            }
        }
    }
    let run = ("run", What::Script("#!/bin/sh\r\nexec python3\r\n"));
    assert_eq!(answer_of(&[DEBIAN, &[run]], &["/bin/sh", "/run"]), answer);
    let run = ("run", What::Script("#!/bin/sh\nprintf 'a\\r\\n'\nexec python3\n"));
    assert!(answer_of(&[DEBIAN, &[run]], &["/run"]).starts_with("glibc "), "two characters, no carriage return");
}

#[test]
fn evidence_names_the_program_before_the_script_that_starts_it() {
    let layers = [layer(DEBIAN), layer(&[("run", What::Script("#!/bin/sh\nexec python3 x.py\n"))])];
    let mut tree = Tree::default();
    layers.iter().for_each(|layer| tree.add_layer(layer));
    let facts =
        image(&[DEBIAN, &[("run", What::Script("#!/bin/sh\nexec python3 x.py\n"))], &[APP]], entrypoint(&["/run"]));
    let [base, top] = &layers;
    let files = facts.evidence_files(&Invocation::default(), &tree, &[base, top]);
    let paths: Vec<&str> = files.iter().map(|file| &*file.path).collect();
    assert_eq!(paths, ["usr/bin/python3", "usr/lib64/ld-linux-x86-64.so.2", "run"]);
}

#[test]
fn the_texts_of_a_library_outrank_its_name() {
    let libc = |name: &str, texts: &[&str]| match scanned(name, &elf(X86_64, None, texts), true) {
        Some(Node::Libc(libc)) => Some((libc.kind, libc.version.map(|version| version.to_string()))),
        _ => None,
    };
    assert_eq!(libc("lib/ld-musl-x86_64.so.1", GLIBC), Some((LibcKind::Glibc, Some("2.41.0".to_owned()))));
    assert_eq!(libc("lib/ld-musl-x86_64.so.1", &["1.2.5"]), None);
    // Two texts like a version: which of them it is cannot be answer.
    assert_eq!(libc("lib/libc.so", &["No error information", "1.2.5", "1.1.24"]), Some((LibcKind::Musl, None)));
    assert_eq!(
        libc("lib/libc.so", &["No error information", "1.2.4_git20230717"]),
        Some((LibcKind::Musl, Some("1.2.4".to_owned())))
    );
    assert_eq!(libc("lib/libz.so.1", &["1.3.1"]), None);
}
