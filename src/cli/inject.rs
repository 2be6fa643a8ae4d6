//! `muslin inject`: manifests in, mended manifests out, findings on standard error. The engine is the webhook's; no network.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::manifest::{Document, Lines, Stream, objects};
use crate::policy::Mode;
use crate::report::{Counts, Format as _, Human};

use super::examine::{Examiner, Holder, Unplanned};
use super::files::Source;
use super::policy::{Loaded, Policy};
use super::{Failure, Outcome, human};

/// Read manifests and write them back with the options that the webhook would inject.
///
/// Takes YAML or JSON, many documents, Lists; Pods, and everything with a pod template. Documents without a pod, and comments,
/// come out as they went in. What was found, and why, is said on standard error.
#[derive(Debug, Args)]
pub(super) struct Inject {
    /// The file to read, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// How far to go
    #[arg(long, value_name = "MODE", default_value = "inject",
          value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|text| text.parse::<Mode>()))]
    mode: Mode,

    #[command(flatten)]
    policy: Policy,

    /// Say nothing of findings
    #[arg(long, short)]
    quiet: bool,
}

/// What came of one file.
struct Tally {
    human: Human,
    pods: usize,
    changed: usize,
    counts: Counts,
    /// Findings, each as it is to be written.
    findings: Vec<String>,
    notes: Vec<String>,
}

// === impl Inject ===

impl Inject {
    pub(super) fn run(&self) -> Outcome {
        let source = Source { path: self.file.clone(), named: true };
        let name = source.name();
        let text = source.read().map_err(Failure::Input)?;
        let Loaded { profile, exclude: _ } = self.policy.load().map_err(Failure::Input)?;
        let examiner = Examiner {
            mode: self.mode,
            profile,
            cluster_domain: self.policy.cluster_domain.clone(),
            namespace: self.policy.namespace.clone(),
        };
        let mut tally = Tally::new();
        let lines = Lines::new(&text);
        // All of it is made before any of it is written: bad input must not leave half an output.
        let mut output = String::with_capacity(text.len());
        for document in Stream::new(&text).documents {
            let document = document_out(&examiner, &name, &lines, &document, &mut tally).map_err(Failure::Input)?;
            output.push_str(&document);
        }
        if !self.quiet {
            tally.say().map_err(|error| Failure::Outside(error.into()))?;
        }
        if let Err(error) = io::stdout().lock().write_all(output.as_bytes()) {
            return Failure::output(error);
        }
        match self.policy.fail_on.0 {
            Some(level) if tally.counts.at_least(level) > 0 => Err(Failure::Findings),
            _ => Ok(()),
        }
    }
}

/// The document as it should be written.
fn document_out(
    examiner: &Examiner,
    file: &str,
    lines: &Lines<'_>,
    document: &Document<'_>,
    tally: &mut Tally,
) -> anyhow::Result<String> {
    let root = document.read().map_err(|error| anyhow!("{file}:{error}"))?;
    let mut patches = Vec::new();
    for object in &objects(&root) {
        let Some(template) = object.template else { continue };
        tally.pods += 1;
        let holder = Holder { document, root: &root, object, template };
        let plan = match examiner.plan(holder) {
            Ok(plan) => plan,
            Err(Unplanned::LeftAlone(_)) => continue,
            Err(Unplanned::Bad { pointer, message }) => {
                let at = lines.position(document.in_file(root.locate(&pointer)).start);
                return Err(anyhow!("{file}:{at}: {}: {message}", examiner.name_of(object)));
            }
        };
        examiner.report(holder, &plan, file, lines, |reported| {
            tally.counts.add(reported.finding.level);
            tally.findings.push(tally.human.finding(&reported));
        });
        let object = examiner.name_of(object);
        tally.notes.extend(plan.notes.iter().map(|note| format!("{object}: {note}")));
        if !plan.patch.is_empty() {
            tally.changed += 1;
            patches.push((holder.pod_pointer(), plan.patch));
        }
    }
    if patches.is_empty() {
        return Ok(document.text().to_string());
    }
    let edited = document.edited(&root, &patches).with_context(|| format!("cannot change {file}"))?;
    if !edited.layout_kept {
        let line = document.line();
        tally.notes.push(format!("{file}:{line}: the document was written anew; its layout and comments are lost"));
    }
    Ok(edited.text)
}

// === impl Tally ===

impl Tally {
    fn new() -> Self {
        let human = human(&io::stderr());
        Self { human, pods: 0, changed: 0, counts: Counts::default(), findings: Vec::new(), notes: Vec::new() }
    }

    fn say(&self) -> io::Result<()> {
        let Self { human: _, pods, changed, counts, findings, notes } = self;
        let mut stderr = io::BufWriter::new(io::stderr().lock());
        for finding in findings {
            stderr.write_all(finding.as_bytes())?;
        }
        for note in notes {
            writeln!(stderr, "note: {note}")?;
        }
        let plural = if *pods == 1 { "" } else { "s" };
        writeln!(stderr, "{pods} pod{plural} seen, {changed} changed; findings: {counts}")?;
        stderr.flush()
    }
}
