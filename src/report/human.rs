//! Findings as a compiler prints them: readable without colour, with the place and the fix together.

use annotate_snippets::{AnnotationKind, Group, Level as Title, Origin, Renderer, Snippet};

use super::format::Format;
use super::located_finding::LocatedFinding;
use crate::manifest::Excerpt;
use crate::policy::Level;
use crate::text::printable;

/// The format for people.
#[derive(Clone, Debug)]
pub struct Human {
    renderer: Renderer,
}

/// Wider than any line that is shown. The renderer calculates with the width, so `usize::MAX` would overflow.
const UNBOUNDED: usize = 1 << 16;

// === impl Human ===

impl Human {
    /// Returns the format, in colour or not. If a width is given, such as that of a terminal, lines of manifests are cut to it.
    pub fn new(in_colour: bool, width: Option<usize>) -> Self {
        let renderer = if in_colour { Renderer::styled() } else { Renderer::plain() };
        Self { renderer: renderer.term_width(width.unwrap_or(UNBOUNDED)) }
    }
}

impl Format for Human {
    fn finding(&self, located: &LocatedFinding<'_>) -> String {
        let LocatedFinding { file, excerpt, object, path: _, finding, because, ordinal: _, fixed } = located;
        let suffix = if *fixed { " (fixed)" } else { "" };
        let title = printable(&format!("{}{suffix}", finding.message));
        let owner = match &finding.container {
            Some(container) => printable(&format!("{object}, container {container}")),
            None => printable(&object.to_string()),
        };
        let file = printable(file);
        let group = title_of(finding.level).primary_title(title).id(finding.rule.slug);
        let because = because.as_deref().map(|because| Title::NOTE.with_name("why").message(printable(because)));
        let group = with_place(group, excerpt, &file, owner)
            .elements(because)
            .element(Title::HELP.message(printable(&finding.help)));
        format!("{}\n\n", self.renderer.render(&[group]))
    }
}

/// Adds the place, quoted with its line if that can be shown.
fn with_place<'g>(
    title: annotate_snippets::Title<'g>,
    excerpt: &'g Excerpt<'_>,
    file: &'g str,
    owner: String,
) -> Group<'g> {
    match &excerpt.line {
        Some((line, span)) => title.element(
            Snippet::source(*line)
                .path(file)
                .line_start(excerpt.start.line)
                .fold(false)
                .annotation(AnnotationKind::Primary.span(span.clone()).label(owner)),
        ),
        None => title
            .element(Origin::path(file).line(excerpt.start.line).char_column(excerpt.start.column))
            .element(Title::NOTE.with_name("at").message(format!("{} of {owner}", printable(excerpt.text)))),
    }
}

fn title_of(level: Level) -> Title<'static> {
    match level {
        Level::Deny => Title::ERROR,
        Level::Warn => Title::WARNING,
        Level::Info => Title::INFO,
    }
    .with_name(level.name())
}
