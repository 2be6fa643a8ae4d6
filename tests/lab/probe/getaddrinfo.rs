//! Lookups through C libraries: the program that releases hold, started by each loader.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use muslin::resolver::Family;
use serde_json::Value;

use super::{EXTERNAL, Probed, V4, V6, cluster, pod, probe};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::process::Process;
use crate::lab::server::{Then, aaaa, code};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![
    asks_for_aaaa_in_a_pod_without_an_ipv6_address,
    asks_every_musl_and_glibc_of_other_roots,
    a_build_without_the_program_says_what_it_did_not_ask,
    reports_a_loader_that_cannot_start_the_program
];

/// Where a test's root has the program that keeps a process in it; no loader is searched here.
const KEEPER: &str = "keep";

/// Returns the lookups of a name through the library of this family, or of this process.
pub(super) fn lookups<'p>(probed: &'p Probed, library: &str, name: &str) -> Vec<&'p Value> {
    let all = probed.document["lookups"].as_array().into_iter().flatten();
    let is_of = |lookup: &&Value| {
        let text = |field: &str| lookup[field].as_str().unwrap_or_default();
        text("name") == name && (text("resolver").starts_with(library) || text("program").ends_with(library))
    };
    all.filter(is_of).collect()
}

/// Returns why no name was looked up through a library; fails if it is not among those.
fn reason<'p>(probed: &'p Probed, library: &str) -> Result<&'p str> {
    let unasked = probed.document["surroundings"]["unasked"].as_array().into_iter().flatten();
    let mut of_library = unasked.filter(|unasked| unasked["library"].as_str() == Some(library));
    let because = of_library.next().and_then(|unasked| unasked["because"].as_str());
    because.with_context(|| format!("{library}: {:#}", probed.document["surroundings"]["unasked"]))
}

/// `getent ahosts` sees no fault of AAAA in a pod without an IPv6 address, as both libcs' set `AI_ADDRCONFIG`; the probe does.
fn asks_for_aaaa_in_a_pod_without_an_ipv6_address(world: &World) -> Result<()> {
    let program = world.lookup_program().display().to_string();
    for then in [Then::Drop, code(ResponseCode::ServFail).into()] {
        let lab = Lab::new(world)?;
        lab.without_ipv6()?;
        let dns = lab.server(server(1), cluster().rule(aaaa().name(EXTERNAL), then))?;
        let client = lab.client(&pod([server(1)]))?;

        let found = client.run(Command::new("getent").args(["ahosts", "example.com."]))?;
        ensure!(found.stdout.starts_with(V4), "{found:?}");
        ensure!(dns.seen().iter().all(|seen| seen.kind == RecordType::A), "getent: {:?}", dns.seen());

        let probed = probe(&client, &["--lookup-program", &program])?;
        let verdict = probed.only("aaaa-broken")?;
        let musl = lookups(&probed, "musl", "example.com.");
        ensure!(musl.len() == 1 && musl[0]["error"] == "EAI_AGAIN", "{musl:#?}");
        let evidence = Probed::evidence(verdict);
        let fails = evidence.lines().any(|line| {
            line.starts_with("getaddrinfo: ")
                && line.contains("musl")
                && line.contains("does not find example.com. within 5.")
        });
        ensure!(fails, "{evidence}");
        ensure!(evidence.contains("/lib/ld-musl-"), "a musl here fails: {evidence}");
    }
    Ok(())
}

/// The folders with this file, at most this deep below a folder.
fn folders_with(folder: &Path, is_wanted: &dyn Fn(&str) -> bool, depth: usize) -> Vec<PathBuf> {
    let entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    let has = entries.iter().any(|entry| entry.file_name().to_str().is_some_and(is_wanted));
    let inside = entries.iter().filter(|entry| depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let below = inside.flat_map(|entry| folders_with(&entry.path(), is_wanted, depth - 1));
    has.then(|| folder.to_owned()).into_iter().chain(below).collect()
}

/// Copies the files that a C library consists of, and gives its loader the usual name.
pub(super) fn copy_library(from: &Path, root: &Path) -> Result<()> {
    let architecture = std::env::consts::ARCH;
    let lib = root.join("lib");
    fs::create_dir_all(&lib)?;
    if !from.join("libc.so.6").exists() {
        fs::copy(from.join("libc.so"), lib.join(format!("ld-musl-{architecture}.so.1")))?;
        return Ok(());
    }
    // Debian's folders: the libraries in one of their own, the loader also where programs ask for it.
    let own = lib.join(format!("{architecture}-linux-gnu"));
    fs::create_dir_all(&own)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        if ["ld-linux", "libc.so.6", "libresolv.so.2", "libnss_"].iter().any(|begin| name.starts_with(begin)) {
            fs::copy(&path, own.join(name))?;
            if name.starts_with("ld-linux") {
                let folder = root.join(if architecture == "x86_64" { "lib64" } else { "lib" });
                fs::create_dir_all(&folder)?;
                // Absolute, so that only one who follows it inside the root finds the loader.
                std::os::unix::fs::symlink(format!("/lib/{architecture}-linux-gnu/{name}"), folder.join(name))?;
            }
        }
    }
    Ok(())
}

