//! `muslin check`: findings in manifests with their lines, for people, CI and editors. Runs the webhook's own code, without a
//! network.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::thread;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use ignore::gitignore::Gitignore;

use crate::manifest::{Document, InnerText, Lines, Node, SETTINGS_KIND, Stream, Tree, inner_texts, objects};
use crate::policy::{BrokenDomain, Mode, Profile};
use crate::report::{Format, Github, Json, LocatedFinding, Sarif, Summary};

use super::files::{STDIN, Source, sources};
use super::fix::{Fix, FixedText, fix_text, not_changed, remarks};
use super::manifest_pods::{InvalidPod, ManifestPlanner, NoPlan, OuterText, PodSource, UnclearKinds};
use super::ordered_parallel::map_in_order;
use super::outcome::{ErrorMessage, Failure, Outcome};
use super::policy_args::{LoadedPolicy, PolicyArgs};
use super::progress::Progress;
use super::terminal::{Messages, Results};
use crate::text::{Block, Line};

/// Find what is wrong with the DNS of pods in manifests.
///
/// Reads files, folders and standard input: YAML or JSON with any number of documents and Lists. Checks Pods and all pod
/// templates, also those of custom resources such as Rollouts and Workflows (docs/kinds.md), and DNS settings in kustomize patches and
/// Helm values. In folders, reads *.yaml, *.yml and *.json, except hidden files and files that git
/// ignores.
///
/// The annotation muslin.dev/ignore on a pod, a pod template or the object that holds it silences rules: rule-a,rule-b.
/// A muslin.toml in the working directory, or in the nearest folder above it, sets profile, levels, images and exclude.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin check deploy/
  helm template charts/web | muslin check -
  kustomize build overlays/production | muslin check - -o github
  kubectl get deployments -A -o yaml | muslin check - --fail-on warn")]
pub(super) struct Check {
    /// Files and folders to read, or - for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: Output,

    /// Write the dnsConfig options that the webhook would set into the files, and report what is left
    #[arg(long)]
    fix: bool,

    /// Also report what was skipped
    #[arg(long, short)]
    verbose: bool,

    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Human,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
    /// GitHub workflow commands, shown as annotations of pull requests
    Github,
}

/// The settings that every thread needs to check a file.
struct Checker {
    planner: ManifestPlanner,
    format: Box<dyn Format>,
    fix: bool,
    verbose: bool,
}

/// The results of one file.
#[derive(Default)]
struct FileResults {
    /// Formatted findings.
    findings: Vec<Block>,
    summary: Summary,
    /// Errors of reading or writing, with their places.
    errors: Vec<ErrorMessage>,
    /// Other messages.
    notes: Vec<Line>,
    /// Number of findings that `--fix` can fix.
    fixable: usize,
    /// Number of findings that `--fix` fixed.
    fixed: usize,
    /// Number of skipped objects by kind.
    skipped_objects: BTreeMap<String, usize>,
    /// Number of skipped pods by reason.
    skipped_pods: BTreeMap<Cow<'static, str>, usize>,
    /// The objects whose containers muslin does not understand, by kind.
    unclear: UnclearKinds,
    /// The Helm chart, if the file is one of its templates and not valid YAML.
    chart: Option<String>,
}

/// The results of all files, for the summary.
#[derive(Default)]
struct Totals {
    summary: Summary,
    errors: usize,
    fixable: usize,
    fixed: usize,
    skipped_objects: BTreeMap<String, usize>,
    skipped_pods: BTreeMap<Cow<'static, str>, usize>,
    unclear: UnclearKinds,
    charts: BTreeMap<String, usize>,
}

// === impl Check ===

