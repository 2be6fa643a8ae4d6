//! Programs of every kind and machine, and files that were made to be none.

use super::{ALPINE, GLIBC, LD_MUSL, MUSL, Machine, What, X86_64, elf, scanned, told};
use crate::image::contents::{LibcKind, Node};

/// What a program of this loader is, with that loader beside it.
fn loaded(machine: Machine, loader: &str, texts: &[&str]) -> String {
    let (program, library) = (elf(machine, Some(loader), &[]), elf(machine, None, texts));
    told(&[&[(loader, What::Bytes(&library)), ("app", What::Bytes(&program))]], &["/app"])
}

#[test]
fn programs_of_every_machine_are_read() {
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
        let told = loaded(machine, &format!("/lib/ld-musl-{name}.so.1"), MUSL);
        assert!(told.starts_with("musl 1.2.5: `/app` is loaded by"), "{name}: {told}");
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
        let told = loaded(machine, loader, GLIBC);
        assert!(told.starts_with("glibc 2.41.0: `/app` is loaded by"), "{loader}: {told}");
    }
    for loader in ["/lib/ld-uClibc.so.0", "/lib/ld-uClibc.so.1", "/lib/ld64-uClibc.so.1"] {
        let told = loaded(X86_64, loader, &[&loader[5..]]);
        assert!(told.starts_with("uclibc: `/app` is loaded by"), "{loader}: {told}");
    }
}

#[test]
fn loaders_that_are_not_known_are_not_guessed() {
    let bionic = loaded(X86_64, "/system/bin/linker64", &["libc.so", "__bionic_"]);
    assert!(bionic.starts_with("unknown: ") && bionic.contains("which is no known C library"), "{bionic}");
    let missing = told(&[&[("app", What::Program(Some(LD_MUSL), &[]))]], &["/app"]);
    assert!(missing.starts_with("unknown: ") && missing.contains("which by its name is musl"), "{missing}");
    let glibc_on_alpine =
        told(&[ALPINE, &[("app", What::Program(Some("/lib64/ld-linux-x86-64.so.2"), &[]))]], &["/app"]);
    assert!(glibc_on_alpine.starts_with("unknown: "), "{glibc_on_alpine}");
}

#[test]
fn glibc_s_loader_on_alpine_may_be_musl_s() {
    let app = ("app", What::Program(Some("/lib64/ld-linux-x86-64.so.2"), &[]));
    let apk = ("lib/apk/db/installed", What::Text("P:musl\nV:1.2.5-r9\n\n"));
    let link = [("lib64/ld-linux-x86-64.so.2", What::Link("/lib/ld-musl-x86_64.so.1")), app];
    assert!(told(&[ALPINE, &link], &["/app"]).starts_with("musl 1.2.5: "));
    let gcompat = ["/lib/ld-musl-x86_64.so.1", "/lib/libgcompat.so.0"];
    let gcompat = [("lib64/ld-linux-x86-64.so.2", What::Program(None, &gcompat)), app, apk];
    let told = told(&[ALPINE, &gcompat], &["/app"]);
    assert!(told.starts_with("musl 1.2.5: ") && told.contains("by apk's database"), "{told}");
}

#[test]
fn static_programs_say_what_is_in_them() {
    for (texts, resolver) in [
        (&["No error information"][..], "musl: "),
        (&["GLIBC_TUNABLES"], "glibc: "),
        (&["GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36."], "glibc 2.36.0: "),
        (&["/etc/config/resolv.conf"], "uclibc: "),
        (&[], "static: "),
        (&["musl libc (x86_64)", "GLIBC_TUNABLES"], "unknown: "),
    ] {
        let told = told(&[&[("app", What::Program(None, texts))]], &["/app"]);
        assert!(told.starts_with(resolver), "{texts:?}: {told}");
    }
    // A dynamic program that holds the same texts is what its loader is.
    let reader = ("app", What::Program(Some(LD_MUSL), &["musl libc (x86_64)", "GLIBC_TUNABLES"]));
    assert!(told(&[ALPINE, &[reader]], &["/app"]).starts_with("musl 1.2.5: "));
}

#[test]
fn a_packed_program_hides_what_it_is() {
    let mut packed = elf(X86_64, None, &[]);
    let behind = 64 + 2 * 56;
    packed.truncate(behind);
    packed.extend_from_slice(b"\x01\x02\x03\x04UPX!\0\0\x0e\x17");
    packed.resize(4096, 0x5a);
    let told = told(&[ALPINE, &[("app", What::Bytes(&packed))]], &["/app"]);
    assert!(told.starts_with("unknown: ") && told.contains("packed by UPX"), "{told}");
}

#[test]
fn files_that_only_begin_like_programs_are_none() {
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
            let told = told(&[ALPINE, &[("app", What::Bytes(&program))]], &["/app"]);
            assert!(told.starts_with("unknown: ") || told.starts_with("static: "), "{at} {filling}: {told}");
        }
    }
    for bytes in [&b"\x7fELF"[..], b"\x7fEL", b"MZ\x90", b"#!", b"#!\n", b"#! \t\n", b"", &[0; 4096]] {
        let told = told(&[ALPINE, &[("app", What::Bytes(bytes))]], &["/app"]);
        assert!(told.starts_with("unknown: "), "{bytes:?}: {told}");
    }
}

#[test]
fn a_library_is_told_by_what_it_says_and_not_by_its_name() {
    let libc = |name: &str, texts: &[&str]| match scanned(name, &elf(X86_64, None, texts), true) {
        Some(Node::Libc(libc)) => Some((libc.kind, libc.version.map(|version| version.to_string()))),
        _ => None,
    };
    assert_eq!(libc("lib/ld-musl-x86_64.so.1", GLIBC), Some((LibcKind::Glibc, Some("2.41.0".to_owned()))));
    assert_eq!(libc("lib/ld-musl-x86_64.so.1", &["1.2.5"]), None);
    // Two texts like a version: which of them it is cannot be told.
    assert_eq!(libc("lib/libc.so", &["No error information", "1.2.5", "1.1.24"]), Some((LibcKind::Musl, None)));
    assert_eq!(
        libc("lib/libc.so", &["No error information", "1.2.4_git20230717"]),
        Some((LibcKind::Musl, Some("1.2.4".to_owned())))
    );
    assert_eq!(libc("lib/libz.so.1", &["1.3.1"]), None);
}
