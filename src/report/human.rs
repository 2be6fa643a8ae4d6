//! Findings as a compiler prints them: readable without colour, with the place and the fix together.

use super::compiler_style::{CompilerStyle, Message, Place};
use super::format::Format;
use super::located_finding::LocatedFinding;
use crate::rules::DocsUrl;
use crate::text::{Block, Line};

/// The format for people.
#[derive(Clone, Debug)]
pub struct Human {
    style: CompilerStyle,
    docs: Option<DocsUrl>,
}

// === impl Human ===

impl Human {
    /// Returns the format, in colour or not. If a width is given, such as that of a terminal, lines of manifests are cut to it. In colour,
    /// the name of a rule is a link to its page below `docs`.
    pub fn new(in_colour: bool, width: Option<usize>, docs: Option<DocsUrl>) -> Self {
        Self { style: CompilerStyle::new(in_colour, width), docs }
    }
}

impl Format for Human {
    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, excerpt, object, path: _, finding, because, ordinal: _, fixed } = located;
        let suffix = if *fixed { " (fixed)" } else { "" };
        let owner = match &finding.container {
            Some(container) => format!("{object}, container {container}"),
            None => object.to_string(),
        };
        let because = because.iter().map(|because| ("why", Line::new(because.clone())));
        self.style.render(&Message {
            level: finding.level,
            title: Line::new(format!("{}{suffix}", finding.message)),
            slug: finding.rule.slug,
            page: self.docs.as_ref().map(|docs| docs.page_of(finding.rule.slug)),
            place: Some(Place { file: Line::new((*file).to_owned()), excerpt, owner: Line::new(owner) }),
            notes: because.chain([("help", Line::new(finding.help.clone()))]).collect(),
        })
    }
}
