//! The Go webhook in `benches/baseline`: built here, with a certificate made here. It must not know how it is loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::common::server::Server;
use crate::load::report;

/// Where its sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline");

/// Builds it if need be, gives it a certificate, and starts it.
pub(crate) async fn start(logs: bool) -> Result<Server> {
    let folder = target_folder()?.join("baseline");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let program = folder.join("webhook");
    build(&program)?;

    // Self-signed, so that the certificate is its own CA.
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).context("make a certificate")?;
    let pem = certified.cert.pem();
    let (cert, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    fs::write(&cert, &pem).with_context(|| format!("write {}", cert.display()))?;
    fs::write(&key, certified.signing_key.serialize_pem()).with_context(|| format!("write {}", key.display()))?;

    let arguments = [
        "-addr".to_owned(),
        "127.0.0.1:0".to_owned(),
        "-cert".to_owned(),
        cert.display().to_string(),
        "-key".to_owned(),
        key.display().to_string(),
    ];
    Server::start("baseline (Go)", &program, &arguments, Some(pem), logs).await
}

/// `go build`; Go's own cache makes it quick when nothing has changed.
fn build(program: &Path) -> Result<()> {
    report::progress("building the Go baseline (the first time it downloads its modules, about a minute)");
    let status = Command::new("go")
        // Without a stamp of the commit, so that it builds outside a checkout too.
        .args(["build", "-trimpath", "-buildvcs=false", "-o"])
        .arg(program)
        .arg(".")
        .current_dir(SOURCES)
        .status()
        .context("run go: is it installed? `--servers muslin,echo` does without")?;
    if !status.success() {
        bail!("go build failed in benches/baseline ({status}); its message is above");
    }
    Ok(())
}

/// Cargo's target folder: this program is `target/release/deps/load-…`.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("find the benchmark's own program")?;
    let folder =
        program.ancestors().nth(3).with_context(|| format!("{} is not in a target folder", program.display()))?;
    Ok(folder.to_owned())
}
