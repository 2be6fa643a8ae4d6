//! The program of a release inside the root of a container: an Alpine's, of each release of musl, and an empty one. `MUSLIN_RELEASE` names
//! the folder that `scripts/release` filled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use hickory_proto::op::ResponseCode;
use tempfile::TempDir;

use super::getaddrinfo::{copy_library, lookups};
use super::{EXTERNAL, Probed, cluster, pod, probe_by};
use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::server::{aaaa, code};
use crate::lab::world::World;

pub(crate) const BY_HAND: Topic =
    tests![a_release_probes_inside_alpine_roots, a_release_alone_in_its_root_asks_its_own_library];

/// Makes the root of a container from the folder `$0`, with the test's files of `/etc` and with `/dev/null`, which every container has
/// (opencontainers/runtime-spec config-linux.md, "Default Devices"), and runs muslin in it.
const ENTER: &str = r#"mkdir -p "$0/etc" "$0/proc" "$0/dev"; cp /etc/resolv.conf /etc/hosts "$0/etc"; mount --bind /proc "$0/proc"
    touch "$0/dev/null"; mount --bind /dev/null "$0/dev/null"
    exec chroot "$0" /muslin "$@""#;

/// Returns a root with the program of the release, and the command that runs it there.
fn root_with_muslin() -> Result<(TempDir, Command)> {
    let release = std::env::var_os("MUSLIN_RELEASE").context("MUSLIN_RELEASE names the folder of scripts/release")?;
    let name = format!("muslin-{}-{}-linux", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let archive = PathBuf::from(release).join(format!("{name}.tar.gz"));
    let root = tempfile::Builder::new().prefix("muslin-lab-").tempdir()?;
    let mut tar = Command::new("tar");
    tar.arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(root.path())
        .args(["--strip-components=2", &format!("{name}/bin/muslin")]);
    ensure!(tar.status()?.success(), "{tar:?}");
    let mut command = Command::new("sh");
    command.args(["-ec", ENTER]).arg(root.path());
    Ok((root, command))
}

fn a_release_probes_inside_alpine_roots(world: &World) -> Result<()> {
    for musl in world.musls() {
        let lab = Lab::new(world)?;
        lab.without_ipv6()?;
        let dns = lab.server(server(1), cluster())?;
        let client = lab.client(&pod([server(1)]))?;
        let (root, command) = root_with_muslin()?;
        copy_library(musl.loader()?.parent().context("/")?, root.path())?;

        let probed = probe_by(&client, command, &[])?;
        let found = lookups(&probed, "musl", "example.com.");
        ensure!(found.len() == 1 && found[0]["resolver"] == musl.resolver.to_string(), "{found:#?}");
        ensure!(found[0]["addresses"].as_array().is_some_and(|found| found.len() == 2), "{found:#?}");

        dns.follow(cluster().rule(aaaa().name(EXTERNAL), code(ResponseCode::ServFail)));
        let (root, command) = root_with_muslin()?;
        copy_library(musl.loader()?.parent().context("/")?, root.path())?;
        let probed = probe_by(&client, command, &[])?;
        let evidence = Probed::evidence(probed.only("aaaa-broken")?);
        ensure!(evidence.contains("/lib/ld-musl-"), "a musl here fails: {evidence}");
    }
    Ok(())
}

fn a_release_alone_in_its_root_asks_its_own_library(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let _dns = lab.server(server(1), cluster())?;
    let (root, command) = root_with_muslin()?;
    let probed = probe_by(&lab.client(&pod([server(1)]))?, command, &[])?;
    let found = lookups(&probed, "musl", EXTERNAL);
    ensure!(found.len() == 1 && found[0]["program"] == "/muslin", "{:#}", probed.document["lookups"]);
    ensure!(!Path::new(&root.path().join("lib")).exists() && fs::read_dir(root.path())?.count() == 4);
    Ok(())
}
