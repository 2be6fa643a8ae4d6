//! Replacements of parts of a text, and the text with them.

use std::cmp::Reverse;
use std::ops::Range;

use super::layout::Layout;

/// A part of the text and its replacement.
#[derive(Debug)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
    pub(super) order: Order,
}

/// The order of insertions at one place: those into the inner value come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    First,
    /// Into brackets, whose entry has a higher index the further inside they are.
    Inside(Reverse<u32>),
    /// Whole lines, which are indented the more the further inside they are.
    Lines(Reverse<usize>),
}

/// Returns a text with splices.
pub(super) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    // A stable sort keeps other insertions at one place in the order in which they were made.
    splices.sort_by_key(|splice| (splice.range.start, splice.order));
    let layout = Layout { text };
    let mut edited = String::with_capacity(text.len() + splices.iter().map(|splice| splice.text.len()).sum::<usize>());
    let mut done = 0;
    for Splice { range, text: new, order: _ } in splices {
        if range.start > done {
            edited.push_str(&text[done..range.start]);
        }
        if new.contains('\n') && layout.has_crlf(range.start) {
            edited.push_str(&new.replace('\n', "\r\n"));
        } else {
            edited.push_str(&new);
        }
        done = done.max(range.end);
    }
    edited.push_str(&text[done..]);
    edited
}
