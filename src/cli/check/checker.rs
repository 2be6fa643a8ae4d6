//! Checks one file: reads it, fixes it if wanted, and formats its findings. Threads share a checker.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use crate::cli::diff::unified_diff;
use crate::cli::files::{ReadError, ReadErrorKind, Source};
use crate::cli::fix::{Fix, FixedText, fix_text, not_changed, remarks};
use crate::cli::manifest_images::ManifestImages;
use crate::cli::manifest_pods::{InvalidPod, ManifestPlanner, NoPlan, OuterText, PodSource};
use crate::cli::rendered::Rendered;
use crate::cli::replacement::{self, Replaced};
use crate::manifest::{
    Document, InnerText, Lines, Node, Position, SETTINGS_KIND, Stream, SyntaxError, Tree, inner_texts, objects,
};
use crate::policy::Level;
use crate::report::{FileTally, Groups, LocatedFinding, Severity, Summary, UnclearKinds, Unread};
use crate::text::{Block, Line};

use super::formats::Formats;
use super::not_manifest::{NotManifest, is_template, why_no_manifest};

/// The settings that every thread needs to check a file.
pub(super) struct Checker {
    pub(super) planner: ManifestPlanner,
    pub(super) formats: Formats,
    /// The level from which findings are shown.
    pub(super) level: Level,
    pub(super) fixing: Fixing,
    pub(super) strict: bool,
    pub(super) verbose: bool,
}

/// The use of fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fixing {
    Off,
    /// Show the changes.
    Diff,
    /// Change the files.
    Write,
}

/// The results of one file.
#[derive(Default)]
pub(super) struct FileResults {
    pub(super) file: String,
    /// Shown findings, for people.
    pub(super) groups: Groups,
    /// Shown findings and unread texts, for each format for programs.
    pub(super) entries: Vec<Vec<Block>>,
    pub(super) summary: Summary,
    /// Number of shown findings.
    pub(super) shown: usize,
    /// Text that was not read, and why not if that is a note.
    pub(super) unread: Vec<(Unread, Option<NotManifest>)>,
    /// The error of a fixed file that cannot be written.
    pub(super) unwritten: Option<Line>,
    /// Other messages.
    pub(super) notes: Vec<Line>,
    /// Number of findings that `--fix` can fix.
    pub(super) fixable: usize,
    /// Number of findings that `--fix` fixed.
    pub(super) fixed: usize,
    /// The changes, if they are to be shown.
    pub(super) diff: Option<String>,
    /// Number of skipped objects by kind.
    pub(super) skipped_objects: BTreeMap<String, usize>,
    /// Number of skipped pods by reason.
    pub(super) skipped_pods: BTreeMap<Cow<'static, str>, usize>,
    /// The objects whose containers muslin does not understand, by kind.
    pub(super) unclear: UnclearKinds,
    /// The Helm chart, if the file is one of its templates.
    pub(super) chart: Option<String>,
}

/// The end of one try to fix a file.
enum FixedFile {
    Unchanged,
    /// The new text.
    Fixed(String),
    /// The file changed after it was read.
    ChangedMeanwhile,
}

/// The tries to fix a file that changes after it was read.
const FIX_TRIES: usize = 3;

/// A file that is being checked.
struct Text<'f> {
    source: &'f Source,
    name: &'f str,
    text: &'f str,
    lines: Lines<'f>,
    rendered: Rendered<'f>,
}

// === impl Checker ===

impl Checker {
    /// Checks one file. No error, and no panic, keeps other files from being checked.
    pub(super) fn check(&self, source: Result<Source, ReadError>) -> FileResults {
        let source = match source {
            Ok(source) => source,
            Err(error) => {
                let mut results = self.no_results(error.file.clone());
                self.unreadable(error, None, &mut results);
                return results;
            }
        };
        let name = source.name();
        let checked = panic::catch_unwind(AssertUnwindSafe(|| self.check_source(&source, &name)));
        checked.unwrap_or_else(|_| {
            let mut results = self.no_results(name.clone());
            let message = format!("cannot check {name}: muslin crashed on this file, which is a bug; please report it");
            self.unread(
                Unread { severity: Severity::Error, file: name, at: None, message, hint: None },
                None,
                &mut results,
            );
            results
        })
    }

