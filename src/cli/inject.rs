//! `muslin inject`: manifests in, fixed manifests out, findings on standard error. Runs the webhook's own code, without a network.

use std::io;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::manifest::{Document, Edit, Lines, Stream, Tree, objects};
use crate::policy::{Level, Mode};
use crate::report::{Counts, Groups, Human, LocatedFinding, UnclearKinds};

use super::diff::unified_diff;
use super::files::Source;
use super::fix::{not_changed, remarks};
use super::manifest_images::{ManifestImages, ManifestImagesArgs};
use super::manifest_pods::{InvalidPod, ManifestPlanner, NoPlan, PodSource};
use super::outcome::{Failure, Outcome};
use super::policy_args::{LoadedPolicy, PolicyArgs};
use super::rendered::Rendered;
use super::terminal::{Messages, Results, print_document};
use crate::text::Line;

/// Read manifests and write them back with the options that the webhook would inject.
///
/// Reads YAML or JSON with any number of documents and Lists, and finds Pods and all pod templates in them. Comments and documents
/// without a pod stay unchanged. Findings go to standard error.
#[derive(Debug, Args)]
pub(super) struct Inject {
    /// The file to read, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The mode, as a namespace would have it
    #[arg(long, value_name = "MODE", default_value = "inject",
          value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|text| text.parse::<Mode>()))]
    mode: Mode,

    /// Write the changes as a unified diff instead of the manifests
    #[arg(long)]
    diff: bool,

    /// The file that standard input holds; or the folder of the chart or of the kustomization that was rendered to it
    #[arg(long, value_name = "PATH")]
    stdin_filename: Option<PathBuf>,

    #[command(flatten)]
    policy: PolicyArgs,

    #[command(flatten)]
    images: ManifestImagesArgs,

    /// Print no findings
    #[arg(long, short)]
    quiet: bool,
}

/// The settings for one file.
struct Injector<'f> {
    planner: ManifestPlanner,
    /// The level from which findings are shown.
    level: Level,
    file: &'f str,
    lines: Lines<'f>,
    rendered: Rendered<'f>,
}

/// The results of a file.
#[derive(Default)]
struct Tally {
    pods: usize,
    changed: usize,
    counts: Counts,
    /// Shown findings.
    groups: Groups,
    shown: usize,
    notes: Vec<Line>,
    /// The objects whose containers muslin does not understand, by kind.
    unclear: UnclearKinds,
}

// === impl Inject ===

impl Inject {
    pub(super) fn run(&self) -> Outcome {
        let source = Source { stdin_filename: self.stdin_filename.clone(), ..Source::named(self.file.clone()) };
        if self.stdin_filename.is_some() && !source.is_stdin() {
            return Err(Failure::Input(anyhow!(
                "--stdin-filename names standard input; give - as the file to read it"
            )));
        }
        let name = source.name();
        let text = source.read().map_err(|error| Failure::Input(error.into()))?;
        let LoadedPolicy { profile, exclude: _, broken_domains, docs } = self.policy.load().map_err(Failure::Input)?;
        let planner = ManifestPlanner {
            mode: self.mode,
            profile,
            broken_domains,
            cluster_domain: self.policy.cluster_domain.clone(),
            namespace: self.policy.namespace.clone(),
            images: self.images.open()?,
        };
        let human = Messages::human(docs);
        let level = self.policy.shown_level();
        let rendered = Rendered::new(&source, &text);
        let injector = Injector { planner, level, file: &name, lines: Lines::new(&text), rendered };
        let mut tally = Tally::default();
        // The whole output is made before any of it is written, so that bad input leaves no partial output.
        let mut output = String::new();
        for document in Stream::new(&text).documents {
            match injector.inject(&document, &mut tally).map_err(Failure::Input)? {
                // A large file is often one document, which then is in memory once.
                Some(changed) if output.is_empty() => output = changed,
                Some(changed) => output.push_str(&changed),
                None => output.push_str(&document.text().to_string()),
            }
        }
        tally.notes.extend(injector.planner.images.iter().flat_map(ManifestImages::take_notes));
        if !self.quiet {
            tally.write(&human).map_err(|error| Failure::Outside(error.into()))?;
        }
        if self.diff {
            let mut results = Results::new();
            let diff = unified_diff(&name, &text, &output);
            results.write_diff(&diff).and_then(|()| results.flush()).or_else(Failure::output)?;
        } else {
            print_document(output.as_bytes())?;
        }
        match self.policy.fail_on.0 {
            Some(level) if tally.counts.at_least(level) > 0 => Err(Failure::Findings),
            _ => Ok(()),
        }
    }
}

// === impl Injector ===