/// Starts a process in a root of its own. Its program is musl's loader, whose lookups wait a minute for each other.
fn start_in_root(lab: &Lab<'_>, fill: impl FnOnce(&Path) -> Result<()>) -> Result<Process> {
    let musl = lab.world.musl(|_| true)?;
    let mut process = lab.program("chroot", |folder| {
        let root = folder.join("root");
        fs::create_dir_all(root.join(KEEPER))?;
        fill(&root)?;
        fs::copy(musl.loader()?, root.join(KEEPER).join("libc.so"))?;
        fs::copy(musl.program(), root.join(KEEPER).join("lookup"))?;
        fs::set_permissions(root.join(KEEPER).join("libc.so"), fs::Permissions::from_mode(0o755))?;
        let words = ["/keep/libc.so", "/keep/lookup", "60000000", "127.0.0.1", "127.0.0.1"];
        Ok([root.display().to_string()].into_iter().chain(words.map(str::to_owned)).collect())
    })?;
    process.wait_until(|process| {
        fs::read_link(format!("/proc/{}/exe", process.id())).is_ok_and(|exe| exe.ends_with("keep/libc.so"))
    })?;
    Ok(process)
}

fn asks_every_musl_and_glibc_of_other_roots(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let system = fs::canonicalize(match std::env::consts::ARCH {
        "x86_64" => "/lib64/ld-linux-x86-64.so.2",
        _ => "/lib/ld-linux-aarch64.so.1",
    })?;
    let own = system.parent().context("a loader without a folder")?.to_owned();
    let mut libraries = vec![(world.glibc()?.resolver.to_string(), own)];
    let mut made: Vec<_> = fs::read_dir(&world.folder)?.flatten().map(|entry| entry.path()).collect();
    made.sort_unstable();
    for folder in made {
        let name = folder.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
        let Some((family @ ("musl" | "glibc"), version)) = name.split_once('-') else { continue };
        let is_library = |file: &str| file == if family == "musl" { "libc.so" } else { "libc.so.6" };
        let Some(found) = folders_with(&folder, &is_library, 4).pop() else { bail!("{name} has no library") };
        let resolver: muslin::resolver::Resolver = format!("{family} {version}").parse()?;
        libraries.push((resolver.to_string(), found));
    }
    let of_musl = libraries.iter().filter(|(name, _)| name.starts_with("musl")).count();
    ensure!(of_musl == world.musls().count() && of_musl >= 2, "{libraries:?}");

    let processes = libraries.iter().map(|(_, folder)| start_in_root(&lab, |root| copy_library(folder, root)));
    let processes = processes.collect::<Result<Vec<_>>>()?;
    let ids: Vec<String> = processes.iter().map(|process| process.id().to_string()).collect();
    let program = world.lookup_program().display().to_string();
    let mut arguments = vec!["--lookup-program", &program];
    ids.iter().for_each(|id| arguments.extend(["--pid", id]));
    let probed = probe(&lab.client(&pod([server(1)]))?, &arguments)?;
    probed.none()?;
    for ((resolver, _), id) in libraries.iter().zip(&ids) {
        for name in [EXTERNAL, "example.com."] {
            let of_process = lookups(&probed, &format!(" of process {id}"), name);
            let [lookup] = &of_process[..] else {
                bail!("{resolver}: {:#} {:#}", probed.document["lookups"], probed.document["surroundings"])
            };
            ensure!(lookup["resolver"] == **resolver, "{resolver}: {lookup:#}");
            let mut addresses: Vec<&str> =
                lookup["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            addresses.sort_unstable();
            ensure!(addresses == [V6, V4], "{resolver}: {lookup:#}");
        }
    }
    Ok(())
}

fn a_build_without_the_program_says_what_it_did_not_ask(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    lab.without_ipv6()?;
    let dns = lab.server(server(1), cluster())?;
    let client = lab.client(&pod([server(1)]))?;
    let other = start_in_root(&lab, |root| copy_library(world.musl(|_| true)?.loader()?.parent().context("/")?, root))?;
    let probed = probe(&client, &["--pid", &other.id().to_string()])?;
    ensure!(probed.only("no-ipv6-route")?["level"] == "info");
    let because = reason(&probed, "musl")?;
    ensure!(because.contains("/lib/ld-musl-") && because.contains("no lookup program"), "{because}");
    // The own library is asked, for both types.
    let glibc = lookups(&probed, Family::Glibc.name(), "example.com.");
    ensure!(glibc.len() == 1 && glibc[0]["addresses"].as_array().is_some_and(|found| found.len() == 2), "{glibc:#?}");
    ensure!(dns.seen_of(EXTERNAL).iter().any(|seen| seen.kind == RecordType::AAAA));
    Ok(())
}

fn reports_a_loader_that_cannot_start_the_program(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let musl = world.musl(|_| true)?.loader()?.to_owned();
    // Half of a loader, and glibc's loader without its library.
    let half = start_in_root(&lab, |root| {
        let bytes = fs::read(&musl)?;
        fs::create_dir_all(root.join("lib"))?;
        let path = root.join("lib").join(format!("ld-musl-{}.so.1", std::env::consts::ARCH));
        fs::write(&path, &bytes[..bytes.len() / 2])?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
    })?;
    let alone = start_in_root(&lab, |root| {
        fs::create_dir_all(root.join("lib"))?;
        Ok(fs::write(root.join("lib/ld-linux-strange.so.9"), fs::read(&musl)?)?)
    })?;
    let program = world.lookup_program().display().to_string();
    let (half, alone) = (half.id().to_string(), alone.id().to_string());
    let client = lab.client(&pod([server(1)]))?;
    let probed = probe(&client, &["--lookup-program", &program, "--pid", &half, "--pid", &alone])?;
    probed.none()?;
    let text = probed.document["surroundings"]["unasked"].to_string();
    ensure!(text.contains(&format!("process {half}")), "{text}");
    ensure!(text.contains(&format!("/lib/ld-linux-strange.so.9 of process {alone}: it is musl")), "{text}");
    Ok(())
}
