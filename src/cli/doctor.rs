//! `muslin doctor`: is muslin installed right, and does it work.

mod output;

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::cluster;
use crate::doctor::{self, Status};
use crate::text::Line;

pub(super) use output::DoctorDocument;

use super::cluster_args::ClusterArgs;
use super::install::namespace;
use super::outcome::{Failure, Outcome};
use super::terminal;

/// Limit of the whole observation. An API server that answers needs a few seconds, and half a minute where no port of muslin answers.
const LIMIT: Duration = Duration::from_secs(60);

/// Check that muslin is installed right, and that it works.
///
/// Checks versions, rights, certificates, the webhook configurations and their caBundle, muslin's pods and Service, and the way from the API
/// server to muslin: by a pod that is never created (a dry run), which must come back with muslin's answer. Each failure says what to do.
/// Writes nothing. A check that you have no right to make is unknown.
///
/// Exit codes: 0 if muslin is healthy, 1 if something is wrong or unknown, 2 for wrong arguments, 3 if the cluster cannot be reached.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin doctor
  muslin doctor --namespace dns-system --context production
  kubectl muslin doctor -o json | jq '.checks[] | select(.status != \"ok\")'")]
pub(super) struct Doctor {
    /// muslin's namespace [default: that of the Service in the webhook configuration]
    #[arg(long, short, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    #[command(flatten)]
    cluster: ClusterArgs,

    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
}

// === impl Doctor ===

impl Doctor {
    pub(super) fn run(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let observed = runtime.block_on(self.observe())?;
        let checks = doctor::judge(&observed).map_err(|error| Failure::Outside(error.into()))?;
        match self.output {
            Output::Table => terminal::print(&output::table(&observed.namespace, &checks))?,
            Output::Json => terminal::print(&output::json(&observed.namespace, &checks))?,
        }
        if doctor::is_healthy(&checks) {
            return Ok(());
        }
        let count = |status| checks.iter().filter(|check| check.status == status).count();
        let (wrong, unknown) = (count(Status::Wrong), count(Status::Unknown));
        let checks = |count: usize| if count == 1 { "1 check".to_owned() } else { format!("{count} checks") };
        Err(Failure::Found(Line::new(match (wrong, unknown) {
            (0, unknown) => format!("{} could not be made", checks(unknown)),
            (wrong, 0) => format!("{} failed", checks(wrong)),
            (wrong, unknown) => format!("{} failed, and {unknown} could not be made", checks(wrong)),
        })))
    }

    async fn observe(&self) -> Result<doctor::Observed, Failure> {
        let client = cluster::connect_as(self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref()).await;
        let client = client.context("cannot connect to the cluster").map_err(Failure::Outside)?;
        let observed = cluster::observe(client, self.namespace.as_deref(), env!("CARGO_PKG_VERSION"));
        let observed = tokio::time::timeout(LIMIT, observed).await;
        let observed = observed.context("the API server is too slow").map_err(Failure::Outside)?;
        observed.map_err(|error| Failure::Outside(error.into()))
    }
}
