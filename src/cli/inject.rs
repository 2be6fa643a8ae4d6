//! `muslin inject`: manifests in, mended manifests out, findings on standard error. The engine is the webhook's; no network.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::Value;

use crate::image::{self, Fingerprint};
use crate::manifest::{Document, Stream, Template, templates};
use crate::plan::{Context, Plan, plan};
use crate::pod::Pod;
use crate::policy::{self, Level, Mode, Profile};
use crate::report::{Counts, Human, Place, Reported};

use super::{Failure, Outcome};

/// Read manifests and write them back with the options that the webhook would inject.
///
/// Takes YAML or JSON, many documents, Lists; Pods, and everything with a pod template. Documents without a pod, and comments,
/// come out as they went in. What was found, and why, is said on standard error.
#[derive(Debug, Args)]
pub(super) struct Inject {
    /// The file to read, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    policy: Policy,

    /// The namespace of objects that say none
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    namespace: String,

    /// Exit with 1 if there is a finding of this level or above, mended or not
    #[arg(long, value_name = "LEVEL", default_value = "deny",
          value_parser = PossibleValuesParser::new(["deny", "warn", "info", "never"]).map(fail_on))]
    fail_on: FailOn,

    /// Say nothing of findings
    #[arg(long, short)]
    quiet: bool,
}

/// What decides a plan besides the pod: the part of the arguments that the webhook has too.
#[derive(Debug, Args)]
struct Policy {
    /// How far to go
    #[arg(long, value_name = "MODE", default_value = "inject",
          value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|text| text.parse::<Mode>()))]
    mode: Mode,

    /// What to inject
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = PossibleValuesParser::new(Profile::NAMES))]
    profile: String,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
}

#[derive(Clone, Copy, Debug)]
struct FailOn(Option<Level>);

/// `never` is no level; clap has checked the word.
fn fail_on(text: String) -> FailOn {
    FailOn(text.parse().ok())
}

/// What came of one file.
#[derive(Default)]
struct Tally {
    pods: usize,
    changed: usize,
    counts: Counts,
    reported: Vec<Reported>,
    notes: Vec<String>,
}

// === impl Inject ===

impl Inject {
    pub(super) fn run(&self) -> Outcome {
        let name = self.file.display().to_string();
        let text = self.read().map_err(Failure::Input)?;
        let profile = Profile::builtin(&self.policy.profile).map_err(|error| Failure::Input(error.into()))?;
        let mut tally = Tally::default();
        // All of it is made before any of it is written: bad input must not leave half an output.
        let mut output = String::with_capacity(text.len());
        for document in Stream::new(&text).documents {
            output.push_str(&self.document(&name, &document, &profile, &mut tally).map_err(Failure::Input)?);
        }
        if !self.quiet {
            self.report(&tally).map_err(|error| Failure::Outside(error.into()))?;
        }
        if let Err(error) = io::stdout().lock().write_all(output.as_bytes()) {
            return Failure::output(error);
        }
        match self.fail_on.0 {
            Some(level) if tally.counts.at_least(level) > 0 => Err(Failure::Findings),
            _ => Ok(()),
        }
    }

    fn read(&self) -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        if self.file.as_os_str() == "-" {
            io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        } else {
            bytes = std::fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = valid.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            anyhow!("{}:{line}:{column}: the text is not UTF-8", self.file.display())
        })
    }

    /// The document as it should be written.
    fn document(
        &self,
        file: &str,
        document: &Document<'_>,
        profile: &Profile,
        tally: &mut Tally,
    ) -> anyhow::Result<String> {
        let mut value = document.parse().map_err(|error| anyhow!("{file}:{error}"))?;
        let mut patches = Vec::new();
        for template in templates(&value) {
            tally.pods += 1;
            let json = value.pointer(&template.pointer).unwrap_or(&Value::Null).to_string();
            let pod: Pod<'_> = read_pod(&json).map_err(|(path, message)| {
                let at = document.locate(&format!("{}{path}", template.pointer));
                anyhow!("{file}{}: {} {}: {message}", position(at), template.kind, template.name)
            })?;
            let Some(plan) = self.plan(&pod, &template, profile) else { continue };
            tally.add(&plan, &pod, |path| Place {
                file: file.to_owned(),
                position: document.locate(&format!("{}{path}", template.pointer)),
                object: self.object(&template),
            });
            if !plan.patch.is_empty() {
                tally.changed += 1;
                patches.push((template.pointer, plan.patch));
            }
        }
        if patches.is_empty() {
            return Ok(document.text().to_string());
        }
        let edited = document.edited(&mut value, &patches).with_context(|| format!("cannot change {file}"))?;
        if !edited.layout_kept {
            tally.notes.push(format!("{file}: a document was written anew; its comments are lost"));
        }
        Ok(edited.text)
    }

    fn plan(&self, pod: &Pod<'_>, template: &Template, profile: &Profile) -> Option<Plan> {
        let namespace = template.namespace.as_deref().unwrap_or(&self.namespace);
        if policy::is_excluded(namespace, None) {
            return None;
        }
        let context = Context {
            namespace,
            cluster_domain: &self.policy.cluster_domain,
            mode: self.policy.mode,
            profile,
            holder_ignores: None,
        };
        plan(pod, fingerprints(pod), &context).ok()
    }

    fn object(&self, template: &Template) -> String {
        let namespace = template.namespace.as_deref().unwrap_or(&self.namespace);
        format!("{} {namespace}/{}", template.kind, template.name)
    }

    fn report(&self, tally: &Tally) -> io::Result<()> {
        let mut stderr = anstream::stderr().lock();
        for reported in &tally.reported {
            Human.finding(&mut stderr, reported)?;
        }
        for note in &tally.notes {
            writeln!(stderr, "note: {note}")?;
        }
        Human.summary(&mut stderr, tally.pods, tally.changed, tally.counts)
    }
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, plan: &Plan, pod: &Pod<'_>, place: impl Fn(&str) -> Place) {
        for planned in &plan.findings {
            self.counts.add(planned.finding.level);
            self.reported.push(Reported {
                place: place(&planned.finding.path),
                because: planned.finding.container.as_deref().and_then(|name| because(pod, name)),
                finding: planned.finding.clone(),
                mended: planned.mended,
            });
        }
        let object = place("").object;
        self.notes.extend(plan.notes.iter().map(|note| format!("{object}: {note}")));
    }
}

fn fingerprints(pod: &Pod<'_>) -> Vec<Fingerprint> {
    pod.containers().map(|container| image::assume(container.image.as_deref().unwrap_or_default())).collect()
}

/// How a container's resolver is known.
fn because(pod: &Pod<'_>, name: &str) -> Option<String> {
    let container = pod.containers().find(|container| container.name.as_deref() == Some(name))?;
    let image = container.image.as_deref()?;
    let Fingerprint { resolver, evidence, because } = image::assume(image);
    Some(format!("{image} is {resolver} ({evidence}): {because}"))
}

/// Reads a pod; where it cannot, the JSON pointer of what is wrong, and why.
fn read_pod(json: &str) -> Result<Pod<'_>, (String, String)> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().iter().fold(String::new(), |path, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => format!("{path}/{index}"),
            serde_path_to_error::Segment::Map { key } => {
                format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            _ => path,
        });
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        (path.clone(), format!("{}: {message}", path.trim_start_matches('/').replace('/', ".")))
    })
}

fn position(at: Option<(usize, usize)>) -> String {
    at.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default()
}
