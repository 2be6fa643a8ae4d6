//! The words of a name, and the numbers behind them. Must not know what any word means.

use super::tag::number;
use crate::resolver::alpine::Release;

/// Letters, and the number written directly behind them: `alpine` and `3.18` in `20-alpine3.18`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) letters: &'a str,
    pub(crate) number: &'a str,
    /// Neither a digit before nor a letter behind.
    pub(crate) alone: bool,
    /// What precedes the letters in the name.
    before: &'a str,
    /// What follows the number.
    after: &'a str,
}

// === impl Piece ===

impl Piece<'_> {
    /// The release in `alpine3.18`, and in `1.25-alpine-3.18`, where a version of the program stands before. In `alpine-3.4.1` alone
    /// the number may be either, as in Zabbix's tags.
    pub(crate) fn alpine_release(&self) -> Option<Release> {
        let behind = match self.after.strip_prefix(['-', '_']) {
            Some(text) if self.number.is_empty() && self.before.bytes().any(|byte| byte.is_ascii_digit()) => text,
            _ => self.number,
        };
        let (major, rest) = number(behind)?;
        let (minor, _) = number(rest.strip_prefix('.')?)?;
        Some(Release::new(major, minor))
    }
}

/// Whether a name holds a word, with or without a number behind it.
pub(crate) fn holds(name: &str, word: &str) -> bool {
    pieces(name).any(|piece| piece.letters == word)
}

/// Cuts a name into its words and the numbers behind them.
pub(crate) fn pieces(name: &str) -> impl Iterator<Item = Piece<'_>> {
    let is = |wanted: fn(&u8) -> bool, from: usize| {
        let bytes = name.as_bytes().get(from..).unwrap_or_default();
        from + bytes.iter().take_while(|byte| wanted(byte)).count()
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = is(|byte| !byte.is_ascii_alphabetic(), at);
        let letters = is(u8::is_ascii_alphabetic, start);
        let end = is(|byte| byte.is_ascii_digit() || *byte == b'.', letters);
        at = end;
        let before = name.get(..start)?;
        let after = name.get(end..)?;
        let glued =
            before.ends_with(|c: char| c.is_ascii_digit()) || after.starts_with(|c: char| c.is_ascii_alphabetic());
        (letters > start).then_some(Piece {
            letters: name.get(start..letters)?,
            number: name.get(letters..end)?,
            alone: !glued,
            before,
            after,
        })
    })
}
