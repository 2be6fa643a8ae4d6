//! `muslin check`: findings in manifests, line-accurate, for people, CI and editors. The engine is the webhook's; no network.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::thread;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use ignore::gitignore::Gitignore;

use crate::manifest::{Document, Lines, Node, Stream, objects};
use crate::policy::{Mode, Profile};
use crate::report::{Format, Github, Json, Reported, Sarif, Summary};

use super::examine::{Examiner, Holder, Unplanned};
use super::files::{STDIN, Source, sources};
use super::fix::{Fixed, fixed};
use super::in_order::in_order;
use super::policy::{Loaded, Policy};
use super::progress::Progress;
use super::{Failure, Outcome, error_line, human};

/// Find what is wrong with the DNS of pods in manifests.
///
/// Takes files, folders and standard input; YAML or JSON, many documents, Lists; Pods, and everything with a pod template. In
/// folders it reads *.yaml, *.yml and *.json, and passes over what is hidden or ignored by git. Other kinds are passed over.
///
/// The annotation muslin.dev/ignore, on a pod, a pod template or the object that holds it, silences rules: rule-a,rule-b.
/// A muslin.toml in the working directory or above it sets profile, levels, images and exclude.
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

    /// How to write findings
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: Output,

    /// Write the mends that the webhook would make in dnsConfig back to the files, and report what is left
    #[arg(long)]
    fix: bool,

    /// Say also what was passed over
    #[arg(long, short)]
    verbose: bool,

    #[command(flatten)]
    policy: Policy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Human,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
    /// Workflow commands, which GitHub shows in pull requests
    Github,
}

/// What every thread needs to check a file.
struct Checker {
    examiner: Examiner,
    format: Box<dyn Format>,
    fix: bool,
    verbose: bool,
}

/// What came of one file.
#[derive(Default)]
struct Checked {
    /// Findings, each as it is to be written.
    findings: Vec<String>,
    summary: Summary,
    /// What could not be read or written, with the place.
    errors: Vec<String>,
    /// What else is to be said.
    notes: Vec<String>,
    /// How many findings `--fix` could mend, or has mended.
    fixable: usize,
    fixed: usize,
    /// How many objects were passed over, by kind, and how many pods, by reason.
    passed_over: BTreeMap<String, usize>,
    left_alone: BTreeMap<Cow<'static, str>, usize>,
    /// The chart of which it is a template that only Helm can read.
    chart: Option<String>,
}

/// What came of all files, as far as it is said at the end.
#[derive(Default)]
struct Total {
    summary: Summary,
    errors: usize,
    fixable: usize,
    fixed: usize,
    passed_over: BTreeMap<String, usize>,
    left_alone: BTreeMap<Cow<'static, str>, usize>,
    charts: BTreeMap<String, usize>,
}

// === impl Check ===

impl Check {
    pub(super) fn run(&self) -> Outcome {
        if self.fix && self.paths.iter().any(|path| path.as_os_str() == STDIN) {
            let message = "--fix writes to files, and standard input is none: use `muslin inject -` to mend a stream";
            return Err(Failure::Input(anyhow!(message)));
        }
        let Loaded { mut profile, exclude } = self.policy.load().map_err(Failure::Input)?;
        if self.fix {
            // The node's cache takes the place of search names that hold the namespace and the cluster's domain, which a file does
            // not tell for certain. The webhook knows them.
            profile.node_local = None;
        }
        let checker =
            Checker { examiner: self.examiner(profile), format: self.format(), fix: self.fix, verbose: self.verbose };
        let total = self.check_all(&checker, exclude)?;
        total.say(self).map_err(|error| Failure::Outside(error.into()))?;
        if total.errors > 0 {
            let plural = if total.errors == 1 { "" } else { "s" };
            return Err(Failure::Input(anyhow!("{} place{plural} could not be checked: see above", total.errors)));
        }
        match self.policy.fail_on.0 {
            Some(level) if total.summary.counts.at_least(level) > 0 => Err(Failure::Findings),
            _ => Ok(()),
        }
    }

    fn examiner(&self, profile: Profile) -> Examiner {
        Examiner {
            mode: Mode::Inject,
            profile,
            cluster_domain: self.policy.cluster_domain.clone(),
            namespace: self.policy.namespace.clone(),
        }
    }

