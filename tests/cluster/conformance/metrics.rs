//! muslin's metrics, read by the parser with which Prometheus scrapes (tests/conformance/formats/openmetrics).

#![expect(clippy::print_stdout, reason = "prints a line of docs/conformance.md")]

use std::io::{Seek as _, Write as _};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};

use super::go_program;
use crate::Cluster;
use crate::cluster::monitoring::{cache, muslin_with_every_metric};
use crate::cluster::profiles::applied;
use crate::cluster::replicas::wait;
use crate::common::pods::pod;

pub(super) fn prometheus_reads(cluster: &Cluster) -> Result<()> {
    let program = go_program("formats/openmetrics")?;
    let muslin = muslin_with_every_metric(cluster)?;
    cluster.namespace("scraped", &[])?;
    cluster.created(&pod("scraped", "web", "alpine:3.19"))?;
    let (_profile, _) = applied(cluster, "scraped", &cache())?;
    wait("the trial of the cache", || Ok(muslin.metrics()?.contains("muslin_node_local_reachable{")))?;

    let (head, text) = muslin.process().get_with_head("/metrics")?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let content_type = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let (_, content_type) = content_type.with_context(|| format!("no Content-Type: {head}"))?;
    let mut input = tempfile::tempfile()?;
    input.write_all(text.as_bytes())?;
    input.rewind()?;
    let output = Command::new(&program).arg(content_type).stdin(input).output()?;
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{complaint}\n{text}");
    let numbers: Vec<usize> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [families, series] = numbers[..] else { bail!("{said}") };
    ensure!(families > 15 && series > families, "{said}");
    // The harness has begun a line.
    println!("\n- Prometheus' parser reads {families} families with {series} series as `{content_type}`");
    // For another parser: see tests/conformance/formats/run.
    if let Some(path) = env::var_os("MUSLIN_METRICS") {
        fs::write(path, text)?;
    }
    Ok(())
}
