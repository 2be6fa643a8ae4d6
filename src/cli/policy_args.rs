//! The settings of the commands that read manifests: arguments and the nearest `muslin.toml`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::policy::{BrokenDomain, Config, Level, PlacedText, Profile};
use crate::rules::{DocsUrl, RULES};

use super::docs_args::DocsArgs;

/// The name of the configuration file. The nearest one is used, from the working directory upwards.
const CONFIG_FILE: &str = "muslin.toml";

/// The arguments of every command that reads manifests.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// The profile to use [default: the one in muslin.toml, else default]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Profile::NAMES))]
    profile: Option<String>,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub(super) cluster_domain: String,

    /// The namespace of objects without one
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    pub(super) namespace: String,

    /// Exit with 1 if there is a finding at or above this level
    #[arg(long, value_name = "LEVEL", default_value = "deny",
          value_parser = PossibleValuesParser::new(["deny", "warn", "info", "never"]).map(fail_on))]
    pub(super) fail_on: FailOn,

    /// Show findings at or above this level [default: warn, or --fail-on if that is lower]
    #[arg(long, value_name = "LEVEL",
          value_parser = PossibleValuesParser::new(["deny", "warn", "info"]).try_map(|text| text.parse::<Level>()))]
    level: Option<Level>,

    /// Read this configuration file instead of the nearest muslin.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read no configuration file
    #[arg(long, conflicts_with = "config")]
    no_config: bool,

    #[command(flatten)]
    docs: DocsArgs,
}

/// The level from which findings make a command fail; `None` means `never`.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailOn(pub(super) Option<Level>);

/// The combined settings of the arguments and the configuration file.
pub(super) struct LoadedPolicy {
    /// The options to inject and the levels of rules.
    pub(super) profile: Profile,
    /// The files to skip in folders, by absolute path.
    pub(super) exclude: Gitignore,
    /// The broken search domains of nodes.
    pub(super) broken_domains: Vec<BrokenDomain>,
    /// The address of the pages about rules.
    pub(super) docs: Option<DocsUrl>,
}

/// Parses `--fail-on`; clap has already rejected words that are neither a level nor `never`.
pub(super) fn fail_on(text: String) -> FailOn {
    FailOn(text.parse().ok())
}

// === impl PolicyArgs ===

impl PolicyArgs {
    /// Reads the configuration file, if there is one, and applies the arguments.
    pub(super) fn load(&self) -> anyhow::Result<LoadedPolicy> {
        let (mut config, exclude, docs) = match self.config_file()? {
            Some(path) => read_config(&path)?,
            None => (Config::default(), Gitignore::empty(), None),
        };
        let broken_domains = std::mem::take(&mut config.broken_domains);
        let docs = self.docs.docs_url.clone().or(docs);
        Ok(LoadedPolicy { profile: config.into_profile(self.profile.as_deref())?, exclude, broken_domains, docs })
    }

    /// Returns the level from which findings are shown. Unless `--level` says otherwise, a finding that fails the command is shown.
    pub(super) fn shown_level(&self) -> Level {
        self.level.unwrap_or_else(|| Level::Warn.min(self.fail_on.0.unwrap_or(Level::Warn)))
    }

    fn config_file(&self) -> anyhow::Result<Option<PathBuf>> {
        if self.no_config || self.config.is_some() {
            return Ok(self.config.clone());
        }
        let working =
            std::env::current_dir().context("cannot look for muslin.toml: the working directory is unknown")?;
        Ok(working.ancestors().map(|folder| folder.join(CONFIG_FILE)).find(|path| path.is_file()))
    }
}

/// Reads a configuration file, with the files to skip and the address of the pages about rules.
fn read_config(path: &Path) -> anyhow::Result<(Config, Gitignore, Option<DocsUrl>)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration file {shown}"))?;
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.slug).collect();
    let config = Config::parse(&text, &rules).map_err(|error| anyhow!("{shown}:{error}"))?;
    let path = std::path::absolute(path).with_context(|| format!("cannot find the folder of {shown}"))?;
    let mut exclude = GitignoreBuilder::new(path.parent().unwrap_or(&path));
    for pattern in &config.exclude {
        exclude
            .add_line(None, &pattern.text)
            .map_err(|error| anyhow!("{shown}:{}:{}: {error}", pattern.line, pattern.column))?;
    }
    let exclude = exclude.build().with_context(|| format!("{shown}: cannot use the `exclude` patterns"))?;
    let docs = |url: &PlacedText| -> anyhow::Result<DocsUrl> {
        let PlacedText { text, line, column } = url;
        text.parse().map_err(|error| anyhow!("{shown}:{line}:{column}: `docs-url`: {error}"))
    };
    let docs = config.docs_url.as_ref().map(docs).transpose()?;
    Ok((config, exclude, docs))
}
