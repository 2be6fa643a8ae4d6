//! `muslin manifests`: what muslin itself knows to write of what is applied to a cluster.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use kube::CustomResourceExt as _;

use super::{Failure, Outcome};
use crate::cluster::ImageFingerprint;

/// Print manifests to apply to a cluster.
///
/// crds are the definitions of muslin's custom resources. They are also part of manifests/image-inspection.
#[derive(Debug, Args)]
pub(super) struct Manifests {
    /// What to print
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The definitions of custom resources
    Crds,
}

// === impl Manifests ===

impl Manifests {
    pub(super) fn run(self) -> Outcome {
        let text = match self.what {
            What::Crds => crds().map_err(Failure::Outside)?,
        };
        match io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => Ok(()),
            Err(error) => Failure::output(error),
        }
    }
}

fn crds() -> anyhow::Result<String> {
    let definition = serde_json::to_value(ImageFingerprint::crd())?;
    Ok(format!("# Made by `muslin manifests crds`.\n{}", serde_saphyr::to_string(&definition)?))
}