    fn no_results(&self, file: String) -> FileResults {
        FileResults { file, entries: vec![Vec::new(); self.formats.for_programs.len()], ..FileResults::default() }
    }

    fn check_source(&self, source: &Source, name: &str) -> FileResults {
        let mut results = self.no_results(name.to_owned());
        if self.fixing == Fixing::Write {
            replacement::remove_leftover(&source.path);
        }
        let text = match source.read() {
            Ok(text) => text,
            Err(error) => {
                self.unreadable(error, Some(source), &mut results);
                return results;
            }
        };
        // A Helm template is not YAML. A folder that contains charts is no reason to fail.
        if source.folder.is_some()
            && text.contains("{{")
            && let Some(chart) = source.chart()
        {
            let hint = format!("check its output: helm template {chart} | muslin check -");
            let message = format!("{name}: a Helm template");
            let severity = if self.strict { Severity::Error } else { Severity::Note };
            let unread = Unread { severity, file: name.to_owned(), at: None, message, hint: Some(hint) };
            self.unread(unread, Some(NotManifest::Template), &mut results);
            results.chart = Some(chart);
            return results;
        }
        match self.fixed_text(source, name, text, &mut results) {
            Ok(text) => self.check_text(source, name, &text, &mut results),
            Err(error) => self.unreadable(error, Some(source), &mut results),
        }
        results.notes.extend(self.planner.images.iter().flat_map(ManifestImages::take_notes));
        results
    }

    /// Fixes the file if wanted, and returns the text that it has then.
    fn fixed_text(
        &self,
        source: &Source,
        name: &str,
        mut text: String,
        results: &mut FileResults,
    ) -> Result<String, ReadError> {
        for _ in 0..FIX_TRIES {
            match self.fix_file(source, name, &text, results) {
                FixedFile::Unchanged => return Ok(text),
                FixedFile::Fixed(fixed) => return Ok(fixed),
                // Another link to the file may have been fixed first.
                FixedFile::ChangedMeanwhile => text = source.read()?,
            }
        }
        results.unwritten = Some(Line::new(format!("cannot fix {name}: another program changes it again and again")));
        Ok(text)
    }

    fn fix_file(&self, source: &Source, name: &str, before: &str, results: &mut FileResults) -> FixedFile {
        if self.fixing == Fixing::Off {
            return FixedFile::Unchanged;
        }
        let FixedText { text, findings, notes } = fix_text(&self.planner, name, before);
        results.notes = notes;
        let Some(text) = text else { return FixedFile::Unchanged };
        if self.fixing == Fixing::Diff {
            results.fixed = findings;
            results.diff = Some(unified_diff(name, before, &text));
            return FixedFile::Unchanged;
        }
        if source.is_stream() {
            results.notes.push(Line::new(format!("{name}: not fixed: it is a stream; `muslin inject` fixes one")));
            return FixedFile::Unchanged;
        }
        if source.leads_outside() {
            let note =
                format!("{name}: not fixed: it is a link to a file outside of the folder; name that file to fix it");
            results.notes.push(Line::new(note));
            return FixedFile::Unchanged;
        }
        match source.replace(before, &text) {
            Ok(Replaced::Done) => {
                results.fixed = findings;
                FixedFile::Fixed(text)
            }
            Ok(Replaced::Changed) => FixedFile::ChangedMeanwhile,
            Err(error) => {
                results.unwritten = Some(Line::new(error));
                FixedFile::Unchanged
            }
        }
    }

