//! Findings as a compiler prints them: readable without colour, and one glance from the place to the cure.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Counts, Reported};
use crate::policy::Level;

/// Writes for a person. The stream decides whether colour reaches the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Human;

// === impl Human ===

impl Human {
    /// Writes one finding.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn finding(&self, out: &mut impl Write, reported: &Reported) -> io::Result<()> {
        let Reported { place, finding, because, mended } = reported;
        let style = style(finding.level);
        let bold = Style::new().bold();
        let container = finding.container.as_deref().map(|name| format!("container {name}: ")).unwrap_or_default();
        let suffix = if *mended { " (mended)" } else { "" };
        writeln!(
            out,
            "{style}{}[{}]{style:#}{bold}: {container}{}{suffix}{bold:#}",
            finding.level, finding.rule.slug, finding.message
        )?;
        let position = place.position.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        writeln!(out, "  --> {}{position}: {}", place.file, place.object)?;
        if let Some(because) = because {
            writeln!(out, "   = why: {because}")?;
        }
        writeln!(out, "   = help: {}\n", finding.help)
    }

    /// Writes the last line: how much was seen, and how much of it has findings.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn summary(&self, out: &mut impl Write, pods: usize, changed: usize, counts: Counts) -> io::Result<()> {
        let Counts { deny, warn, info } = counts;
        let plural = if pods == 1 { "" } else { "s" };
        writeln!(out, "{pods} pod{plural} seen, {changed} changed; findings: {deny} deny, {warn} warn, {info} info")
    }
}

fn style(level: Level) -> Style {
    let colour = match level {
        Level::Deny => AnsiColor::Red,
        Level::Warn => AnsiColor::Yellow,
        Level::Info => AnsiColor::Cyan,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}