impl Check {
    pub(super) fn run(&self) -> Outcome {
        if self.fix && self.paths.iter().any(|path| path.as_os_str() == STDIN) {
            let message = "--fix cannot write to standard input; use `muslin inject -` to fix a stream";
            return Err(Failure::Input(anyhow!(message)));
        }
        let LoadedPolicy { mut profile, exclude, broken_domains } = self.policy.load().map_err(Failure::Input)?;
        if self.fix {
            // The node-local profile writes out the search list, which holds the namespace and the cluster's domain. A file does not
            // name them reliably; the webhook knows them.
            profile.node_local = None;
        }
        let checker = Checker {
            planner: self.planner(profile, broken_domains),
            format: self.format(),
            fix: self.fix,
            verbose: self.verbose,
        };
        let totals = self.check_all(&checker, exclude)?;
        totals.write(self).map_err(|error| Failure::Outside(error.into()))?;
        if totals.errors > 0 {
            return Err(Failure::Input(anyhow!(
                "the check is incomplete: see {} above",
                counted(totals.errors, "error")
            )));
        }
        match self.policy.fail_on.0 {
            Some(level) if totals.summary.counts.at_least(level) > 0 => Err(Failure::Findings),
            _ => Ok(()),
        }
    }

    fn planner(&self, profile: Profile, broken_domains: Vec<BrokenDomain>) -> ManifestPlanner {
        ManifestPlanner {
            mode: Mode::Inject,
            profile,
            broken_domains,
            cluster_domain: self.policy.cluster_domain.clone(),
            namespace: self.policy.namespace.clone(),
        }
    }

    fn format(&self) -> Box<dyn Format> {
        let docs = self.policy.docs.docs_url.clone();
        match self.output {
            Output::Human => Box::new(Results::human(docs)),
            Output::Json => Box::new(Json),
            Output::Sarif => Box::new(Sarif { docs }),
            Output::Github => Box::new(Github),
        }
    }

    /// Checks every file, and writes the findings file by file.
    fn check_all(&self, checker: &Checker, exclude: Gitignore) -> Result<Totals, Failure> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let mut totals = Totals::default();
        let mut writer = FindingWriter { out: Results::new(), format: &*checker.format, any: false };
        let mut progress = Progress::default();
        let mut outcome = writer.head();
        if outcome.is_ok() {
            map_in_order(
                threads,
                sources(&self.paths, exclude),
                |source| checker.check(source),
                |results| {
                    outcome = progress.around(|| totals.take(results, &mut writer));
                    let Summary { files, counts, .. } = totals.summary;
                    progress.advance(|| format!("{files} files checked; findings: {counts}").into());
                    if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                },
            );
        }
        drop(progress);
        match outcome.and_then(|()| writer.tail(&totals.summary)) {
            Ok(()) => Ok(totals),
            // The reader closed the pipe: the findings so far decide the exit code.
            Err(error) => Failure::output(error).map(|()| totals),
        }
    }
}

/// Writes findings in their format.
struct FindingWriter<'f> {
    out: Results,
    format: &'f dyn Format,
    any: bool,
}

// === impl FindingWriter ===

impl FindingWriter<'_> {
    fn head(&mut self) -> io::Result<()> {
        self.out.write(&self.format.head())
    }

    fn finding(&mut self, finding: &Block) -> io::Result<()> {
        if std::mem::replace(&mut self.any, true) {
            self.out.write(&Block::fixed(self.format.separator()))?;
        }
        self.out.write(finding)
    }

    fn tail(&mut self, summary: &Summary) -> io::Result<()> {
        self.out.write(&self.format.tail(summary))?;
        self.out.flush()
    }
}

// === impl Checker ===

impl Checker {
    /// Checks one file. No error, and no panic, keeps other files from being checked.
    fn check(&self, source: anyhow::Result<Source>) -> FileResults {
        let name = source.as_ref().map(Source::name).unwrap_or_default();
        let results = panic::catch_unwind(AssertUnwindSafe(|| {
            source.and_then(|source| Ok(self.check_file(&source, &source.read()?)))
        }));
        let failed = |error| FileResults { errors: vec![error], ..FileResults::default() };
        match results {
            Ok(Ok(results)) => results,
            Ok(Err(error)) => failed(ErrorMessage::of(&error)),
            Err(_) => failed(ErrorMessage::new(format!(
                "cannot check {name}: muslin crashed on this file, which is a bug; please report it"
            ))),
        }
    }