    fn check_text(&self, source: &Source, name: &str, text: &str, results: &mut FileResults) {
        results.summary.files = 1;
        let text = Text { source, name, text, lines: Lines::new(text), rendered: Rendered::new(source, text) };
        for document in Stream::new(text.text).documents {
            match document.parse() {
                Ok(tree) => self.check_tree(&text, &document, tree, results),
                Err(SyntaxError { at, message, .. }) => {
                    let why =
                        source.folder.is_some().then(|| why_no_manifest(source.path_in_folder(), text.text)).flatten();
                    let hint = is_template(text.text).then(|| template_hint(source.chart()));
                    self.not_parsed(&text, at, message, hint, why, results);
                }
            }
        }
    }

    fn check_tree(&self, text: &Text<'_>, document: &Document<'_>, tree: Tree<'_>, results: &mut FileResults) {
        for remark in remarks(text.name, &text.lines, document, &tree) {
            results.summary.counts.add(Level::Warn);
            results.shown += 1;
            self.unread(remark, None, results);
        }
        let mut fix = Fix::new(&tree);
        self.check_document(text, document, tree.root(), None, &mut fix, results);
        self.check_inner_texts(text, document, tree.root(), results);
        let Fix { edit, findings } = fix;
        if edit.is_empty() {
            return;
        }
        // `--fix` is offered only where it works, which the same code finds out.
        let changes = edit.changes();
        drop(tree);
        match changes.and_then(|changes| document.changed(changes)) {
            Ok(_) => results.fixable += findings,
            Err(error) if self.verbose => results.notes.push(not_changed(text.name, document, &error)),
            Err(_) => {}
        }
    }

