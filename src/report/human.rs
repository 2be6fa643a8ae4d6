//! Findings as a compiler prints them: readable without colour, with the place and the fix together.

use super::compiler_style::{CompilerStyle, Message, Place};
use super::groups::{Cause, Group};
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

    /// Formats findings with one cause.
    pub fn group(&self, group: &Group) -> Block {
        let Cause { rule, message, help, fixed } = &group.cause;
        let suffix = if *fixed { " (fixed)" } else { "" };
        let more = match group.more {
            0 => None,
            1 => Some("1 more place".to_owned()),
            more => Some(format!("{more} more places")),
        };
        let because = group.because.iter().cloned();
        let because = because.chain(group.more_because.then(|| Line::new("and other images")));
        let also = group.others.iter().cloned();
        let also = also.chain(more.map(|more| Line::new(format!("{more} (`muslin check -o concise` lists all)"))));
        self.style.render(&Message {
            level: group.level,
            title: Line::new(format!("{message}{suffix}")),
            slug: rule,
            page: self.docs.as_ref().map(|docs| docs.page_of(rule)),
            place: Some(Place { file: group.file.clone(), excerpt: &group.excerpt(), owner: group.owner.clone() }),
            notes: because
                .map(|because| ("why", because))
                .chain([("help", Line::new(help.clone()))])
                .chain(also.map(|place| ("also", place)))
                .collect(),
        })
    }
}
