//! The totals of `check`, and what people read of them on standard error after the findings.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use crate::cli::outcome::ErrorMessage;
use crate::cli::terminal::Messages;
use crate::report::{RunTotals, Severity, Summary, UnclearKinds, Unread};
use crate::text::Line;

use super::checker::{FileResults, Fixing};
use super::not_manifest::NotManifest;

/// The results of all files.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) summary: Summary,
    /// Number of shown findings.
    shown: usize,
    unread: Vec<Unread>,
    /// Files in folders that are no manifests, by reason.
    not_manifests: BTreeMap<NotManifest, Vec<String>>,
    /// The errors of fixed files that cannot be written.
    unwritten: Vec<Line>,
    notes: Vec<Line>,
    fixable: usize,
    fixed: usize,
    changed_files: Vec<String>,
    skipped_objects: BTreeMap<String, usize>,
    skipped_pods: BTreeMap<Cow<'static, str>, usize>,
    unclear: UnclearKinds,
    charts: BTreeMap<String, usize>,
}

/// The most names in one message.
const NAMES_MAX: usize = 3;

/// The most charts that get a note of their own.
const CHARTS_MAX: usize = 5;

// === impl Totals ===

impl Totals {
    /// Adds the results of one file.
    pub(super) fn take(&mut self, results: FileResults) {
        self.summary.add(results.summary);
        self.shown += results.shown;
        self.fixable += results.fixable;
        self.fixed += results.fixed;
        self.unwritten.extend(results.unwritten);
        self.notes.extend(results.notes);
        for (kind, count) in results.skipped_objects {
            *self.skipped_objects.entry(kind).or_default() += count;
        }
        for (why, count) in results.skipped_pods {
            *self.skipped_pods.entry(why).or_default() += count;
        }
        for (unread, why) in results.unread {
            if let Some(why) = why.filter(|_| unread.severity == Severity::Note && results.chart.is_none()) {
                let names = self.not_manifests.entry(why).or_default();
                if names.last() != Some(&unread.file) {
                    names.push(unread.file.clone());
                }
            }
            self.unread.push(unread);
        }
        self.unclear.add(results.unclear);
        if let Some(chart) = results.chart {
            *self.charts.entry(chart).or_default() += 1;
        }
        if results.fixed > 0 {
            self.changed_files.push(results.file);
        }
    }

    /// Returns the number of errors because of which the check is incomplete.
    pub(super) fn errors(&self) -> usize {
        self.unread.iter().filter(|unread| unread.severity == Severity::Error).count()
    }

    /// Returns the number of files that could not be written.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    /// Returns the totals for formats. A file in `changed_files` of a diff would be changed.
    pub(super) fn run_totals(&self) -> RunTotals<'_> {
        RunTotals {
            summary: self.summary,
            hidden: self.hidden(),
            unread: &self.unread,
            unclear: &self.unclear,
            changed_files: &self.changed_files,
        }
    }

    fn hidden(&self) -> usize {
        self.summary.counts.all() - self.shown
    }

    /// Writes errors, notes and the summary to standard error.
    pub(super) fn write(&self, verbose: bool, fixing: Fixing) -> io::Result<()> {
        let mut messages = Messages::new();
        for unread in &self.unread {
            match unread.severity {
                Severity::Error => {
                    let hint = unread.hint.clone().map(Line::from);
                    messages.error(&ErrorMessage { text: unread.line(), hint })?;
                }
                Severity::Warning => messages.note(&unread.warning())?,
                Severity::Note if verbose => messages.note(&unread.line())?,
                Severity::Note => {}
            }
        }
        self.unwritten.iter().try_for_each(|error| messages.error(&ErrorMessage::new(error.clone())))?;
        self.notes.iter().try_for_each(|note| messages.note(note))?;
        let verb = if fixing == Fixing::Diff { "would fix" } else { "fixed" };
        self.changed_files.iter().try_for_each(|file| messages.line(&Line::new(format!("{verb} {file}"))))?;
        if !verbose {
            self.write_not_manifests(&mut messages)?;
        }
        self.write_charts(&mut messages, verbose)?;
        self.unclear.note().iter().try_for_each(|note| messages.note(note))?;
        if verbose {
            for (kind, count) in &self.skipped_objects {
                messages.note(&Line::new(format!("skipped {} of kind {kind}", counted(*count, "object"))))?;
            }
            for (why, count) in &self.skipped_pods {
                messages.note(&Line::new(format!("skipped {}: {why}", counted(*count, "pod"))))?;
            }
        }
        self.write_summary(&mut messages, fixing)
    }

    fn write_not_manifests(&self, messages: &mut Messages) -> io::Result<()> {
        for (why, names) in &self.not_manifests {
            let more = names.len().saturating_sub(NAMES_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            messages.note(&Line::new(format!(
                "skipped {}, {}: {}{more} (`-v` says why, `--strict` makes this an error)",
                counted(names.len(), "file"),
                why.describe(),
                names[..names.len().min(NAMES_MAX)].join(", "),
            )))?;
        }
        Ok(())
    }

    fn write_charts(&self, messages: &mut Messages, verbose: bool) -> io::Result<()> {
        let shown = if verbose { self.charts.len() } else { CHARTS_MAX };
        for (chart, count) in self.charts.iter().take(shown) {
            let its = if *count == 1 { "its" } else { "their" };
            messages.note(&Line::new(format!(
                "skipped {} in {chart}; check {its} output: helm template {chart} | muslin check -",
                counted(*count, "Helm template"),
            )))?;
        }
        let rest: usize = self.charts.values().skip(shown).sum();
        if rest > 0 {
            let charts = counted(self.charts.len() - shown, "other chart");
            let templates = counted(rest, "Helm template");
            messages.note(&Line::new(format!("skipped {templates} in {charts} (`-v` names them)")))?;
        }
        Ok(())
    }

    fn write_summary(&self, messages: &mut Messages, fixing: Fixing) -> io::Result<()> {
        let summary = &self.summary;
        if summary.pods == 0 {
            let message = format!(
                "nothing to check: no pod and no pod template in {} and {}",
                counted(summary.files, "file"),
                counted(summary.objects, "object")
            );
            messages.warning(&Line::new(message))?;
        }
        messages.line(&Line::new(format!(
            "{}, {}, {}; findings: {}",
            counted(summary.files, "file"),
            counted(summary.objects, "object"),
            counted(summary.pods, "pod"),
            summary.counts,
        )))?;
        if let Some(hidden) = summary.counts.hidden(self.shown) {
            messages.line(&Line::new(hidden))?;
        }
        if let Some(unknown) = summary.unknown("`muslin inspect IMAGE` reads one, `images` in muslin.toml declares it")
        {
            messages.line(&Line::new(unknown))?;
        }
        let files = counted(self.changed_files.len(), "file");
        match (fixing, self.fixable, self.fixed) {
            (Fixing::Off, 1.., _) => {
                messages.line(&Line::new(format!("`--fix` can fix {} of them, `--diff` shows how", self.fixable)))
            }
            (Fixing::Write, _, 1..) => {
                messages.line(&Line::new(format!("fixed {} in {files}", counted(self.fixed, "other finding"))))
            }
            (Fixing::Diff, _, 1..) => {
                messages.line(&Line::new(format!("`--fix` would fix {} of them in {files}", self.fixed)))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