impl Injector<'_> {
    /// Returns the text of the document with the injected options; `None` if it stays as it is.
    fn inject(&self, document: &Document<'_>, tally: &mut Tally) -> anyhow::Result<Option<String>> {
        let tree = self.parse(document)?;
        let (edit, planned) = self.plan(document, &tree, true)?;
        if edit.is_empty() {
            tally.add(planned);
            return Ok(None);
        }
        let changes = edit.changes();
        drop(tree);
        match changes.and_then(|changes| document.changed(changes)) {
            Ok(text) => {
                tally.add(planned);
                Ok(Some(text))
            }
            Err(error) => {
                // Nothing of this document is fixed after all.
                let tree = self.parse(document)?;
                let (_, mut unfixed) = self.plan(document, &tree, false)?;
                unfixed.notes.push(not_changed(self.file, document, &error));
                tally.add(unfixed);
                Ok(None)
            }
        }
    }

    fn parse<'t>(&self, document: &Document<'t>) -> anyhow::Result<Tree<'t>> {
        document.parse().map_err(|error| anyhow!("{}:{error}", self.file))
    }

    /// Plans the pods of a document. Findings count as fixed only if the document `can_change`.
    fn plan<'d>(
        &self,
        document: &Document<'_>,
        tree: &'d Tree<'d>,
        can_change: bool,
    ) -> anyhow::Result<(Edit<'d>, Tally)> {
        let Self { planner: _, level: _, file, lines, rendered: _ } = self;
        let (mut edit, mut tally, root) = (Edit::new(tree), Tally::default(), tree.root());
        for remark in remarks(file, lines, document, tree) {
            tally.counts.add(Level::Warn);
            tally.shown += 1;
            tally.notes.push(remark.warning());
        }
        // Each object is freed once it is planned: a List can have many thousands.
        for object in objects(root) {
            tally.unclear.extend(object.is_unclear.then(|| object.kind.to_owned()));
            for pod in &object.pods {
                let source = PodSource { document, root, object: &object, pod, outer: None };
                self.plan_pod(source, can_change, &mut edit, &mut tally)?;
            }
        }
        Ok((edit, tally))
    }

    fn plan_pod(
        &self,
        source: PodSource<'_>,
        can_change: bool,
        edit: &mut Edit<'_>,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let Self { planner, level, file, lines, rendered } = self;
        let PodSource { document, root, object, .. } = source;
        tally.pods += 1;
        let plan = match planner.plan(source) {
            Ok(plan) => plan,
            Err(NoPlan::Skipped(_)) => return Ok(()),
            Err(NoPlan::Invalid(InvalidPod { pointer, message })) => {
                let at = lines.position(source.span(lines, &pointer).start);
                return Err(anyhow!("{file}:{at}: {}: {message}", planner.name_of(object)));
            }
        };
        let origin = rendered.file_of(document, root.pointer(&object.pointer));
        planner.report(source, &plan, file, lines, |located| {
            tally.counts.add(located.finding.level);
            if located.finding.level < *level {
                return;
            }
            tally.shown += 1;
            let fixed = located.fixed && can_change;
            tally.groups.add(&match &origin {
                Some(origin) => LocatedFinding { file: origin, rendered_in: Some(*file), fixed, ..located },
                None => LocatedFinding { fixed, ..located },
            });
        });
        let name = planner.name_of(object);
        tally.notes.extend(plan.all_notes().map(|note| Line::new(format!("{name}: {note}"))));
        if !plan.patch.is_empty() && can_change {
            tally.changed += 1;
            edit.add(&object.pointer, &plan.patch);
        }
        Ok(())
    }
}

// === impl Tally ===

impl Tally {
    /// Adds the results of a document.
    fn add(&mut self, other: Self) {
        let Self { pods, changed, counts: Counts { deny, warn, info }, groups, shown, notes, unclear } = other;
        self.pods += pods;
        self.changed += changed;
        self.counts.deny += deny;
        self.counts.warn += warn;
        self.counts.info += info;
        self.groups.merge(groups);
        self.shown += shown;
        self.notes.extend(notes);
        self.unclear.add(unclear);
    }

    fn write(&mut self, human: &Human) -> io::Result<()> {
        let Self { pods, changed, counts, groups, shown, notes, unclear } = self;
        let mut messages = Messages::new();
        groups.take().iter().try_for_each(|group| messages.block(&human.group(group)))?;
        notes.iter().try_for_each(|note| messages.note(note))?;
        unclear.note().iter().try_for_each(|note| messages.note(note))?;
        let plural = if *pods == 1 { "" } else { "s" };
        messages.line(&Line::new(format!("{pods} pod{plural}, {changed} changed; findings: {counts}")))?;
        counts.hidden(*shown).map_or(Ok(()), |hidden| messages.line(&Line::new(hidden)))
    }
}
