//! `muslin manifests`: what muslin itself knows to write of what is applied to a cluster.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use kube::CustomResourceExt as _;

use super::{Failure, Outcome};
use crate::cluster::{ImageFingerprint, ResolverProfile, ResolverProfileSpec};
use crate::policy::Profile;

/// Print manifests to apply to a cluster.
///
/// crds are the definitions of muslin's custom resources, which are also part of manifests/base. profiles are those that are built
/// in, written out as ResolverProfiles, to start one of your own from.
#[derive(Debug, Args)]
pub(super) struct Manifests {
    /// What to print
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The definitions of custom resources
    Crds,
    /// The built-in profiles as ResolverProfiles
    Profiles,
}

// === impl Manifests ===

impl Manifests {
    pub(super) fn run(self) -> Outcome {
        let text = match self.what {
            What::Crds => crds(),
            What::Profiles => profiles(),
        };
        let text = text.map_err(Failure::Outside)?;
        match io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => Ok(()),
            Err(error) => Failure::output(error),
        }
    }
}

fn crds() -> anyhow::Result<String> {
    let definitions = [ImageFingerprint::crd(), ResolverProfile::crd()].map(serde_json::to_value);
    let definitions = definitions.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(format!("# Made by `muslin manifests crds`.\n{}", documents(&definitions)?))
}

fn profiles() -> anyhow::Result<String> {
    let mut profiles = Vec::new();
    for name in Profile::NAMES {
        let spec = ResolverProfileSpec::from_profile(&Profile::builtin(name)?);
        profiles.push(serde_json::to_value(ResolverProfile::new(name, spec))?);
    }
    Ok(format!(
        "# The profiles that are built in. One of the same name in the cluster takes its place.\n{}",
        documents(&profiles)?
    ))
}

fn documents(values: &[serde_json::Value]) -> anyhow::Result<String> {
    let documents: Vec<String> = values.iter().map(serde_saphyr::to_string).collect::<Result<_, _>>()?;
    Ok(documents.join("---\n"))
}
