//! A run of `muslin doctor -o json`, and what tests expect of it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The exit code and the checks of one run.
pub(crate) struct Diagnosis {
    pub(crate) code: Option<i32>,
    pub(crate) report: Value,
}

impl Diagnosis {
    /// Runs a command that starts muslin.
    pub(crate) fn of(mut muslin: Command, arguments: &[&str]) -> Result<Self> {
        let output = muslin.args(["doctor", "-o", "json"]).args(arguments).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Self { code: output.status.code(), report: serde_json::from_slice(&output.stdout).context(stderr)? })
    }

    /// Fails unless the check has this status, and its texts have these words.
    pub(crate) fn expect(&self, check: &str, status: &str, words: &[&str]) -> Result<()> {
        let checks = self.report["checks"].as_array().context("there are no checks")?;
        let found = checks.iter().find(|found| found["check"] == check).with_context(|| format!("no {check}"))?;
        ensure!(found["status"] == status, "{found}");
        let text = found.to_string();
        words.iter().try_for_each(|word| {
            ensure!(text.contains(word), "no {word} in {text}");
            Ok(())
        })
    }
}