    fn format(&self) -> Box<dyn Format> {
        match self.output {
            Output::Human => Box::new(human(&io::stdout())),
            Output::Json => Box::new(Json),
            Output::Sarif => Box::new(Sarif),
            Output::Github => Box::new(Github),
        }
    }

    /// Checks every file, and writes findings as they come.
    fn check_all(&self, checker: &Checker, exclude: Gitignore) -> Result<Total, Failure> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let mut total = Total::default();
        let mut written =
            Written { out: io::BufWriter::new(io::stdout().lock()), format: &*checker.format, any: false };
        let mut progress = Progress::default();
        let mut outcome = written.head();
        if outcome.is_ok() {
            in_order(
                threads,
                sources(&self.paths, exclude),
                |source| checker.check(source),
                |checked| {
                    outcome = progress.around(|| total.take(checked, &mut written));
                    let Summary { files, counts, .. } = total.summary;
                    progress.advance(|| format!("{files} files checked; findings: {counts}"));
                    if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                },
            );
        }
        drop(progress);
        match outcome.and_then(|()| written.tail(&total.summary)) {
            Ok(()) => Ok(total),
            // Whoever reads has seen enough; the findings so far decide.
            Err(error) => Failure::output(error).map(|()| total),
        }
    }
}

/// Findings on their way to standard output.
struct Written<'f, W: io::Write> {
    out: W,
    format: &'f dyn Format,
    any: bool,
}

// === impl Written ===

impl<W: io::Write> Written<'_, W> {
    fn head(&mut self) -> io::Result<()> {
        self.out.write_all(self.format.head().as_bytes())
    }

    fn finding(&mut self, finding: &str) -> io::Result<()> {
        if std::mem::replace(&mut self.any, true) {
            self.out.write_all(self.format.separator().as_bytes())?;
        }
        self.out.write_all(finding.as_bytes())
    }

    fn tail(&mut self, summary: &Summary) -> io::Result<()> {
        self.out.write_all(self.format.tail(summary).as_bytes())?;
        self.out.flush()
    }
}

// === impl Checker ===

impl Checker {
    /// Nothing that is wrong with one file keeps the others from being checked.
    fn check(&self, source: anyhow::Result<Source>) -> Checked {
        let name = source.as_ref().map(Source::name).unwrap_or_default();
        let checked = panic::catch_unwind(AssertUnwindSafe(|| {
            source.and_then(|source| Ok(self.check_file(&source, &source.read()?)))
        }));
        let failed = |error| Checked { errors: vec![error], ..Checked::default() };
        match checked {
            Ok(Ok(checked)) => checked,
            Ok(Err(error)) => failed(format!("{error:#}")),
            Err(_) => failed(format!("{name}: muslin failed on this file; please report it")),
        }
    }

    fn check_file(&self, source: &Source, text: &str) -> Checked {
        let mut checked = Checked::default();
        // What Helm has not filled in yet is no YAML; a folder of charts is no reason to fail.
        if !source.named && text.contains("{{") {
            checked.chart = source.chart();
            if checked.chart.is_some() {
                return checked;
            }
        }
        let fixed = if self.fix { self.fix_file(source, text, &mut checked) } else { None };
        self.check_text(source, fixed.as_deref().unwrap_or(text), &mut checked);
        checked
    }

    /// Mends the file, and returns what it says then; `None` where it stays as it is.
    fn fix_file(&self, source: &Source, text: &str, checked: &mut Checked) -> Option<String> {
        let Fixed { text, mended, notes } = fixed(&self.examiner, &source.name(), text);
        checked.notes = notes;
        let text = text?;
        match source.replace(&text) {
            Ok(()) => {
                checked.fixed = mended;
                Some(text)
            }
            Err(error) => {
                checked.errors.push(format!("{error:#}"));
                None
            }
        }
    }

    fn check_text(&self, source: &Source, text: &str, checked: &mut Checked) {
        checked.summary.files = 1;
        let name = &source.name();
        let lines = Lines::new(text);
        for document in Stream::new(text).documents {
            match document.read() {
                Ok(root) => self.check_document(name, &lines, &document, &root, checked),
                Err(error) => {
                    let hint = if text.contains("{{") { helm_hint(source.chart()) } else { String::new() };
                    checked.errors.push(format!("{name}:{error}{hint}"));
                }
            }
        }
    }

