//! What decides a plan besides the manifests, for the commands that read manifests: arguments, and the nearest `muslin.toml`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::policy::{Config, Level, Profile};
use crate::rules::RULES;

/// The name of the configuration file, which is looked for from the working directory upwards.
const CONFIG_FILE: &str = "muslin.toml";

/// The arguments, the same for each of these commands.
#[derive(Debug, Args)]
pub(super) struct Policy {
    /// What to inject [default: that of muslin.toml, or else default]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Profile::NAMES))]
    profile: Option<String>,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub(super) cluster_domain: String,

    /// The namespace of objects that say none
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    pub(super) namespace: String,

    /// Exit with 1 if there is a finding of this level or above
    #[arg(long, value_name = "LEVEL", default_value = "deny",
          value_parser = PossibleValuesParser::new(["deny", "warn", "info", "never"]).map(fail_on))]
    pub(super) fail_on: FailOn,

    /// Read this configuration file, and not the muslin.toml of the working directory or of one above it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read no configuration file
    #[arg(long, conflicts_with = "config")]
    no_config: bool,
}

/// The level from which findings make a command fail; `None` is `never`.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailOn(pub(super) Option<Level>);

/// What the arguments and the configuration file say together.
pub(super) struct Loaded {
    /// What to inject, and how strict to be.
    pub(super) profile: Profile,
    /// What to pass over in folders, by absolute path.
    pub(super) exclude: Gitignore,
}

/// `never` is no level; clap has checked the word.
pub(super) fn fail_on(text: String) -> FailOn {
    FailOn(text.parse().ok())
}

// === impl Policy ===

impl Policy {
    /// Reads the configuration file, if there is one.
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        let (config, exclude) = match self.config_file()? {
            Some(path) => read(&path)?,
            None => (Config::default(), Gitignore::empty()),
        };
        Ok(Loaded { profile: config.into_profile(self.profile.as_deref())?, exclude })
    }

    fn config_file(&self) -> anyhow::Result<Option<PathBuf>> {
        if self.no_config || self.config.is_some() {
            return Ok(self.config.clone());
        }
        let working = std::env::current_dir().context("cannot tell the working directory, to look for muslin.toml")?;
        Ok(working.ancestors().map(|folder| folder.join(CONFIG_FILE)).find(|path| path.is_file()))
    }
}

fn read(path: &Path) -> anyhow::Result<(Config, Gitignore)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration file {shown}"))?;
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.slug).collect();
    let config = Config::parse(&text, &rules).map_err(|error| anyhow!("{shown}:{error}"))?;
    let path = std::path::absolute(path).with_context(|| format!("cannot tell the folder of {shown}"))?;
    let mut exclude = GitignoreBuilder::new(path.parent().unwrap_or(&path));
    for pattern in &config.exclude {
        exclude
            .add_line(None, &pattern.text)
            .map_err(|error| anyhow!("{shown}:{}:{}: {error}", pattern.line, pattern.column))?;
    }
    let exclude = exclude.build().with_context(|| format!("{shown}: cannot use the patterns of `exclude`"))?;
    Ok((config, exclude))
}
