//! Findings as a compiler prints them: readable without colour, and one glance from the place to the cure.

use annotate_snippets::{AnnotationKind, Group, Level as Title, Origin, Renderer, Snippet};

use super::{Format, Reported};
use crate::manifest::Place;
use crate::policy::Level;
use crate::text::printable;

/// Writes for a person.
#[derive(Clone, Debug)]
pub struct Human {
    renderer: Renderer,
}

/// Wider than any line that is shown. The renderer computes with it, so that the largest number there is would be too large.
const UNBOUNDED: usize = 1 << 16;

// === impl Human ===

impl Human {
    /// In colour or not; lines of manifests are cut to a width where one is given, as that of a terminal.
    pub fn new(in_colour: bool, width: Option<usize>) -> Self {
        let renderer = if in_colour { Renderer::styled() } else { Renderer::plain() };
        Self { renderer: renderer.term_width(width.unwrap_or(UNBOUNDED)) }
    }
}

impl Format for Human {
    fn finding(&self, reported: &Reported<'_>) -> String {
        let Reported { file, place, object, path: _, finding, because, earlier: _, mended } = reported;
        let suffix = if *mended { " (fixed)" } else { "" };
        let title = printable(&format!("{}{suffix}", finding.message));
        let whose = match &finding.container {
            Some(container) => printable(&format!("{object}, container {container}")),
            None => printable(&object.to_string()),
        };
        let file = printable(file);
        let group = title_of(finding.level).primary_title(title).id(finding.rule.slug);
        let because = because.as_deref().map(|because| Title::NOTE.with_name("why").message(printable(because)));
        let group =
            quoted(group, place, &file, whose).elements(because).element(Title::HELP.message(printable(&finding.help)));
        format!("{}\n\n", self.renderer.render(&[group]))
    }
}

/// Adds the place, quoted with its line where that can be shown.
fn quoted<'g>(title: annotate_snippets::Title<'g>, place: &'g Place<'_>, file: &'g str, whose: String) -> Group<'g> {
    match &place.line {
        Some((line, span)) => title.element(
            Snippet::source(*line)
                .path(file)
                .line_start(place.start.line)
                .fold(false)
                .annotation(AnnotationKind::Primary.span(span.clone()).label(whose)),
        ),
        None => title
            .element(Origin::path(file).line(place.start.line).char_column(place.start.column))
            .element(Title::NOTE.with_name("at").message(format!("{} of {whose}", printable(place.text)))),
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
