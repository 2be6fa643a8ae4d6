//! The words of a name, and the numbers behind them. Must not know what any word means.

use super::tag::number;
use crate::resolver::alpine::Release;

/// Letters, and the number directly after them: `alpine` and `3.18` in `20-alpine3.18`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) letters: &'a str,
    pub(crate) number: &'a str,
    /// No digit stands directly before, and no letter directly after.
    pub(crate) alone: bool,
    /// The part of the name before the letters.
    before: &'a str,
    /// The part of the name after the number.
    after: &'a str,
}

// === impl Token ===

impl Token<'_> {
    /// Returns the release in `alpine3.18`, and in `1.25-alpine-3.18`, which has the program's version before it. In `alpine-3.4.1`
    /// the number may be either version, as in Zabbix's tags.
    pub(crate) fn alpine_release(&self) -> Option<Release> {
        let release = match self.after.strip_prefix(['-', '_']) {
            Some(text) if self.number.is_empty() && self.before.bytes().any(|byte| byte.is_ascii_digit()) => text,
            _ => self.number,
        };
        let (major, rest) = number(release)?;
        let (minor, _) = number(rest.strip_prefix('.')?)?;
        Some(Release::new(major, minor))
    }
}

/// Returns true if a name has a word, with or without a number after it.
pub(crate) fn has_word(name: &str, word: &str) -> bool {
    tokens(name).any(|token| token.letters == word)
}

/// Returns the words of a name with the numbers after them.
pub(crate) fn tokens(name: &str) -> impl Iterator<Item = Token<'_>> {
    let end_of = |wanted: fn(&u8) -> bool, from: usize| {
        let bytes = name.as_bytes().get(from..).unwrap_or_default();
        from + bytes.iter().take_while(|byte| wanted(byte)).count()
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = end_of(|byte| !byte.is_ascii_alphabetic(), at);
        let letters = end_of(u8::is_ascii_alphabetic, start);
        let end = end_of(|byte| byte.is_ascii_digit() || *byte == b'.', letters);
        at = end;
        let before = name.get(..start)?;
        let after = name.get(end..)?;
        let glued =
            before.ends_with(|c: char| c.is_ascii_digit()) || after.starts_with(|c: char| c.is_ascii_alphabetic());
        (letters > start).then_some(Token {
            letters: name.get(start..letters)?,
            number: name.get(letters..end)?,
            alone: !glued,
            before,
            after,
        })
    })
}