    fn check_file(&self, source: &Source, text: &str) -> FileResults {
        let mut results = FileResults::default();
        // A Helm template is not YAML. A folder that contains charts is no reason to fail.
        if !source.named && text.contains("{{") {
            results.chart = source.chart();
            if results.chart.is_some() {
                return results;
            }
        }
        let fixed = if self.fix { self.fix_file(source, text, &mut results) } else { None };
        self.check_text(source, fixed.as_deref().unwrap_or(text), &mut results);
        results
    }

    /// Fixes the file and returns its new text; `None` if it stays unchanged.
    fn fix_file(&self, source: &Source, text: &str, results: &mut FileResults) -> Option<String> {
        let FixedText { text, findings, notes } = fix_text(&self.planner, &source.name(), text);
        results.notes = notes;
        let text = text?;
        match source.replace(&text) {
            Ok(()) => {
                results.fixed = findings;
                Some(text)
            }
            Err(error) => {
                results.errors.push(ErrorMessage::of(&error));
                None
            }
        }
    }

    fn check_text(&self, source: &Source, text: &str, results: &mut FileResults) {
        results.summary.files = 1;
        let name = &source.name();
        let lines = Lines::new(text);
        for document in Stream::new(text).documents {
            match document.parse() {
                Ok(tree) => {
                    results.notes.extend(remarks(name, &lines, &document, &tree));
                    let mut fix = Fix::new(&tree);
                    self.check_document((name, &lines), &document, tree.root(), None, &mut fix, results);
                    self.check_inner_texts(name, &lines, &document, tree.root(), results);
                    let Fix { edit, findings } = fix;
                    let changes = (!edit.is_empty()).then(|| edit.changes());
                    drop(tree);
                    // `--fix` is offered only where it works, which the same code finds out.
                    match changes.map(|changes| changes.and_then(|changes| document.changed(changes))) {
                        Some(Ok(_)) => results.fixable += findings,
                        Some(Err(error)) if self.verbose => results.notes.push(not_changed(name, &document, &error)),
                        _ => {}
                    }
                }
                Err(error) => {
                    let hint = text.contains("{{").then(|| helm_hint(source.chart()));
                    results.errors.push(ErrorMessage { text: format!("{name}:{error}").into(), hint });
                }
            }
        }
    }

