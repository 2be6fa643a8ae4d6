//! Messages in the form in which compilers print theirs: a title, a place with the quoted line, and notes. Must not know what the
//! messages are about.

use annotate_snippets::{AnnotationKind, Group, Level as Title, Origin, Renderer, Snippet};

use crate::manifest::Excerpt;
use crate::policy::Level;
use crate::text::{Block, Line, quote};

/// A renderer of messages.
#[derive(Clone, Debug)]
pub(super) struct CompilerStyle {
    renderer: Renderer,
    /// Is true for a terminal, which shows colours and links.
    in_colour: bool,
}

/// A message; its texts are lines, so that none of them can look like more than one.
pub(super) struct Message<'m> {
    pub(super) level: Level,
    pub(super) title: Line,
    /// The name of the rule or the verdict.
    pub(super) slug: &'static str,
    /// The address of its page, to which a terminal links the name.
    pub(super) page: Option<String>,
    pub(super) place: Option<Place<'m>>,
    /// Each with its heading, such as `help`.
    pub(super) notes: Vec<(&'static str, Line)>,
}

/// A place in a file.
pub(super) struct Place<'m> {
    pub(super) file: Line,
    pub(super) excerpt: &'m Excerpt<'m>,
    /// The object and the container that the place belongs to.
    pub(super) owner: Line,
}

/// Wider than any line that is shown. The renderer calculates with the width, so `usize::MAX` would overflow.
const UNBOUNDED: usize = 1 << 16;

// === impl CompilerStyle ===

impl CompilerStyle {
    /// Returns the renderer, in colour or not. If a width is given, quoted lines are cut to it.
    pub(super) fn new(in_colour: bool, width: Option<usize>) -> Self {
        let renderer = if in_colour { Renderer::styled() } else { Renderer::plain() };
        Self { renderer: renderer.term_width(width.unwrap_or(UNBOUNDED)), in_colour }
    }

    /// Returns the message and an empty line.
    pub(super) fn render(&self, message: &Message<'_>) -> Block {
        let Message { level, title, slug, page, place, notes } = message;
        let group = title_of(*level).primary_title(&**title).id(*slug);
        let group = match page {
            Some(page) if self.in_colour => group.id_url(page),
            _ => group,
        };
        let quoted = place.as_ref().and_then(|place| place.excerpt.line.clone()).map(|(line, part)| quote(line, part));
        let group = match place {
            Some(place) => with_place(group, place, quoted.as_ref()),
            None => Group::with_title(group),
        };
        let notes = notes.iter().map(|(heading, text)| match *heading {
            "help" => Title::HELP.message(&**text),
            heading => Title::NOTE.with_name(heading).message(&**text),
        });
        Block::rendered(format!("{}\n\n", self.renderer.render(&[group.elements(notes)])))
    }
}

/// Adds the place, quoted with its line if that can be shown.
fn with_place<'g>(
    title: annotate_snippets::Title<'g>,
    place: &'g Place<'_>,
    quoted: Option<&'g (Line, std::ops::Range<usize>)>,
) -> Group<'g> {
    let Place { file, excerpt, owner } = place;
    match quoted {
        Some((line, part)) => title.element(
            Snippet::source(&**line)
                .path(&**file)
                .line_start(excerpt.start.line)
                .fold(false)
                .annotation(AnnotationKind::Primary.span(part.clone()).label(&**owner)),
        ),
        None => {
            let at = Line::new(format!("{} of {owner}", excerpt.text)).into_string();
            title
                .element(Origin::path(&**file).line(excerpt.start.line).char_column(excerpt.start.column))
                .element(Title::NOTE.with_name("at").message(at))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_links_a_slug_to_its_page_and_a_file_does_not() {
        let render = |in_colour, page: Option<&str>| {
            let message = Message {
                level: Level::Warn,
                title: Line::new("a title"),
                slug: "musl-no-tcp",
                page: page.map(str::to_owned),
                place: None,
                notes: Vec::new(),
            };
            CompilerStyle::new(in_colour, None).render(&message).as_str().to_owned()
        };
        let page = "https://docs.example.com/rules/musl-no-tcp.md";
        let link = format!("\u{1b}]8;;{page}\u{1b}\\");
        assert!(render(true, Some(page)).contains(&link), "{:?}", render(true, Some(page)));
        assert!(!render(false, Some(page)).contains('\u{1b}'));
        assert!(!render(true, None).contains("]8;;"));
    }
}
