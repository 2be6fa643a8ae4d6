//! `muslin check`: findings in manifests with their lines, for people, CI and editors. Runs the webhook's own code, without a
//! network unless images are to be read.

mod checker;
mod formats;
mod not_manifest;
mod outputs;
mod totals;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, anyhow};
use clap::Args;
use ignore::gitignore::Gitignore;

use crate::policy::{BrokenDomain, Mode, Profile};
use crate::report::Summary;

use checker::{Checker, Fixing};
use formats::{Output, OutputParser};
use outputs::Outputs;
use totals::{Totals, counted};

use super::files::{STDIN, Sources};
use super::manifest_images::{ManifestImages, ManifestImagesArgs};
use super::manifest_pods::ManifestPlanner;
use super::ordered_parallel::map_in_order;
use super::outcome::{Failure, Outcome};
use super::policy_args::{LoadedPolicy, PolicyArgs};
use super::progress::Progress;
use super::replacement;

/// Find what is wrong with the DNS of pods in manifests.
///
/// Reads files, folders and standard input: YAML or JSON with any number of documents and Lists. Checks Pods and all pod
/// templates, also those of custom resources such as Rollouts and Workflows (docs/kinds.md), and DNS settings in kustomize patches and
/// Helm values. In folders, reads *.yaml, *.yml and *.json, except hidden files and files that git ignores and does not track. Files in
/// folders that are no manifests, such as templates of charts, are notes; --strict makes them errors.
///
/// The annotation muslin.dev/ignore on a pod, a pod template or the object that holds it silences rules: rule-a,rule-b.
/// A muslin.toml in the working directory, or in the nearest folder above it, sets profile, levels, images and exclude.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin check deploy/
  muslin check deploy/ --diff
  muslin check . -o github -o sarif=muslin.sarif --fail-on warn
  muslin check --inspect deploy/
  helm template charts/web | muslin check - --stdin-filename charts/web
  kustomize build overlays/production | muslin check - --stdin-filename overlays/production")]
pub(super) struct Check {
    /// Files and folders to read, or - for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// The output format, with the file to write it to [default: human on standard output]. Can be given more than once
    #[arg(long = "output", short, value_name = "FORMAT[=FILE]", value_parser = OutputParser)]
    outputs: Vec<Output>,

    /// Write the dnsConfig options that the webhook would set into the files, and report what is left
    #[arg(long)]
    fix: bool,

    /// Show what --fix would change as a unified diff on standard output, and change nothing
    #[arg(long)]
    diff: bool,

    /// Fail if a file in a folder is no manifest or cannot be read
    #[arg(long)]
    strict: bool,

    /// Fail if there is no pod and no pod template to check
    #[arg(long)]
    fail_on_empty: bool,

    /// The file that standard input holds; or the folder of the chart or of the kustomization that was rendered to it
    #[arg(long, value_name = "PATH")]
    stdin_filename: Option<PathBuf>,

    /// Also report what was skipped
    #[arg(long, short)]
    verbose: bool,

    #[command(flatten)]
    policy: PolicyArgs,

    #[command(flatten)]
    images: ManifestImagesArgs,
}

// === impl Check ===

impl Check {
    pub(super) fn run(&self) -> Outcome {
        self.validate().map_err(Failure::Input)?;
        let LoadedPolicy { mut profile, exclude, broken_domains, docs } = self.policy.load().map_err(Failure::Input)?;
        if self.fix || self.diff {
            // The node-local profile writes out the search list, which holds the namespace and the cluster's domain. A file does not
            // name them reliably; the webhook knows them.
            profile.node_local = None;
        }
        let (formats, mut outputs) = Outputs::open(&self.outputs, self.diff, docs.as_ref())?;
        let checker = Checker {
            planner: self.planner(profile, broken_domains)?,
            formats,
            level: self.policy.shown_level(),
            fixing: match (self.diff, self.fix) {
                (true, _) => Fixing::Diff,
                (false, true) => Fixing::Write,
                (false, false) => Fixing::Off,
            },
            strict: self.strict,
            verbose: self.verbose,
        };
        if self.fix && !self.diff {
            replacement::outlive_signals().context("cannot listen for signals").map_err(Failure::Outside)?;
        }
        let totals = self.check_all(&checker, exclude, &mut outputs)?;
        totals.write(self.verbose, checker.fixing).map_err(|error| Failure::Outside(error.into()))?;
        self.outcome(&totals)
    }

    fn validate(&self) -> anyhow::Result<()> {
        let reads_stdin = self.paths.iter().any(|path| path.as_os_str() == STDIN);
        if self.fix && !self.diff && reads_stdin {
            return Err(anyhow!("--fix cannot write to standard input; use `muslin inject -` to fix a stream"));
        }
        if self.stdin_filename.is_some() && !reads_stdin {
            return Err(anyhow!("--stdin-filename names standard input; add - to the paths to read it"));
        }
        Ok(())
    }

    /// Returns the end of the command. Failures to write come before unread input, and unread input before findings: an incomplete check
    /// proves nothing.
    fn outcome(&self, totals: &Totals) -> Outcome {
        if totals.unwritten() > 0 {
            let message = format!("not all files were fixed: see {} above", counted(totals.unwritten(), "error"));
            return Err(Failure::Outside(anyhow!(message)));
        }
        let errors = totals.errors();
        if errors > 0 {
            return Err(Failure::Input(anyhow!("the check is incomplete: see {} above", counted(errors, "error"))));
        }
        if totals.summary.pods == 0 && self.fail_on_empty {
            return Err(Failure::Input(anyhow!("there is nothing to check, and --fail-on-empty is set")));
        }
        match self.policy.fail_on.0 {
            Some(level) if totals.summary.counts.at_least(level) > 0 => Err(Failure::Findings),
            _ => Ok(()),
        }
    }

    fn planner(&self, profile: Profile, broken_domains: Vec<BrokenDomain>) -> Result<ManifestPlanner, Failure> {
        Ok(ManifestPlanner {
            mode: Mode::Inject,
            profile,
            broken_domains,
            cluster_domain: self.policy.cluster_domain.clone(),
            namespace: self.policy.namespace.clone(),
            images: self.images.open()?,
        })
    }

    /// Checks every file, and writes the findings file by file, those for people at the end.
    fn check_all(&self, checker: &Checker, exclude: Gitignore, outputs: &mut Outputs) -> Result<Totals, Failure> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = checker.planner.images.as_ref().map_or(cores, |_| cores.max(ManifestImages::THREADS));
        let sources = Sources {
            arguments: self.paths.clone(),
            exclude,
            // A report of an earlier run is no manifest.
            skipped: outputs.files().map(PathBuf::from).collect(),
            stdin_filename: self.stdin_filename.clone(),
        };
        let mut totals = Totals::default();
        let mut progress = Progress::default();
        let mut outcome = outputs.head(&checker.formats);
        if outcome.is_ok() {
            map_in_order(
                threads,
                sources.find(),
                |source| checker.check(source),
                |mut results| {
                    outcome = progress.around(|| outputs.write(&checker.formats, &mut results));
                    totals.take(results);
                    let Summary { files, counts, .. } = totals.summary;
                    progress.advance(|| format!("{files} files checked; findings: {counts}").into());
                    if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                },
            );
        }
        drop(progress);
        match outcome.and_then(|()| outputs.tail(&checker.formats, &totals.run_totals())) {
            Ok(()) => Ok(totals),
            // The reader closed the pipe: the findings so far decide the exit code.
            Err(error) => error.outcome().map(|()| totals),
        }
    }
}