    fn check_document(
        &self,
        (name, lines): (&str, &Lines<'_>),
        document: &Document<'_>,
        root: Node<'_>,
        outer: Option<OuterText<'_>>,
        fix: &mut Fix<'_>,
        results: &mut FileResults,
    ) {
        for object in &objects(root) {
            results.summary.objects += usize::from(object.kind != SETTINGS_KIND && outer.is_none());
            results.unclear.extend(object.is_unclear.then(|| object.kind.to_owned()));
            if object.pods.is_empty() {
                *results.skipped_objects.entry(object.kind.to_owned()).or_default() += 1;
            }
            for pod in &object.pods {
                results.summary.pods += 1;
                self.check_pod(name, lines, PodSource { document, root, object, pod, outer }, fix, results);
            }
        }
    }

    /// Checks manifests and Helm values inside of strings. A string that is neither is no error.
    fn check_inner_texts(
        &self,
        name: &str,
        lines: &Lines<'_>,
        document: &Document<'_>,
        root: Node<'_>,
        results: &mut FileResults,
    ) {
        for InnerText { pointer, text } in inner_texts(root) {
            let span = document.file_span(root.locate(&pointer));
            let outer = Some(OuterText { text, span: (span.start, span.end) });
            for document in Stream::new(text).documents {
                if let Ok(tree) = document.parse() {
                    // A text inside of a string is not edited.
                    let mut fix = Fix::new(&tree);
                    self.check_document((name, lines), &document, tree.root(), outer, &mut fix, results);
                }
            }
        }
    }

    fn check_pod(
        &self,
        name: &str,
        lines: &Lines<'_>,
        source: PodSource<'_>,
        fix: &mut Fix<'_>,
        results: &mut FileResults,
    ) {
        let object = source.object;
        match self.planner.plan(source) {
            Ok(plan) => {
                results.summary.containers.add(plan.containers);
                self.planner.report(source, &plan, name, lines, |located| {
                    results.summary.counts.add(located.finding.level);
                    // The webhook would fix it; the file still has it.
                    results.findings.push(self.format.finding(&LocatedFinding { fixed: false, ..located }));
                });
                if self.verbose {
                    let object = self.planner.name_of(object);
                    results.notes.extend(plan.notes.iter().map(|note| format!("{name}: {object}: {note}").into()));
                }
                fix.add(source, plan);
            }
            Err(NoPlan::Skipped(why)) => *results.skipped_pods.entry(why).or_default() += 1,
            Err(NoPlan::Invalid(InvalidPod { pointer, message })) => {
                let at = lines.position(source.span(lines, &pointer).start);
                let object = self.planner.name_of(object);
                results.errors.push(ErrorMessage::new(format!("{name}:{at}: {object}: {message}")));
            }
        }
    }
}

fn helm_hint(chart: Option<String>) -> Line {
    let chart = chart.as_deref().unwrap_or("CHART");
    format!("this looks like a Helm template; check its output: `helm template {chart} | muslin check -`").into()
}

// === impl Totals ===

impl Totals {
    /// Writes the results of one file, and adds its numbers.
    fn take(&mut self, results: FileResults, writer: &mut FindingWriter<'_>) -> io::Result<()> {
        let FileResults {
            findings,
            summary,
            errors,
            notes,
            fixable,
            fixed,
            skipped_objects,
            skipped_pods,
            unclear,
            chart,
        } = results;
        self.summary.add(summary);
        self.errors += errors.len();
        self.fixable += fixable;
        self.fixed += fixed;
        for (kind, count) in skipped_objects {
            *self.skipped_objects.entry(kind).or_default() += count;
        }
        for (why, count) in skipped_pods {
            *self.skipped_pods.entry(why).or_default() += count;
        }
        self.unclear.add(unclear);
        if let Some(chart) = chart {
            *self.charts.entry(chart).or_default() += 1;
        }
        findings.iter().try_for_each(|finding| writer.finding(finding))?;
        if !(errors.is_empty() && notes.is_empty()) {
            // Both streams may go to one terminal: findings come before messages.
            writer.out.flush()?;
            let mut messages = Messages::new();
            errors.iter().try_for_each(|error| messages.error(error))?;
            notes.iter().try_for_each(|note| messages.note(note))?;
        }
        Ok(())
    }

    /// Writes the summary to standard error.
    fn write(&self, check: &Check) -> io::Result<()> {
        let Self { summary, errors: _, fixable, fixed, skipped_objects, skipped_pods, unclear, charts } = self;
        let mut messages = Messages::new();
        for (chart, count) in charts {
            messages.note(&Line::new(format!(
                "skipped {} in {chart}; check their output: helm template {chart} | muslin check -",
                counted(*count, "Helm template"),
            )))?;
        }
        unclear.note().iter().try_for_each(|note| messages.note(note))?;
        if check.verbose {
            for (kind, count) in skipped_objects {
                messages.note(&Line::new(format!("skipped {} of kind {kind}", counted(*count, "object"))))?;
            }
            for (why, count) in skipped_pods {
                messages.note(&Line::new(format!("skipped {}: {why}", counted(*count, "pod"))))?;
            }
        }
        messages.line(&Line::new(format!(
            "{}, {}, {}; findings: {}",
            counted(summary.files, "file"),
            counted(summary.objects, "object"),
            counted(summary.pods, "pod"),
            summary.counts,
        )))?;
        if let Some(unknown) = summary.unknown("`muslin inspect IMAGE` reads one, `images` in muslin.toml declares it")
        {
            messages.line(&Line::new(unknown))?;
        }
        match (check.fix, fixable, fixed) {
            (false, 1.., _) => messages.line(&Line::new(format!("`--fix` can fix {fixable} of them"))),
            (true, _, 1..) => messages.line(&Line::new(format!("fixed {}", counted(*fixed, "other finding")))),
            _ => Ok(()),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
