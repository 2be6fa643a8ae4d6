//! `muslin inject`: manifests in, fixed manifests out, findings on standard error. Runs the webhook's own code, without a network.

use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::manifest::{Document, Lines, Stream, objects};
use crate::policy::{Level, Mode};
use crate::report::{Counts, Groups, Human, LocatedFinding};
use crate::rules::DocsUrl;

use super::diff::unified_diff;
use super::files::Source;
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

    /// Print no findings
    #[arg(long, short)]
    quiet: bool,
}

/// The text that is read.
struct Input<'i> {
    file: &'i str,
    lines: Lines<'i>,
    rendered: Rendered<'i>,
}

/// The results of one file.
struct Tally {
    human: Human,
    /// The level from which findings are shown.
    level: Level,
    pods: usize,
    changed: usize,
    counts: Counts,
    /// Shown findings.
    groups: Groups,
    shown: usize,
    notes: Vec<Line>,
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
        let LoadedPolicy { profile, exclude: _, broken_domains } = self.policy.load().map_err(Failure::Input)?;
        let planner = ManifestPlanner {
            mode: self.mode,
            profile,
            broken_domains,
            cluster_domain: self.policy.cluster_domain.clone(),
            namespace: self.policy.namespace.clone(),
        };
        let mut tally = Tally::new(self.policy.shown_level(), self.policy.docs.docs_url.clone());
        let input = Input { file: &name, lines: Lines::new(&text), rendered: Rendered::new(&source, &text) };
        // The whole output is made before any of it is written, so that bad input leaves no partial output.
        let mut output = String::with_capacity(text.len());
        for document in Stream::new(&text).documents {
            let document = inject_document(&planner, &input, &document, &mut tally).map_err(Failure::Input)?;
            output.push_str(&document);
        }
        if !self.quiet {
            tally.write().map_err(|error| Failure::Outside(error.into()))?;
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

/// Returns the text of the document with the injected options.
fn inject_document(
    planner: &ManifestPlanner,
    input: &Input<'_>,
    document: &Document<'_>,
    tally: &mut Tally,
) -> anyhow::Result<String> {
    let Input { file, lines, rendered } = input;
    let root = document.parse().map_err(|error| anyhow!("{file}:{error}"))?;
    let mut patches = Vec::new();
    for object in &objects(&root) {
        let Some(template) = object.template else { continue };
        tally.pods += 1;
        let source = PodSource { document, root: &root, object, template };
        let plan = match planner.plan(source) {
            Ok(plan) => plan,
            Err(NoPlan::Skipped(_)) => continue,
            Err(NoPlan::Invalid(InvalidPod { pointer, message })) => {
                let at = lines.position(document.file_span(root.locate(&pointer)).start);
                return Err(anyhow!("{file}:{at}: {}: {message}", planner.name_of(object)));
            }
        };
        let origin = rendered.file_of(document, root.pointer(&object.pointer));
        planner.report(source, &plan, file, lines, |located| {
            tally.add(&match &origin {
                Some(origin) => LocatedFinding { file: origin, rendered_in: Some(file), ..located },
                None => located,
            });
        });
        let object = planner.name_of(object);
        tally.notes.extend(plan.notes.iter().map(|note| Line::new(format!("{object}: {note}"))));
        if !plan.patch.is_empty() {
            tally.changed += 1;
            patches.push((source.pod_pointer(), plan.patch));
        }
    }
    if patches.is_empty() {
        return Ok(document.text().to_string());
    }
    let edited = document.apply_patches(&root, &patches).with_context(|| format!("cannot change {file}"))?;
    if !edited.layout_kept {
        let line = document.line();
        tally.notes.push(Line::new(format!("{file}:{line}: rewrote this document; its layout and comments are lost")));
    }
    Ok(edited.text)
}

// === impl Tally ===

impl Tally {
    fn new(level: Level, docs: Option<DocsUrl>) -> Self {
        Self {
            human: Messages::human(docs),
            level,
            pods: 0,
            changed: 0,
            counts: Counts::default(),
            groups: Groups::default(),
            shown: 0,
            notes: Vec::new(),
        }
    }

    fn add(&mut self, located: &LocatedFinding<'_>) {
        self.counts.add(located.finding.level);
        if located.finding.level >= self.level {
            self.groups.add(located);
            self.shown += 1;
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let Self { human, level: _, pods, changed, counts, groups, shown, notes } = self;
        let mut messages = Messages::new();
        groups.take().iter().try_for_each(|group| messages.block(&human.group(group)))?;
        notes.iter().try_for_each(|note| messages.note(note))?;
        let plural = if *pods == 1 { "" } else { "s" };
        messages.line(&Line::new(format!("{pods} pod{plural}, {changed} changed; findings: {counts}")))?;
        counts.hidden(*shown).map_or(Ok(()), |hidden| messages.line(&Line::new(hidden)))
    }
}