    fn check_document(
        &self,
        name: &str,
        lines: &Lines<'_>,
        document: &Document<'_>,
        root: &Node,
        checked: &mut Checked,
    ) {
        for object in &objects(root) {
            checked.summary.objects += 1;
            let Some(template) = object.template else {
                *checked.passed_over.entry(object.kind.to_owned()).or_default() += 1;
                continue;
            };
            checked.summary.pods += 1;
            let holder = Holder { document, root, object, template };
            match self.examiner.plan(holder) {
                Ok(plan) => {
                    self.examiner.report(holder, &plan, name, lines, |reported| {
                        checked.summary.counts.add(reported.finding.level);
                        checked.fixable += usize::from(reported.mended);
                        // It could be mended; it has not been.
                        checked.findings.push(self.format.finding(&Reported { mended: false, ..reported }));
                    });
                    if self.verbose {
                        let object = self.examiner.name_of(object);
                        checked.notes.extend(plan.notes.iter().map(|note| format!("{name}: {object}: {note}")));
                    }
                }
                Err(Unplanned::LeftAlone(why)) => *checked.left_alone.entry(why).or_default() += 1,
                Err(Unplanned::Bad { pointer, message }) => {
                    let at = lines.position(document.in_file(root.locate(&pointer)).start);
                    let object = self.examiner.name_of(object);
                    checked.errors.push(format!("{name}:{at}: {object}: {message}"));
                }
            }
        }
    }
}

fn helm_hint(chart: Option<String>) -> String {
    let chart = chart.as_deref().unwrap_or("CHART");
    format!("\nhint: this looks like a template: check what it makes, as in `helm template {chart} | muslin check -`")
}

// === impl Total ===

impl Total {
    /// Writes down what came of one file, and keeps the numbers.
    fn take<W: io::Write>(&mut self, checked: Checked, written: &mut Written<'_, W>) -> io::Result<()> {
        let Checked { findings, summary, errors, notes, fixable, fixed, passed_over, left_alone, chart } = checked;
        self.summary.add(summary);
        self.errors += errors.len();
        self.fixable += fixable;
        self.fixed += fixed;
        for (kind, count) in passed_over {
            *self.passed_over.entry(kind).or_default() += count;
        }
        for (why, count) in left_alone {
            *self.left_alone.entry(why).or_default() += count;
        }
        if let Some(chart) = chart {
            *self.charts.entry(chart).or_default() += 1;
        }
        for finding in findings {
            written.finding(&finding)?;
        }
        if !(errors.is_empty() && notes.is_empty()) {
            // Both may go to one terminal: what was found comes before what is said of it.
            written.out.flush()?;
            let mut stderr = anstream::stderr().lock();
            for error in errors {
                writeln!(stderr, "{}", error_line(&error))?;
            }
            for note in notes {
                writeln!(stderr, "note: {note}")?;
            }
        }
        Ok(())
    }

    /// Says, at the end, how much was seen.
    fn say(&self, check: &Check) -> io::Result<()> {
        let Self { summary, errors: _, fixable, fixed, passed_over, left_alone, charts } = self;
        let mut stderr = anstream::stderr().lock();
        for (chart, count) in charts {
            writeln!(
                stderr,
                "note: passed over {} of Helm in {chart}; check what they make: helm template {chart} | muslin check -",
                counted(*count, "template"),
            )?;
        }
        if check.verbose {
            for (kind, count) in passed_over {
                writeln!(stderr, "note: passed over {} of kind {kind}", counted(*count, "object"))?;
            }
            for (why, count) in left_alone {
                writeln!(stderr, "note: left {} alone: {why}", counted(*count, "pod"))?;
            }
        }
        writeln!(
            stderr,
            "{}, {}, {}; findings: {}",
            counted(summary.files, "file"),
            counted(summary.objects, "object"),
            counted(summary.pods, "pod"),
            summary.counts,
        )?;
        match (check.fix, fixable, fixed) {
            (false, 1.., _) => writeln!(stderr, "`--fix` can mend {fixable} of them"),
            (true, _, 1..) => writeln!(stderr, "mended {}", counted(*fixed, "other")),
            _ => Ok(()),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
