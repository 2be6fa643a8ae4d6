//! Text from outside, made fit for a message: on one line, without control characters, and no longer than a limit. Must not know
//! where the text comes from or where the message goes.

use std::borrow::Cow;

const ELLIPSIS: &str = "…";

/// Returns the text with a space in place of each control character. A terminal would obey them, and a program would split lines at
/// them.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Returns the text as one line of at most `limit` bytes: control characters become spaces, and a text that is cut ends in `…`.
pub(crate) fn one_line(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return if text.contains(char::is_control) { Cow::Owned(printable(text)) } else { Cow::Borrowed(text) };
    }
    let end = text.floor_char_boundary(limit.saturating_sub(ELLIPSIS.len()));
    Cow::Owned(format!("{}{ELLIPSIS}", printable(&text[..end])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_text_that_fits() {
        assert!(matches!(one_line("attempts:0", 10), Cow::Borrowed("attempts:0")));
    }

    #[test]
    fn cuts_a_long_text_between_characters() {
        assert_eq!(one_line("attempts:0", 9), "attemp…");
        assert_eq!(one_line("ßßßß", 7), "ßß…");
        assert!(one_line(&"ß".repeat(100), 50).len() <= 50);
    }

    #[test]
    fn replaces_control_characters() {
        assert_eq!(one_line("a\u{1b}[31m\nb", 80), "a [31m b");
        assert_eq!(printable("a\tb"), "a b");
    }
}