    /// Checks the objects of a document; `outer` is the string that holds it, if it stands in one, with the file of that string's
    /// document.
    fn check_document(
        &self,
        text: &Text<'_>,
        document: &Document<'_>,
        root: Node<'_>,
        outer: Option<(OuterText<'_>, Option<&str>)>,
        fix: &mut Fix<'_>,
        results: &mut FileResults,
    ) {
        for object in objects(root) {
            let object = &object;
            results.summary.objects += usize::from(object.kind != SETTINGS_KIND && outer.is_none());
            results.unclear.extend(object.is_unclear.then(|| object.kind.to_owned()));
            if object.pods.is_empty() {
                *results.skipped_objects.entry(object.kind.to_owned()).or_default() += 1;
                continue;
            }
            let file = match outer {
                Some((_, origin)) => origin.map(str::to_owned),
                None => text.rendered.file_of(document, root.pointer(&object.pointer)),
            };
            for pod in &object.pods {
                results.summary.pods += 1;
                let outer = outer.map(|(outer, _)| outer);
                self.check_pod(text, PodSource { document, root, object, pod, outer }, file.as_deref(), fix, results);
            }
        }
    }

    /// Checks manifests and Helm values inside of strings. A string that is neither is no error.
    fn check_inner_texts(&self, text: &Text<'_>, document: &Document<'_>, root: Node<'_>, results: &mut FileResults) {
        for InnerText { pointer, text: inner } in inner_texts(root) {
            let span = document.file_span(root.locate(&pointer));
            let outer = OuterText { text: inner, span: (span.start, span.end) };
            let origin = text.rendered.file_of(document, Some(root));
            for document in Stream::new(inner).documents {
                if let Ok(tree) = document.parse() {
                    // A text inside of a string is not edited.
                    let mut fix = Fix::new(&tree);
                    let outer = Some((outer, origin.as_deref()));
                    self.check_document(text, &document, tree.root(), outer, &mut fix, results);
                }
            }
        }
    }

    /// Checks a pod; `file` is the file from which its object was rendered, if that is known.
    fn check_pod(
        &self,
        text: &Text<'_>,
        source: PodSource<'_>,
        file: Option<&str>,
        fix: &mut Fix<'_>,
        results: &mut FileResults,
    ) {
        let object = source.object;
        match self.planner.plan(source) {
            Ok(plan) => {
                results.summary.containers.add(plan.containers);
                self.planner.report(source, &plan, text.name, &text.lines, |located| {
                    results.summary.counts.add(located.finding.level);
                    let rendered_in = file.is_some().then_some(text.name);
                    // The webhook would fix it; the file still has it.
                    let located =
                        LocatedFinding { fixed: false, file: file.unwrap_or(text.name), rendered_in, ..located };
                    self.finding(&located, results);
                });
                if self.verbose {
                    let object = self.planner.name_of(object);
                    let note = |note| format!("{}: {object}: {note}", text.name).into();
                    results.notes.extend(plan.all_notes().map(note));
                }
                fix.add(source, plan);
            }
            Err(NoPlan::Skipped(why)) => *results.skipped_pods.entry(why).or_default() += 1,
            Err(NoPlan::Invalid(InvalidPod { pointer, message })) => {
                let at = text.lines.position(source.span(&text.lines, &pointer).start);
                let message = format!("{}: {message}", self.planner.name_of(object));
                let path = text.source.path_in_folder();
                let why = text.source.folder.is_some().then(|| why_no_manifest(path, text.text)).flatten();
                self.not_parsed(text, at, message, None, why, results);
            }
        }
    }

    /// Adds a finding, if its level is shown.
    fn finding(&self, located: &LocatedFinding<'_>, results: &mut FileResults) {
        if located.finding.level < self.level {
            return;
        }
        results.shown += 1;
        if self.formats.for_people {
            results.groups.add(located);
        }
        for (format, entries) in self.formats.for_programs.iter().zip(&mut results.entries) {
            entries.push(format.finding(located));
        }
    }

    /// Adds text that is no manifest: an error, or a note in a folder.
    fn not_parsed(
        &self,
        text: &Text<'_>,
        at: Position,
        message: String,
        hint: Option<String>,
        why: Option<NotManifest>,
        results: &mut FileResults,
    ) {
        let severity = self.severity(why);
        self.unread(Unread { severity, file: text.name.to_owned(), at: Some(at), message, hint }, why, results);
    }

    /// Adds a file that cannot be read. A file in a folder may be none that has to be read.
    fn unreadable(&self, error: ReadError, source: Option<&Source>, results: &mut FileResults) {
        let ReadError { file, at, message, kind } = error;
        let why = match kind {
            ReadErrorKind::BrokenLink => Some(NotManifest::BrokenLink),
            ReadErrorKind::NotText(text) => {
                let found = source.filter(|source| source.folder.is_some());
                found.and_then(|source| why_no_manifest(source.path_in_folder(), &text))
            }
            ReadErrorKind::Other => None,
        };
        let severity = self.severity(why);
        self.unread(Unread { severity, file, at, message, hint: None }, why, results);
    }

    fn severity(&self, why: Option<NotManifest>) -> Severity {
        if why.is_some() && !self.strict { Severity::Note } else { Severity::Error }
    }

    fn unread(&self, unread: Unread, why: Option<NotManifest>, results: &mut FileResults) {
        for (format, entries) in self.formats.for_programs.iter().zip(&mut results.entries) {
            let entry = format.unread(&unread);
            if !entry.as_str().is_empty() {
                entries.push(entry);
            }
        }
        results.unread.push((unread, why));
    }
}

fn template_hint(chart: Option<String>) -> String {
    let chart = chart.as_deref().unwrap_or("CHART");
    format!("this looks like a template; check its output, such as `helm template {chart} | muslin check -`")
}

// === impl FileResults ===

impl FileResults {
    pub(super) fn tally(&self) -> FileTally<'_> {
        let count = |severity| self.unread.iter().filter(|(unread, _)| unread.severity == severity).count();
        FileTally {
            file: &self.file,
            pods: self.summary.pods,
            findings: self.shown,
            errors: count(Severity::Error),
            notes: count(Severity::Note),
        }
    }
}
